//! Timetables as the store knows them: up to where their slots were decided about, and what holds them back.
//!
//! **Fails** as the store does. **Limits**: a page of slots. What a schedule says is read again, under a lock on its row, by
//! whoever decides about slots.

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{DatabaseTransaction, QueryResult, Value};
use serde_json::json;
use uuid::Uuid;

use super::audit_act::Act;
use super::audit_list::Subject;
use super::transaction::{all, execute};
use super::{Store, StoreError, StoreKind, from_us, to_us};
use crate::domain::ids::JobRunId;
use crate::domain::job::SlotOutcome;
use crate::domain::timetable::{Fire, Slot};

/// One job's timetable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    pub job: String,
    /// Every slot up to here was decided about.
    pub looked_until: DateTime<Utc>,
    pub enabled: bool,
    pub pause: Option<SchedulePause>,
}

/// Why no slot of it is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedulePause {
    pub reason: String,
    pub paused_at: DateTime<Utc>,
}

/// A slot and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedSlot {
    pub fire: Fire,
    pub outcome: SlotOutcome,
    pub run_id: Option<JobRunId>,
    pub decided_at: DateTime<Utc>,
}

const COLUMNS: &str = "job, looked_until_us, enabled, paused_at_us, pause_reason";

impl Store {
    /// The timetable of a job, made where there is none. One that was not in use until now begins now: the slots that
    /// came before are nobody's.
    pub async fn open_schedule(
        &self,
        job: &str,
        enabled: bool,
        now: DateTime<Utc>,
    ) -> Result<Schedule, StoreError> {
        if let Some(known) = self.schedule(job).await?
            && known.enabled == enabled
        {
            return Ok(known);
        }
        let statement = self.statement(
            &format!(
                "insert into schedule (job, looked_until_us, enabled) values ($1, $2, $3)
                 on conflict (job) do update set looked_until_us = case
                   when schedule.enabled = 0 and excluded.enabled = 1 and schedule.looked_until_us < excluded.looked_until_us
                   then excluded.looked_until_us else schedule.looked_until_us end, enabled = excluded.enabled
                 returning {COLUMNS}"
            ),
            [Value::from(job), Value::from(to_us(now)), Value::from(i64::from(enabled))],
        );
        let rows = self.within(async { all(&self.inner.writer, statement).await }).await?;
        let row = rows.first().ok_or_else(|| StoreError::unreadable("schedule", "no row came back"))?;
        read(row)
    }

    /// One timetable, if anybody ever looked at it.
    pub async fn schedule(&self, job: &str) -> Result<Option<Schedule>, StoreError> {
        let find = self.statement(&format!("select {COLUMNS} from schedule where job = $1"), [job.into()]);
        let rows = self.within(async { all(self.reader(), find).await }).await?;
        rows.first().map(read).transpose()
    }

    /// Every timetable that anybody ever looked at, by name.
    pub async fn schedules(&self) -> Result<Vec<Schedule>, StoreError> {
        let find = self.statement(&format!("select {COLUMNS} from schedule"), []);
        let rows = self.within(async { all(self.reader(), find).await }).await?;
        let mut found: Vec<Schedule> = rows.iter().map(read).collect::<Result<_, _>>()?;
        found.sort_by(|one, other| one.job.cmp(&other.job));
        Ok(found)
    }

    /// Pauses a timetable. Paused already, it takes the new reason and keeps its time. Once this has returned, no slot is
    /// run that comes later; what runs is finished.
    pub async fn pause_schedule(
        &self,
        job: &str,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<SchedulePause, StoreError> {
        let statement = self.statement(
            &format!(
                "insert into schedule (job, looked_until_us, enabled, paused_at_us, pause_reason)
                 values ($1, $3, 0, $3, $2) on conflict (job) do update set pause_reason = excluded.pause_reason,
                   paused_at_us = coalesce(schedule.paused_at_us, excluded.paused_at_us)
                 returning {COLUMNS}"
            ),
            [Value::from(job), Value::from(reason), Value::from(to_us(now))],
        );
        let before = self.statement(&format!("select {COLUMNS} from schedule where job = $1"), [job.into()]);
        let (transaction, pause) = self
            .within(async {
                let transaction = self.begin().await?;
                let before = all(&transaction, before).await?.first().map(read).transpose()?;
                let rows = all(&transaction, statement).await?;
                let schedule = rows.first().map(read).transpose()?;
                let pause = schedule.and_then(|schedule| schedule.pause);
                let pause = pause
                    .ok_or_else(|| StoreError::unreadable("schedule", "it is not paused after its pause"))?;
                let before = before.and_then(|schedule| schedule.pause).map(|pause| pause.reason);
                let act = Act {
                    method: "PauseSchedule",
                    subject: Subject::Named(job.to_owned()),
                    reason: reason.to_owned(),
                    before: json!({ "paused": before.is_some(), "reason": before }),
                    after: json!({ "paused": true, "reason": reason }),
                    now,
                };
                self.record_act(&transaction, act).await?;
                Ok((transaction, pause))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(pause)
    }

    /// Takes a timetable up again from now on; what came meanwhile is not caught up with. False where it was not paused.
    pub async fn resume_schedule(
        &self,
        job: &str,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let statement = self.statement(
            "update schedule set paused_at_us = null, pause_reason = null,
               looked_until_us = case when looked_until_us < $2 then $2 else looked_until_us end
             where job = $1 and paused_at_us is not null",
            [Value::from(job), Value::from(to_us(now))],
        );
        let (transaction, was_paused) = self
            .within(async {
                let transaction = self.begin().await?;
                let was_paused = execute(&transaction, statement).await? == 1;
                if was_paused {
                    let act = Act {
                        method: "ResumeSchedule",
                        subject: Subject::Named(job.to_owned()),
                        reason: reason.to_owned(),
                        before: json!({ "paused": true }),
                        after: json!({ "paused": false }),
                        now,
                    };
                    self.record_act(&transaction, act).await?;
                }
                Ok((transaction, was_paused))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(was_paused)
    }

    /// What became of a job's slots, newest first.
    pub async fn decided_slots(&self, job: &str, limit: u64) -> Result<Vec<DecidedSlot>, StoreError> {
        let find = self.statement(
            "select local_date, place, at_us, outcome, run_id, decided_at_us from schedule_slot
             where job = $1 order by at_us desc, local_date desc, place desc limit $2",
            [Value::from(job), Value::from(i64::try_from(limit).unwrap_or(i64::MAX))],
        );
        let rows = self.within(async { all(self.reader(), find).await }).await?;
        rows.iter().map(read_slot).collect()
    }

    /// The slots of a job behind a moment that were run, or have a run that waits.
    pub async fn slots_run_since(&self, job: &str, after: DateTime<Utc>) -> Result<Vec<Slot>, StoreError> {
        let find = self.statement(
            "select local_date, place, at_us, outcome, run_id, decided_at_us from schedule_slot
             where job = $1 and at_us > $2 and outcome = 'run'",
            [Value::from(job), Value::from(to_us(after))],
        );
        let rows = self.within(async { all(self.reader(), find).await }).await?;
        rows.iter().map(|row| Ok(read_slot(row)?.fire.slot)).collect()
    }

    /// The timetable's row, which stays as it is until the transaction ends. Whoever decides about runs of a job holds it,
    /// and takes it before any other row.
    pub(super) async fn lock_schedule(
        &self,
        transaction: &DatabaseTransaction,
        job: &str,
        now: DateTime<Utc>,
    ) -> Result<Schedule, StoreError> {
        let lock = if self.kind() == StoreKind::PostgreSql { "for update" } else { "" };
        let find = format!("select {COLUMNS} from schedule where job = $1 {lock}");
        let rows = all(transaction, self.statement(&find, [job.into()])).await?;
        if let Some(row) = rows.first() {
            return read(row);
        }
        // Nobody has looked at it yet: whoever triggers a job that has no timetable in use is the first.
        let make = self.statement(
            "insert into schedule (job, looked_until_us, enabled) values ($1, $2, 0) on conflict (job) do nothing",
            [Value::from(job), Value::from(to_us(now))],
        );
        execute(transaction, make).await?;
        let rows = all(transaction, self.statement(&find, [job.into()])).await?;
        let row =
            rows.first().ok_or_else(|| StoreError::unreadable("schedule", "no row after its making"))?;
        read(row)
    }
}

fn read(row: &QueryResult) -> Result<Schedule, StoreError> {
    let paused_at: Option<i64> = row.try_get("", "paused_at_us")?;
    let reason: Option<String> = row.try_get("", "pause_reason")?;
    let pause = paused_at.map(|at| -> Result<_, StoreError> {
        Ok(SchedulePause { reason: reason.unwrap_or_default(), paused_at: from_us(at)? })
    });
    Ok(Schedule {
        job: row.try_get("", "job")?,
        looked_until: from_us(row.try_get("", "looked_until_us")?)?,
        enabled: row.try_get::<i64>("", "enabled")? != 0,
        pause: pause.transpose()?,
    })
}

fn read_slot(row: &QueryResult) -> Result<DecidedSlot, StoreError> {
    let outcome: String = row.try_get("", "outcome")?;
    let run_id: Option<Uuid> = row.try_get("", "run_id")?;
    let place: i64 = row.try_get("", "place")?;
    let date: NaiveDate = row.try_get("", "local_date")?;
    let place = u32::try_from(place).map_err(|error| StoreError::unreadable("place", error))?;
    Ok(DecidedSlot {
        fire: Fire { at: from_us(row.try_get("", "at_us")?)?, slot: Slot { date, place } },
        outcome: SlotOutcome::from_name(&outcome)
            .ok_or_else(|| StoreError::unreadable("outcome", &outcome))?,
        run_id: run_id.map(JobRunId),
        decided_at: from_us(row.try_get("", "decided_at_us")?)?,
    })
}
