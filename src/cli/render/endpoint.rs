//! Destinations of owners.

use serde_json::{Value, json};

use super::time;
use crate::cli::table::Column;
use crate::proto::notification::v1::endpoint::Destination;
use crate::proto::notification::v1::{Endpoint, SqsDestination, WebhookDestination};

/// What a list shows of each.
pub const ROW: [Column; 5] = [
    Column::plain("ID", "/id"),
    Column::plain("QUEUE", "/sqs/queue_url"),
    Column::plain("WEBHOOK", "/webhook/url"),
    Column::plain("EVENTS", "/event_types"),
    Column::plain("DISABLED", "/disabled"),
];

/// What is shown of one.
pub const DETAIL: [Column; 8] = [
    Column::plain("id", "/id"),
    Column::plain("queue", "/sqs/queue_url"),
    Column::plain("webhook", "/webhook/url"),
    Column::plain("secrets", "/webhook/secrets"),
    Column::plain("events", "/event_types"),
    Column::plain("disabled", "/disabled"),
    Column::plain("reason", "/disabled_reason"),
    Column::time("created", "/create_time"),
];

/// The destination as a document.
pub fn endpoint(endpoint: &Endpoint) -> Value {
    let (sqs, webhook) = match &endpoint.destination {
        Some(Destination::Sqs(destination)) => (self::sqs(destination), Value::Null),
        Some(Destination::Webhook(destination)) => (Value::Null, self::webhook(destination)),
        None => (Value::Null, Value::Null),
    };
    json!({
        "id": endpoint.id,
        "sqs": sqs,
        "webhook": webhook,
        "event_types": endpoint.event_types,
        "disabled": endpoint.disabled,
        "disabled_reason": endpoint.disabled_reason,
        "create_time": time(endpoint.create_time.as_ref()),
    })
}

pub(super) fn sqs(destination: &SqsDestination) -> Value {
    json!({ "queue_url": destination.queue_url })
}

pub(super) fn webhook(destination: &WebhookDestination) -> Value {
    json!({ "url": destination.url, "secrets": destination.secrets })
}
