//! The store's clock: what waits for its next attempt goes by it, and so does what was sent, and not by the machine's.
//!
//! A machine's wall clock may be set an hour ahead or back, and those of several processes differ. So each process counts
//! on, by its monotonic clock, from a moment that it was told: on PostgreSQL by the server, again and again, so that all
//! processes agree; on the embedded store, which has one process, by its own wall clock, once, when it opens.
//!
//! **Owns** that moment. **Fails** never: while the database is away the last moment told stands. **Limits**: a wall
//! clock that was put right is believed by the embedded store at its next opening, not before.

use std::sync::{PoisonError, RwLock};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::ConnectionTrait as _;
use tokio::time::Instant;

use super::{Store, StoreError, StoreKind, from_us};

/// What was told, and when.
pub(super) struct Clock {
    told: RwLock<(Instant, DateTime<Utc>)>,
}

impl Clock {
    /// One that was told by the machine's wall clock.
    pub fn by_the_machine() -> Self {
        Self { told: RwLock::new((Instant::now(), Utc::now())) }
    }

    fn now(&self) -> DateTime<Utc> {
        let (at, moment) = *self.told.read().unwrap_or_else(PoisonError::into_inner);
        // A process that has run for longer than a `TimeDelta` holds is none.
        moment + TimeDelta::from_std(at.elapsed()).unwrap_or(TimeDelta::zero())
    }

    fn tell(&self, moment: DateTime<Utc>) {
        *self.told.write().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), moment);
    }
}

impl Store {
    /// The moment by the store's clock. Whatever is compared with a row's `run_at` or `sent_at` comes from here.
    pub fn now(&self) -> DateTime<Utc> {
        self.inner.clock.now()
    }

    /// Asks the server what time it is, where there is a server.
    pub async fn ask_the_time(&self) -> Result<(), StoreError> {
        if self.kind() == StoreKind::Sqlite {
            return Ok(());
        }
        let question = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint as now_us";
        let statement = self.statement(question, []);
        self.within(async {
            if let Some(row) = self.reader().query_one_raw(statement).await? {
                self.inner.clock.tell(from_us(row.try_get("", "now_us")?)?);
            }
            Ok(())
        })
        .await
    }
}
