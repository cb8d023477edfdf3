//! What every call passes through: its trace, the limit of calls in flight, and the details of errors that the transport
//! itself made.
//!
//! **Limits**: `api.requests_in_flight_max`, and for the control service, which must answer when nothing else does,
//! `api.control_in_flight_max` instead; a call past its limit is answered at once and costs next to nothing.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::Semaphore;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tracing::{Instrument as _, info_span};

use super::config::ApiConfig;
use super::status::{ApiError, protocol_details};

/// What only operators ask; it does not compete with the rest.
const CONTROL: &str = "/bursar.control.";

/// The calls that may be in flight; clones are the same.
#[derive(Clone)]
pub struct InFlight {
    calls: Arc<Semaphore>,
    control: Arc<Semaphore>,
}

impl InFlight {
    pub fn new(config: &ApiConfig) -> Self {
        let semaphore = |max: u32| Arc::new(Semaphore::new(max as usize));
        Self {
            calls: semaphore(config.requests_in_flight_max),
            control: semaphore(config.control_in_flight_max),
        }
    }

    fn of(&self, path: &str) -> Arc<Semaphore> {
        if path.starts_with(CONTROL) { self.control.clone() } else { self.calls.clone() }
    }
}

/// Runs one call.
pub async fn around(State(in_flight): State<InFlight>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_ours = path.starts_with("/bursar.");
    // Health and reflection are answered whatever the load.
    let permit = if is_ours { Some(in_flight.of(path).try_acquire_owned()) } else { None };
    if let Some(Err(_)) = permit {
        return Status::from(ApiError::TooManyRequests).into_http();
    }
    if !is_ours {
        return with_details(next.run(request).await);
    }
    let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or((path, ""));
    let span = info_span!("rpc", rpc.service = service, rpc.method = method, otel.kind = "server");
    let metadata = MetadataMap::from_headers(request.headers().clone());
    crate::telemetry::set_parent_from_metadata(&span, &metadata);
    let response = next.run(request).instrument(span).await;
    drop(permit);
    with_details(response)
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
