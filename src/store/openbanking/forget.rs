//! What is kept for a time: requests, visits, accesses that count nowhere any more, payments that have ended.
//!
//! With a visit or a payment goes what its owner was told of it, for it names the customer and could not be found any more when
//! the customer is erased.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: oldest first, a slice of `limit` at most, each its own transaction.
//! What an owner has still to be told of stays until that has come to an end, and so does a dead letter; a payment of a bundle
//! stays for as long as the bundle has not ended.

use chrono::{DateTime, Utc};
use sea_orm::{QueryResult, Value};
use uuid::Uuid;

use crate::store::rows::Rows;
use crate::store::transaction::{all, execute};
use crate::store::{Store, StoreError, StoreKind, to_us};

/// What can be forgotten by its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aged {
    Calls,
    /// Visits that have ended, or were never ended by anybody.
    Sessions,
    /// Accesses that a window reached for the last time: keep them for longer than the longest window does.
    Accesses,
    /// Payments of which a bank or a person has said how they ended.
    Payments,
}

impl Aged {
    /// Everything that there is.
    pub const ALL: [Self; 4] = [Self::Calls, Self::Sessions, Self::Accesses, Self::Payments];

    fn oldest(self) -> &'static str {
        match self {
            Self::Calls => {
                "select k.id from api_call k where k.sent_at_us < $1 order by k.sent_at_us limit $2"
            }
            Self::Sessions => {
                "select k.id from api_session k where k.started_at_us < $1 and not exists (
                    select 1 from delivery d where d.subject_id = k.id and d.state in ('pending', 'given_up'))
                 order by k.started_at_us limit $2"
            }
            Self::Accesses => "select k.id from quota_access k where k.at_us < $1 order by k.at_us limit $2",
            Self::Payments => {
                "select k.id from payment k where k.ended_at_us is not null and k.ended_at_us < $1
                   and k.state <> 'unresolved'
                   and not exists (
                    select 1 from delivery d where d.subject_id = k.id and d.state in ('pending', 'given_up'))
                   and not exists (
                    select 1 from payment b where b.id = k.parent_id and b.kind = 'bundle'
                      and b.state in ('in_progress', 'unresolved'))
                 order by k.ended_at_us, k.id limit $2"
            }
        }
    }

    fn table(self) -> &'static str {
        match self {
            Self::Calls => "api_call",
            Self::Sessions => "api_session",
            Self::Accesses => "quota_access",
            Self::Payments => "payment",
        }
    }

    /// Whether owners are told of it.
    fn is_told_of(self) -> bool {
        matches!(self, Self::Sessions | Self::Payments)
    }
}

impl Store {
    /// Forgets what is from before then; returns how many.
    pub async fn forget_aged(
        &self,
        what: Aged,
        before: DateTime<Utc>,
        limit: i64,
    ) -> Result<u64, StoreError> {
        let (transaction, count) = self
            .within(async {
                let transaction = self.begin().await?;
                // Two that forget at once share the slice out.
                let lock =
                    if self.kind() == StoreKind::PostgreSql { "for update of k skip locked" } else { "" };
                let find = self.statement(
                    &format!("{} {lock}", what.oldest()),
                    [Value::from(to_us(before)), Value::from(limit)],
                );
                let found = all(&transaction, find).await?;
                let id = |row: &QueryResult| row.try_get::<Uuid>("", "id");
                let ids: Vec<Uuid> = found.iter().map(id).collect::<Result<_, _>>()?;
                for forget in self.forgettings(what) {
                    if !ids.is_empty() {
                        let rows = Rows::new().uuid("id", ids.iter().copied());
                        execute(&transaction, self.statement_over(rows, vec![], &forget)).await?;
                    }
                }
                Ok((transaction, ids.len() as u64))
            })
            .await?;
        self.commit(transaction).await?;
        Ok(count)
    }

    /// The statements that forget a slice, what hangs on it first.
    fn forgettings(&self, what: Aged) -> Vec<String> {
        let mut forgettings = Vec::new();
        if what.is_told_of() {
            let of_delivery = match self.kind() {
                StoreKind::PostgreSql => {
                    "id = any(array(
                        select a.id from delivery d cross join lateral (
                            select id from delivery_attempt where endpoint_id = d.endpoint_id and subject_id = d.subject_id
                            offset 0
                        ) a where d.subject_id = any(array(select id from r))))"
                }
                StoreKind::Sqlite => {
                    "id in (
                        select a.id from delivery d cross join delivery_attempt a
                        on a.endpoint_id = d.endpoint_id and a.subject_id = d.subject_id
                        where d.subject_id in (select id from r))"
                }
            };
            forgettings.push(format!(" delete from delivery_attempt where {of_delivery}"));
            for table in ["delivery", "subject_event"] {
                forgettings.push(format!(" delete from {table} where {}", self.is_of_slice("subject_id")));
            }
        }
        forgettings.push(format!(" delete from {} where {}", what.table(), self.is_of_slice("id")));
        forgettings
    }
}
