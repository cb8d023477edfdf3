//! Every change of every transfer, in the order in which it was committed: see [`super::boleto_watch`], which does the same.
//!
//! **Fails** as the store does. **Limits**: pages; the first thousand changes of one transfer.

use chrono::{DateTime, Utc};
use sea_orm::{QueryResult, Value};

use super::boleto_watch::ChangeCursor;
use super::transaction::all;
use super::{Store, StoreError, from_us};
use crate::domain::ids::{EventId, TenantId, TransferId};
use crate::domain::transfer::{TransferKey, TransferState};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferChange {
    /// Of this change: go on after it.
    pub cursor: ChangeCursor,
    pub id: EventId,
    pub transfer_id: TransferId,
    pub feed: String,
    pub key: TransferKey,
    pub version: i64,
    pub event_type: String,
    pub state: TransferState,
    pub reason: Option<String>,
    pub occurred_at: DateTime<Utc>,
}

/// More changes than a transfer has that is not wrong.
const HISTORY_MAX: usize = 1_000;

/// Looked up change by change, so that the stream leads.
const FROM: &str =
    "select transaction_id, seq, id, transfer_id, version, event_type, state, reason, occurred_at_us,
        (select t.feed from transfer t where t.id = e.transfer_id) as feed,
        (select t.transfer_key from transfer t where t.id = e.transfer_id) as transfer_key
      from transfer_event e";

impl Store {
    /// The end of the stream as it stands: what is committed from here on lies after it.
    pub async fn transfer_change_head(&self) -> Result<ChangeCursor, StoreError> {
        self.head_of("transfer_event").await
    }

    /// Changes after `after`, oldest first, of a tenant or of one of its transfers.
    pub async fn transfer_changes_after(
        &self,
        tenant: &TenantId,
        transfer: Option<TransferId>,
        after: ChangeCursor,
        limit: i64,
    ) -> Result<Vec<TransferChange>, StoreError> {
        let mut values = vec![
            Value::from(tenant.as_str()),
            Value::from(after.transaction_id),
            Value::from(after.seq),
            Value::from(limit),
        ];
        let mut only = "";
        if let Some(TransferId(id)) = transfer {
            only = "and transfer_id = $5";
            values.push(Value::from(id));
        }
        let sql = format!("{FROM} where tenant_id = $1 {only} and {}", self.next_changes());
        let statement = self.statement(&sql, values);
        self.within(async { all(self.reader(), statement).await?.iter().map(read).collect() }).await
    }

    /// Everything that changed one transfer, oldest first; its first [`HISTORY_MAX`] changes at most.
    pub async fn transfer_changes_of(
        &self,
        tenant: &TenantId,
        TransferId(id): TransferId,
    ) -> Result<Vec<TransferChange>, StoreError> {
        let sql =
            format!("{FROM} where transfer_id = $1 and tenant_id = $2 order by version limit {HISTORY_MAX}");
        let statement = self.statement(&sql, [Value::from(id), Value::from(tenant.as_str())]);
        self.within(async { all(self.reader(), statement).await?.iter().map(read).collect() }).await
    }
}

fn read(row: &QueryResult) -> Result<TransferChange, StoreError> {
    let (state, key): (String, String) = (row.try_get("", "state")?, row.try_get("", "transfer_key")?);
    Ok(TransferChange {
        cursor: ChangeCursor {
            transaction_id: row.try_get("", "transaction_id")?,
            seq: row.try_get("", "seq")?,
        },
        id: EventId(row.try_get("", "id")?),
        transfer_id: TransferId(row.try_get("", "transfer_id")?),
        feed: row.try_get("", "feed")?,
        key: TransferKey::parse(&key).map_err(|_| StoreError::unreadable("key", &key))?,
        version: row.try_get("", "version")?,
        event_type: row.try_get("", "event_type")?,
        state: TransferState::parse(&state).ok_or_else(|| StoreError::unreadable("state", &state))?,
        reason: row.try_get("", "reason")?,
        occurred_at: from_us(row.try_get("", "occurred_at_us")?)?,
    })
}
