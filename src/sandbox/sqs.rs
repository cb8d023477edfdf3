//! A queue service that speaks Amazon SQS's JSON protocol (`AmazonJSON 1.0`), for owners' queues.
//!
//! **Owns** its queues, in memory. `sandbox-owner` is there from the start; others are created by their users.
//! **Fails** as AWS does: status 400, the error's name in `__type`, the older name in `x-amzn-query-error`.
//! Requests must carry a signature of the AWS4-HMAC-SHA256 form; whether it is right is not looked at.
//! **Limits**: eight actions; batches of ten; messages of 262,144 bytes; a queue keeps its newest 100,000.

mod actions;
mod digest;
mod fault;
mod queue;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use actions::Service;
use fault::SqsFault;

use super::OWNER;
use super::line::Line;
use super::outside::Outside;
use super::script::Party;

const ACCOUNT: &str = "000000000000";
const JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");

/// Where a queue lives below the service's address.
pub(super) fn queue_url(base: &str, name: &str) -> String {
    format!("{base}/{ACCOUNT}/{name}")
}

pub(super) fn router(outside: Arc<Outside>, base: String) -> Router {
    let service = Arc::new(Service::new(outside, base, OWNER));
    // Clients post to the root or to the queue's own path; the target header says what they want.
    Router::new().fallback(call).with_state(service)
}

async fn call(
    State(service): State<Arc<Service>>,
    ConnectInfo(line): ConnectInfo<Line>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let script = service.script().clone();
    script
        .perform(Party::Sqs, &line, move |orders| async move {
            let answered = match orders.refuse {
                Some(_) => Err(SqsFault::AccessDenied),
                None => answer(&service, &headers, &body).await,
            };
            match answered {
                Ok(json) => respond(StatusCode::OK, json),
                Err(fault) => refuse(&fault),
            }
        })
        .await
}

async fn answer(service: &Service, headers: &HeaderMap, body: &[u8]) -> Result<Vec<u8>, SqsFault> {
    check_signature(headers)?;
    let text =
        |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    if text("content-type") != "application/x-amz-json-1.0" {
        return Err(SqsFault::UnknownOperation);
    }
    let action = text("x-amz-target").strip_prefix("AmazonSQS.").ok_or(SqsFault::UnknownOperation)?;
    service.act(action, body).await
}

/// The form that every signed request has; its parts are not verified.
fn check_signature(headers: &HeaderMap) -> Result<(), SqsFault> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let authorization = text("authorization").ok_or(SqsFault::MissingAuthenticationToken)?;
    let parts = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or(SqsFault::IncompleteSignature)?;
    let part = |name: &str| {
        parts
            .split(',')
            .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
            .unwrap_or_default()
    };
    let scope: Vec<_> = part("Credential").split('/').collect();
    let scope_fits = matches!(scope[..], [key, day, region, "sqs", "aws4_request"]
        if !key.is_empty() && day.len() == 8 && !region.is_empty());
    let signature = part("Signature");
    let signature_fits = signature.len() == 64 && signature.bytes().all(|byte| byte.is_ascii_hexdigit());
    let host_signed = part("SignedHeaders").split(';').any(|name| name == "host");
    if scope_fits && signature_fits && host_signed && text("x-amz-date").is_some() {
        Ok(())
    } else {
        Err(SqsFault::IncompleteSignature)
    }
}

fn respond(status: StatusCode, json: Vec<u8>) -> Response {
    let id = uuid::Uuid::now_v7().to_string();
    (status, [(header::CONTENT_TYPE, JSON)], [("x-amzn-requestid", id)], Body::from(json)).into_response()
}

fn refuse(fault: &SqsFault) -> Response {
    let mut response = respond(fault.status(), fault.json());
    if let Ok(value) = HeaderValue::from_str(&format!("{};Sender", fault.query_code())) {
        response.headers_mut().insert("x-amzn-query-error", value);
    }
    response
}

#[cfg(test)]
mod tests;
