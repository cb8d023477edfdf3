//! What of the timetable is forgotten: slots and runs of long ago.
//!
//! A run ends behind its slot, so that a slot that is still known has its run.
//!
//! **Fails** as the store does. **Limits**: as many rows a statement as the caller says; what lives is never forgotten. A backfill
//! that reaches back further than slots are known runs them again.

use chrono::{DateTime, Utc};
use sea_orm::Value;

use super::transaction::execute;
use super::{Store, StoreError, StoreKind, to_us};

impl Store {
    /// Forgets slots that came before `until`, at most `limit`.
    pub async fn forget_slots(&self, until: DateTime<Utc>, limit: i64) -> Result<u64, StoreError> {
        // By the index of each timetable, whose oldest slots stand first in it.
        let oldest = |row: &str| {
            format!(
                "select slot.{row} from schedule join schedule_slot slot on slot.job = schedule.job
                 where slot.at_us < $1 limit $2"
            )
        };
        let is_oldest = match self.kind() {
            StoreKind::PostgreSql => format!("ctid = any(array({}))", oldest("ctid")),
            StoreKind::Sqlite => format!("rowid in ({})", oldest("rowid")),
        };
        self.forget_old(&format!("delete from schedule_slot where {is_oldest}"), until, limit).await
    }

    /// Forgets runs that ended before `until`, at most `limit`.
    pub async fn forget_job_runs(&self, until: DateTime<Utc>, limit: i64) -> Result<u64, StoreError> {
        let oldest = "select id from job_run where ended_at_us < $1 order by ended_at_us limit $2";
        let is_oldest = match self.kind() {
            StoreKind::PostgreSql => format!("id = any(array({oldest}))"),
            StoreKind::Sqlite => format!("id in ({oldest})"),
        };
        self.forget_old(&format!("delete from job_run where {is_oldest}"), until, limit).await
    }

    async fn forget_old(&self, delete: &str, until: DateTime<Utc>, limit: i64) -> Result<u64, StoreError> {
        let statement = self.statement(delete, [Value::from(to_us(until)), Value::from(limit)]);
        self.within(async { execute(&self.inner.writer, statement).await }).await
    }
}
