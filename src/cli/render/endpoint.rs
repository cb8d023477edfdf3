//! Destinations of owners.

use serde_json::{Value, json};

use super::time;
use crate::cli::table::Column;
use crate::proto::notification::v1::endpoint::Destination;
use crate::proto::notification::v1::{
    Endpoint, EventFilter, KeptSecret, MailDestination, NatsDestination, SqsDestination, WebhookDestination,
};

/// What a list shows of each.
pub const ROW: [Column; 7] = [
    Column::plain("ID", "/id"),
    Column::plain("QUEUE", "/sqs/queue_url"),
    Column::plain("WEBHOOK", "/webhook/url"),
    Column::plain("MAIL", "/mail/address"),
    Column::plain("SUBJECT", "/nats/subject"),
    Column::plain("EVENTS", "/event_types"),
    Column::plain("DISABLED", "/disabled"),
];

/// What is shown of one.
pub const DETAIL: [Column; 15] = [
    Column::plain("id", "/id"),
    Column::plain("queue", "/sqs/queue_url"),
    Column::plain("webhook", "/webhook/url"),
    Column::plain("secrets", "/webhook/secrets"),
    Column::plain("mail", "/mail/address"),
    Column::plain("language", "/mail/language"),
    Column::plain("subject", "/nats/subject"),
    Column::plain("events", "/event_types"),
    Column::plain("filters", "/filters"),
    Column::plain("disabled", "/disabled"),
    Column::plain("reason", "/disabled_reason"),
    Column::time("failing since", "/failing_since"),
    Column::plain("etag", "/etag"),
    Column::time("created", "/create_time"),
    Column::time("updated", "/update_time"),
];

/// The destination as a document.
pub fn endpoint(endpoint: &Endpoint) -> Value {
    let mut document = json!({
        "id": endpoint.id,
        "sqs": null,
        "webhook": null,
        "mail": null,
        "nats": null,
        "event_types": endpoint.event_types,
        "filters": endpoint.filters.iter().map(filter).collect::<Vec<_>>(),
        "disabled": endpoint.disabled,
        "disabled_reason": endpoint.disabled_reason,
        "failing_since": time(endpoint.failing_since.as_ref()),
        "etag": endpoint.etag,
        "create_time": time(endpoint.create_time.as_ref()),
        "update_time": time(endpoint.update_time.as_ref()),
    });
    match &endpoint.destination {
        Some(Destination::Sqs(destination)) => document["sqs"] = sqs(destination),
        Some(Destination::Webhook(destination)) => document["webhook"] = webhook(destination),
        Some(Destination::Mail(destination)) => document["mail"] = mail(destination),
        Some(Destination::Nats(destination)) => document["nats"] = nats(destination),
        None => {}
    }
    document
}

pub(super) fn filter(filter: &EventFilter) -> Value {
    json!({ "attribute": filter.attribute, "values": filter.values })
}

pub(super) fn sqs(destination: &SqsDestination) -> Value {
    json!({ "queue_url": destination.queue_url })
}

pub(super) fn mail(destination: &MailDestination) -> Value {
    json!({ "address": destination.address, "language": destination.language })
}

pub(super) fn nats(destination: &NatsDestination) -> Value {
    json!({ "subject": destination.subject })
}

pub(super) fn kept_secret(secret: &KeptSecret) -> Value {
    json!({
        "create_time": time(secret.create_time.as_ref()),
        "expire_time": time(secret.expire_time.as_ref()),
    })
}

pub(super) fn webhook(destination: &WebhookDestination) -> Value {
    let kept: Vec<Value> = destination.kept_secrets.iter().map(kept_secret).collect();
    json!({ "url": destination.url, "secrets": destination.secrets, "kept_secrets": kept })
}
