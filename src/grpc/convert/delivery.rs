//! What endpoints are owed, and what was tried.

use super::timestamp;
use crate::proto::notification::v1 as proto;
use crate::proto::notification::v1::delivery::State;
use crate::proto::notification::v1::delivery_attempt::Outcome;
use crate::store::delivery::{AttemptOutcome, DeliveryAttempt};
use crate::store::delivery_list::{DeliveryState, DeliveryView};

pub fn to_proto(view: &DeliveryView) -> proto::Delivery {
    proto::Delivery {
        endpoint_id: view.endpoint_id.to_string(),
        channel: view.channel.clone(),
        subject_kind: view.subject_kind.as_str().to_owned(),
        subject_id: view.subject_id.to_string(),
        state: state(view.state).into(),
        sent_version: view.sent_version,
        wanted_version: view.wanted_version,
        attempts: view.attempts,
        last_answer: view.last_answer.clone().unwrap_or_default(),
        update_time: Some(timestamp(view.updated_at)),
        next_attempt_time: view.next_attempt_at.map(timestamp),
    }
}

pub fn attempt(attempt: &DeliveryAttempt) -> proto::DeliveryAttempt {
    let outcome = match attempt.outcome {
        AttemptOutcome::Accepted => Outcome::Accepted,
        AttemptOutcome::Refused => Outcome::Refused,
        AttemptOutcome::Unavailable => Outcome::Unavailable,
        AttemptOutcome::Unknown => Outcome::Unknown,
        AttemptOutcome::Gone => Outcome::Gone,
        AttemptOutcome::Misconfigured => Outcome::Misconfigured,
    };
    proto::DeliveryAttempt {
        id: attempt.id.to_string(),
        event_id: attempt.event_id.to_string(),
        event_type: attempt.event_type.clone(),
        version: attempt.version,
        start_time: Some(timestamp(attempt.started_at)),
        end_time: Some(timestamp(attempt.ended_at)),
        outcome: outcome.into(),
        status: attempt.status.map_or(0, i32::from),
        answer: attempt.answer.clone().unwrap_or_default(),
        provider_message_id: attempt.provider_message_id.clone().unwrap_or_default(),
        resend: attempt.is_resend,
    }
}

fn state(state: DeliveryState) -> State {
    match state {
        DeliveryState::Pending => State::Pending,
        DeliveryState::Delivered => State::Delivered,
        DeliveryState::GivenUp => State::GivenUp,
        DeliveryState::Cancelled => State::Cancelled,
    }
}

/// The state of that number; none for numbers that we do not know.
pub fn state_from_proto(number: i32) -> Option<DeliveryState> {
    let wanted = State::try_from(number).ok()?;
    DeliveryState::ALL.into_iter().find(|known| state(*known) == wanted)
}
