//! What a boleto clerk is told.

use crate::work::{ClaimGuard, Place};

/// The prefix of the queues of a provider's accounts; each account has a queue of its own below it.
pub fn queue_prefix(provider: &str) -> String {
    format!("order/{provider}/")
}

/// Told to the clerk of one bank.
pub enum BoletoClerkMessage {
    /// There may be rows to claim.
    WorkAvailable,
    /// Rows that were claimed; each is held by its guard.
    Claimed(Vec<(ClaimGuard, Place)>),
    /// An attempt panicked. Its row has gone back; whoever hears this has a bug and ends.
    AttemptPanicked,
}
