//! Every change of every boleto, in the order in which it was committed.
//!
//! On PostgreSQL transactions commit in another order than they began, so a cursor over a sequence skips what commits
//! late. Each event carries its transaction's id, and only what lies below the oldest transaction still running is
//! handed out: nothing can be committed there any more. On SQLite there is one writer and the sequence is that order.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, QueryResult, Value};

use super::transaction::all;
use super::{Store, StoreError, StoreKind, from_us};
use crate::domain::boleto::status::Status;
use crate::domain::ids::{BoletoId, EventId, TenantId};

/// A place in the stream of changes of this one store ([`Store::store_id`]); in another it means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ChangeCursor {
    /// The transaction; 0 on SQLite, and for what was moved here from another store.
    pub transaction_id: i64,
    pub seq: i64,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoletoChange {
    /// Of this change: go on after it.
    pub cursor: ChangeCursor,
    pub id: EventId,
    pub boleto_id: BoletoId,
    pub version: i64,
    pub event_type: String,
    pub status: Status,
    pub reference_id: Option<String>,
    /// In the words of whoever asked for it.
    pub reason: Option<String>,
    pub occurred_at: DateTime<Utc>,
}

const COLUMNS: &str =
    "transaction_id, seq, id, boleto_id, version, event_type, status, reference_id, reason, occurred_at_us";

/// More changes than a boleto has that is not wrong.
const HISTORY_MAX: usize = 1_000;

impl Store {
    /// The end of the stream as it stands: what is committed from here on lies after it.
    pub async fn change_head(&self) -> Result<ChangeCursor, StoreError> {
        self.head_of("boleto_event").await
    }

    /// The same of any table that has its rows in the order of commits.
    pub(super) async fn head_of(&self, table: &str) -> Result<ChangeCursor, StoreError> {
        let sql = match self.kind() {
            // Everything below the oldest running transaction is settled; what runs now comes after.
            StoreKind::PostgreSql => {
                "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1 as transaction_id,
                   9223372036854775807::bigint as seq"
                    .to_owned()
            }
            StoreKind::Sqlite => {
                format!("select 0 as transaction_id, coalesce(max(seq), 0) as seq from {table}")
            }
        };
        let statement = self.statement(&sql, []);
        self.within(async {
            let row = self.reader().query_one_raw(statement).await?;
            let row = row.ok_or_else(|| StoreError::Broken("no head of the stream of changes".to_owned()))?;
            Ok(ChangeCursor {
                transaction_id: row.try_get("", "transaction_id")?,
                seq: row.try_get("", "seq")?,
            })
        })
        .await
    }

    /// What follows, in a table that has its rows in the order of commits, on the cursor of `$2` and `$3`: `$4` rows of it.
    pub(super) fn next_changes(&self) -> &'static str {
        match self.kind() {
            StoreKind::PostgreSql => {
                "(transaction_id, seq) > ($2, $3)
                 and transaction_id < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
                 order by transaction_id, seq limit $4"
            }
            // Of a pair SQLite would look for the first half alone, which is 0 in all of its rows, and read them all.
            // The plus keeps it prepared, as in a claim.
            StoreKind::Sqlite => "seq > $3 and transaction_id >= $2 order by seq limit +$4",
        }
    }

    /// Changes after `after`, oldest first, of a tenant or of one of its boletos.
    pub async fn changes_after(
        &self,
        tenant: &TenantId,
        boleto: Option<BoletoId>,
        after: ChangeCursor,
        limit: i64,
    ) -> Result<Vec<BoletoChange>, StoreError> {
        let mut values = vec![
            Value::from(tenant.as_str()),
            Value::from(after.transaction_id),
            Value::from(after.seq),
            Value::from(limit),
        ];
        let mut only = "";
        if let Some(BoletoId(id)) = boleto {
            only = "and boleto_id = $5";
            values.push(Value::from(id));
        }
        let sql = format!(
            "select {COLUMNS} from boleto_event where tenant_id = $1 {only} and {}",
            self.next_changes()
        );
        let statement = self.statement(&sql, values);
        self.within(async { all(self.reader(), statement).await?.iter().map(read).collect() }).await
    }

    /// Everything that changed a tenant's boleto, oldest first; its first [`HISTORY_MAX`] changes at most.
    pub async fn changes_of(
        &self,
        tenant: &TenantId,
        BoletoId(id): BoletoId,
    ) -> Result<Vec<BoletoChange>, StoreError> {
        let sql = format!(
            "select {COLUMNS} from boleto_event where boleto_id = $1 and tenant_id = $2 order by version limit {HISTORY_MAX}"
        );
        let statement = self.statement(&sql, [Value::from(id), Value::from(tenant.as_str())]);
        self.within(async { all(self.reader(), statement).await?.iter().map(read).collect() }).await
    }
}

fn read(row: &QueryResult) -> Result<BoletoChange, StoreError> {
    let status: String = row.try_get("", "status")?;
    Ok(BoletoChange {
        cursor: ChangeCursor {
            transaction_id: row.try_get("", "transaction_id")?,
            seq: row.try_get("", "seq")?,
        },
        id: EventId(row.try_get("", "id")?),
        boleto_id: BoletoId(row.try_get("", "boleto_id")?),
        version: row.try_get("", "version")?,
        event_type: row.try_get("", "event_type")?,
        status: Status::parse(&status).ok_or_else(|| StoreError::unreadable("status", &status))?,
        reference_id: row.try_get("", "reference_id")?,
        reason: row.try_get("", "reason")?,
        occurred_at: from_us(row.try_get("", "occurred_at_us")?)?,
    })
}
