//! What a reconciler is told.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::bank_account::BankAccount;
use crate::domain::ids::WorkId;
use crate::domain::work::{NewWork, kind};
use crate::store::reconciliation::reconciliation_key;
use crate::work::{ClaimGuard, Place};

/// Attempts at one run. Each waits longer up to `reconciliation.retry_cap`, so that with an hour they span a year.
const ATTEMPTS_MAX: i64 = 10_000;

/// The prefix of the queues of a provider's accounts; each account has a queue of its own below it.
pub fn queue_prefix(provider: &str) -> String {
    format!("reconciliation/{provider}/")
}

/// The row that has an account's bank asked at that time.
pub fn reconciliation_work(account: &BankAccount, run_at: DateTime<Utc>, now: DateTime<Utc>) -> NewWork {
    NewWork {
        id: WorkId(Uuid::now_v7()),
        tenant_id: account.tenant_id.clone(),
        kind: kind::BOLETO_RECONCILE,
        queue: format!("{}{}", queue_prefix(account.provider.as_str()), account.id),
        priority: 0,
        run_at,
        attempts_max: ATTEMPTS_MAX,
        unique_key: Some(reconciliation_key(account.id)),
        subject_id: account.id.0,
        payload: "{}".to_owned(),
        traceparent: None,
        claimed_by: None,
        sent_at: None,
        created_at: now,
    }
}

/// How far the look-ups of an account have come, where its bank is asked about one open boleto after the other. The run's
/// row keeps it, and so does the row of the next run, until every open boleto was asked about once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Position {
    /// The last one that was asked about.
    pub after: Option<Uuid>,
    /// The day on which this round began.
    pub began: Option<NaiveDate>,
}

impl Position {
    /// As a row keeps it. What cannot be read begins a new round, which is harmless.
    pub fn read(payload: &str) -> Self {
        serde_json::from_str(payload).unwrap_or_default()
    }

    /// For a row to keep.
    pub fn payload(self) -> String {
        serde_json::json!(self).to_string()
    }
}

/// Told to the reconciler of one bank.
pub enum ReconcilerMessage {
    /// There may be rows to claim, and accounts without a row.
    WorkAvailable,
    /// Rows that were claimed; each is held by its guard.
    Claimed(Vec<(ClaimGuard, Place)>),
    /// A run panicked. Its row has gone back; whoever hears this has a bug and ends.
    RunPanicked,
}
