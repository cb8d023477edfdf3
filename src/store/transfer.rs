//! Transfers: what a feed offered, and how far each has come.
//!
//! A transfer has one live row of work at a time: first one that has it analysed, then one that tells its feed. Whatever is
//! written about it is written under that row's fence, in the transaction that moves the row.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: a transfer is known by tenant, feed and key, for good; erased, its key
//! stays, so that it is not analysed again.

use chrono::{DateTime, Utc};
use sea_orm::QueryResult;
use uuid::Uuid;

use super::{Store, StoreError, StoreKind, from_us};
use crate::domain::ids::{EndpointId, TenantId, TransferId};
use crate::domain::transfer::{TransferKey, TransferState};

/// A transfer as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Transfer {
    pub id: TransferId,
    pub tenant_id: TenantId,
    pub feed: String,
    pub key: TransferKey,
    pub state: TransferState,
    /// Why it was skipped or has failed, or what the feed said in the end.
    pub reason: Option<String>,
    pub recorded_at: Option<DateTime<Utc>>,
    pub company_key: Option<String>,
    pub survey_key: Option<String>,
    pub person_key: Option<String>,
    pub user_key: Option<String>,
    pub alias_key: Option<TransferKey>,
    /// Of the newest run; none until they have been counted.
    pub questions: Option<u32>,
    /// The newest run; 0 before the first.
    pub run: u32,
    /// Grows with every claim of it at the feed.
    pub claims: u32,
    /// Whether the end of the newest run is told.
    pub tells_owners: bool,
    /// Who is told beside the subscriptions.
    pub endpoint_id: Option<EndpointId>,
    pub version: i64,
    pub traceparent: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What is read of a transfer.
pub(super) const COLUMNS: &str = "id, tenant_id, feed, transfer_key, state, reason, recorded_at_us, company_key, survey_key, \
     person_key, user_key, alias_key, questions, run, claims, tells_owners, endpoint_id, version, traceparent, created_at_us, \
     updated_at_us";

/// The unique key of a transfer's work, of either kind: one row at a time.
pub fn transfer_work_key(id: TransferId) -> String {
    format!("transfer:{id}")
}

/// The queue of what one vendor is to analyse for one company. The part up to the vendor's name is what its breaker stands on.
pub fn analysis_queue(analyzer: &str, tenant: &TenantId, company_key: Option<&str>) -> String {
    format!("analysis/{analyzer}/{tenant}/{}", company_key.unwrap_or("-"))
}

/// The queue of what one feed is to be told.
pub fn write_back_queue(tenant: &TenantId, feed: &str) -> String {
    format!("write_back/{tenant}/{feed}")
}

impl Store {
    /// The condition that a column is one of the ids of `r`: through the column's index, whatever the planner believes of a table
    /// that was empty when it made its plan.
    pub(super) fn is_of_slice(&self, column: &str) -> String {
        self.is_id_of("r", column)
    }

    /// The same for the ids of any table.
    pub(super) fn is_id_of(&self, table: &str, column: &str) -> String {
        match self.kind() {
            StoreKind::PostgreSql => format!("{column} = any(array(select id from {table}))"),
            StoreKind::Sqlite => format!("{column} in (select id from {table})"),
        }
    }

    /// The newest run of `t`, as `u`; looked up for each, whatever the planner believes.
    pub(super) fn newest_run(&self) -> &'static str {
        match self.kind() {
            StoreKind::PostgreSql => {
                "left join lateral (select * from transfer_run where transfer_id = t.id and number = t.run offset 0) u on true"
            }
            StoreKind::Sqlite => "left join transfer_run u on u.transfer_id = t.id and u.number = t.run",
        }
    }
}

pub(super) fn read(row: &QueryResult) -> Result<Transfer, StoreError> {
    let key = |text: String| TransferKey::parse(&text).map_err(|_| StoreError::unreadable("key", text));
    let state: String = row.try_get("", "state")?;
    let alias: Option<String> = row.try_get("", "alias_key")?;
    let questions: Option<i64> = row.try_get("", "questions")?;
    let tenant: String = row.try_get("", "tenant_id")?;
    Ok(Transfer {
        id: TransferId(row.try_get("", "id")?),
        tenant_id: TenantId::parse(&tenant).map_err(|_| StoreError::unreadable("tenant", tenant))?,
        feed: row.try_get("", "feed")?,
        key: key(row.try_get("", "transfer_key")?)?,
        state: TransferState::parse(&state).ok_or_else(|| StoreError::unreadable("state", &state))?,
        reason: row.try_get("", "reason")?,
        recorded_at: row.try_get::<Option<i64>>("", "recorded_at_us")?.map(from_us).transpose()?,
        company_key: row.try_get("", "company_key")?,
        survey_key: row.try_get("", "survey_key")?,
        person_key: row.try_get("", "person_key")?,
        user_key: row.try_get("", "user_key")?,
        alias_key: alias.map(key).transpose()?,
        questions: questions.map(|number| count("questions", number)).transpose()?,
        run: count("run", row.try_get("", "run")?)?,
        claims: count("claims", row.try_get("", "claims")?)?,
        tells_owners: row.try_get::<i64>("", "tells_owners")? == 1,
        endpoint_id: row.try_get::<Option<Uuid>>("", "endpoint_id")?.map(EndpointId),
        version: row.try_get("", "version")?,
        traceparent: row.try_get("", "traceparent")?,
        created_at: from_us(row.try_get("", "created_at_us")?)?,
        updated_at: from_us(row.try_get("", "updated_at_us")?)?,
    })
}

/// A number that counts something.
pub(super) fn count(name: &'static str, number: i64) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| StoreError::unreadable(name, number))
}
