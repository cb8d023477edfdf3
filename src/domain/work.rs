//! Work: something that must be done and is a row until it is. Its states are drawn once, here.
//!
//! ```text
//!            insert                claim                 ack
//! scheduled ───────► available ───────────► running ───────────► completed
//!     ▲   run_at due     ▲                   │  │  │
//!     │                  │   lease expired   │  │  └─ discarded (attempts spent, or told never to retry): dead letter
//!     └── snooze ────────┼───────────────────┘  └──── cancelled
//!                        └────── retryable (backoff)
//! ```
//!
//! **Owns** nothing. Pure: the retry policy is a function of the attempt and of a random share that is passed in.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::ids::{RunnerId, TenantId, WorkId};

/// Where a row of work stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WorkState {
    /// Not due yet.
    Scheduled,
    /// Due; any process may claim it.
    Available,
    /// Claimed under a fence.
    Running,
    /// An attempt did not end it; due again after its backoff.
    Retryable,
    Completed,
    Cancelled,
    /// A dead letter.
    Discarded,
}

impl WorkState {
    /// Every state, in the order of the drawing.
    pub const ALL: [Self; 7] = [
        Self::Scheduled,
        Self::Available,
        Self::Running,
        Self::Retryable,
        Self::Completed,
        Self::Cancelled,
        Self::Discarded,
    ];

    /// The state's name in the store and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Available => "available",
            Self::Running => "running",
            Self::Retryable => "retryable",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Discarded => "discarded",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether the row has left the hot table.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Discarded)
    }
}

/// What kinds of work there are.
pub mod kind {
    /// Have a bank register a boleto; the subject is the boleto.
    pub const BOLETO_REGISTER: &str = "boleto.register";
    /// Have a bank do what was ordered with a boleto; the subject is the boleto.
    pub const BOLETO_ORDER: &str = "boleto.order";
    /// Ask a bank what was paid and taken off file; the subject is the bank account.
    pub const BOLETO_RECONCILE: &str = "boleto.reconcile";
    /// Send a subject's events to an endpoint; the subject is the boleto.
    pub const NOTIFICATION_DELIVER: &str = "notification.deliver";
    /// A message about a boleto that could not be taken in; the subject is the message.
    pub const INGRESS_BOLETO: &str = "ingress.boleto";
    /// Have a vendor analyse a transfer's answers; the subject is the transfer.
    pub const TRANSFER_ANALYSE: &str = "transfer.analyse";
    /// Tell a feed what came of a transfer; the subject is the transfer.
    pub const TRANSFER_WRITE_BACK: &str = "transfer.write_back";
    /// Run a job; the subject is the run, and so is the row's own id.
    pub const JOB_RUN: &str = "job.run";
}

/// In which queues it waits.
pub mod queue {
    /// How the names of all queues begin; there are no others.
    pub const ROOTS: [&str; 9] = [
        "registration/",
        "order/",
        "reconciliation/",
        "delivery/",
        "ingress/",
        "analysis/",
        "write_back/",
        "jobs/",
        "aspsp/",
    ];
}

/// Work about to be inserted.
#[derive(Debug, Clone)]
pub struct NewWork {
    pub id: WorkId,
    pub tenant_id: TenantId,
    pub kind: &'static str,
    pub queue: String,
    /// Smaller goes first.
    pub priority: i64,
    pub run_at: DateTime<Utc>,
    pub attempts_max: i64,
    /// At most one live row has it.
    pub unique_key: Option<String>,
    pub subject_id: uuid::Uuid,
    pub payload: String,
    pub traceparent: Option<String>,
    /// Claimed as it is made, by a process that has a place free for it.
    pub claimed_by: Option<RunnerId>,
    /// Committed before bytes leave; set here when the first attempt follows at once.
    pub sent_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// A row as its holder knows it. Every write about it names `runner_id` and `fence`, and changes nothing if they moved on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub id: WorkId,
    pub tenant_id: TenantId,
    pub kind: String,
    pub queue: String,
    /// Counted from 1.
    pub attempt: i64,
    pub attempts_max: i64,
    pub runner_id: RunnerId,
    /// Grows with every claim of the row.
    pub fence: i64,
    pub subject_id: uuid::Uuid,
    pub payload: String,
    /// When bytes last left for the outside, if they ever did.
    pub sent_at: Option<DateTime<Utc>>,
    pub traceparent: Option<String>,
    /// The span of this attempt, as a `traceparent`, once there is one.
    pub span: Option<String>,
    /// The span of the last attempt before it that is known of.
    pub earlier_span: Option<String>,
    pub last_error: Option<String>,
    pub created_at: DateTime<Utc>,
}

impl Claim {
    /// Whether another attempt is allowed after this one.
    pub fn has_attempts_left(&self) -> bool {
        self.attempt < self.attempts_max
    }
}

/// A first attempt at something, for tests.
#[cfg(test)]
pub(crate) fn a_claim() -> Claim {
    Claim {
        id: WorkId(uuid::Uuid::nil()),
        tenant_id: TenantId::default(),
        kind: "test".to_owned(),
        queue: "test".to_owned(),
        attempt: 1,
        attempts_max: 1,
        runner_id: RunnerId(uuid::Uuid::nil()),
        fence: 1,
        subject_id: uuid::Uuid::nil(),
        payload: String::new(),
        sent_at: None,
        traceparent: None,
        span: None,
        earlier_span: None,
        last_error: None,
        created_at: DateTime::UNIX_EPOCH,
    }
}

/// When a failed attempt is followed by the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The wait after the first attempt, before jitter.
    pub base: Duration,
    /// No wait is longer.
    pub cap: Duration,
}

impl RetryPolicy {
    /// The wait after `attempt` (counted from 1): base × 2ⁿ⁻¹ up to the cap, of which `share` (0 to 1) is taken beyond a
    /// tenth. The tenth keeps a lucky draw from asking an ailing party again at once.
    pub fn wait_after(&self, attempt: i64, share: f64) -> Duration {
        let doublings = attempt.clamp(1, 31) as u32 - 1;
        let full = self.base.saturating_mul(1 << doublings).min(self.cap);
        full.mul_f64(0.1 + 0.9 * share.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy { base: Duration::from_secs(2), cap: Duration::from_secs(600) };

    #[test]
    fn waits_double_up_to_the_cap() {
        let full: Vec<u64> = (1..=12).map(|attempt| POLICY.wait_after(attempt, 1.0).as_secs()).collect();
        assert_eq!(full, [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]);
        assert_eq!(POLICY.wait_after(i64::MAX, 1.0), POLICY.cap);
    }

    #[test]
    fn jitter_never_asks_again_at_once_and_never_waits_longer_than_the_full_wait() {
        assert_eq!(POLICY.wait_after(1, 0.0), Duration::from_millis(200));
        assert!(POLICY.wait_after(5, 0.5) < POLICY.wait_after(5, 1.0));
    }

    #[test]
    fn names_are_read_back() {
        for state in WorkState::ALL {
            assert_eq!(WorkState::from_name(state.as_str()), Some(state));
        }
        assert_eq!(WorkState::from_name("done"), None);
    }
}
