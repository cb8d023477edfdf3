//! What a caller does by hand beside the rows that have a verb of their own: to actors, queues, jobs, the work itself.
//!
//! A verb that changes rows writes the record in its own transaction. What has no transaction, such as the restart of an actor, is
//! recorded before it is done, and is not done where that fails.
//!
//! **Owns** nothing. **Fails** with the store's trouble. **Limits**: who did it is whoever asked for what runs here
//! ([`caller`]); a name of a subject keeps its first 255 characters.

use chrono::{DateTime, Utc};
use sea_orm::DatabaseTransaction;
use serde_json::Value;
use uuid::Uuid;

use super::audit_list::Subject;
use super::{Store, StoreError, to_us};
use crate::caller;
use crate::domain::audit::Record;
use crate::telemetry;

const NAME_CHARS_MAX: usize = 255;

/// Something that a caller does by hand.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    /// The method that was called, without its service.
    pub method: &'static str,
    pub subject: Subject,
    /// In their own words; empty where nobody asks for any.
    pub reason: String,
    pub before: Value,
    pub after: Value,
    pub now: DateTime<Utc>,
}

impl Store {
    /// Writes down what is about to be done, in a transaction of its own.
    pub async fn audit_act(&self, act: Act) -> Result<(), StoreError> {
        let transaction = self
            .within(async {
                let transaction = self.begin().await?;
                self.record_act(&transaction, act).await?;
                Ok(transaction)
            })
            .await?;
        self.commit(transaction).await
    }

    /// Writes down what is done in this transaction, as its last statement.
    pub(super) async fn record_act(
        &self,
        transaction: &DatabaseTransaction,
        act: Act,
    ) -> Result<(), StoreError> {
        let (subject_id, subject) = match act.subject {
            Subject::Id(id) => (id, None),
            Subject::Named(name) => (Uuid::nil(), Some(name.chars().take(NAME_CHARS_MAX).collect())),
        };
        let tenant_id = caller::current().map(|caller| caller.tenant_id.clone()).unwrap_or_default();
        let record = Record {
            sequence: None,
            id: Uuid::now_v7(),
            tenant_id: tenant_id.as_str().to_owned(),
            at_us: to_us(act.now),
            actor: Some(caller::name()),
            method: act.method.to_owned(),
            subject_id,
            subject,
            reason: act.reason,
            before: Some(act.before.to_string()),
            after: Some(act.after.to_string()),
            traceparent: telemetry::traceparent(),
        };
        self.append_record(transaction, record).await
    }
}
