//! Every call, measured from its first byte to the end of its answer, refused ones included.
//!
//! It stands around all other layers, so that what they refuse is counted too; the span of a call, of which only the layers
//! within know, is told to it by [`note_trace`], which stands right around the services.
//!
//! Spans follow OpenTelemetry's conventions for RPC as they became stable (semantic conventions 1.45); metrics keep the names of before,
//! which dashboards and alerts are made of.
//!
//! **Owns** nothing; a call that is dropped before its answer has ended counts as cancelled. **Fails** never.
//! **Limits**: methods are those of the protocol; every other path is one and the same.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Frame, SizeHint};
use opentelemetry::trace::TraceId;
use tonic::Code;
use tracing::Span;

use super::code::code_name;
use crate::metrics::calls::RpcCall;
use crate::metrics::methods;
use crate::telemetry;

const STATUS: &str = "grpc-status";

/// Where the span of a call is put, and its trace if that is recorded, once they are known.
#[derive(Clone, Default)]
struct Noted(Arc<OnceLock<(Span, Option<TraceId>)>>);

impl Noted {
    fn trace(&self) -> Option<TraceId> {
        self.0.get().and_then(|(_, trace)| *trace)
    }
}

/// The span of a call by this path. What nobody has given a name is not named after whatever a caller made up.
pub(super) fn span(path: &str) -> Span {
    let method = methods::full_name(path);
    tracing::info_span!(
        "rpc",
        otel.name = method.unwrap_or("grpc"),
        otel.kind = "server",
        rpc.system.name = "grpc",
        rpc.method = method.unwrap_or("_OTHER"),
    )
}

/// Measures one call.
pub async fn measured(mut request: Request, next: Next) -> Response {
    let noted = Noted::default();
    let mut call = RpcCall::begin(methods::of_path(request.uri().path()));
    request.extensions_mut().insert(noted.clone());
    let response = next.run(request).await;
    // An error is told in the head; whatever else a call comes to stands behind its last message.
    if let Some(code) = code_in(response.headers()) {
        call.end(code, noted.trace());
        return response;
    }
    response.map(|body| Body::new(Measured { body, call, noted, is_ended: false }))
}

/// Tells whoever measures which span the call has. The span lasts as long as the answer, a stream's until its end.
pub async fn note_trace(request: Request, next: Next) -> Response {
    if let Some(noted) = request.extensions().get::<Noted>() {
        // Nobody else writes into it.
        let _ = noted.0.set((Span::current(), telemetry::sampled_trace_id()));
    }
    let response = next.run(request).await;
    if let Some(code) = code_in(response.headers()) {
        note_end(code);
    }
    response
}

/// Says of the current span how its call ended.
fn note_end(code: i64) {
    let code = i32::try_from(code).map_or(Code::Unknown, Code::from_i32);
    telemetry::note("rpc.response.status_code", code_name(code));
    // What of all that is the server's failure and not the caller's (OpenTelemetry's conventions for spans of gRPC).
    if let Code::Unknown
    | Code::DeadlineExceeded
    | Code::Unimplemented
    | Code::Internal
    | Code::Unavailable
    | Code::DataLoss = code
    {
        telemetry::note_failure(code_name(code));
    }
}

/// The body of an answer whose end is still to come.
struct Measured {
    body: Body,
    call: RpcCall,
    noted: Noted,
    is_ended: bool,
}

impl Measured {
    /// Has ended with this code. What comes later does not count.
    fn end(&mut self, code: i64) {
        if std::mem::replace(&mut self.is_ended, true) {
            return;
        }
        self.call.end(code, self.noted.trace());
        if let Some((span, _)) = self.noted.0.get() {
            span.in_scope(|| note_end(code));
        }
    }
}

impl hyper::body::Body for Measured {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &polled {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.end(code_in(trailers).unwrap_or(Code::Unknown as i64));
                }
            }
            // An answer without a status is none.
            Some(Err(_)) | None => self.end(Code::Unknown as i64),
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn code_in(headers: &HeaderMap) -> Option<i64> {
    headers.get(STATUS)?.to_str().ok()?.parse().ok()
}
