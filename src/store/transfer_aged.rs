//! Transfers one after the other, in the order of their ids, for whoever erases what was taken in long ago.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: a slice of the primary key, of all tenants; what was erased is among it.

use chrono::{DateTime, Utc};
use sea_orm::{QueryResult, Value};
use uuid::Uuid;

use super::transaction::all;
use super::{Store, StoreError, from_us};
use crate::domain::ids::{TenantId, TransferId};
use crate::domain::transfer::TransferState;

/// A transfer, as far as its age goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgedTransfer {
    pub id: TransferId,
    pub tenant_id: TenantId,
    pub taken_in_at: DateTime<Utc>,
    pub is_erased: bool,
}

impl Store {
    /// So many transfers behind this one; from the first on where there is none.
    pub async fn transfers_behind(
        &self,
        after: Option<TransferId>,
        limit: u32,
    ) -> Result<Vec<AgedTransfer>, StoreError> {
        let find = self.statement(
            "select id, tenant_id, state, created_at_us from transfer where id > $1 order by id limit $2",
            [Value::from(after.map_or(Uuid::nil(), |id| id.0)), Value::from(i64::from(limit))],
        );
        let rows = self.within(async { all(self.reader(), find).await }).await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &QueryResult) -> Result<AgedTransfer, StoreError> {
    let (tenant, state): (String, String) = (row.try_get("", "tenant_id")?, row.try_get("", "state")?);
    Ok(AgedTransfer {
        id: TransferId(row.try_get("", "id")?),
        tenant_id: TenantId::parse(&tenant).map_err(|error| StoreError::unreadable("tenant", error))?,
        taken_in_at: from_us(row.try_get("", "created_at_us")?)?,
        is_erased: state == TransferState::Erased.as_str(),
    })
}
