//! What endpoints answered, try by try, for as long as it is kept.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: ids are in order of time, and what is too old is taken away by
//! them, a slice at a time.

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, QueryResult, Value};
use uuid::Uuid;

use super::delivery::{AttemptOutcome, DeliveryAttempt, DeliverySettlement};
use super::rows::Rows;
use super::transaction::{all, execute};
use super::{Store, StoreError, from_us, to_us};
use crate::domain::ids::{EndpointId, EventId, TenantId};

impl Store {
    /// Writes down what was tried, in the transaction of what came of it.
    pub(super) async fn insert_attempts(
        &self,
        transaction: &DatabaseTransaction,
        items: &[&DeliverySettlement],
    ) -> Result<(), StoreError> {
        let tried: Vec<(&DeliverySettlement, &DeliveryAttempt)> =
            items.iter().flat_map(|item| item.attempts.iter().map(|attempt| (*item, attempt))).collect();
        if tried.is_empty() {
            return Ok(());
        }
        let rows = Rows::new()
            .uuid("id", tried.iter().map(|(_, attempt)| attempt.id))
            .text("tenant_id", tried.iter().map(|(item, _)| item.claim.tenant_id.as_str().to_owned()))
            .uuid("endpoint_id", tried.iter().map(|(item, _)| item.endpoint_id.0))
            .uuid("subject_id", tried.iter().map(|(item, _)| item.claim.subject_id))
            .uuid("event_id", tried.iter().map(|(_, attempt)| attempt.event_id.0))
            .text("event_type", tried.iter().map(|(_, attempt)| attempt.event_type.clone()))
            .integer("version", tried.iter().map(|(_, attempt)| attempt.version))
            .integer("started_at_us", tried.iter().map(|(_, attempt)| to_us(attempt.started_at)))
            .integer("ended_at_us", tried.iter().map(|(_, attempt)| to_us(attempt.ended_at)))
            .text("outcome", tried.iter().map(|(_, attempt)| attempt.outcome.as_str().to_owned()))
            .integer("status", tried.iter().map(|(_, attempt)| attempt.status.map_or(0, i64::from)))
            .optional_text("answer", tried.iter().map(|(_, attempt)| attempt.answer.clone()))
            .optional_text(
                "provider_message_id",
                tried.iter().map(|(_, attempt)| attempt.provider_message_id.clone()),
            )
            .integer("is_resend", tried.iter().map(|(_, attempt)| i64::from(attempt.is_resend)));
        let insert = " insert into delivery_attempt
                (id, tenant_id, endpoint_id, subject_id, event_id, event_type, version, started_at_us, ended_at_us,
                 outcome, status, answer, provider_message_id, is_resend)
              select id, tenant_id, endpoint_id, subject_id, event_id, event_type, version, started_at_us, ended_at_us,
                outcome, nullif(status, 0), answer, provider_message_id, is_resend from r";
        execute(transaction, self.statement_over(rows, vec![], insert)).await?;
        Ok(())
    }

    /// A page of what was tried for one delivery, newest first.
    pub async fn delivery_attempts(
        &self,
        tenant: &TenantId,
        endpoint_id: EndpointId,
        subject_id: Uuid,
        before: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<DeliveryAttempt>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let statement = self.statement(
            "select id, event_id, event_type, version, started_at_us, ended_at_us, outcome, status, answer,
               provider_message_id, is_resend
             from delivery_attempt
             where endpoint_id = $1 and subject_id = $2 and tenant_id = $3 and id < $4 order by id desc limit $5",
            [
                Value::from(endpoint_id.0),
                Value::from(subject_id),
                Value::from(tenant.as_str()),
                Value::from(before.unwrap_or(Uuid::max())),
                Value::from(limit),
            ],
        );
        let found = self.within(async { all(self.reader(), statement).await }).await?;
        found.iter().map(read).collect()
    }

    /// Forgets what was tried before a time, at most `limit` rows; how many went.
    pub async fn forget_attempts(&self, before: DateTime<Utc>, limit: i64) -> Result<u64, StoreError> {
        let statement = self.statement(
            "delete from delivery_attempt where id in
               (select id from delivery_attempt where id < $1 order by id limit $2)",
            [Value::from(first_id_of(before)), Value::from(limit)],
        );
        self.within(async { execute(&self.inner.writer, statement).await }).await
    }
}

/// The least id that anything made at that time or later can have.
fn first_id_of(time: DateTime<Utc>) -> Uuid {
    let milliseconds = u128::try_from(time.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128(milliseconds << 80)
}

fn read(row: &QueryResult) -> Result<DeliveryAttempt, StoreError> {
    let outcome: String = row.try_get("", "outcome")?;
    let status: Option<i64> = row.try_get("", "status")?;
    let is_resend: i64 = row.try_get("", "is_resend")?;
    Ok(DeliveryAttempt {
        id: row.try_get("", "id")?,
        event_id: EventId(row.try_get("", "event_id")?),
        event_type: row.try_get("", "event_type")?,
        version: row.try_get("", "version")?,
        started_at: from_us(row.try_get("", "started_at_us")?)?,
        ended_at: from_us(row.try_get("", "ended_at_us")?)?,
        outcome: AttemptOutcome::parse(&outcome)
            .ok_or_else(|| StoreError::unreadable("outcome", &outcome))?,
        status: status.and_then(|status| u16::try_from(status).ok()),
        answer: row.try_get("", "answer")?,
        provider_message_id: row.try_get("", "provider_message_id")?,
        is_resend: is_resend != 0,
    })
}
