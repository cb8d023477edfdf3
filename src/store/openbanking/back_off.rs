//! Where a bank has said that it was asked too often: not asked again before its time, by no process and after no restart.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: the later moment counts; a success takes it back.

use chrono::{DateTime, Utc};
use sea_orm::{QueryResult, Value};

use super::moment;
use crate::domain::ids::{ConsentId, TenantId};
use crate::store::rows::Rows;
use crate::store::transaction::{all, execute};
use crate::store::{Store, StoreError, to_us};

/// One consent that is not to be used at one endpoint for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackOff {
    pub consent_id: ConsentId,
    pub tenant_id: TenantId,
    pub aspsp: String,
    pub endpoint: String,
    pub blocked_until: DateTime<Utc>,
    /// What the bank said, cut and without personal data.
    pub reason: String,
    pub set_at: DateTime<Utc>,
}

impl Store {
    /// Sets back-offs; of two for one endpoint the later counts. Each is named once.
    pub async fn set_back_offs(&self, items: &[BackOff]) -> Result<u64, StoreError> {
        if items.is_empty() {
            return Ok(0);
        }
        let rows = Rows::new()
            .uuid("consent_id", items.iter().map(|item| item.consent_id.0))
            .text("endpoint", items.iter().map(|item| item.endpoint.clone()))
            .text("tenant_id", items.iter().map(|item| item.tenant_id.as_str().to_owned()))
            .text("aspsp", items.iter().map(|item| item.aspsp.clone()))
            .integer("blocked_until_us", items.iter().map(|item| to_us(item.blocked_until)))
            .text("reason", items.iter().map(|item| item.reason.clone()))
            .integer("set_at_us", items.iter().map(|item| to_us(item.set_at)));
        let upsert = " insert into back_off (consent_id, endpoint, tenant_id, aspsp, blocked_until_us, reason, set_at_us)
              select consent_id, endpoint, tenant_id, aspsp, blocked_until_us, reason, set_at_us from r where true
              order by consent_id, endpoint
              on conflict (consent_id, endpoint) do update set blocked_until_us = excluded.blocked_until_us,
                reason = excluded.reason, set_at_us = excluded.set_at_us
              where back_off.blocked_until_us < excluded.blocked_until_us";
        let statement = self.statement_over(rows, vec![], upsert);
        self.within(async { execute(&self.inner.writer, statement).await }).await
    }

    /// Takes those back whose endpoint has answered; nothing is written where there is none.
    pub async fn clear_back_offs(&self, items: &[(ConsentId, String)]) -> Result<u64, StoreError> {
        if items.is_empty() {
            return Ok(0);
        }
        let rows = Rows::new()
            .uuid("id", items.iter().map(|(id, _)| id.0))
            .text("endpoint", items.iter().map(|(_, endpoint)| endpoint.clone()));
        let forget = format!(
            " delete from back_off where {} and exists (
                select 1 from r where r.id = back_off.consent_id and r.endpoint = back_off.endpoint)",
            self.is_of_slice("consent_id")
        );
        let statement = self.statement_over(rows, vec![], &forget);
        self.within(async { execute(&self.inner.writer, statement).await }).await
    }

    /// What of these consents may not be asked yet.
    pub async fn back_offs(
        &self,
        consents: &[ConsentId],
        now: DateTime<Utc>,
    ) -> Result<Vec<BackOff>, StoreError> {
        if consents.is_empty() {
            return Ok(vec![]);
        }
        let find = format!(
            " select consent_id, endpoint, tenant_id, aspsp, blocked_until_us, reason, set_at_us from back_off
              where {} and blocked_until_us > $1 order by consent_id, endpoint",
            self.is_of_slice("consent_id")
        );
        let rows = Rows::new().uuid("id", consents.iter().map(|id| id.0));
        let statement = self.statement_over(rows, vec![Value::from(to_us(now))], &find);
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        found.iter().map(read).collect()
    }
}

fn read(row: &QueryResult) -> Result<BackOff, StoreError> {
    Ok(BackOff {
        consent_id: ConsentId(row.try_get("", "consent_id")?),
        tenant_id: super::tenant_of(row)?,
        aspsp: row.try_get("", "aspsp")?,
        endpoint: row.try_get("", "endpoint")?,
        blocked_until: moment(row, "blocked_until_us")?,
        reason: row.try_get("", "reason")?,
        set_at: moment(row, "set_at_us")?,
    })
}
