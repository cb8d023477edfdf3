//! Takes the persons of boletos away that nobody may want kept any more: one tenant's after the other's, in the order of their ids.
//!
//! Whoever does it looks through all boletos, a slice at a time, and keeps the place. No index is needed but the primary key, for any
//! other would name what a boleto's steps change, and every step would pay for it.
//!
//! **Owns** nothing. **Fails** as the store does; whatever is not done leaves nothing behind. **Limits**: one slice is one transaction
//! with one record of its boletos, under their tenant; what somebody has in hand, or has work with its bank, waits for the next look.

use chrono::{DateTime, SecondsFormat, Utc};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, Value};
use serde_json::json;
use uuid::Uuid;

use super::rows::Rows;
use super::transaction::all;
use super::{Store, StoreError, StoreKind, to_us};
use crate::caller;
use crate::domain::audit::Record;
use crate::domain::ids::{BoletoId, TenantId};
use crate::domain::payer::ERASED;

/// Those that have ended.
const ENDED: &str = "status in ('refused', 'cancelled', 'paid')";

/// A slice of a tenant's boletos.
#[derive(Debug, Clone)]
pub struct AgedBoletos {
    pub tenant_id: TenantId,
    /// Those that ended before this are due.
    pub ended_before: DateTime<Utc>,
    /// Behind this one; from the first on where there is none.
    pub after: Option<BoletoId>,
    /// So many are looked at, and erased at most.
    pub limit: u32,
    pub now: DateTime<Utc>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgedErased {
    pub erased: usize,
    /// The last one that was looked at; none once there are no more behind it.
    pub until: Option<BoletoId>,
}

impl Store {
    /// The first tenant that has boletos, in the order of names, behind this name.
    pub async fn boleto_tenant_behind(&self, name: &str) -> Result<Option<TenantId>, StoreError> {
        let find = self.statement(
            "select min(tenant_id) as tenant_id from boleto where tenant_id > $1",
            [Value::from(name)],
        );
        let row = self.within(async { Ok(self.reader().query_one_raw(find).await?) }).await?;
        let found = row.map(|row| row.try_get::<Option<String>>("", "tenant_id")).transpose()?.flatten();
        let read =
            |name: String| TenantId::parse(&name).map_err(|error| StoreError::unreadable("tenant", error));
        found.map(read).transpose()
    }

    /// Takes away the persons of those of a slice that are due.
    pub async fn erase_aged_boletos(&self, aged: &AgedBoletos) -> Result<AgedErased, StoreError> {
        let (due, until) = self.aged_boletos(aged).await?;
        if due.is_empty() {
            return Ok(AgedErased { erased: 0, until });
        }
        let (transaction, erased) = self
            .within(async {
                let transaction = self.begin().await?;
                let erased = self.erase_aged_in(&transaction, aged, &due).await?;
                Ok((transaction, erased))
            })
            .await?;
        if erased == 0 {
            self.within(async { Ok(transaction.rollback().await?) }).await?;
        } else {
            crate::failpoint::reached("boleto.erase.before");
            self.commit(transaction).await?;
        }
        Ok(AgedErased { erased, until })
    }

    /// Those of a slice that seem to be due, and where it ends.
    async fn aged_boletos(
        &self,
        aged: &AgedBoletos,
    ) -> Result<(Vec<BoletoId>, Option<BoletoId>), StoreError> {
        let find = self.statement(
            &format!(
                "select id, cast(case when {ENDED} and payer <> $3 and updated_at_us < $4 then 1 else 0 end as bigint) as is_due
                 from boleto where tenant_id = $1 and id > $2 order by id limit $5"
            ),
            [
                Value::from(aged.tenant_id.as_str()),
                Value::from(aged.after.map_or(Uuid::nil(), |id| id.0)),
                Value::from(ERASED),
                Value::from(to_us(aged.ended_before)),
                Value::from(i64::from(aged.limit)),
            ],
        );
        let rows = self.within(async { all(self.reader(), find).await }).await?;
        let (mut due, mut until) = (Vec::new(), None);
        for row in &rows {
            let id = BoletoId(row.try_get("", "id")?);
            let is_due: i64 = row.try_get("", "is_due")?;
            due.extend((is_due != 0).then_some(id));
            until = Some(id);
        }
        let is_whole = rows.len() as u64 == u64::from(aged.limit);
        Ok((due, until.filter(|_| is_whole)))
    }

    async fn erase_aged_in(
        &self,
        transaction: &DatabaseTransaction,
        aged: &AgedBoletos,
        due: &[BoletoId],
    ) -> Result<usize, StoreError> {
        let is_due = format!("tenant_id = $1 and {ENDED} and payer <> $2 and updated_at_us < $3");
        // One by one, and by these alone: with a tenant or an order to go by, PostgreSQL reads all boletos of the tenant.
        let find = match self.kind() {
            StoreKind::PostgreSql => format!(
                " select w.* from r cross join lateral (select id, tenant_id, terms from boleto
                    where boleto.id = r.id and {is_due} for update skip locked) w"
            ),
            StoreKind::Sqlite => {
                format!(
                    " select id, tenant_id, terms from boleto where id in (select id from r) and {is_due} order by id"
                )
            }
        };
        let values = vec![
            Value::from(aged.tenant_id.as_str()),
            Value::from(ERASED),
            Value::from(to_us(aged.ended_before)),
        ];
        let rows = Rows::new().uuid("id", due.iter().map(|id| id.0));
        let found = all(transaction, self.statement_over(rows, values, &find)).await?;
        let at_work = self.boletos_at_work(transaction, due).await?;
        let mut erased = Vec::with_capacity(found.len());
        for row in &found {
            let id = BoletoId(row.try_get("", "id")?);
            if !at_work.contains(&id) {
                self.empty_boleto(transaction, row, aged.now).await?;
                erased.push(id.to_string());
            }
        }
        if !erased.is_empty() {
            self.append_record(transaction, aged.record(&erased)).await?;
        }
        Ok(erased.len())
    }
}

impl AgedBoletos {
    /// Of their own tenant, whoever it is that looks through them.
    fn record(&self, erased: &[String]) -> Record {
        let ended_before = self.ended_before.to_rfc3339_opts(SecondsFormat::Secs, true);
        Record {
            sequence: None,
            id: Uuid::now_v7(),
            tenant_id: self.tenant_id.as_str().to_owned(),
            at_us: to_us(self.now),
            actor: Some(caller::name()),
            method: "EraseBoletos".to_owned(),
            subject_id: Uuid::nil(),
            subject: Some("retention".to_owned()),
            reason: String::new(),
            before: Some(json!({ "ended_before": ended_before }).to_string()),
            after: Some(json!({ "erased": erased }).to_string()),
            traceparent: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::boleto::status::Status;

    #[test]
    fn what_has_ended_is_what_nothing_can_happen_to() {
        let ended = Status::ALL.into_iter().filter(|status| status.is_final());
        let names: Vec<String> = ended.map(|status| format!("'{}'", status.as_str())).collect();
        assert_eq!(ENDED, format!("status in ({})", names.join(", ")));
    }
}
