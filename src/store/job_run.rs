//! Runs of jobs: who they are, how far they have come, and the begin of each of their attempts.
//!
//! A run has one row of work, whose id is its own, for as long as it is queued or running. Whatever an attempt writes about its
//! run names the claim of that row, and changes nothing once the row has moved on.
//!
//! **Fails** as the store does. **Limits**: a page of runs; a report overwrites the one before.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{QueryResult, Value};
use uuid::Uuid;

use super::transaction::all;
use super::{Store, StoreError, from_us, to_us};
use crate::domain::ids::JobRunId;
use crate::domain::job::{Cause, Progress, RunState};
use crate::domain::timetable::{Fire, Slot};
use crate::domain::work::Claim;

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRun {
    pub id: JobRunId,
    pub job: String,
    pub cause: Cause,
    /// The slot whose run it is; nothing where somebody wanted it now.
    pub fire: Option<Fire>,
    pub state: RunState,
    pub seed: i64,
    /// Of its work; 0 before the first.
    pub attempt: i64,
    pub progress: Progress,
    pub error: Option<String>,
    /// Why somebody began it.
    pub reason: Option<String>,
    /// What it is about, in the job's own words; nothing for all that the job is about.
    pub arguments: Option<String>,
    /// Why somebody wants its end.
    pub cancel_reason: Option<String>,
    pub traceparent: String,
    /// Grows with every change.
    pub version: i64,
    pub run_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
}

/// Which runs.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    pub job: Option<String>,
    pub state: Option<RunState>,
}

/// What a report was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    /// Written down: go on.
    GoOn,
    /// Written down, and somebody wants the run's end.
    EndWanted,
    /// The row has moved on to another holder: nothing was changed.
    LostLease,
}

pub(super) const COLUMNS: &str = "id, job, cause, slot_date, slot_place, slot_at_us, state, seed, attempt, done, total, \
     counts, note, position, error, reason, arguments, cancel_asked_at_us, cancel_reason, traceparent, version, run_at_us, \
     created_at_us, started_at_us, ended_at_us";

/// The row of work is still held under this claim.
pub(super) const HELD: &str =
    "exists (select 1 from work where work.id = $1 and work.runner_id = $2 and work.fence = $3)";

impl Store {
    /// One run.
    pub async fn job_run(&self, id: JobRunId) -> Result<Option<JobRun>, StoreError> {
        let find = self.statement(&format!("select {COLUMNS} from job_run where id = $1"), [id.0.into()]);
        let rows = self.within(async { all(self.reader(), find).await }).await?;
        rows.first().map(read).transpose()
    }

    /// Runs, newest first, after a given one.
    pub async fn job_runs(
        &self,
        filter: &RunFilter,
        after: Option<JobRunId>,
        limit: u64,
    ) -> Result<Vec<JobRun>, StoreError> {
        let mut values = vec![Value::from(i64::try_from(limit).unwrap_or(i64::MAX))];
        let mut conditions = Vec::new();
        let mut ask = |text: &str, value: Value| {
            values.push(value);
            conditions.push(format!("{text} ${}", values.len()));
        };
        if let Some(job) = &filter.job {
            ask("job =", Value::from(job.as_str()));
        }
        if let Some(state) = filter.state {
            ask("state =", Value::from(state.as_str()));
        }
        if let Some(after) = after {
            ask("id <", Value::from(after.0));
        }
        let which =
            if conditions.is_empty() { String::new() } else { format!("where {}", conditions.join(" and ")) };
        let find = format!("select {COLUMNS} from job_run {which} order by id desc limit $1");
        let statement = self.statement(&find, values);
        let rows = self.within(async { all(self.reader(), statement).await }).await?;
        rows.iter().map(read).collect()
    }

    /// Runs that have not ended, oldest first.
    pub async fn live_job_runs(&self, limit: u64) -> Result<Vec<JobRun>, StoreError> {
        let find = format!("select {COLUMNS} from job_run where ended_at_us is null order by id limit $1");
        let limit = Value::from(i64::try_from(limit).unwrap_or(i64::MAX));
        let statement = self.statement(&find, [limit]);
        let rows = self.within(async { all(self.reader(), statement).await }).await?;
        rows.iter().map(read).collect()
    }

    /// The begin of an attempt; nothing where the run has ended or the row is no longer held.
    pub async fn begin_run(&self, claim: &Claim, now: DateTime<Utc>) -> Result<Option<JobRun>, StoreError> {
        let mut values = held(claim);
        values.extend([Value::from(claim.attempt), Value::from(to_us(now))]);
        let statement = self.statement(
            &format!(
                "update job_run set state = 'running', attempt = $4, started_at_us = coalesce(started_at_us, $5),
                   version = version + 1
                 where id = $1 and ended_at_us is null and {HELD} returning {COLUMNS}"
            ),
            values,
        );
        let begun = self.within(async { all(&self.inner.writer, statement).await }).await?;
        crate::failpoint::reached("job_run.begin.after");
        begun.first().map(read).transpose()
    }

    /// Writes down how far a run has come.
    pub async fn report_run(&self, claim: &Claim, progress: &Progress) -> Result<Reported, StoreError> {
        let counts = serde_json::to_string(&progress.counts)
            .map_err(|error| StoreError::Broken(format!("counts cannot be written: {error}")))?;
        let mut values = held(claim);
        values.extend([
            Value::from(progress.done),
            Value::from(progress.total),
            Value::from(counts),
            Value::from(progress.note.clone()),
            Value::from(progress.position.clone()),
        ]);
        let statement = self.statement(
            &format!(
                "update job_run set done = $4, total = $5, counts = $6, note = $7, position = $8, version = version + 1
                 where id = $1 and ended_at_us is null and {HELD} returning cancel_asked_at_us"
            ),
            values,
        );
        let rows = self.within(async { all(&self.inner.writer, statement).await }).await?;
        crate::failpoint::reached("job_run.report.after");
        let Some(row) = rows.first() else { return Ok(Reported::LostLease) };
        let asked: Option<i64> = row.try_get("", "cancel_asked_at_us")?;
        Ok(if asked.is_some() { Reported::EndWanted } else { Reported::GoOn })
    }

    /// Whether somebody wants a run's end.
    pub async fn run_is_to_end(&self, id: JobRunId) -> Result<bool, StoreError> {
        let find = self.statement(
            "select id from job_run where id = $1 and (cancel_asked_at_us is not null or ended_at_us is not null)",
            [id.0.into()],
        );
        Ok(!self.within(async { all(self.reader(), find).await }).await?.is_empty())
    }
}

/// The claim as the first three parameters of a statement.
pub(super) fn held(claim: &Claim) -> Vec<Value> {
    vec![Value::from(claim.id.0), Value::from(claim.runner_id.0), Value::from(claim.fence)]
}

pub(super) fn read(row: &QueryResult) -> Result<JobRun, StoreError> {
    let time = |name: &str| row.try_get::<Option<i64>>("", name)?.map(from_us).transpose();
    let sure = |name: &str| from_us(row.try_get::<i64>("", name)?);
    let date: Option<NaiveDate> = row.try_get("", "slot_date")?;
    let place: Option<i64> = row.try_get("", "slot_place")?;
    let fire = match (date, place.and_then(|place| u32::try_from(place).ok()), time("slot_at_us")?) {
        (Some(date), Some(place), Some(at)) => Some(Fire { at, slot: Slot { date, place } }),
        _ => None,
    };
    let (cause, state): (String, String) = (row.try_get("", "cause")?, row.try_get("", "state")?);
    let counts: String = row.try_get("", "counts")?;
    let counts: BTreeMap<String, i64> =
        serde_json::from_str(&counts).map_err(|error| StoreError::unreadable("counts", error))?;
    Ok(JobRun {
        id: JobRunId(row.try_get::<Uuid>("", "id")?),
        job: row.try_get("", "job")?,
        cause: Cause::from_name(&cause).ok_or_else(|| StoreError::unreadable("cause", &cause))?,
        fire,
        state: RunState::from_name(&state).ok_or_else(|| StoreError::unreadable("state", &state))?,
        seed: row.try_get("", "seed")?,
        attempt: row.try_get("", "attempt")?,
        progress: Progress {
            done: row.try_get("", "done")?,
            total: row.try_get("", "total")?,
            counts,
            note: row.try_get("", "note")?,
            position: row.try_get("", "position")?,
        },
        error: row.try_get("", "error")?,
        reason: row.try_get("", "reason")?,
        arguments: row.try_get("", "arguments")?,
        cancel_reason: row.try_get("", "cancel_reason")?,
        traceparent: row.try_get("", "traceparent")?,
        version: row.try_get("", "version")?,
        run_at: sure("run_at_us")?,
        created_at: sure("created_at_us")?,
        started_at: time("started_at_us")?,
        ended_at: time("ended_at_us")?,
    })
}
