//! Listens to one feed, and turns what it offers into transfers.
//!
//! One process of all listens to a feed: the one that holds its office. What the feed tells goes through the lane of offers
//! into the store, where seen twice is one; the feed is told nothing, so that what is lost on the way comes again with the next
//! snapshot. A store that is away has the stream given up, and begun anew once it answers.
//!
//! **Owns** nothing that a crash may lose, and a connection for as long as it holds the office.
//! **Fails** by ending when its task panicked, which is a bug. A feed that lets us in no longer is no failure: that is a state,
//! shown with the rule that is missing, and tried again with a growing wait.
//! **Limits**: so many offers under way as eight groups of the store's hold, sixteen records read again at a time, four groups
//! of news waiting; a listener that falls further behind has the stream begun anew.

pub mod feeds;
mod following;
mod intake;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};

use crate::messages::transfers::Feed;
use crate::store::Store;
use crate::store::transfer_offer::{Offer, Offered};
use crate::supervision::{Actor, ActorError, Address, Backoff, ChildSpec, Context, Shutdown};
use crate::work::leader::Office;
use crate::work::{Hints, Lane};

/// Offers that the store takes in at once. A sketch of the same statements wrote 10,000 a second in groups of 256 and 5,800 in groups
/// of 64, for each group has its sync; the store takes up to 512.
pub const OFFERS_MAX: usize = 256;

/// The office of who listens to a feed.
pub fn office_of(feed: &str) -> String {
    format!("feed/{feed}")
}

/// What a listener works with; all of it outlives any one incarnation.
#[derive(Clone)]
pub struct Means {
    pub feed: Arc<Feed>,
    pub store: Store,
    pub offers: Lane<Offer, Offered>,
    /// That of [`office_of`] the feed.
    pub office: Office,
    pub hints: Hints,
    /// Grows whenever this process has changed a transfer.
    pub changes: watch::Sender<u64>,
    /// Attempts of an analysis at most.
    pub analysis_attempts_max: i64,
    /// Attempts after which a delivery of the news is a dead letter.
    pub delivery_attempts_max: i64,
    /// Offers that the store takes in at once.
    pub group_max: usize,
    /// Between two tries at a feed that lets us in no longer.
    pub retry: Backoff,
    pub drain_timeout: Duration,
}

/// What a listener is told.
pub enum TransferListenerMessage {
    /// Its task panicked, which is a bug; what it had in hand comes again.
    TaskPanicked,
}

/// The task that follows the feed panicked.
#[derive(Debug, thiserror::Error)]
#[error("following the feed panicked")]
struct TaskPanicked;

/// The listener of one feed.
pub struct TransferListener {
    following: AbortHandle,
    ended: JoinHandle<()>,
}

impl TransferListener {
    /// The listener as a child of the ingress.
    pub fn spec(id: &str, means: Means) -> ChildSpec {
        let drain_timeout = means.drain_timeout;
        let means = Arc::new(means);
        // Nobody writes to it but its own task.
        let (_, spec): (Address<TransferListenerMessage>, _) =
            ChildSpec::worker(id, move |context: Context<_>| {
                let means = means.clone();
                async move { Ok(Self::start(means, context.myself)) }
            });
        spec.shutdown(Shutdown::Timeout(drain_timeout))
    }

    fn start(means: Arc<Means>, myself: Address<TransferListenerMessage>) -> Self {
        let task = tokio::spawn(following::follow(means));
        let following = task.abort_handle();
        let ended = tokio::spawn(async move {
            if task.await.is_err_and(|error| error.is_panic()) {
                // An incarnation that has ended meanwhile does not mind.
                let _ = myself.send(TransferListenerMessage::TaskPanicked).await;
            }
        });
        Self { following, ended }
    }
}

impl Drop for TransferListener {
    fn drop(&mut self) {
        self.following.abort();
    }
}

impl Actor for TransferListener {
    type Message = TransferListenerMessage;

    async fn handle(&mut self, message: TransferListenerMessage) -> Result<(), ActorError> {
        match message {
            TransferListenerMessage::TaskPanicked => Err(ActorError::from(TaskPanicked)),
        }
    }

    /// Hangs up on the feed first; offers that the store has in hand go on, the others come again.
    async fn stopping(&mut self) {
        self.following.abort();
        // It tells of a panic at most.
        let _ = (&mut self.ended).await;
    }

    fn describe(message: &TransferListenerMessage) -> &'static str {
        match message {
            TransferListenerMessage::TaskPanicked => "TaskPanicked",
        }
    }
}
