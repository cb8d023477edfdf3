//! What every call passes through: its trace, the limit of calls in flight, who asks for it and whether they may, and the
//! details of errors that the transport itself made.
//!
//! Health is told to everybody. Everything else is for callers that are known; each method of ours asks for the scope that the
//! protocol declares for it, and what has none is closed. A call runs within its caller. A stream ends when its caller may stay no
//! longer. What an answer tells of persons passes [`super::personal`].
//!
//! **Fails** a call before a byte of its message is read, with the reasons of [`super::status`].
//! **Limits**: `api.requests_in_flight_max`, and for the control service, which must answer when nothing else does,
//! `api.control_in_flight_max` instead; a call past its limit is answered at once and costs next to nothing. A seat is
//! taken before a byte of the message is read, so that what messages take is bounded by the calls in flight times
//! `api.message_bytes_max`. A batch may be longer, and there may be fewer of them: `api.batches_in_flight_max` times
//! `api.batch_bytes_max` comes on top, and no more.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use hyper::body::Frame;
use tonic::metadata::MetadataMap;
use tonic::transport::server::TcpConnectInfo;
use tonic::{Code, Status};
use tracing::Instrument as _;

use super::gate::Gate;
use super::measure;
use super::personal::PersonalAnswer;
use super::seats::ApiSeats;
use super::status::{ApiError, protocol_details};
use crate::access::policy::{Policy, Rule};
use crate::access::{Access, Admitted, Presented, Refusal};
use crate::caller::{self, Caller};
use crate::domain::access::Scope;
use crate::domain::ids::TenantId;
use crate::metrics::methods;
use crate::proto::access::v1::Reading;
use crate::store::Store;

/// How the paths of our own methods begin.
const OURS: &str = "/bursar.";
/// Whoever watches over processes has no token.
const HEALTH: &str = "/grpc.health.v1.Health/";
/// What only operators ask; it does not compete with the rest.
pub(super) const CONTROL: &str = "/bursar.control.";
/// The one call whose message is as long as a thousand others.
pub(super) const BATCH: &str = "/bursar.boleto.v1.BoletoService/BatchCreateBoletos";

/// What stands between a caller and the services; clones are the same.
#[derive(Clone)]
pub struct Entrance {
    pub seats: ApiSeats,
    pub access: Access,
    pub policy: Arc<Policy>,
    pub gate: Gate,
}

/// Runs one call.
pub async fn around(State(entrance): State<Entrance>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    // Health is answered whatever the load.
    if path.starts_with(HEALTH) {
        return with_details(next.run(request).await);
    }
    if !path.starts_with(OURS) {
        return with_details(entrance.run(request, next).await);
    }
    let Some(seat) = entrance.seats.call(path) else {
        return Status::from(ApiError::TooManyRequests).into_http();
    };
    let span = measure::span(path);
    let metadata = MetadataMap::from_headers(request.headers().clone());
    crate::telemetry::set_parent_from_metadata(&span, &metadata);
    let response = entrance.run(request, next).instrument(span).await;
    drop(seat);
    with_details(response)
}

impl Entrance {
    /// Lets a caller in who may do this, and runs what they ask for.
    async fn run(&self, request: Request, next: Next) -> Response {
        let rule = self.policy.rule(request.uri().path());
        let wants_masks = request.headers().contains_key(caller::MASKED);
        let entering = self.admit(request.uri().path(), presented(&request), rule, wants_masks);
        let (admitted, store) = match entering.await {
            Ok(admitted) => admitted,
            Err(error) => return Status::from(error).into_http(),
        };
        if rule.is_none() && request.uri().path().starts_with(OURS) {
            return Status::unimplemented("there is no such method").into_http();
        }
        let caller = admitted.caller.clone();
        let response =
            caller::within(caller.clone(), self.answer(request, next, rule, &caller, store.as_ref())).await;
        let Some(store) = store.filter(|_| rule.is_none_or(|rule| rule.answers_with_stream)) else {
            return response;
        };
        let access = self.access.clone();
        let refused = Box::pin(async move { access.until_refused(&store, &admitted).await });
        response.map(|body| Body::new(Watched { body: Some(body), refused }))
    }

    /// What the service answers, with what is said of persons masked, or written down where its reader is known.
    async fn answer(
        &self,
        request: Request,
        next: Next,
        rule: Option<Rule>,
        caller: &Caller,
        store: Option<&Store>,
    ) -> Response {
        let Some((rule, shape)) = rule.and_then(|rule| Some((rule, rule.personal?))) else {
            return next.run(request).await;
        };
        let method = methods::of_path(request.uri().path()).name;
        let response = next.run(request).await;
        let answer =
            PersonalAnswer { policy: &self.policy, shape, method, streams: rule.answers_with_stream };
        match store {
            _ if !caller.may(Scope::PiiRead) => answer.masked(response),
            Some(store) if rule.reading == Reading::Unspecified => answer.written_down(store, response).await,
            _ => response,
        }
    }

    /// Who asks, if they may do what this is; and the store that knows, where somebody has to be looked at again.
    async fn admit(
        &self,
        path: &str,
        presented: Presented<'_>,
        rule: Option<Rule>,
        wants_masks: bool,
    ) -> Result<(Admitted, Option<Store>), ApiError> {
        let (mut admitted, store) = match self.access.everybody() {
            Some(everybody) => (everybody, None),
            None => {
                let store = self.gate.house()?.store.clone();
                (self.access.admit(&store, presented).await?, Some(store))
            }
        };
        let Some(rule) = rule else { return Ok((admitted, store)) };
        if wants_masks {
            admitted.caller = Arc::new(admitted.caller.masked());
        }
        let caller = &admitted.caller;
        let scope = rule.scope.ok_or(ApiError::MethodClosed)?;
        if let Some(missing) =
            [Some(scope), rule.also].into_iter().flatten().find(|scope| !caller.may(*scope))
        {
            return Err(ApiError::ScopeMissing(missing));
        }
        // What control is about is nobody's rows alone.
        if path.starts_with(CONTROL) && caller.tenant_id != TenantId::default() {
            return Err(ApiError::HouseOnly);
        }
        Ok((admitted, store))
    }
}

/// What a call shows of its caller.
fn presented(request: &Request) -> Presented<'_> {
    let certificate = request.extensions().get::<CertificateNames>();
    let connection = request.extensions().get::<TcpConnectInfo>();
    Presented {
        // One that is no text is wrong like any other.
        authorization: request.headers().get(AUTHORIZATION).map(|text| text.to_str().unwrap_or_default()),
        certificate_names: certificate.map_or(&[], |names| &names.0),
        address: connection.and_then(TcpConnectInfo::remote_addr).map(|address| address.ip()),
    }
}

/// The names in the certificate that a caller's connection was made with.
#[derive(Debug, Clone)]
pub struct CertificateNames(pub Arc<[String]>);

/// An answer that ends when its caller may stay no longer.
struct Watched {
    /// None once it has ended so.
    body: Option<Body>,
    refused: Pin<Box<dyn Future<Output = Refusal> + Send>>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.body.is_none() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(refusal) = self.refused.as_mut().poll(context) {
            // Whoever makes the answer learns by it that nobody reads any more.
            self.body = None;
            let mut trailers = HeaderMap::new();
            return Poll::Ready(Some(
                match Status::from(ApiError::from(refusal)).add_header(&mut trailers) {
                    Ok(()) => Ok(Frame::trailers(trailers)),
                    Err(status) => Err(axum::Error::new(status)),
                },
            ));
        }
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }
}

/// Gives an error that came without details the ones that every error has.
fn with_details(response: Response) -> Response {
    let headers = response.headers();
    let Some(code) = headers.get("grpc-status") else { return response };
    if code == "0" || headers.contains_key("grpc-status-details-bin") {
        return response;
    }
    let Some(status) = Status::from_header_map(headers) else { return response };
    if status.code() == Code::Ok {
        return response;
    }
    protocol_details(status.code(), status.message()).into_http::<Body>()
}
