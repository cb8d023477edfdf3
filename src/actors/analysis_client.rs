//! Has recorded questionings analysed: a pool of slots, each with one transfer in hand, over every vendor.
//!
//! A slot asks about the answers of its transfer one after the other, or as many at once as the vendor takes in one call. Each
//! outcome is written down before the transfer goes on by more than one further call, so that whoever goes on after a crash asks
//! about the others only.
//!
//! **Owns** nothing that a crash may lose: the work row is the queue, each outcome a row of its own.
//! **Fails** by ending when an attempt panicked, which is a bug; its supervisor starts it again, and parks it past its intensity.
//! The attempts beside the one that panicked go on: they hold their own rows and places.
//! **Limits**: `transfers.analysis.slots` transfers at a time, which can be changed while it works, and `per_company_max` of one
//! company; a vendor that does not answer holds back its own queues alone.

mod answers;
mod attempt;
mod audio;
mod course;
mod owner;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tracing::{Instrument as _, info_span};

use self::attempt::Attempt;
pub use self::audio::AUDIO_BYTES_MAX;
use super::config::transfers::AnalysisConfig;
use super::feed_attempt::Feeds;
use super::hands::Hands;
use crate::connectors::analyzers::{AnalyzerConnector, AnalyzerKind};
use crate::connectors::channels::ChannelConnector;
use crate::connectors::http::HttpClient;
use crate::messages::{AnalysisClientMessage, KnownQueues};
use crate::store::transfer_analysis::{
    AnalysisBegin, AnalysisBegun, AnalysisSettlement, Checkpoint, TransferSettled,
};
use crate::supervision::{Actor, ActorError, Address, ChildSpec, Context, Shutdown};
use crate::work::ticker::Ticker;
use crate::work::{ClaimGuard, Claimer, Hints, Lane, Place};

/// What the pool works with; all of it outlives any one incarnation.
#[derive(Clone)]
pub struct Means {
    pub claimer: Claimer,
    pub feeds: Arc<Feeds>,
    pub analyzers: Arc<BTreeMap<AnalyzerKind, AnalyzerConnector>>,
    /// Fetches recordings for vendors that are handed them.
    pub recordings: HttpClient,
    /// By which users are told, and what addresses it takes.
    pub mail: ChannelConnector,
    /// The mailboxes that were named lately.
    pub mailboxes: KnownQueues,
    pub begins: Lane<AnalysisBegin, Option<AnalysisBegun>>,
    pub checkpoints: Lane<Checkpoint, bool>,
    pub settlements: Lane<AnalysisSettlement, TransferSettled>,
    pub hints: Hints,
    pub changes: watch::Sender<u64>,
    pub config: AnalysisConfig,
    /// Attempts to tell a feed at most.
    pub write_back_attempts_max: i64,
    /// Attempts after which a delivery of the news is a dead letter.
    pub delivery_attempts_max: i64,
    pub poll_interval: Duration,
    pub drain_timeout: Duration,
}

/// The pool.
pub struct AnalysisClient {
    means: Arc<Means>,
    hands: Hands<AnalysisClientMessage>,
    /// Has the attempts stop between two answers: a transfer may take longer than anybody waits for an end.
    is_ending: Arc<AtomicBool>,
    _ticker: Ticker,
}

impl AnalysisClient {
    /// The pool as a child of the workers.
    pub fn spec(id: &str, means: Means) -> ChildSpec {
        let drain_timeout = means.drain_timeout;
        let means = Arc::new(means);
        // Nobody writes to it but its own ticker and hands.
        let (_, spec): (Address<AnalysisClientMessage>, _) =
            ChildSpec::worker(id, move |context: Context<_>| {
                let means = means.clone();
                async move {
                    let hint = means.hints.listen(&means.claimer.queue_prefix);
                    // What waits from before this incarnation is looked for at once.
                    hint.notify_one();
                    let ticker =
                        Ticker::start(context.myself.clone(), means.poll_interval, Some(hint), || {
                            AnalysisClientMessage::WorkAvailable
                        });
                    let claimer = means.claimer.clone();
                    let hands = Hands::new(claimer, context.myself, AnalysisClientMessage::Claimed, || {
                        AnalysisClientMessage::AttemptPanicked
                    });
                    Ok(Self { means, hands, is_ending: Arc::default(), _ticker: ticker })
                }
            });
        spec.shutdown(Shutdown::Timeout(drain_timeout))
    }

    fn attempt(&mut self, mut guard: ClaimGuard, place: Place) {
        let claim = guard.claim();
        let span = info_span!("transfer.analyse", transfer_id = %claim.subject_id, attempt = claim.attempt);
        guard.trace(&span);
        let attempt = Attempt::new(self.means.clone(), guard, self.is_ending.clone());
        self.hands.spawn(
            async move {
                attempt.run().await;
                drop(place);
            }
            .instrument(span),
        );
    }
}

impl Actor for AnalysisClient {
    type Message = AnalysisClientMessage;

    async fn handle(&mut self, message: AnalysisClientMessage) -> Result<(), ActorError> {
        match message {
            AnalysisClientMessage::WorkAvailable => self.hands.claim(),
            AnalysisClientMessage::Claimed(claims) => {
                for (guard, place) in claims {
                    self.attempt(guard, place);
                }
                self.hands.claim();
            }
            AnalysisClientMessage::AttemptPanicked => return Err(self.hands.after_a_panic().await),
        }
        Ok(())
    }

    async fn stopping(&mut self) {
        self.is_ending.store(true, Ordering::Relaxed);
        self.hands.finish().await;
    }

    fn describe(message: &AnalysisClientMessage) -> &'static str {
        match message {
            AnalysisClientMessage::WorkAvailable => "WorkAvailable",
            AnalysisClientMessage::Claimed(_) => "Claimed",
            AnalysisClientMessage::AttemptPanicked => "AttemptPanicked",
        }
    }
}
