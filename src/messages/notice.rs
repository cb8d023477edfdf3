//! What an owner reads, one JSON object an event and the same through every channel, and what is kept of its being sent.
//!
//! What each holds is written down as a JSON Schema (`proto/bursar/notification/v1/events`, one a family) and named by its member
//! `schema`, for example `bursar.boleto.v1`. Within a version nothing is taken away or renamed, and nothing gets another type or
//! meaning; members and types of events may come on top, and a reader passes over those that it does not know. Whatever else
//! is to change gets a version of its own, and owners move over one endpoint at a time.
//!
//! **Owns** nothing. **Fails** nowhere. **Limits**: small, and without personal data; whoever wants more asks for it by id.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::connectors::channels::{ChannelError, Receipt};
use crate::domain::ids::EventId;
use crate::store::delivery::{AttemptOutcome, DeliveryAttempt, DueDelivery, DueEvent, EventContent};

/// The schema of what is told about boletos.
pub const BOLETO_SCHEMA: &str = "bursar.boleto.v1";

/// News of a boleto, with the names that it had in the service before this one.
#[derive(Serialize)]
struct BoletoMessage<'a> {
    boleto_id: &'a str,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference_id: Option<&'a str>,
    event_id: String,
    event_type: &'a str,
    version: i64,
    occurred_at: String,
    /// Last, because whoever reads the messages of the service before does not know it.
    schema: &'a str,
}

/// News of anything else; its schema is named after the kind of the subject.
#[derive(Serialize)]
struct Message<'a> {
    schema: String,
    event_id: String,
    event_type: &'a str,
    subject_id: String,
    version: i64,
    occurred_at: String,
    data: &'a RawValue,
}

/// The JSON text of an event; nothing if what the store holds is not JSON.
pub fn body(due: &DueDelivery, event: &DueEvent) -> Option<String> {
    let subject = due.subject_id.to_string();
    let event_id = event.id.to_string();
    let occurred_at = event.occurred_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let (event_type, version) = (event.event_type.as_str(), event.version);
    match &event.content {
        EventContent::Boleto { status, reference_id } => {
            let message = BoletoMessage {
                // Who knew it before goes on knowing it by that name.
                boleto_id: due.legacy_id.as_deref().unwrap_or(&subject),
                status,
                reference_id: reference_id.as_deref(),
                event_id,
                event_type,
                version,
                occurred_at,
                schema: BOLETO_SCHEMA,
            };
            serde_json::to_string(&message).ok()
        }
        EventContent::Data(data) => {
            let data = serde_json::from_str(data).ok()?;
            let schema = format!("bursar.{}.v1", due.subject_kind.as_str());
            let message =
                Message { schema, event_id, event_type, subject_id: subject, version, occurred_at, data };
            serde_json::to_string(&message).ok()
        }
    }
}

/// What is kept of one try.
pub fn attempt(
    event: &DueEvent,
    result: &Result<Receipt, ChannelError>,
    is_resend: bool,
    started_at: DateTime<Utc>,
    ended_at: DateTime<Utc>,
) -> DeliveryAttempt {
    let outcome = match result {
        Ok(_) => AttemptOutcome::Accepted,
        Err(ChannelError::Refused { .. }) => AttemptOutcome::Refused,
        Err(ChannelError::Unavailable { .. }) => AttemptOutcome::Unavailable,
        Err(ChannelError::OutcomeUnknown { .. }) => AttemptOutcome::Unknown,
        Err(ChannelError::Disabled) => AttemptOutcome::Gone,
        Err(ChannelError::Misconfigured { .. }) => AttemptOutcome::Misconfigured,
    };
    let (status, answer, provider_message_id) = match result {
        Ok(receipt) => (receipt.status, receipt.answer.clone(), receipt.provider_message_id.clone()),
        Err(error) => (None, Some(error.to_string()), None),
    };
    DeliveryAttempt {
        id: Uuid::now_v7(),
        event_id: EventId(event.id),
        event_type: event.event_type.clone(),
        version: event.version,
        started_at,
        ended_at,
        outcome,
        status,
        answer,
        provider_message_id,
        is_resend,
    }
}
