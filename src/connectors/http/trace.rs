//! One span a call, and the W3C trace context along with its request.
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

/// The span of one call. The path and the query stay out of it: keys and numbers of titles travel in them.
pub(super) fn span(request: &Request) -> Span {
    tracing::info_span!(
        "http_request",
        otel.kind = "client",
        http.request.method = %request.method,
        server.address = request.url.host_str().unwrap_or_default(),
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
                telemetry::note_failure("answered with an error");
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
