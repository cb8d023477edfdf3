//! One look at every timetable: what has come, what is to be run, what was missed.
//!
//! **Owns** nothing. **Fails** as the store does; what was decided before stays decided. **Limits**: as many slots a
//! transaction as the store takes.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tracing::{info, warn};
use uuid::Uuid;

use super::{LOOK_BACK_MAX, Means};
use crate::domain::ids::JobRunId;
use crate::domain::job::{self, Cause, NewRun, PlannedSlot};
use crate::domain::timetable::{Due, Fire, jitter};
use crate::messages::jobs::{JobEntry, Replaced};
use crate::store::StoreError;
use crate::store::schedule_decide::{Decided, SLOTS_MAX, SlotDecision};

/// A slot that is looked at within this time, and within twice the poll interval, came in time.
const GRACE_MIN: Duration = Duration::from_secs(60);

/// Without a slot for so long, the timetable is moved on all the same, so that what has been looked at is not taken for an outage.
const MOVES_ON_AFTER: TimeDelta = TimeDelta::days(1);

/// Looks at every job; returns when the next slot comes.
///
/// # Errors
/// As the store.
pub async fn look(means: &Means) -> Result<Option<DateTime<Utc>>, StoreError> {
    let mut next = None;
    for entry in means.jobs.all() {
        let coming = look_at(means, &entry).await?;
        next = next.into_iter().chain(coming).min();
    }
    for job in means.store.mend_runs(means.store.now()).await? {
        warn!(job, "runs whose work had gone were ended");
        told(means, &job);
    }
    Ok(next)
}

async fn look_at(means: &Means, entry: &JobEntry) -> Result<Option<DateTime<Utc>>, StoreError> {
    let now = (means.now)();
    let schedule = means.store.open_schedule(&entry.name, entry.is_at_work(), now).await?;
    if !entry.is_at_work() {
        return Ok(None);
    }
    let mut since = schedule.looked_until;
    if now - since > LOOK_BACK_MAX {
        warn!(job = entry.name, looked_until = %since, "slots of long ago are passed over");
        since = now - LOOK_BACK_MAX;
    }
    let grace = GRACE_MIN.max(means.poll_interval * 2);
    let replaced = means.jobs.replaced(&entry.name).filter(|replaced| since < replaced.until);
    let due = due(entry, replaced.as_ref(), since, now, grace);
    let mut parts = parts(means, entry, due, now, grace);
    // A timetable that has just taken the place of another begins now for everybody, this process's next life among them.
    if parts.is_empty() && (now - since > MOVES_ON_AFTER || replaced.is_some()) {
        parts.push(decision(entry, vec![], now, now));
    }
    for part in parts {
        let decided = means.store.decide_slots(&part).await?;
        tell(means, entry, &decided);
    }
    Ok(entry.timetable.next_after(now).map(|fire| fire.at))
}

/// What has come since: of the timetable that was replaced meanwhile up to then, and of the present one from then on.
fn due(
    entry: &JobEntry,
    replaced: Option<&Replaced>,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
    grace: Duration,
) -> Due {
    let (catch_up, window) = (entry.catch_up, entry.catch_up_window);
    let Some(replaced) = replaced else { return entry.timetable.due(since, now, catch_up, window, grace) };
    let until = replaced.until.min(now);
    let mut due = replaced.timetable.due(since, until, catch_up, window, grace);
    let of_present = entry.timetable.due(until, now, catch_up, window, grace);
    // Both may have given one place of a day to a time of theirs: of those that nobody runs, the later one is written down.
    due.missed.retain(|fire| !of_present.missed.iter().any(|later| later.slot == fire.slot));
    due.run.extend(of_present.run);
    due.missed.extend(of_present.missed);
    due
}

/// What is to be decided, in the order of the slots, so that wherever it is cut off the rest is still to come.
fn parts(
    means: &Means,
    entry: &JobEntry,
    due: Due,
    now: DateTime<Utc>,
    grace: Duration,
) -> Vec<SlotDecision> {
    let run = due.run.into_iter().map(|fire| {
        let is_late = (now - fire.at).to_std().is_ok_and(|age| age > grace);
        let cause = if is_late { Cause::CatchUp } else { Cause::Timetable };
        PlannedSlot { fire, run: Some(new_run(means, entry, fire, cause, now)) }
    });
    let missed = due.missed.into_iter().map(|fire| PlannedSlot { fire, run: None });
    let mut slots: Vec<PlannedSlot> = run.chain(missed).collect();
    slots.sort_by_key(|slot| slot.fire);
    let parts: Vec<&[PlannedSlot]> = slots.chunks(SLOTS_MAX).collect();
    let count = parts.len();
    let part = |(index, slots): (usize, &&[PlannedSlot])| {
        let last = slots.last().map_or(now, |slot| slot.fire.at);
        // Slots of one moment may be cut in two: the timetable stands before that moment until all are decided.
        let until = if index + 1 == count { now } else { last - TimeDelta::microseconds(1) };
        decision(entry, slots.to_vec(), until, now)
    };
    parts.iter().enumerate().map(part).collect()
}

fn decision(
    entry: &JobEntry,
    slots: Vec<PlannedSlot>,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> SlotDecision {
    SlotDecision { job: entry.name.clone(), looked_until: Some(until), slots, overlap: entry.overlap, now }
}

/// A slot's run that is about to be made.
fn new_run(means: &Means, entry: &JobEntry, fire: Fire, cause: Cause, now: DateTime<Utc>) -> NewRun {
    // By the store's own name, so that installations that ask the same banks do not all ask at once.
    let name = format!("{}/{}", means.store.store_id(), entry.name);
    let begins_at = fire.at + TimeDelta::from_std(jitter(&name, entry.jitter)).unwrap_or(TimeDelta::zero());
    // Work waits by the store's clock, whatever clock the slots were looked at by.
    let wait = (begins_at - now).max(TimeDelta::zero());
    let wait = if cause == Cause::Timetable { wait } else { TimeDelta::zero() };
    let (id, seed) = (JobRunId(Uuid::now_v7()), i64::from(rand::random::<u32>()));
    NewRun { id, seed, run_at: means.store.now() + wait, cause, arguments: None }
}

fn tell(means: &Means, entry: &JobEntry, decided: &Decided) {
    let job = entry.name.as_str();
    for (fire, run_id) in &decided.run {
        info!(job, %run_id, slot_at = %fire.at, "slot has come");
    }
    let Decided { missed, skipped_overlap, skipped_paused, .. } = decided;
    if *missed > 0 {
        warn!(job, missed, "slots missed");
    }
    if *skipped_overlap > 0 {
        warn!(job, skipped_overlap, "slots skipped: the run before had not ended");
    }
    if *skipped_paused > 0 {
        info!(job, skipped_paused, "slots skipped: the timetable is paused");
    }
    if !decided.run.is_empty() {
        told(means, job);
    }
}

fn told(means: &Means, job: &str) {
    means.hints.there_is_work(&job::queue(job));
    means.jobs.changes.send_modify(|count| *count += 1);
}
