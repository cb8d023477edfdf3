//! What a caller has asked before: (tenant, method, `request_id`) → the hash of the body and the id of what it made.
//!
//! Losers of a race wait for the winner: on PostgreSQL the insert itself waits, on SQLite there is one writer.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, Value};
use uuid::Uuid;

use super::transaction::execute;
use super::{Store, StoreError, StoreKind, to_us};
use crate::domain::ids::TenantId;

/// A caller's own name for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    pub tenant_id: TenantId,
    pub method: &'static str,
    pub request_id: String,
    /// Of the parsed request, with the version of its parsing in front.
    pub body_hash: Vec<u8>,
}

/// What an earlier request of that name made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierRequest {
    pub resource_id: Uuid,
    pub same_body: bool,
}

impl Store {
    /// Looks an earlier request up, before anything that depends on today's date or configuration.
    pub async fn find_request(&self, key: &RequestKey) -> Result<Option<EarlierRequest>, StoreError> {
        self.within(self.find_request_in(self.reader(), key)).await
    }

    pub(super) async fn find_request_in(
        &self,
        connection: &impl ConnectionTrait,
        key: &RequestKey,
    ) -> Result<Option<EarlierRequest>, StoreError> {
        let statement = self.statement(
            "select resource_id, body_hash from request_key where tenant_id = $1 and method = $2 and request_id = $3",
            [
                Value::from(key.tenant_id.as_str()),
                Value::from(key.method),
                Value::from(key.request_id.as_str()),
            ],
        );
        let Some(row) = connection.query_one_raw(statement).await? else { return Ok(None) };
        let body_hash: Vec<u8> = row.try_get("", "body_hash")?;
        Ok(Some(EarlierRequest {
            resource_id: row.try_get("", "resource_id")?,
            same_body: body_hash == key.body_hash,
        }))
    }

    /// Forgets the names of requests that were made before `until`, at most `limit`. A request of such a name is a new one
    /// from then on.
    pub async fn forget_old_requests(&self, until: DateTime<Utc>, limit: i64) -> Result<u64, StoreError> {
        let statement = self.statement(
            match self.kind() {
                // The oldest rows stand in the oldest pages, which an index of page ranges finds.
                StoreKind::PostgreSql => {
                    "delete from request_key where ctid = any (array(
                        select ctid from request_key where created_at_us < $1 limit $2 for update skip locked
                     ))"
                }
                // Rows are numbered in the order in which they were written, so the first ones are all there is to see.
                StoreKind::Sqlite => {
                    "delete from request_key where rowid in (
                        select oldest.rowid from (select rowid, created_at_us from request_key order by rowid limit $2)
                            as oldest
                        where oldest.created_at_us < $1
                     )"
                }
            },
            [Value::from(to_us(until)), Value::from(limit)],
        );
        self.within(async { execute(&self.inner.writer, statement).await }).await
    }
}
