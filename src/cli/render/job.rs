//! Schedules, their slots, and the runs of jobs.

use clap::builder::TypedValueParser;
use serde_json::{Value, json};

use super::{duration, short, short_name_parser, time};
use crate::cli::table::Column;
use crate::proto::control::v1::{
    JobRun, JobRunCause, JobRunState, Schedule, SchedulePause, Slot, SlotOutcome,
};

/// Every state that a run may be in, by its short name.
pub const STATES: [&str; 7] =
    ["waiting", "queued", "running", "completed", "failed", "cancelled", "rate_limited"];

const STATE_PREFIX: &str = "JOB_RUN_STATE_";

/// What a list shows of each job.
pub const ROW: [Column; 8] = [
    Column::plain("JOB", "/job"),
    Column::plain("ENABLED", "/enabled"),
    Column { title: "EVERY", pointer: "/every", show: span },
    Column::plain("ZONE", "/time_zone"),
    Column::plain("NEXT", "/next/0/local_time"),
    Column::time("NEXT UTC", "/next/0/time"),
    Column::plain("RUNS", "/live_run/id"),
    Column::plain("PAUSED", "/pause/reason"),
];

/// What is shown of one job.
pub const DETAIL: [Column; 9] = [
    Column::plain("job", "/job"),
    Column::plain("enabled", "/enabled"),
    Column::plain("done by this release", "/is_done"),
    Column { title: "every", pointer: "/every", show: span },
    Column::plain("time zone", "/time_zone"),
    Column::plain("overlap", "/overlap"),
    Column::plain("paused", "/pause/reason"),
    Column::time("paused since", "/pause/time"),
    Column::plain("run under way", "/live_run/id"),
];

/// What is shown of each slot.
pub const SLOT: [Column; 4] = [
    Column::plain("LOCAL TIME", "/local_time"),
    Column::time("UTC", "/time"),
    Column::plain("OUTCOME", "/outcome"),
    Column::plain("RUN", "/run_id"),
];

/// What is shown of each slot to come.
pub const NEXT: [Column; 3] =
    [Column::plain("JOB", "/job"), Column::plain("LOCAL TIME", "/local_time"), Column::time("UTC", "/time")];

/// What is shown of a pause.
pub const PAUSE: [Column; 2] = [Column::plain("reason", "/reason"), Column::time("since", "/time")];

/// What a list shows of each run.
pub const RUN_ROW: [Column; 9] = [
    Column::plain("ID", "/id"),
    Column::plain("JOB", "/job"),
    Column::plain("STATE", "/state"),
    Column::plain("CAUSE", "/cause"),
    Column::plain("SLOT", "/slot/local_time"),
    Column::plain("DONE", "/done"),
    Column::plain("OF", "/total"),
    Column::time("STARTED", "/start_time"),
    Column::time("ENDED", "/end_time"),
];

/// What is shown of one run.
pub const RUN: [Column; 18] = [
    Column::plain("id", "/id"),
    Column::plain("trace id", "/trace_id"),
    Column::plain("job", "/job"),
    Column::plain("state", "/state"),
    Column::plain("cause", "/cause"),
    Column::plain("reason", "/reason"),
    Column::plain("slot", "/slot/local_time"),
    Column::time("slot, UTC", "/slot/time"),
    Column::plain("attempt", "/attempt"),
    Column::plain("done", "/done"),
    Column::plain("of", "/total"),
    Column::plain("counts", "/counts"),
    Column::plain("at", "/note"),
    Column::plain("error", "/error"),
    Column::plain("cancelled because", "/cancel_reason"),
    Column::time("created", "/create_time"),
    Column::time("started", "/start_time"),
    Column::time("ended", "/end_time"),
];

/// A period as people say it: `6h`, not `21600s`.
fn span(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    humantime::parse_duration(text)
        .map_or_else(|_| text.to_owned(), |span| humantime::format_duration(span).to_string())
}

/// The schedule as a document.
pub fn schedule(schedule: &Schedule) -> Value {
    json!({
        "job": schedule.job,
        "enabled": schedule.enabled,
        "is_done": schedule.is_done,
        "time_zone": schedule.time_zone,
        "every": duration(schedule.every.as_ref()),
        "overlap": schedule.overlap,
        "pause": schedule.pause.as_ref().map(pause),
        "next": schedule.next.iter().map(slot).collect::<Vec<_>>(),
        "past": schedule.past.iter().map(slot).collect::<Vec<_>>(),
        "live_run": schedule.live_run.as_ref().map(run),
    })
}

/// The pause as a document.
pub fn pause(pause: &SchedulePause) -> Value {
    json!({ "reason": pause.reason, "time": time(pause.time.as_ref()) })
}

/// The slot as a document.
pub fn slot(slot: &Slot) -> Value {
    let outcome = SlotOutcome::try_from(slot.outcome).ok().map(|it| it.as_str_name());
    let outcome = (slot.outcome != 0).then(|| short(slot.outcome, "SLOT_OUTCOME_", outcome));
    json!({
        "local_date": slot.local_date,
        "place": slot.place,
        "time": time(slot.time.as_ref()),
        "local_time": slot.local_time,
        "outcome": outcome,
        "run_id": slot.run_id,
    })
}

/// The run as a document.
pub fn run(run: &JobRun) -> Value {
    let cause = JobRunCause::try_from(run.cause).ok().map(|it| it.as_str_name());
    json!({
        "id": run.id,
        "job": run.job,
        "cause": short(run.cause, "JOB_RUN_CAUSE_", cause),
        "slot": run.slot.as_ref().map(slot),
        "state": state(run.state),
        "attempt": run.attempt,
        "done": run.done,
        "total": run.total,
        "counts": run.counts,
        "note": run.note,
        "error": run.error,
        "reason": run.reason,
        "cancel_reason": run.cancel_reason,
        "seed": run.seed,
        "trace_id": run.trace_id,
        "create_time": time(run.create_time.as_ref()),
        "start_time": time(run.start_time.as_ref()),
        "end_time": time(run.end_time.as_ref()),
        "version": run.version,
    })
}

/// A state's short name.
pub fn state(number: i32) -> String {
    short(number, STATE_PREFIX, JobRunState::try_from(number).ok().map(|it| it.as_str_name()))
}

/// Reads a state's short name.
pub fn state_parser() -> impl TypedValueParser<Value = JobRunState> {
    short_name_parser(&STATES, STATE_PREFIX, JobRunState::from_str_name)
}
