//! What an operator's wish does to rows of work, be it about one row or a slice of many.
//!
//! **Fails** as the store does, and the caller's transaction with it. A row that somebody has in hand is left as it is.

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, Value};
use uuid::Uuid;

use super::rows::Rows;
use super::transaction::execute;
use super::{Store, StoreError, to_us};

impl Store {
    /// Makes waiting rows due now. Returns how many that were.
    pub(super) async fn hasten(
        &self,
        transaction: &DatabaseTransaction,
        ids: &[Uuid],
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        self.over(
            transaction,
            ids,
            vec![Value::from(to_us(now)), Value::from(reason)],
            " update work set state = 'available', run_at_us = $1, last_error = $2
              where id in (select id from r) and state in ('scheduled', 'retryable', 'available')",
        )
        .await
    }

    /// Makes dead letters live again with their attempts restored, but for those whose subject has other live work.
    pub(super) async fn revive(
        &self,
        transaction: &DatabaseTransaction,
        ids: &[Uuid],
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        let revived = self
            .over(
                transaction,
                ids,
                vec![Value::from(to_us(now)), Value::from(reason)],
                " insert into work (id, tenant_id, kind, queue, priority, run_at_us, state, attempt, attempts_max, fence,
                    unique_key, subject_id, payload, sent_at_us, traceparent, last_error, history, created_at_us)
                  select id, tenant_id, kind, queue, 0, $1, 'available', 0, attempts_max, fence,
                    unique_key, subject_id, payload, $1, traceparent, $2, history, created_at_us
                  from work_archive where id in (select id from r) and state = 'discarded'
                  on conflict do nothing",
            )
            .await?;
        self.over(
            transaction,
            ids,
            vec![],
            " delete from work_archive where id in (select id from r)
              and exists (select 1 from work where work.id = work_archive.id)",
        )
        .await?;
        Ok(revived)
    }

    /// Ends waiting rows, which the caller has locked.
    pub(super) async fn cancel(
        &self,
        transaction: &DatabaseTransaction,
        ids: &[Uuid],
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<u64, StoreError> {
        self.over(
            transaction,
            ids,
            vec![Value::from(to_us(now)), Value::from(reason)],
            " insert into work_archive (id, tenant_id, kind, queue, state, attempt, attempts_max, fence, unique_key,
                subject_id, payload, traceparent, last_error, history, created_at_us, ended_at_us)
              select id, tenant_id, kind, queue, 'cancelled', attempt, attempts_max, fence, unique_key,
                subject_id, payload, traceparent, $2, history, created_at_us, $1
              from work where id in (select id from r) and state in ('scheduled', 'retryable', 'available')",
        )
        .await?;
        self.over(
            transaction,
            ids,
            vec![],
            " delete from work where id in (select id from r) and state in ('scheduled', 'retryable', 'available')",
        )
        .await
    }

    /// Runs a statement whose `r` holds the ids of these rows.
    async fn over(
        &self,
        transaction: &DatabaseTransaction,
        ids: &[Uuid],
        values: Vec<Value>,
        sql: &str,
    ) -> Result<u64, StoreError> {
        if ids.is_empty() {
            return Ok(0);
        }
        let rows = Rows::new().uuid("id", ids.iter().copied());
        execute(transaction, self.statement_over(rows, values, sql)).await
    }
}
