//! The counters of nosso números: looked at, and moved ahead after a restore from a backup.
//!
//! A backup that is restored has a counter of yesterday, and the bank has today's titles: the numbers between must never be
//! given out again. Whoever knows how far the bank got moves the counter past it. The move and its record are one
//! transaction, and take the same lock as giving numbers out.
//!
//! **Fails** with data ([`Resynced`]). **Limits**: a counter is moved ahead and never back; what is skipped is lost.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};
use uuid::Uuid;

use super::audit::Deed;
use super::request_key::{Entered, RequestKey};
use super::rows::Rows;
use super::transaction::{all, execute};
use super::{Store, StoreError, StoreKind};
use crate::domain::ids::{BankAccountId, TenantId};

/// How far a counter is to be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ahead {
    /// Past this number, which the bank has.
    Past(i64),
    /// By so many numbers.
    By(i64),
}

/// A person's wish to move a counter.
#[derive(Debug, Clone)]
pub struct ResyncDraft {
    /// Of the record, and what the request made.
    pub audit_id: Uuid,
    pub tenant_id: TenantId,
    pub bank_account_id: BankAccountId,
    /// Of the account's agreement.
    pub range_key: String,
    /// The last number that the agreement has.
    pub sequence_max: i64,
    pub ahead: Ahead,
    pub request: Option<RequestKey>,
    /// 1 to 255 characters.
    pub reason: String,
    pub traceparent: Option<String>,
    pub now: DateTime<Utc>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resynced {
    /// The next number before and after; the same where it was past that already.
    Done { before: i64, after: i64 },
    /// The same request was made before.
    Before,
    /// The request id was used for another body.
    OtherBody,
    /// It would be past the last number of the agreement.
    PastTheEnd,
    /// Nobody counts here: the bank does.
    NoCounter,
}

impl Store {
    /// The number that the next boleto under this agreement gets; none where there is no counter.
    pub async fn next_sequence(&self, range_key: &str) -> Result<Option<i64>, StoreError> {
        let find = self.statement(
            "select next_sequence from nosso_numero_range where range_key = $1",
            [Value::from(range_key)],
        );
        self.within(async {
            let row = self.reader().query_one_raw(find).await?;
            Ok(row.map(|row| row.try_get("", "next_sequence")).transpose()?)
        })
        .await
    }

    /// The same for many agreements, by their keys; those without a counter are left out.
    pub async fn next_sequences(&self, range_keys: &[String]) -> Result<HashMap<String, i64>, StoreError> {
        if range_keys.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = Rows::new().text("range_key", range_keys.iter().cloned());
        let find = " select n.range_key, n.next_sequence from nosso_numero_range n
              where n.range_key in (select range_key from r)";
        let statement = self.statement_over(rows, vec![], find);
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        found
            .iter()
            .map(|row| Ok((row.try_get("", "range_key")?, row.try_get("", "next_sequence")?)))
            .collect()
    }

    /// Moves a counter ahead.
    pub async fn resync_numbers(&self, draft: &ResyncDraft) -> Result<Resynced, StoreError> {
        let (transaction, resynced) = self
            .within(async {
                let transaction = self.begin().await?;
                let resynced = self.resync_in(&transaction, draft).await?;
                Ok((transaction, resynced))
            })
            .await?;
        if matches!(resynced, Resynced::Done { .. }) {
            self.commit(transaction).await?;
        } else {
            self.within(async { Ok(transaction.rollback().await?) }).await?;
        }
        Ok(resynced)
    }

    async fn resync_in(
        &self,
        transaction: &DatabaseTransaction,
        draft: &ResyncDraft,
    ) -> Result<Resynced, StoreError> {
        match self.enter_key(transaction, draft.request.as_ref(), draft.audit_id, draft.now).await? {
            Entered::New => {}
            Entered::Before(_) => return Ok(Resynced::Before),
            Entered::OtherBody => return Ok(Resynced::OtherBody),
        }
        let lock = if self.kind() == StoreKind::PostgreSql { "for update" } else { "" };
        let find = self.statement(
            &format!("select next_sequence from nosso_numero_range where range_key = $1 {lock}"),
            [Value::from(draft.range_key.as_str())],
        );
        let Some(row) = transaction.query_one_raw(find).await? else { return Ok(Resynced::NoCounter) };
        let before: i64 = row.try_get("", "next_sequence")?;
        let wanted = match draft.ahead {
            Ahead::Past(last) => last.saturating_add(1),
            Ahead::By(count) => before.saturating_add(count),
        };
        let after = before.max(wanted);
        // One past the last number is where a counter stands whose agreement is used up.
        if after > before && after > draft.sequence_max.saturating_add(1) {
            return Ok(Resynced::PastTheEnd);
        }
        let update = self.statement(
            "update nosso_numero_range set next_sequence = $2 where range_key = $1",
            [Value::from(draft.range_key.as_str()), Value::from(after)],
        );
        execute(transaction, update).await?;
        let told = |next: i64| serde_json::json!({"next_sequence": next}).to_string();
        let deed = Deed {
            id: draft.audit_id,
            tenant_id: &draft.tenant_id,
            method: "ResyncBankAccount",
            subject_id: draft.bank_account_id.0,
            reason: &draft.reason,
            before: told(before),
            after: told(after),
            traceparent: draft.traceparent.as_deref(),
            now: draft.now,
        };
        self.record_deed(transaction, deed).await?;
        Ok(Resynced::Done { before, after })
    }
}
