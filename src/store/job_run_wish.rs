//! Runs that somebody wants: now, or for the slots of a time that were passed over.
//!
//! Who asks again under the same name of a request begins nothing and gets what the first request began. The timetable's row is
//! locked before the name is entered, as it is before anything else.
//!
//! **Fails** with data; whatever is not done leaves nothing behind, not even the name of its request. **Limits**: a backfill of as
//! many slots as one decision takes.

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, Value};
use serde_json::json;
use uuid::Uuid;

use super::audit_act::Act;
use super::audit_list::Subject;
use super::request_key::{Entered, RequestKey};
use super::schedule_decide::{Made, SlotDecision, Wish};
use super::transaction::all;
use super::{Store, StoreError};
use crate::domain::ids::JobRunId;
use crate::domain::job::{NewRun, Overlap, RunState, place_of};

/// A run that somebody wants now.
#[derive(Debug, Clone, Copy)]
pub struct Trigger<'a> {
    pub job: &'a str,
    pub run: &'a NewRun,
    pub overlap: Overlap,
    pub reason: &'a str,
    pub request: Option<&'a RequestKey>,
    pub now: DateTime<Utc>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Triggered {
    Begun,
    /// The same request was made before, and began this one.
    Before(JobRunId),
    /// The request id was used for another body.
    OtherBody,
    /// One runs or waits.
    Overlaps(JobRunId),
}

/// Slots that somebody wants to be run that were not.
#[derive(Debug, Clone)]
pub struct Backfill {
    /// Of all its runs.
    pub id: Uuid,
    pub decision: SlotDecision,
    pub reason: String,
    pub request: Option<RequestKey>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backfilled {
    /// These runs were made, oldest slot first.
    Done(Vec<JobRunId>),
    /// The same request was made before, and made these; those that were forgotten since are left out.
    Before(Vec<JobRunId>),
    /// The request id was used for another body.
    OtherBody,
}

impl Store {
    /// Begins a run by hand.
    pub async fn trigger_job(&self, trigger: &Trigger<'_>) -> Result<Triggered, StoreError> {
        let (transaction, triggered) = self
            .within(async {
                let transaction = self.begin().await?;
                let triggered = self.trigger_in(&transaction, trigger).await?;
                Ok((transaction, triggered))
            })
            .await?;
        self.end_wish(transaction, triggered == Triggered::Begun).await?;
        Ok(triggered)
    }

    async fn trigger_in(
        &self,
        transaction: &DatabaseTransaction,
        trigger: &Trigger<'_>,
    ) -> Result<Triggered, StoreError> {
        let Trigger { job, run, overlap, reason, request, now } = *trigger;
        self.lock_schedule(transaction, job, now).await?;
        match self.enter_key(transaction, request, run.id.0, now).await? {
            Entered::New => {}
            Entered::Before(id) => return Ok(Triggered::Before(JobRunId(id))),
            Entered::OtherBody => return Ok(Triggered::OtherBody),
        }
        let live = self.live_runs(transaction, job).await?;
        let state = match (place_of(overlap, run.cause, live.runs, live.waiting), live.oldest) {
            (None, Some(other)) => return Ok(Triggered::Overlaps(JobRunId(other))),
            (state, _) => state.unwrap_or(RunState::Queued),
        };
        let wish = Some(Wish { reason, backfill_id: None });
        self.make_run(transaction, Made { job, run, fire: None, state, wish, now }).await?;
        let act = Act {
            // A run with arguments is about one customer, whom `SyncUser` has named.
            method: if run.arguments.is_some() { "SyncUser" } else { "TriggerJob" },
            subject: Subject::Named(job.to_owned()),
            reason: reason.to_owned(),
            before: json!({ "live_runs": live.runs }),
            after: json!({ "run_id": run.id.to_string(), "state": state.as_str() }),
            now,
        };
        self.record_act(transaction, act).await?;
        Ok(Triggered::Begun)
    }

    /// Has slots run that were not.
    pub async fn backfill_job(&self, backfill: &Backfill) -> Result<Backfilled, StoreError> {
        let (transaction, backfilled) = self
            .within(async {
                let transaction = self.begin().await?;
                let backfilled = self.backfill_in(&transaction, backfill).await?;
                Ok((transaction, backfilled))
            })
            .await?;
        self.end_wish(transaction, matches!(backfilled, Backfilled::Done(_))).await?;
        Ok(backfilled)
    }

    async fn backfill_in(
        &self,
        transaction: &DatabaseTransaction,
        backfill: &Backfill,
    ) -> Result<Backfilled, StoreError> {
        let Backfill { id, decision, reason, request } = backfill;
        self.lock_schedule(transaction, &decision.job, decision.now).await?;
        match self.enter_key(transaction, request.as_ref(), *id, decision.now).await? {
            Entered::New => {}
            Entered::Before(id) => return Ok(Backfilled::Before(self.runs_of(transaction, id).await?)),
            Entered::OtherBody => return Ok(Backfilled::OtherBody),
        }
        let wish = Wish { reason, backfill_id: Some(*id) };
        let decided = self.decide_in(transaction, decision, Some(wish)).await?;
        let runs: Vec<JobRunId> = decided.run.into_iter().map(|(_, id)| id).collect();
        let slots: Vec<String> = decision.slots.iter().map(|slot| slot.fire.at.to_rfc3339()).collect();
        let act = Act {
            method: "BackfillJob",
            subject: Subject::Named(decision.job.clone()),
            reason: reason.clone(),
            before: json!({ "first_slot": slots.first(), "last_slot": slots.last(), "slots": slots.len() }),
            after: json!({ "backfill_id": id.to_string(), "runs": runs.len() }),
            now: decision.now,
        };
        self.record_act(transaction, act).await?;
        Ok(Backfilled::Done(runs))
    }

    async fn runs_of(
        &self,
        transaction: &DatabaseTransaction,
        backfill: Uuid,
    ) -> Result<Vec<JobRunId>, StoreError> {
        let find = self.statement(
            "select id from job_run where backfill_id = $1 order by slot_at_us, id",
            [Value::from(backfill)],
        );
        let rows = all(transaction, find).await?;
        rows.iter().map(|row| Ok(JobRunId(row.try_get("", "id")?))).collect()
    }

    async fn end_wish(&self, transaction: DatabaseTransaction, is_done: bool) -> Result<(), StoreError> {
        if is_done {
            return self.commit(transaction).await;
        }
        self.within(async { Ok(transaction.rollback().await?) }).await
    }
}
