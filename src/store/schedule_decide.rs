//! What becomes of slots: one decision in one transaction, whoever else decides at the same moment.
//!
//! A slot is inserted once, by its job, date and place; only who inserted it makes its run, with the run's row of work, in the
//! same transaction. All of it happens under a lock on the timetable's row, so that overlaps are seen.
//!
//! **Fails** as the store does, and then nothing was decided. **Limits**: [`SLOTS_MAX`] slots a decision.

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, Value};
use uuid::Uuid;

use super::rows::Rows;
use super::transaction::{all, execute};
use super::{Store, StoreError, to_us};
use crate::domain::ids::{JobRunId, TenantId, WorkId};
use crate::domain::job::{self, Cause, NewRun, Overlap, PlannedSlot, RunState, SlotOutcome, place_of};
use crate::domain::timetable::Fire;
use crate::domain::work::{NewWork, kind};

/// Slots of one decision at most, so that its transaction stays short.
pub const SLOTS_MAX: usize = 500;
/// Attempts of a run. Each is counted only when it was cut off, as by a crash; a job that crashes its process again and again
/// is a dead letter after them.
const ATTEMPTS_MAX: i64 = 100;

/// A slot is decided about once. The place in its day that another timetable had given to an earlier time, before it was replaced,
/// is free for the time that has it now.
const ANOTHER_TIME: &str =
    "do update set at_us = excluded.at_us, outcome = excluded.outcome, run_id = excluded.run_id,
       decided_at_us = excluded.decided_at_us where schedule_slot.at_us <> excluded.at_us";

/// What is to become of slots of a timetable.
#[derive(Debug, Clone)]
pub struct SlotDecision {
    pub job: String,
    /// Up to where this is decided; nothing where the timetable itself does not move, as for a backfill.
    pub looked_until: Option<DateTime<Utc>>,
    /// In the order of their moments; [`SLOTS_MAX`] at most.
    pub slots: Vec<PlannedSlot>,
    pub overlap: Overlap,
    pub now: DateTime<Utc>,
}

/// What became of those that were not decided about before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decided {
    /// Each with its run, of which those behind another still wait.
    pub run: Vec<(Fire, JobRunId)>,
    pub missed: u64,
    pub skipped_overlap: u64,
    pub skipped_paused: u64,
}

/// A run that is being made.
pub(super) struct Made<'a> {
    pub job: &'a str,
    pub run: &'a NewRun,
    pub fire: Option<Fire>,
    pub state: RunState,
    pub wish: Option<Wish<'a>>,
    pub now: DateTime<Utc>,
}

/// Why somebody wants a run, and with which others.
#[derive(Clone, Copy)]
pub(super) struct Wish<'a> {
    pub reason: &'a str,
    pub backfill_id: Option<Uuid>,
}

/// How many runs of a job live that are about all of it.
pub(super) struct Live {
    pub runs: i64,
    pub waiting: i64,
    pub oldest: Option<Uuid>,
}

impl Store {
    /// Decides about slots.
    pub async fn decide_slots(&self, decision: &SlotDecision) -> Result<Decided, StoreError> {
        let (transaction, decided) = self
            .within(async {
                let transaction = self.begin().await?;
                let decided = self.decide_in(&transaction, decision, None).await?;
                Ok((transaction, decided))
            })
            .await?;
        crate::failpoint::reached("timetable.decide.before");
        self.commit(transaction).await?;
        crate::failpoint::reached("timetable.decide.after");
        Ok(decided)
    }

    /// Decides in a transaction of the caller's, who may have wishes about the runs.
    pub(super) async fn decide_in(
        &self,
        transaction: &DatabaseTransaction,
        decision: &SlotDecision,
        wish: Option<Wish<'_>>,
    ) -> Result<Decided, StoreError> {
        let schedule = self.lock_schedule(transaction, &decision.job, decision.now).await?;
        let mut decided = Decided::default();
        let moves_on = decision.looked_until.is_some();
        // What somebody else has decided meanwhile, or what came before the timetable was taken up again.
        let is_open = |slot: &&PlannedSlot| !moves_on || slot.fire.at > schedule.looked_until;
        let (to_run, missed): (Vec<&PlannedSlot>, Vec<&PlannedSlot>) =
            decision.slots.iter().filter(is_open).partition(|slot| slot.run.is_some());
        let is_paused = moves_on && schedule.pause.is_some();
        let missed_outcome = if is_paused { SlotOutcome::SkippedPaused } else { SlotOutcome::Missed };
        let passed_over = self.pass_over(transaction, decision, &missed, missed_outcome).await?;
        if is_paused {
            decided.skipped_paused = passed_over
                + self.pass_over(transaction, decision, &to_run, SlotOutcome::SkippedPaused).await?;
        } else {
            decided.missed = passed_over;
            for slot in to_run {
                self.decide_one(transaction, decision, slot, wish, &mut decided).await?;
            }
        }
        if let Some(until) = decision.looked_until {
            let update = self.statement(
                "update schedule set looked_until_us = $2 where job = $1 and looked_until_us < $2",
                [Value::from(decision.job.as_str()), Value::from(to_us(until))],
            );
            execute(transaction, update).await?;
        }
        Ok(decided)
    }

    async fn decide_one(
        &self,
        transaction: &DatabaseTransaction,
        decision: &SlotDecision,
        slot: &PlannedSlot,
        wish: Option<Wish<'_>>,
        decided: &mut Decided,
    ) -> Result<(), StoreError> {
        let Some(run) = &slot.run else { return Ok(()) };
        let live = self.live_runs(transaction, &decision.job).await?;
        let state = place_of(decision.overlap, run.cause, live.runs, live.waiting);
        let outcome = if state.is_some() { SlotOutcome::Run } else { SlotOutcome::SkippedOverlap };
        // A backfill runs what was passed over, and never what has run.
        let conflict = match run.cause {
            Cause::Backfill => {
                "do update set outcome = excluded.outcome, run_id = excluded.run_id,
                   decided_at_us = excluded.decided_at_us where schedule_slot.outcome <> 'run'"
            }
            _ => ANOTHER_TIME,
        };
        let insert = self.statement(
            &format!(
                "insert into schedule_slot (job, local_date, place, at_us, outcome, run_id, decided_at_us)
                 values ($1, $2, $3, $4, $5, $6, $7) on conflict (job, local_date, place) {conflict}"
            ),
            [
                Value::from(decision.job.as_str()),
                Value::from(slot.fire.slot.date),
                Value::from(i64::from(slot.fire.slot.place)),
                Value::from(to_us(slot.fire.at)),
                Value::from(outcome.as_str()),
                Value::from(state.map(|_| run.id.0)),
                Value::from(to_us(decision.now)),
            ],
        );
        if execute(transaction, insert).await? == 0 {
            return Ok(());
        }
        crate::failpoint::reached("timetable.slot.after");
        match state {
            Some(state) => {
                let (job, now) = (decision.job.as_str(), decision.now);
                let fire = Some(slot.fire);
                self.make_run(transaction, Made { job, run, fire, state, wish, now }).await?;
                decided.run.push((slot.fire, run.id));
            }
            None => decided.skipped_overlap += 1,
        }
        Ok(())
    }

    /// Writes slots down that nobody runs. Returns how many of them were new.
    async fn pass_over(
        &self,
        transaction: &DatabaseTransaction,
        decision: &SlotDecision,
        slots: &[&PlannedSlot],
        outcome: SlotOutcome,
    ) -> Result<u64, StoreError> {
        if slots.is_empty() {
            return Ok(0);
        }
        let rows = Rows::new()
            .date("local_date", slots.iter().map(|slot| slot.fire.slot.date))
            .integer("place", slots.iter().map(|slot| i64::from(slot.fire.slot.place)))
            .integer("at_us", slots.iter().map(|slot| to_us(slot.fire.at)));
        let values = vec![
            Value::from(decision.job.as_str()),
            Value::from(outcome.as_str()),
            Value::from(to_us(decision.now)),
        ];
        let insert = " insert into schedule_slot (job, local_date, place, at_us, outcome, decided_at_us)
             select $1, local_date, place, at_us, $2, $3 from r where true on conflict (job, local_date, place) ";
        let insert = format!("{insert}{ANOTHER_TIME}");
        execute(transaction, self.statement_over(rows, values, &insert)).await
    }

    /// The job's runs that live and are about all of it.
    pub(super) async fn live_runs(
        &self,
        transaction: &DatabaseTransaction,
        job: &str,
    ) -> Result<Live, StoreError> {
        let find = self.statement(
            "select id, state from job_run where job = $1 and ended_at_us is null and arguments is null order by id",
            [Value::from(job)],
        );
        let rows = all(transaction, find).await?;
        let mut live = Live { runs: 0, waiting: 0, oldest: None };
        for row in &rows {
            let state: String = row.try_get("", "state")?;
            live.runs += 1;
            live.waiting += i64::from(state == RunState::Waiting.as_str());
            live.oldest = live.oldest.or(Some(row.try_get("", "id")?));
        }
        Ok(live)
    }

    /// Writes a run down, with its work unless it waits in line.
    pub(super) async fn make_run(
        &self,
        transaction: &DatabaseTransaction,
        made: Made<'_>,
    ) -> Result<(), StoreError> {
        let Made { job, run, fire, state, wish, now } = made;
        let insert = self.statement(
            "insert into job_run (id, job, cause, slot_date, slot_place, slot_at_us, state, seed, attempt, done, counts,
               reason, traceparent, version, run_at_us, created_at_us, arguments,
               backfill_id)
             values ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, '{}', $9, $10, 1, $11, $12, $13, $14)",
            [
                Value::from(run.id.0),
                Value::from(job),
                Value::from(run.cause.as_str()),
                Value::from(fire.map(|fire| fire.slot.date)),
                Value::from(fire.map(|fire| i64::from(fire.slot.place))),
                Value::from(fire.map(|fire| to_us(fire.at))),
                Value::from(state.as_str()),
                Value::from(run.seed),
                Value::from(wish.map(|wish| wish.reason)),
                Value::from(job::traceparent(run.id)),
                Value::from(to_us(run.run_at)),
                Value::from(to_us(now)),
                Value::from(run.arguments.as_deref()),
                Value::from(wish.and_then(|wish| wish.backfill_id)),
            ],
        );
        execute(transaction, insert).await?;
        if state == RunState::Queued {
            let work = work_of(job, run.id, run.run_at, now);
            self.insert_work(transaction, std::slice::from_ref(&work)).await?;
        }
        Ok(())
    }

    /// Gives the run that has waited longest its work, if no other of the job is at work.
    pub(super) async fn call_next(
        &self,
        transaction: &DatabaseTransaction,
        job: &str,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let live = self.live_runs(transaction, job).await?;
        if live.waiting == 0 || live.runs > live.waiting {
            return Ok(());
        }
        let Some(next) = live.oldest else { return Ok(()) };
        let update = self.statement(
            "update job_run set state = 'queued', version = version + 1 where id = $1 and state = 'waiting'",
            [Value::from(next)],
        );
        if execute(transaction, update).await? == 1 {
            let work = work_of(job, JobRunId(next), now, now);
            self.insert_work(transaction, std::slice::from_ref(&work)).await?;
        }
        Ok(())
    }
}

/// The work of a run.
fn work_of(job: &str, id: JobRunId, run_at: DateTime<Utc>, now: DateTime<Utc>) -> NewWork {
    NewWork {
        id: WorkId(id.0),
        tenant_id: TenantId::default(),
        kind: kind::JOB_RUN,
        queue: job::queue(job),
        priority: 0,
        run_at,
        attempts_max: ATTEMPTS_MAX,
        unique_key: None,
        subject_id: id.0,
        payload: "{}".to_owned(),
        traceparent: Some(job::traceparent(id)),
        claimed_by: None,
        sent_at: None,
        created_at: now,
    }
}
