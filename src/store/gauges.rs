//! How things stand, as metrics tell it: dead letters by queue, the last runs of every job, connections.
//!
//! **Fails** as the store does. **Limits**: asked every few seconds at most, whoever asks for metrics; one pass over the dead
//! letters, one over the consents, and for each job a few looks into the index of its runs.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{DatabaseConnection, QueryResult, Value};

use super::transaction::all;
use super::{Store, StoreError, StoreKind, from_us};

/// A job by its runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobGauge {
    pub job: String,
    /// Whether its slots are run.
    pub enabled: bool,
    pub paused: bool,
    /// Up to where its slots were decided about.
    pub looked_until: DateTime<Utc>,
    /// The state of its newest run.
    pub state: Option<String>,
    /// When the last run was completed, and how long that one took, in microseconds.
    pub completed_at: Option<DateTime<Utc>>,
    pub took_us: Option<i64>,
    /// When the last run failed.
    pub failed_at: Option<DateTime<Utc>>,
    /// Slots that came and were not run, of those that are remembered.
    pub missed: i64,
}

/// The consents that hold, by when they end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsentGauge {
    pub within_day: i64,
    /// Later than that, and within a week.
    pub within_week: i64,
    /// Later than that, and within 30 days.
    pub within_month: i64,
    /// Later than that, or never.
    pub later: i64,
}

/// The connections of one pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolGauge {
    pub name: &'static str,
    pub open: u32,
    pub idle: usize,
}

impl Store {
    /// What was given up for dead, by queue.
    pub async fn dead_letter_counts(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let find =
            "select queue, count(*) as letters from work_archive where state = 'discarded' group by queue";
        let statement = self.statement(find, []);
        let rows = self.within(async { all(self.reader(), statement).await }).await?;
        rows.iter().map(|row| Ok((row.try_get("", "queue")?, row.try_get("", "letters")?))).collect()
    }

    /// Every job that has a timetable, by name.
    pub async fn job_gauges(&self) -> Result<Vec<JobGauge>, StoreError> {
        let last = |column: &str, which: &str| {
            format!(
                "(select r.{column} from job_run r where r.job = s.job {which} order by r.id desc limit 1)"
            )
        };
        let completed = "and r.state = 'completed'";
        let find = format!(
            "select s.job, s.enabled, s.looked_until_us,
                s.paused_at_us, {} as state, {} as completed_us, {} as begun_us, {} as failed_us,
                (select count(*) from schedule_slot t where t.job = s.job and t.outcome = 'missed') as missed
             from schedule s order by s.job",
            last("state", ""),
            last("ended_at_us", completed),
            last("started_at_us", completed),
            last("ended_at_us", "and r.state = 'failed'"),
        );
        let statement = self.statement(&find, []);
        let rows = self.within(async { all(self.reader(), statement).await }).await?;
        rows.iter().map(read).collect()
    }

    /// Every consent that holds, by when it ends.
    pub async fn consent_gauge(&self, now: DateTime<Utc>) -> Result<ConsentGauge, StoreError> {
        let find = "select count(*) as held, count(case when valid_until_us < $1 then 1 end) as day,
                count(case when valid_until_us < $2 then 1 end) as week,
                count(case when valid_until_us < $3 then 1 end) as month
             from consent where status = 'valid'";
        let until = [1, 7, 30].map(|days| Value::from((now + TimeDelta::days(days)).timestamp_micros()));
        let statement = self.statement(find, until);
        let rows = self.within(async { all(self.reader(), statement).await }).await?;
        let count = |column: &str| -> Result<i64, StoreError> {
            rows.first().map_or(Ok(0), |row| Ok(row.try_get("", column)?))
        };
        let (day, week, month) = (count("day")?, count("week")?, count("month")?);
        Ok(ConsentGauge {
            within_day: day,
            within_week: week - day,
            within_month: month - week,
            later: count("held")? - month,
        })
    }

    /// The connections that are open now.
    pub fn pools(&self) -> Vec<PoolGauge> {
        let gauge = |name, pool: DatabaseConnection| match self.kind() {
            StoreKind::PostgreSql => {
                let pool = pool.get_postgres_connection_pool();
                PoolGauge { name, open: pool.size(), idle: pool.num_idle() }
            }
            StoreKind::Sqlite => {
                let pool = pool.get_sqlite_connection_pool();
                PoolGauge { name, open: pool.size(), idle: pool.num_idle() }
            }
        };
        let inner = &self.inner;
        match self.kind() {
            // All work goes over one pool here, and the lease over its own.
            StoreKind::PostgreSql => {
                vec![gauge("work", inner.writer.current()), gauge("lease", inner.lease.current())]
            }
            StoreKind::Sqlite => {
                vec![gauge("writer", inner.writer.current()), gauge("readers", inner.reader.current())]
            }
        }
    }
}

fn read(row: &QueryResult) -> Result<JobGauge, StoreError> {
    let moment = |column: &str| -> Result<Option<DateTime<Utc>>, StoreError> {
        row.try_get::<Option<i64>>("", column)?.map(from_us).transpose()
    };
    let us = |column: &str| row.try_get::<Option<i64>>("", column);
    let took_us = us("completed_us")?.zip(us("begun_us")?).map(|(ended, begun)| ended - begun);
    Ok(JobGauge {
        job: row.try_get("", "job")?,
        enabled: row.try_get::<i64>("", "enabled")? != 0,
        paused: us("paused_at_us")?.is_some(),
        looked_until: from_us(row.try_get("", "looked_until_us")?)?,
        state: row.try_get("", "state")?,
        completed_at: moment("completed_us")?,
        took_us,
        failed_at: moment("failed_us")?,
        missed: row.try_get("", "missed")?,
    })
}
