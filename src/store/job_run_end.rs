//! How runs end: by themselves, because somebody wants it, or because their work went away without them.
//!
//! The transaction that ends a run gives the next in line its work. Locks are taken in one order: the timetable's row, then
//! the row of work, then the run.
//!
//! **Fails** as the store does; an attempt whose row has moved on changes nothing. **Limits**: [`MENDED_MAX`] runs a look.

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, Value};
use serde_json::json;

use super::audit_act::Act;
use super::audit_list::Subject;
use super::job_run::{COLUMNS, read};
use super::transaction::{all, execute};
use super::work::{Ending, Fate, PutBack};
use super::{Store, StoreError, StoreKind, to_us};
use crate::domain::ids::JobRunId;
use crate::domain::job::RunState;
use crate::domain::work::{Claim, WorkState};

/// Runs mended in one look at most.
const MENDED_MAX: u64 = 100;

/// The end of one attempt at a run.
#[derive(Debug, Clone)]
pub struct AttemptEnd {
    pub claim: Claim,
    pub job: String,
    pub change: AttemptChange,
    pub now: DateTime<Utc>,
}

/// What it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptChange {
    /// The run has ended.
    Ended { state: RunState, error: Option<String> },
    /// The run goes on later.
    Later { run_at: DateTime<Utc>, error: String },
    /// The process ends: another goes on, and the attempt is not counted.
    Interrupted,
    /// The run had ended before the attempt began.
    Moot,
}

/// What came of wanting a run's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelRun {
    /// Nobody had it in hand: it has ended.
    Ended,
    /// Whoever has it in hand is asked to end it.
    Asked,
    HasEnded(RunState),
    NotFound,
}

impl Store {
    /// Writes the end of an attempt down. False where the row had moved on to another holder.
    pub async fn end_attempt(&self, end: &AttemptEnd) -> Result<bool, StoreError> {
        let (transaction, was_held) = self
            .within(async {
                let transaction = self.begin().await?;
                let was_held = self.end_attempt_in(&transaction, end).await?;
                Ok((transaction, was_held))
            })
            .await?;
        crate::failpoint::reached("job_run.end.before");
        self.commit(transaction).await?;
        crate::failpoint::reached("job_run.end.after");
        Ok(was_held)
    }

    async fn end_attempt_in(
        &self,
        transaction: &DatabaseTransaction,
        end: &AttemptEnd,
    ) -> Result<bool, StoreError> {
        let claim = &end.claim;
        self.lock_schedule(transaction, &end.job, end.now).await?;
        let back = |run_at, state, error, attempt_counts| {
            Fate::Back(PutBack {
                id: claim.id,
                runner_id: claim.runner_id,
                fence: claim.fence,
                span: claim.span.clone(),
                state,
                run_at,
                error,
                attempt_counts,
                nothing_was_sent: false,
            })
        };
        let fate = match &end.change {
            AttemptChange::Ended { .. } | AttemptChange::Moot => {
                Fate::End(Ending::of(claim, WorkState::Completed, None))
            }
            AttemptChange::Later { run_at, error } => {
                back(*run_at, WorkState::Retryable, Some(error.clone()), true)
            }
            AttemptChange::Interrupted => back(end.now, WorkState::Available, None, false),
        };
        if !self.lead(transaction, std::iter::once(fate), end.now).await?.contains(&claim.id) {
            return Ok(false);
        }
        let id = JobRunId(claim.id.0);
        match &end.change {
            AttemptChange::Ended { state, error } => {
                self.end_run(transaction, id, *state, error.as_deref(), end.now).await?;
                self.call_next(transaction, &end.job, end.now).await?;
            }
            AttemptChange::Later { error, .. } => self.queue_run_again(transaction, id, Some(error)).await?,
            AttemptChange::Interrupted => self.queue_run_again(transaction, id, None).await?,
            AttemptChange::Moot => {}
        }
        Ok(true)
    }

    async fn end_run(
        &self,
        transaction: &DatabaseTransaction,
        id: JobRunId,
        state: RunState,
        error: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let update = self.statement(
            "update job_run set state = $2, error = $3, ended_at_us = $4, version = version + 1
             where id = $1 and ended_at_us is null",
            [Value::from(id.0), Value::from(state.as_str()), Value::from(error), Value::from(to_us(now))],
        );
        execute(transaction, update).await
    }

    async fn queue_run_again(
        &self,
        transaction: &DatabaseTransaction,
        id: JobRunId,
        error: Option<&str>,
    ) -> Result<(), StoreError> {
        let update = self.statement(
            "update job_run set state = 'queued', error = $2, version = version + 1
             where id = $1 and ended_at_us is null",
            [Value::from(id.0), Value::from(error)],
        );
        execute(transaction, update).await?;
        Ok(())
    }

    /// Ends a run that nobody has in hand, or asks whoever has it to end it.
    pub async fn cancel_run(
        &self,
        id: JobRunId,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<CancelRun, StoreError> {
        let Some(known) = self.job_run(id).await? else { return Ok(CancelRun::NotFound) };
        let (transaction, cancelled) = self
            .within(async {
                let transaction = self.begin().await?;
                let cancelled = self.cancel_run_in(&transaction, &known.job, id, reason, now).await?;
                Ok((transaction, cancelled))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(cancelled)
    }

    async fn cancel_run_in(
        &self,
        transaction: &DatabaseTransaction,
        job: &str,
        id: JobRunId,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<CancelRun, StoreError> {
        self.lock_schedule(transaction, job, now).await?;
        let lock = if self.kind() == StoreKind::PostgreSql { "for update" } else { "" };
        let find = format!("select state from work where id = $1 {lock}");
        let work = all(transaction, self.statement(&find, [id.0.into()])).await?;
        let find = format!("select {COLUMNS} from job_run where id = $1");
        let rows = all(transaction, self.statement(&find, [id.0.into()])).await?;
        let Some(run) = rows.first().map(read).transpose()? else { return Ok(CancelRun::NotFound) };
        if run.state.has_ended() {
            return Ok(CancelRun::HasEnded(run.state));
        }
        let ask = self.statement(
            "update job_run set cancel_asked_at_us = coalesce(cancel_asked_at_us, $2), cancel_reason = $3,
               version = version + 1 where id = $1",
            [Value::from(id.0), Value::from(to_us(now)), Value::from(reason)],
        );
        execute(transaction, ask).await?;
        let in_hand = match work.first() {
            Some(row) => row.try_get::<String>("", "state")? == WorkState::Running.as_str(),
            None => false,
        };
        if !in_hand {
            self.cancel(transaction, &[id.0], reason, now).await?;
            self.end_run(transaction, id, RunState::Cancelled, None, now).await?;
            self.call_next(transaction, job, now).await?;
        }
        let after = if in_hand { "asked to end" } else { RunState::Cancelled.as_str() };
        let act = Act {
            method: "CancelJobRun",
            subject: Subject::Id(id.0),
            reason: reason.to_owned(),
            before: json!({ "job": job, "state": run.state.as_str() }),
            after: json!({ "state": after }),
            now,
        };
        self.record_act(transaction, act).await?;
        Ok(if in_hand { CancelRun::Asked } else { CancelRun::Ended })
    }

    /// Ends runs whose work has gone without them, such as after its last attempt, and calls whoever waits behind nobody.
    /// Returns the jobs about which something was changed.
    pub async fn mend_runs(&self, now: DateTime<Utc>) -> Result<Vec<String>, StoreError> {
        let find = self.statement(
            "select job, state from job_run r where ended_at_us is null and (
               (state <> 'waiting' and not exists (select 1 from work w where w.id = r.id))
               or (state = 'waiting' and not exists (
                 select 1 from job_run o where o.job = r.job and o.ended_at_us is null and o.state <> 'waiting'
                   and o.arguments is null)))
             limit $1",
            [Value::from(MENDED_MAX as i64)],
        );
        let rows = self.within(async { all(self.reader(), find).await }).await?;
        let jobs: Result<std::collections::BTreeSet<String>, sea_orm::DbErr> =
            rows.iter().map(|row| row.try_get("", "job")).collect();
        let jobs: Vec<String> = jobs?.into_iter().collect();
        for job in &jobs {
            let transaction = self
                .within(async {
                    let transaction = self.begin().await?;
                    self.mend_in(&transaction, job, now).await?;
                    Ok(transaction)
                })
                .await?;
            self.commit(transaction).await?;
        }
        Ok(jobs)
    }

    async fn mend_in(
        &self,
        transaction: &DatabaseTransaction,
        job: &str,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.lock_schedule(transaction, job, now).await?;
        let update = self.statement(
            "update job_run set ended_at_us = $2, version = version + 1,
               state = case when exists (select 1 from work_archive a where a.id = job_run.id and a.state = 'cancelled')
                 then 'cancelled' else 'failed' end,
               error = coalesce((select a.last_error from work_archive a where a.id = job_run.id),
                 'its work has gone without it')
             where job = $1 and ended_at_us is null and state <> 'waiting'
               and not exists (select 1 from work w where w.id = job_run.id)",
            [Value::from(job), Value::from(to_us(now))],
        );
        execute(transaction, update).await?;
        self.call_next(transaction, job, now).await
    }
}
