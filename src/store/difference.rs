//! In what banks and we disagree: listed, and settled by whoever has looked.
//!
//! **Fails** with data ([`DifferenceSettled`]). **Limits**: settling changes nothing but the difference itself; what has to
//! be done about it is done by the verbs of the boleto.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, Value};
use uuid::Uuid;

use super::audit::Deed;
use super::transaction::all;
use super::{Store, StoreError, from_us, to_us};
use crate::domain::ids::{BankAccountId, BoletoId, TenantId};

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub id: Uuid,
    pub bank_account_id: BankAccountId,
    /// Where somebody here knows the title.
    pub boleto_id: Option<BoletoId>,
    /// What the bank calls the title.
    pub subject: String,
    pub kind: String,
    pub detail: String,
    pub found_at: DateTime<Utc>,
    pub settled: Option<(DateTime<Utc>, String)>,
}

/// Which differences are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DifferenceFilter {
    pub bank_account_id: Option<BankAccountId>,
    /// Those that somebody has settled too.
    pub settled_too: bool,
}

/// A person's word that a difference has been dealt with.
#[derive(Debug, Clone)]
pub struct SettleDraft {
    /// Of the record.
    pub audit_id: Uuid,
    pub tenant_id: TenantId,
    pub id: Uuid,
    /// 1 to 255 characters.
    pub reason: String,
    pub traceparent: Option<String>,
    pub now: DateTime<Utc>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DifferenceSettled {
    Done(Box<Difference>),
    /// Somebody was faster; it stands as it is.
    Before(Box<Difference>),
    NotFound,
}

const COLUMNS: &str =
    "id, bank_account_id, boleto_id, subject, kind, detail, found_at_us, settled_at_us, settled_reason";

impl Store {
    /// A page of a tenant's differences, newest first.
    pub async fn differences(
        &self,
        tenant: &TenantId,
        filter: DifferenceFilter,
        before: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<Difference>, StoreError> {
        let mut values = vec![Value::from(tenant.as_str())];
        let mut sql = format!("select {COLUMNS} from reconciliation_difference where tenant_id = $1");
        if !filter.settled_too {
            sql.push_str(" and settled_at_us is null");
        }
        if let Some(account) = filter.bank_account_id {
            values.push(Value::from(account.0));
            sql.push_str(&format!(" and bank_account_id = ${}", values.len()));
        }
        if let Some(before) = before {
            values.push(Value::from(before));
            sql.push_str(&format!(" and id < ${}", values.len()));
        }
        values.push(Value::from(i64::try_from(limit).unwrap_or(i64::MAX)));
        sql.push_str(&format!(" order by id desc limit ${}", values.len()));
        let statement = self.statement(&sql, values);
        self.within(async { all(self.reader(), statement).await?.iter().map(read).collect() }).await
    }

    /// Settles a difference, and writes down who did and why.
    pub async fn settle_difference(&self, draft: &SettleDraft) -> Result<DifferenceSettled, StoreError> {
        let (transaction, settled) = self
            .within(async {
                let transaction = self.begin().await?;
                let settled = self.settle_difference_in(&transaction, draft).await?;
                Ok((transaction, settled))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(settled)
    }

    async fn settle_difference_in(
        &self,
        transaction: &DatabaseTransaction,
        draft: &SettleDraft,
    ) -> Result<DifferenceSettled, StoreError> {
        let update = self.statement(
            &format!(
                "update reconciliation_difference set settled_at_us = $3, settled_reason = $4
                 where tenant_id = $1 and id = $2 and settled_at_us is null returning {COLUMNS}"
            ),
            [
                Value::from(draft.tenant_id.as_str()),
                Value::from(draft.id),
                Value::from(to_us(draft.now)),
                Value::from(draft.reason.as_str()),
            ],
        );
        let Some(row) = transaction.query_one_raw(update).await? else {
            let find = self.statement(
                &format!("select {COLUMNS} from reconciliation_difference where tenant_id = $1 and id = $2"),
                [Value::from(draft.tenant_id.as_str()), Value::from(draft.id)],
            );
            let found = transaction.query_one_raw(find).await?.as_ref().map(read).transpose()?;
            return Ok(match found {
                Some(difference) => DifferenceSettled::Before(Box::new(difference)),
                None => DifferenceSettled::NotFound,
            });
        };
        let difference = read(&row)?;
        let told = |settled: bool| {
            serde_json::json!({"kind": difference.kind, "subject": difference.subject, "settled": settled})
                .to_string()
        };
        let deed = Deed {
            id: draft.audit_id,
            tenant_id: &draft.tenant_id,
            method: "SettleDifference",
            subject_id: draft.id,
            reason: &draft.reason,
            before: told(false),
            after: told(true),
            traceparent: draft.traceparent.as_deref(),
            now: draft.now,
        };
        self.record_deed(transaction, deed).await?;
        Ok(DifferenceSettled::Done(Box::new(difference)))
    }
}

fn read(row: &QueryResult) -> Result<Difference, StoreError> {
    let settled_at_us: Option<i64> = row.try_get("", "settled_at_us")?;
    let settled_reason: Option<String> = row.try_get("", "settled_reason")?;
    let settled_at = settled_at_us.map(from_us).transpose()?;
    Ok(Difference {
        id: row.try_get("", "id")?,
        bank_account_id: BankAccountId(row.try_get("", "bank_account_id")?),
        boleto_id: row.try_get::<Option<Uuid>>("", "boleto_id")?.map(BoletoId),
        subject: row.try_get("", "subject")?,
        kind: row.try_get("", "kind")?,
        detail: row.try_get("", "detail")?,
        found_at: from_us(row.try_get("", "found_at_us")?)?,
        settled: settled_at.map(|at| (at, settled_reason.unwrap_or_default())),
    })
}
