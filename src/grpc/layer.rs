//! What every call passes through: its trace, the limit of calls in flight, and the details of errors that the transport
//! itself made.
//!
//! **Limits**: `api.requests_in_flight_max`, and for the control service, which must answer when nothing else does,
//! `api.control_in_flight_max` instead; a call past its limit is answered at once and costs next to nothing. A permit is
//! taken before a byte of the message is read, so that what messages take is bounded by the calls in flight times
//! `api.message_bytes_max`. A batch may be longer, and there may be fewer of them: `api.batches_in_flight_max` times
//! `api.batch_bytes_max` comes on top, and no more.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tracing::{Instrument as _, info_span};

use super::config::ApiConfig;
use super::status::{ApiError, protocol_details};

/// What only operators ask; it does not compete with the rest.
const CONTROL: &str = "/bursar.control.";
/// The one call whose message is as long as a thousand others.
pub(super) const BATCH: &str = "/bursar.boleto.v1.BoletoService/BatchCreateBoletos";

/// The calls that may be in flight; clones are the same.
#[derive(Clone)]
pub struct InFlight {
    calls: Arc<Semaphore>,
    control: Arc<Semaphore>,
    batches: Arc<Semaphore>,
}

/// Held for as long as a call is in flight.
struct Permit {
    _call: OwnedSemaphorePermit,
    _batch: Option<OwnedSemaphorePermit>,
}

impl InFlight {
    pub fn new(config: &ApiConfig) -> Self {
        let semaphore = |max: u32| Arc::new(Semaphore::new(max as usize));
        Self {
            calls: semaphore(config.requests_in_flight_max),
            control: semaphore(config.control_in_flight_max),
            batches: semaphore(config.batches_in_flight_max),
        }
    }

    /// Nothing where there are as many as there may be.
    fn admit(&self, path: &str) -> Option<Permit> {
        let calls = if path.starts_with(CONTROL) { &self.control } else { &self.calls };
        let call = calls.clone().try_acquire_owned().ok()?;
        let batch = match path {
            BATCH => Some(self.batches.clone().try_acquire_owned().ok()?),
            _ => None,
        };
        Some(Permit { _call: call, _batch: batch })
    }
}

/// Runs one call.
pub async fn around(State(in_flight): State<InFlight>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_ours = path.starts_with("/bursar.");
    // Health and reflection are answered whatever the load.
    if !is_ours {
        return with_details(next.run(request).await);
    }
    let Some(permit) = in_flight.admit(path) else {
        return Status::from(ApiError::TooManyRequests).into_http();
    };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn batches_have_a_bound_of_their_own_and_count_among_all_calls() {
        let config = ApiConfig {
            requests_in_flight_max: 3,
            control_in_flight_max: 1,
            batches_in_flight_max: 1,
            ..Config::default().api
        };
        let in_flight = InFlight::new(&config);
        let batch = in_flight.admit(BATCH).expect("room for one");
        assert!(in_flight.admit(BATCH).is_none(), "the calls have room, the batches have not");
        let others: Vec<_> = (0..3).filter_map(|_| in_flight.admit("/bursar.boleto.v1.X/Y")).collect();
        assert_eq!(others.len(), 2, "who was turned away holds nothing");
        drop(batch);
        assert!(in_flight.admit(BATCH).is_some() && in_flight.admit("/bursar.control.v1.X/Y").is_some());
    }
}
