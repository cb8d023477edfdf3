//! One span a call, by OpenTelemetry's conventions for HTTP clients (semantic conventions 1.45), and the W3C trace context along with its
//! request. `url.full`, which they ask for, is left out: keys, numbers of titles and of accounts travel in paths.
//!
//! **Owns** nothing; which propagator speaks is decided once for the process. Baggage is never sent.

use opentelemetry::propagation::Injector;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{HttpError, Request};
use crate::telemetry;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The span of one call, named after its method alone, since paths are no templates here.
pub(super) fn span(request: &Request) -> Span {
    tracing::info_span!(
        "http_request",
        otel.name = request.method.as_str(),
        otel.kind = "client",
        http.request.method = request.method.as_str(),
        server.address = request.url.host_str().unwrap_or_default(),
        server.port = request.url.port_or_known_default(),
        url.scheme = request.url.scheme(),
        http.response.status_code = tracing::field::Empty,
    )
}

/// Has the current span learn what a call came to.
pub(super) async fn told<T>(
    call: impl Future<Output = Result<T, HttpError>>,
    status: impl Fn(&T) -> StatusCode,
) -> Result<T, HttpError> {
    let outcome = call.await;
    match &outcome {
        Ok(answer) => {
            let status = status(answer);
            Span::current().record("http.response.status_code", status.as_u16());
            if status.is_client_error() || status.is_server_error() {
                telemetry::note_failure(status.as_u16().to_string());
            }
        }
        Err(error) => {
            telemetry::note_failure(error.kind());
            tracing::debug!(%error, "http request failed");
        }
    }
    outcome
}

/// Puts the current span's context into the headers, unless the caller has put one there.
pub(super) fn inject(headers: &mut HeaderMap) {
    if headers.contains_key(TRACEPARENT) {
        return;
    }
    let context = tracing::Span::current().context();
    opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&context, &mut Headers(headers));
    });
}

struct Headers<'a>(&'a mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        let Ok(name) = HeaderName::from_bytes(key.as_bytes()) else { return };
        // Only the trace context may leave the house, whatever else a propagator would like to say.
        if (name == TRACEPARENT || name == TRACESTATE)
            && !value.is_empty()
            && let Ok(value) = HeaderValue::from_str(&value)
        {
            self.0.insert(name, value);
        }
    }
}
