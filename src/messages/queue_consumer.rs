//! What a consumer of a queue is told, and what its queues are called here.

use crate::connectors::channels::sqs::source::Message;
use crate::work::{ClaimGuard, Place};

/// How all of its queues begin.
pub const QUEUE_PREFIX: &str = "ingress/boletos_to_register/";
/// What comes in: messages in hand, its pace, its pause and its breaker go by this name.
pub const QUEUE: &str = "ingress/boletos_to_register/messages";
/// Dead letters, and what of them an operator has tried again.
pub const PARKED_QUEUE: &str = "ingress/boletos_to_register/parked";

/// Told to the consumer of a queue.
pub enum QueueConsumerMessage {
    /// Messages that were received; each is hidden from others for a while, and has its place.
    Received(Vec<(Message, Place)>),
    /// There may be parked messages that an operator wants tried again.
    WorkAvailable,
    /// Such messages, claimed; each is held by its guard.
    Claimed(Vec<(ClaimGuard, Place)>),
    /// A task panicked, which is a bug; what it had in hand comes again.
    TaskPanicked,
}
