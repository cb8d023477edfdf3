//! Schedules and runs of jobs.

use chrono_tz::Tz;

use super::{duration, timestamp};
use crate::domain::job::{Cause, RunState, SlotOutcome};
use crate::domain::timetable::Fire;
use crate::messages::jobs::JobEntry;
use crate::proto::control::v1 as proto;
use crate::store::job_run::JobRun;
use crate::store::schedule::{DecidedSlot, Schedule, SchedulePause};

pub fn schedule_to_proto(
    entry: &JobEntry,
    known: Option<&Schedule>,
    next: &[Fire],
    past: &[DecidedSlot],
    live: Option<&JobRun>,
) -> proto::Schedule {
    let zone = entry.timetable.zone();
    proto::Schedule {
        job: entry.name.clone(),
        enabled: entry.is_at_work(),
        is_done: entry.job.is_some(),
        time_zone: zone.name().to_owned(),
        every: Some(duration(entry.timetable.period())),
        overlap: entry.overlap.as_str().to_owned(),
        pause: known.and_then(|known| known.pause.as_ref()).map(pause_to_proto),
        next: next.iter().map(|fire| slot(fire, zone)).collect(),
        past: past.iter().map(|past| decided(past, zone)).collect(),
        live_run: live.map(|run| run_to_proto(run, Some(zone))),
    }
}

pub fn pause_to_proto(pause: &SchedulePause) -> proto::SchedulePause {
    proto::SchedulePause { reason: pause.reason.clone(), time: Some(timestamp(pause.paused_at)) }
}

fn slot(fire: &Fire, zone: Tz) -> proto::Slot {
    proto::Slot {
        local_date: fire.slot.date.to_string(),
        place: i32::try_from(fire.slot.place).unwrap_or(i32::MAX),
        time: Some(timestamp(fire.at)),
        local_time: fire.at.with_timezone(&zone).to_rfc3339(),
        ..proto::Slot::default()
    }
}

fn decided(past: &DecidedSlot, zone: Tz) -> proto::Slot {
    let outcome = match past.outcome {
        SlotOutcome::Run => proto::SlotOutcome::Run,
        SlotOutcome::Missed => proto::SlotOutcome::Missed,
        SlotOutcome::SkippedOverlap => proto::SlotOutcome::SkippedOverlap,
        SlotOutcome::SkippedPaused => proto::SlotOutcome::SkippedPaused,
    };
    let run_id = past.run_id.map(|id| id.to_string()).unwrap_or_default();
    proto::Slot { outcome: outcome.into(), run_id, ..slot(&past.fire, zone) }
}

/// A run; its slot in the zone of its job, or in UTC where the job is not known any more.
pub fn run_to_proto(run: &JobRun, zone: Option<Tz>) -> proto::JobRun {
    let cause = match run.cause {
        Cause::Timetable => proto::JobRunCause::Timetable,
        Cause::CatchUp => proto::JobRunCause::CatchUp,
        Cause::Manual => proto::JobRunCause::Manual,
        Cause::Backfill => proto::JobRunCause::Backfill,
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    proto::JobRun {
        id: run.id.to_string(),
        job: run.job.clone(),
        cause: cause.into(),
        slot: run.fire.map(|fire| proto::Slot {
            outcome: proto::SlotOutcome::Run.into(),
            run_id: run.id.to_string(),
            ..slot(&fire, zone.unwrap_or(chrono_tz::UTC))
        }),
        state: state(run.state).into(),
        attempt: i32::try_from(run.attempt).unwrap_or(i32::MAX),
        done: run.progress.done,
        total: run.progress.total,
        counts: run.progress.counts.clone(),
        note: text(&run.progress.note),
        error: text(&run.error),
        reason: text(&run.reason),
        cancel_reason: text(&run.cancel_reason),
        seed: run.seed,
        trace_id: run.id.0.simple().to_string(),
        create_time: Some(timestamp(run.created_at)),
        start_time: run.started_at.map(timestamp),
        end_time: run.ended_at.map(timestamp),
        version: run.version,
    }
}

fn state(state: RunState) -> proto::JobRunState {
    match state {
        RunState::Waiting => proto::JobRunState::Waiting,
        RunState::Queued => proto::JobRunState::Queued,
        RunState::Running => proto::JobRunState::Running,
        RunState::Completed => proto::JobRunState::Completed,
        RunState::Failed => proto::JobRunState::Failed,
        RunState::Cancelled => proto::JobRunState::Cancelled,
        RunState::RateLimited => proto::JobRunState::RateLimited,
    }
}

/// The state of that number; none for `UNSPECIFIED` and for numbers that we do not know.
pub fn state_from_proto(number: i32) -> Option<RunState> {
    let wanted = proto::JobRunState::try_from(number).ok()?;
    RunState::ALL.iter().copied().find(|known| state(*known) == wanted)
}
