//! What is kept for a time: requests, visits, accesses that count nowhere any more, payments that have ended.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: oldest first, a slice of `limit` at most, each its own transaction.

use chrono::{DateTime, Utc};
use sea_orm::Value;

use crate::store::transaction::execute;
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
            Self::Calls => "select id from api_call where sent_at_us < $1 order by sent_at_us limit $2",
            Self::Sessions => {
                "select id from api_session where started_at_us < $1 order by started_at_us limit $2"
            }
            Self::Accesses => "select id from quota_access where at_us < $1 order by at_us limit $2",
            Self::Payments => {
                "select id from payment where ended_at_us is not null and ended_at_us < $1
                   and state <> 'unresolved' order by ended_at_us, id limit $2"
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
}

impl Store {
    /// Forgets what is from before then; returns how many.
    pub async fn forget_aged(
        &self,
        what: Aged,
        before: DateTime<Utc>,
        limit: i64,
    ) -> Result<u64, StoreError> {
        let is_oldest = match self.kind() {
            StoreKind::PostgreSql => format!("id = any(array({}))", what.oldest()),
            StoreKind::Sqlite => format!("id in ({})", what.oldest()),
        };
        let statement = self.statement(
            &format!("delete from {} where {is_oldest}", what.table()),
            [Value::from(to_us(before)), Value::from(limit)],
        );
        self.within(async { execute(&self.inner.writer, statement).await }).await
    }
}
