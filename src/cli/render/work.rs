//! Rows of the durable engine.

use clap::builder::TypedValueParser;
use serde_json::{Value, json};

use super::{short, short_name_parser, time};
use crate::cli::table::Column;
use crate::proto::control::v1::{Attempt, Work, WorkState};

/// Every state that work may be in, by its short name.
pub const STATES: [&str; 7] =
    ["scheduled", "available", "running", "retryable", "completed", "cancelled", "discarded"];

const STATE_PREFIX: &str = "WORK_STATE_";

/// What a list shows of each.
pub const ROW: [Column; 8] = [
    Column::plain("ID", "/id"),
    Column::plain("KIND", "/kind"),
    Column::plain("STATE", "/state"),
    Column::plain("ATTEMPT", "/attempt"),
    Column::plain("MAX", "/attempts_max"),
    Column::time("RUNS AT", "/run_time"),
    Column::plain("SUBJECT", "/subject_id"),
    Column::plain("LAST ERROR", "/last_error"),
];

/// What is shown of one.
pub const DETAIL: [Column; 13] = [
    Column::plain("id", "/id"),
    Column::plain("kind", "/kind"),
    Column::plain("queue", "/queue"),
    Column::plain("state", "/state"),
    Column::plain("attempt", "/attempt"),
    Column::plain("attempts max", "/attempts_max"),
    Column::time("runs at", "/run_time"),
    Column::plain("subject", "/subject_id"),
    Column::plain("last error", "/last_error"),
    Column::time("created", "/create_time"),
    Column::time("ended", "/end_time"),
    Column::plain("traceparent", "/traceparent"),
    Column::plain("runner", "/runner_id"),
];

/// What is shown of each attempt that did not complete it.
pub const ATTEMPT: [Column; 4] = [
    Column::plain("ATTEMPT", "/attempt"),
    Column::time("ENDED", "/time"),
    Column::plain("BY", "/runner_id"),
    Column::plain("ERROR", "/error"),
];

/// The row as a document.
pub fn work(work: &Work) -> Value {
    json!({
        "id": work.id,
        "kind": work.kind,
        "queue": work.queue,
        "state": state(work.state),
        "attempt": work.attempt,
        "attempts_max": work.attempts_max,
        "run_time": time(work.run_time.as_ref()),
        "subject_id": work.subject_id,
        "last_error": work.last_error,
        "create_time": time(work.create_time.as_ref()),
        "end_time": time(work.end_time.as_ref()),
        "traceparent": work.traceparent,
        "runner_id": work.runner_id,
        "attempts": work.attempts.iter().map(attempt).collect::<Vec<_>>(),
    })
}

pub(super) fn attempt(attempt: &Attempt) -> Value {
    json!({
        "attempt": attempt.attempt,
        "time": time(attempt.time.as_ref()),
        "runner_id": attempt.runner_id,
        "error": attempt.error,
        "traceparent": attempt.traceparent,
    })
}

/// Reads a state from an argument.
pub fn state_parser() -> impl TypedValueParser<Value = WorkState> {
    short_name_parser(&STATES, STATE_PREFIX, WorkState::from_str_name)
}

/// A state's short name.
pub fn state(number: i32) -> String {
    short(number, STATE_PREFIX, WorkState::try_from(number).ok().map(|it| it.as_str_name()))
}
