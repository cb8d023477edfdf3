//! What a notifier is told.

use crate::work::{ClaimGuard, Place};

/// The prefix of the queues of a channel's endpoints; each endpoint has a queue of its own below it.
pub fn queue_prefix(channel: &str) -> String {
    format!("delivery/{channel}/")
}

/// Told to the notifier of one kind of channel.
pub enum NotifierMessage {
    /// There may be rows to claim.
    WorkAvailable,
    /// Rows that were claimed; each is held by its guard.
    Claimed(Vec<(ClaimGuard, Place)>),
    /// A delivery panicked. Its rows have gone back; whoever hears this has a bug and ends.
    DeliveryPanicked,
}
