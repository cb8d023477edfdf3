//! Transfers found again: one by id or key, many by what a person remembers of them.
//!
//! **Fails** as the store does. **Limits**: pages, newest first, along an index for each thing that can be asked.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, QueryResult, Statement, Value};

use super::transaction::all;
use super::transfer::{COLUMNS, Transfer, count, transfer_work_key};
use super::transfer_analysis::KeptAnswer;
use super::transfer_filter::FilterPage;
use super::{Store, StoreError, from_us};
use crate::domain::ids::{TenantId, TransferId};
use crate::domain::transfer::{TransferKey, TransferState};

/// Which transfers; what is absent asks for nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TransferFilter {
    pub feed: Option<String>,
    pub state: Option<TransferState>,
    /// How its reason begins.
    pub reason: Option<String>,
    pub alias_key: Option<String>,
    pub person_key: Option<String>,
    pub company_key: Option<String>,
    pub recorded_from: Option<DateTime<Utc>>,
    pub recorded_until: Option<DateTime<Utc>>,
    /// Of the newest run.
    pub formula: Option<String>,
    /// Of the newest run.
    pub analyzer: Option<String>,
}

/// A run as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferRun {
    pub number: u32,
    pub analyzer: String,
    pub formula: Option<String>,
    pub result: Option<String>,
    pub has_fillers: bool,
    pub audio_key: Option<TransferKey>,
    pub tells_owners: bool,
    /// `written` or `gone`; none before.
    pub write_back: Option<String>,
    pub started_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
}

/// A transfer with its newest run, and how many answers of it have an outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct TransferSeen {
    pub transfer: Transfer,
    pub run: Option<TransferRun>,
    pub answered: u32,
}

/// What waits for a transfer, or last went wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransferAttempt {
    /// Of its live row of work, or of its newest ended one.
    pub last_error: Option<String>,
    pub attempt: i64,
    /// When the live row is due; none where there is none, or it is being worked on.
    pub next_at: Option<DateTime<Utc>>,
}

/// How much of a feed waits or is worked on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenTransfers {
    pub open: i64,
    /// Since when the oldest is here.
    pub oldest_at: Option<DateTime<Utc>>,
}

/// What is read of a run, as `u`.
const RUN_COLUMNS: &str = "u.number, u.analyzer, u.formula, u.result, u.has_fillers, u.audio_key, \
     u.tells_owners as run_tells_owners, u.write_back, u.started_at_us, u.ended_at_us";

/// More runs than a transfer has that is not wrong.
const RUNS_MAX: usize = 1_000;

impl Store {
    /// Transfers with their newest runs, found by what stands behind.
    fn seen(&self) -> String {
        let columns: Vec<String> = COLUMNS.split(", ").map(|column| format!("t.{column}")).collect();
        format!(
            "select {}, {RUN_COLUMNS},
               (select count(*) from recorded_answer a where a.transfer_id = t.id and a.run = t.run) as answered
             from transfer t {}",
            columns.join(", "),
            self.newest_run()
        )
    }

    /// One, by its id.
    pub async fn transfer(
        &self,
        tenant: &TenantId,
        id: TransferId,
    ) -> Result<Option<TransferSeen>, StoreError> {
        let find = format!("{} where t.id = $1 and t.tenant_id = $2", self.seen());
        let statement = self.statement(&find, [Value::from(id.0), Value::from(tenant.as_str())]);
        self.one_seen(statement).await
    }

    /// One, by its feed and key.
    pub async fn transfer_by_key(
        &self,
        tenant: &TenantId,
        feed: &str,
        key: &TransferKey,
    ) -> Result<Option<TransferSeen>, StoreError> {
        let find = format!("{} where t.transfer_key = $1 and t.feed = $2 and t.tenant_id = $3", self.seen());
        let values = [Value::from(key.as_str()), Value::from(feed), Value::from(tenant.as_str())];
        self.one_seen(self.statement(&find, values)).await
    }

    async fn one_seen(&self, statement: Statement) -> Result<Option<TransferSeen>, StoreError> {
        let row = self.within(async { Ok(self.reader().query_one_raw(statement).await?) }).await?;
        row.as_ref().map(TransferSeen::read).transpose()
    }

    /// A page, newest first, behind an id.
    pub async fn transfers(
        &self,
        tenant: &TenantId,
        filter: &TransferFilter,
        after: Option<TransferId>,
        limit: i64,
    ) -> Result<Vec<TransferSeen>, StoreError> {
        let page = FilterPage { tenant, filter, states: &[], after, newest_first: true, limit };
        let (page, values) = page.sql();
        let sql =
            format!("with {page} {} where {} order by t.id desc", self.seen(), self.is_id_of("page", "t.id"));
        let statement = self.statement(&sql, values);
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        found.iter().map(TransferSeen::read).collect()
    }

    /// Its runs, oldest first; the first [`RUNS_MAX`] at most.
    pub async fn transfer_runs(
        &self,
        tenant: &TenantId,
        id: TransferId,
    ) -> Result<Vec<TransferRun>, StoreError> {
        let find = format!(
            "select {RUN_COLUMNS} from transfer_run u where u.transfer_id = $1 and u.tenant_id = $2
             order by u.number limit {RUNS_MAX}"
        );
        let statement = self.statement(&find, [Value::from(id.0), Value::from(tenant.as_str())]);
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        found.iter().map(TransferRun::read).collect()
    }

    /// The answers of a run that have an outcome, by position; those given up among them.
    pub async fn answers(
        &self,
        tenant: &TenantId,
        id: TransferId,
        run: u32,
    ) -> Result<Vec<KeptAnswer>, StoreError> {
        self.within(self.answers_in(self.reader(), tenant, id, run)).await
    }

    /// What waits for it, or last went wrong.
    pub async fn transfer_attempt(
        &self,
        tenant: &TenantId,
        id: TransferId,
    ) -> Result<TransferAttempt, StoreError> {
        let values = || [Value::from(transfer_work_key(id)), Value::from(tenant.as_str())];
        let live = self.statement(
            "select last_error, attempt, case when state <> 'running' then run_at_us end as next_at_us
             from work where unique_key = $1 and tenant_id = $2",
            values(),
        );
        // The kinds are spelled as the index of those rows has them.
        let ended = self.statement(
            "select last_error, attempt, cast(null as bigint) as next_at_us from work_archive
             where kind in ('transfer.analyse', 'transfer.write_back') and unique_key = $1 and tenant_id = $2
             order by ended_at_us desc limit 1",
            values(),
        );
        self.within(async {
            let row = match self.reader().query_one_raw(live).await? {
                Some(row) => Some(row),
                None => self.reader().query_one_raw(ended).await?,
            };
            let Some(row) = row else { return Ok(TransferAttempt::default()) };
            Ok(TransferAttempt {
                last_error: row.try_get("", "last_error")?,
                attempt: row.try_get("", "attempt")?,
                next_at: row.try_get::<Option<i64>>("", "next_at_us")?.map(from_us).transpose()?,
            })
        })
        .await
    }

    /// What of a feed waits or is worked on. All of that is looked at.
    pub async fn open_transfers(&self, tenant: &TenantId, feed: &str) -> Result<OpenTransfers, StoreError> {
        let statement = self.statement(
            "select count(*) as open, min(created_at_us) as oldest_at_us from transfer
             where tenant_id = $1 and state in ('queued', 'analysing', 'writing_back') and state <> 'done' and feed = $2",
            [Value::from(tenant.as_str()), Value::from(feed)],
        );
        self.within(async {
            let row = self.reader().query_one_raw(statement).await?;
            let row = row.ok_or_else(|| StoreError::Broken("no count of open transfers".to_owned()))?;
            let oldest: Option<i64> = row.try_get("", "oldest_at_us")?;
            Ok(OpenTransfers { open: row.try_get("", "open")?, oldest_at: oldest.map(from_us).transpose()? })
        })
        .await
    }
}

impl TransferSeen {
    fn read(row: &QueryResult) -> Result<Self, StoreError> {
        let has_run = row.try_get::<Option<i64>>("", "number")?.is_some();
        Ok(Self {
            transfer: super::transfer::read(row)?,
            run: has_run.then(|| TransferRun::read(row)).transpose()?,
            answered: count("answered", row.try_get("", "answered")?)?,
        })
    }
}

impl TransferRun {
    fn read(row: &QueryResult) -> Result<Self, StoreError> {
        let audio_key: Option<String> = row.try_get("", "audio_key")?;
        let audio_key = audio_key
            .map(|key| TransferKey::parse(&key).map_err(|_| StoreError::unreadable("audio key", &key)))
            .transpose()?;
        Ok(Self {
            number: count("number", row.try_get("", "number")?)?,
            analyzer: row.try_get("", "analyzer")?,
            formula: row.try_get("", "formula")?,
            result: row.try_get("", "result")?,
            has_fillers: row.try_get::<i64>("", "has_fillers")? == 1,
            audio_key,
            tells_owners: row.try_get::<i64>("", "run_tells_owners")? == 1,
            write_back: row.try_get("", "write_back")?,
            started_at: from_us(row.try_get("", "started_at_us")?)?,
            ended_at: row.try_get::<Option<i64>>("", "ended_at_us")?.map(from_us).transpose()?,
        })
    }
}
