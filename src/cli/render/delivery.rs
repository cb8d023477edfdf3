//! What endpoints are owed, and what was tried.

use clap::builder::TypedValueParser;
use serde_json::{Value, json};

use super::{short, short_name_parser, time};
use crate::cli::table::Column;
use crate::proto::notification::v1::delivery::State;
use crate::proto::notification::v1::delivery_attempt::Outcome;
use crate::proto::notification::v1::{Delivery, DeliveryAttempt};

/// Every state that a delivery may be in, by its short name.
pub const STATES: [&str; 4] = ["pending", "delivered", "given_up", "cancelled"];

const STATE_PREFIX: &str = "STATE_";
const OUTCOME_PREFIX: &str = "OUTCOME_";

/// What a list shows of each.
pub const ROW: [Column; 9] = [
    Column::plain("ENDPOINT", "/endpoint_id"),
    Column::plain("CHANNEL", "/channel"),
    Column::plain("SUBJECT", "/subject_id"),
    Column::plain("STATE", "/state"),
    Column::plain("SENT", "/sent_version"),
    Column::plain("OF", "/wanted_version"),
    Column::plain("ATTEMPTS", "/attempts"),
    Column::time("NEXT ATTEMPT", "/next_attempt_time"),
    Column::plain("LAST ANSWER", "/last_answer"),
];

/// What is shown of one.
pub const DETAIL: [Column; 11] = [
    Column::plain("endpoint", "/endpoint_id"),
    Column::plain("channel", "/channel"),
    Column::plain("kind", "/subject_kind"),
    Column::plain("subject", "/subject_id"),
    Column::plain("state", "/state"),
    Column::plain("sent version", "/sent_version"),
    Column::plain("wanted version", "/wanted_version"),
    Column::plain("attempts", "/attempts"),
    Column::time("next attempt", "/next_attempt_time"),
    Column::plain("last answer", "/last_answer"),
    Column::time("updated", "/update_time"),
];

/// What a list shows of each attempt.
pub const ATTEMPT: [Column; 8] = [
    Column::time("BEGAN", "/start_time"),
    Column::plain("EVENT", "/event_id"),
    Column::plain("TYPE", "/event_type"),
    Column::plain("VERSION", "/version"),
    Column::plain("OUTCOME", "/outcome"),
    Column::plain("STATUS", "/status"),
    Column::plain("RESEND", "/resend"),
    Column::plain("ANSWER", "/answer"),
];

/// What is shown of one attempt.
pub const ATTEMPT_DETAIL: [Column; 9] = [
    Column::plain("event", "/event_id"),
    Column::plain("type", "/event_type"),
    Column::plain("version", "/version"),
    Column::plain("outcome", "/outcome"),
    Column::plain("status", "/status"),
    Column::plain("answer", "/answer"),
    Column::plain("message", "/provider_message_id"),
    Column::time("began", "/start_time"),
    Column::time("ended", "/end_time"),
];

/// The delivery as a document.
pub fn delivery(delivery: &Delivery) -> Value {
    json!({
        "endpoint_id": delivery.endpoint_id,
        "channel": delivery.channel,
        "subject_kind": delivery.subject_kind,
        "subject_id": delivery.subject_id,
        "state": state(delivery.state),
        "sent_version": delivery.sent_version,
        "wanted_version": delivery.wanted_version,
        "attempts": delivery.attempts,
        "last_answer": delivery.last_answer,
        "update_time": time(delivery.update_time.as_ref()),
        "next_attempt_time": time(delivery.next_attempt_time.as_ref()),
    })
}

/// The attempt as a document.
pub fn attempt(attempt: &DeliveryAttempt) -> Value {
    json!({
        "id": attempt.id,
        "event_id": attempt.event_id,
        "event_type": attempt.event_type,
        "version": attempt.version,
        "start_time": time(attempt.start_time.as_ref()),
        "end_time": time(attempt.end_time.as_ref()),
        "outcome": outcome(attempt.outcome),
        // There is none through most channels.
        "status": (attempt.status != 0).then_some(attempt.status),
        "answer": attempt.answer,
        "provider_message_id": attempt.provider_message_id,
        "resend": attempt.resend,
    })
}

/// A state's short name.
pub fn state(number: i32) -> String {
    short(number, STATE_PREFIX, State::try_from(number).ok().map(|state| state.as_str_name()))
}

/// An outcome's short name.
pub fn outcome(number: i32) -> String {
    short(number, OUTCOME_PREFIX, Outcome::try_from(number).ok().map(|outcome| outcome.as_str_name()))
}

/// Reads the short name of a state.
pub fn state_parser() -> impl TypedValueParser<Value = State> {
    short_name_parser(&STATES, STATE_PREFIX, State::from_str_name)
}
