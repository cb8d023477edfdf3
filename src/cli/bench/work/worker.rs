//! A worker whose jobs do nothing, built as the notifier is: it claims beside its mailbox, and each job is a task with a
//! deadline that holds its guard and its place.
//!
//! **Owns** nothing that a crash may lose. **Fails** as workers do, by ending when a job panicked.
//! **Limits**: those of its claimer's places; where each job is committed by itself, so many at once as permits.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::actors::hands::{Claims, Hands};
use crate::domain::ids::WorkId;
use crate::domain::work::{Claim, WorkState};
use crate::store::work::Ending;
use crate::supervision::{Actor, ActorError, ChildSpec, Context};
use crate::work::acknowledge::Acknowledgements;
use crate::work::ticker::Ticker;
use crate::work::{ClaimGuard, Claimer, Hints, Place};

/// The deadline of a job.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// What the worker works with.
#[derive(Clone)]
pub(super) struct Means {
    pub claimer: Claimer,
    pub hints: Hints,
    pub how: How,
    pub poll_interval: Duration,
    /// Nothing is claimed before this is true.
    pub open: watch::Receiver<bool>,
    /// Told of each job that starts.
    pub started: Option<mpsc::UnboundedSender<(WorkId, Instant)>>,
}

/// How jobs are acknowledged.
#[derive(Clone)]
pub(super) enum How {
    Batched(Acknowledgements),
    OneByOne {
        at_once: Arc<Semaphore>,
        /// Of jobs whose end has been written down.
        count: watch::Sender<u64>,
    },
}

/// What the worker is told.
pub(super) enum WorkerMessage {
    WorkAvailable,
    Claimed(Claims),
    JobPanicked,
}

/// The worker.
pub(super) struct Worker {
    means: Arc<Means>,
    hands: Hands<WorkerMessage>,
    _ticker: Ticker,
}

impl Worker {
    pub fn spec(means: Means) -> ChildSpec {
        let means = Arc::new(means);
        let (_, spec) = ChildSpec::worker("worker", move |context: Context<WorkerMessage>| {
            let means = means.clone();
            async move {
                let hint = means.hints.listen(&means.claimer.queue_prefix);
                let ticker = Ticker::start(context.myself.clone(), means.poll_interval, Some(hint), || {
                    WorkerMessage::WorkAvailable
                });
                let hands = Hands::new(means.claimer.clone(), context.myself, WorkerMessage::Claimed, || {
                    WorkerMessage::JobPanicked
                });
                Ok(Self { means, hands, _ticker: ticker })
            }
        });
        spec
    }
}

impl Actor for Worker {
    type Message = WorkerMessage;

    async fn handle(&mut self, message: WorkerMessage) -> Result<(), ActorError> {
        match message {
            WorkerMessage::WorkAvailable if *self.means.open.borrow() => self.hands.claim(),
            WorkerMessage::WorkAvailable => {}
            WorkerMessage::Claimed(claims) => {
                for (guard, place) in claims {
                    self.hands.spawn(perform(self.means.clone(), guard, place));
                }
                self.hands.claim();
            }
            WorkerMessage::JobPanicked => return Err(self.hands.after_a_panic().await),
        }
        Ok(())
    }

    async fn stopping(&mut self) {
        self.hands.finish().await;
        if let How::Batched(acknowledgements) = &self.means.how {
            acknowledgements.flush().await;
        }
    }
}

async fn perform(means: Arc<Means>, mut guard: ClaimGuard, place: Place) {
    match &means.how {
        How::Batched(acknowledgements) => {
            if attempt(&means, &mut guard).await {
                acknowledgements.end(guard, WorkState::Completed, None).await;
            }
        }
        How::OneByOne { at_once, count } => {
            // Nobody closes it, and without a permit the guard gives the row back.
            let Ok(_permit) = at_once.acquire().await else { return };
            if !attempt(&means, &mut guard).await {
                return;
            }
            let ending = Ending::of(guard.claim(), WorkState::Completed, None);
            match means.claimer.store.end_alone(&[ending], Utc::now()).await {
                Ok(ended) => {
                    guard.settled();
                    count.send_modify(|count| *count += ended.len() as u64);
                }
                Err(error) => warn!(%error, "job not acknowledged; given back"),
            }
        }
    }
    drop(place);
}

/// One job under its deadline.
async fn attempt(means: &Means, guard: &mut ClaimGuard) -> bool {
    guard.begin();
    if let Some(started) = &means.started {
        // Who has stopped listening has measured enough.
        let _ = started.send((guard.claim().id, Instant::now()));
    }
    timeout(ATTEMPT_TIMEOUT, no_op(guard.claim())).await.is_ok()
}

async fn no_op(claim: &Claim) {
    std::hint::black_box(&claim.payload);
}
