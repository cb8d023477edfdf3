//! Tells feeds what came of their transfers.
//!
//! **Owns** nothing that a crash may lose: the work row is the queue, and a result stays with its run.
//! **Fails** by ending when an attempt panicked, which is a bug; its supervisor starts it again, and parks it past its intensity.
//! The attempts beside the one that panicked go on.
//! **Limits**: `transfers.write_back.in_flight_max` results on their way to one feed; a feed that is away holds back its own alone.

mod attempt;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tracing::{Instrument as _, info_span};

use self::attempt::Attempt;
use super::config::transfers::WriteBackConfig;
use super::feed_attempt::Feeds;
use super::hands::Hands;
use crate::domain::work::Claim;
use crate::messages::FeedWriterMessage;
use crate::store::transfer_analysis::TransferSettled;
use crate::store::transfer_write_back::{WriteBackBegun, WriteBackSettlement};
use crate::supervision::{Actor, ActorError, Address, ChildSpec, Context, Shutdown};
use crate::work::ticker::Ticker;
use crate::work::{ClaimGuard, Claimer, Hints, Lane, Place};

/// What the writer works with; all of it outlives any one incarnation.
#[derive(Clone)]
pub struct Means {
    pub claimer: Claimer,
    pub feeds: Arc<Feeds>,
    pub begins: Lane<(Claim, DateTime<Utc>), Option<WriteBackBegun>>,
    pub settlements: Lane<WriteBackSettlement, TransferSettled>,
    pub hints: Hints,
    pub changes: watch::Sender<u64>,
    pub config: WriteBackConfig,
    /// Attempts after which a delivery of the news is a dead letter.
    pub delivery_attempts_max: i64,
    pub poll_interval: Duration,
    pub drain_timeout: Duration,
}

/// The writer.
pub struct FeedWriter {
    means: Arc<Means>,
    hands: Hands<FeedWriterMessage>,
    _ticker: Ticker,
}

impl FeedWriter {
    /// The writer as a child of the workers.
    pub fn spec(id: &str, means: Means) -> ChildSpec {
        let drain_timeout = means.drain_timeout;
        let means = Arc::new(means);
        // Nobody writes to it but its own ticker and hands.
        let (_, spec): (Address<FeedWriterMessage>, _) = ChildSpec::worker(id, move |context: Context<_>| {
            let means = means.clone();
            async move {
                let hint = means.hints.listen(&means.claimer.queue_prefix);
                // What waits from before this incarnation is looked for at once.
                hint.notify_one();
                let ticker = Ticker::start(context.myself.clone(), means.poll_interval, Some(hint), || {
                    FeedWriterMessage::WorkAvailable
                });
                let claimer = means.claimer.clone();
                let hands = Hands::new(claimer, context.myself, FeedWriterMessage::Claimed, || {
                    FeedWriterMessage::AttemptPanicked
                });
                Ok(Self { means, hands, _ticker: ticker })
            }
        });
        spec.shutdown(Shutdown::Timeout(drain_timeout))
    }

    fn attempt(&mut self, mut guard: ClaimGuard, place: Place) {
        let claim = guard.claim();
        let span =
            info_span!("transfer.write_back", transfer_id = %claim.subject_id, attempt = claim.attempt);
        guard.trace(&span);
        let attempt = Attempt::new(self.means.clone(), guard);
        self.hands.spawn(
            async move {
                attempt.run().await;
                drop(place);
            }
            .instrument(span),
        );
    }
}

impl Actor for FeedWriter {
    type Message = FeedWriterMessage;

    async fn handle(&mut self, message: FeedWriterMessage) -> Result<(), ActorError> {
        match message {
            FeedWriterMessage::WorkAvailable => self.hands.claim(),
            FeedWriterMessage::Claimed(claims) => {
                for (guard, place) in claims {
                    self.attempt(guard, place);
                }
                self.hands.claim();
            }
            FeedWriterMessage::AttemptPanicked => return Err(self.hands.after_a_panic().await),
        }
        Ok(())
    }

    async fn stopping(&mut self) {
        self.hands.finish().await;
    }

    fn describe(message: &FeedWriterMessage) -> &'static str {
        match message {
            FeedWriterMessage::WorkAvailable => "WorkAvailable",
            FeedWriterMessage::Claimed(_) => "Claimed",
            FeedWriterMessage::AttemptPanicked => "AttemptPanicked",
        }
    }
}
