//! Work, as operators see it.

use super::timestamp;
use crate::domain::work::WorkState;
use crate::proto::control::v1 as proto;
use crate::store::work_steer::{PastAttempt, WorkView};

pub fn to_proto(view: &WorkView) -> proto::Work {
    let small = |count: i64| i32::try_from(count).unwrap_or(i32::MAX);
    proto::Work {
        id: view.id.to_string(),
        kind: view.kind.clone(),
        queue: view.queue.clone(),
        state: state(view.state).into(),
        attempt: small(view.attempt),
        attempts_max: small(view.attempts_max),
        run_time: view.run_at.map(timestamp),
        subject_id: view.subject_id.to_string(),
        last_error: view.last_error.clone().unwrap_or_default(),
        create_time: Some(timestamp(view.created_at)),
        end_time: view.ended_at.map(timestamp),
        traceparent: view.traceparent.clone().unwrap_or_default(),
        runner_id: view.runner_id.map(|id| id.to_string()).unwrap_or_default(),
        attempts: view.attempts.iter().map(attempt).collect(),
    }
}

fn attempt(past: &PastAttempt) -> proto::Attempt {
    proto::Attempt {
        attempt: i32::try_from(past.attempt).unwrap_or(i32::MAX),
        time: Some(timestamp(past.ended_at)),
        runner_id: past.runner_id.to_string(),
        error: past.error.clone(),
        traceparent: past.span.clone().unwrap_or_default(),
    }
}

fn state(state: WorkState) -> proto::WorkState {
    match state {
        WorkState::Scheduled => proto::WorkState::Scheduled,
        WorkState::Available => proto::WorkState::Available,
        WorkState::Running => proto::WorkState::Running,
        WorkState::Retryable => proto::WorkState::Retryable,
        WorkState::Completed => proto::WorkState::Completed,
        WorkState::Cancelled => proto::WorkState::Cancelled,
        WorkState::Discarded => proto::WorkState::Discarded,
    }
}

/// The state of that number; none for `UNSPECIFIED` and for numbers that we do not know.
pub fn state_from_proto(number: i32) -> Option<WorkState> {
    let wanted = proto::WorkState::try_from(number).ok()?;
    WorkState::ALL.into_iter().find(|known| state(*known) == wanted)
}
