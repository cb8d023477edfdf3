//! What the feed writer is told.

use crate::work::{ClaimGuard, Place};

/// How the names of its queues begin; behind that the tenant and the feed.
pub const QUEUE_PREFIX: &str = "write_back/";

/// Told to whoever writes results back.
pub enum FeedWriterMessage {
    /// There may be rows to claim.
    WorkAvailable,
    /// Rows that were claimed; each is held by its guard.
    Claimed(Vec<(ClaimGuard, Place)>),
    /// An attempt panicked. Its row has gone back; whoever hears this has a bug and ends.
    AttemptPanicked,
}
