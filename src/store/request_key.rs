//! What a caller has asked before: (tenant, method, `request_id`) → the hash of the body and the id of what it made.
//!
//! Losers of a race wait for the winner: on PostgreSQL the insert itself waits, on SQLite there is one writer.

use sea_orm::{ConnectionTrait, Value};
use uuid::Uuid;

use super::{Store, StoreError};
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
}
