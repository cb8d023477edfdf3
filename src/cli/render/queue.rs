//! Queues and what holds them back.

use serde_json::{Value, json};

use super::{duration, short, time};
use crate::cli::table::{Column, plain};
use crate::proto::control::v1::{Breaker, BreakerState, OpenBreaker, Queue, QueuePause};

/// What a list shows of each.
pub const ROW: [Column; 9] = [
    Column::plain("QUEUE", "/name"),
    Column::plain("AVAILABLE", "/available"),
    Column::plain("SCHEDULED", "/scheduled"),
    Column::plain("RETRYABLE", "/retryable"),
    Column::plain("RUNNING", "/running"),
    Column { title: "OLDEST DUE", pointer: "/oldest_due_age", show: whole_seconds },
    Column { title: "BREAKER", pointer: "/breaker", show: breaker_text },
    Column::time("PAUSED SINCE", "/pause/time"),
    Column { title: "WHY", pointer: "/pause", show: pause_text },
];

/// What is shown of each breaker that is not closed.
pub const OPEN_BREAKER: [Column; 4] = [
    Column::plain("BREAKER OF", "/queue"),
    Column::plain("STATE", "/breaker/state"),
    Column::plain("FAILURES", "/breaker/failures"),
    Column::time("NEXT PROBE", "/breaker/probe_time"),
];

/// What is shown of a pause.
pub const PAUSE: [Column; 3] =
    [Column::plain("paused", "/name"), Column::plain("reason", "/reason"), Column::time("since", "/time")];

/// The queue as a document.
pub fn queue(queue: &Queue) -> Value {
    json!({
        "name": queue.name,
        "pause": queue.pause.as_ref().map(pause),
        "available": queue.available,
        "scheduled": queue.scheduled,
        "retryable": queue.retryable,
        "running": queue.running,
        "oldest_due_age": duration(queue.oldest_due_age.as_ref()),
        "ended_last_minute": queue.ended_last_minute,
        "breaker": queue.breaker.as_ref().map(breaker),
    })
}

/// The pause as a document.
pub fn pause(pause: &QueuePause) -> Value {
    json!({ "name": pause.name, "reason": pause.reason, "time": time(pause.time.as_ref()) })
}

pub(super) fn breaker(breaker: &Breaker) -> Value {
    json!({
        "state": breaker_state(breaker.state),
        "probe_time": time(breaker.probe_time.as_ref()),
        "failures": breaker.failures,
    })
}

/// The breaker with its queue as a document.
pub fn open_breaker(open: &OpenBreaker) -> Value {
    json!({ "queue": open.queue, "breaker": open.breaker.as_ref().map(breaker) })
}

/// A breaker's state by its short name.
pub fn breaker_state(number: i32) -> String {
    short(number, "BREAKER_STATE_", BreakerState::try_from(number).ok().map(|it| it.as_str_name()))
}

/// `1.5s` as `1s`: a finer age means nothing to anybody.
fn whole_seconds(age: &Value) -> String {
    let text = age.as_str().unwrap_or_default();
    text.split_once('.').map_or_else(|| text.to_owned(), |(whole, _)| format!("{whole}s"))
}

/// Nothing for a breaker that is closed and has heard no failure.
fn breaker_text(breaker: &Value) -> String {
    let (state, failures) = (plain(&breaker["state"]), breaker["failures"].as_i64().unwrap_or_default());
    match (state.as_str(), failures) {
        ("" | "closed", 0) => String::new(),
        (state, failures) => format!("{state} after {failures}"),
    }
}

/// The reason, and by which name where that is not the queue's own.
fn pause_text(pause: &Value) -> String {
    match pause {
        Value::Null => String::new(),
        pause => format!("{}: {}", plain(&pause["name"]), plain(&pause["reason"])),
    }
}
