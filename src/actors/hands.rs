//! What a claiming worker has in hand: one claim under way at most, and the tasks that work on what it claimed.
//!
//! **Owns** the tasks; dropped with the worker, they are aborted and their rows go back by their guards.
//! **Fails** by telling its worker that a task panicked, which is a bug: the worker then ends, and the tasks beside the one
//! that panicked go on without it, for they hold their own rows and places.
//! **Limits**: those of the [`Claimer`]'s places.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::supervision::{ActorError, Address};
use crate::work::{ClaimGuard, Claimer, Place};

/// What was claimed, each row with its place.
pub type Claims = Vec<(ClaimGuard, Place)>;

/// How long the words of a panic are looked for. The task has told of it while it unwound, so its end is at hand.
const PANIC_GRACE: Duration = Duration::from_millis(100);

/// Between two claims while something is in hand, so that rows are claimed by the dozen and not one by one; an idle worker
/// claims at once. Measured: without it, deliveries were claimed four at a time, at three times the cost.
const PACE: Duration = Duration::from_millis(5);

/// The hands of a worker whose messages are `M`.
pub struct Hands<M: Send + 'static> {
    myself: Address<M>,
    /// Tells the worker that a task panicked.
    panicked: fn() -> M,
    /// Somebody wishes a claim; wishes that come while one is under way become one.
    wish: Arc<Notify>,
    /// The one task that claims.
    claiming: AbortHandle,
    tasks: JoinSet<()>,
    /// What a task that panicked said, where it was met before it was looked for.
    words: Option<String>,
}

/// A task panicked: a bug in a connector or in the worker itself.
#[derive(Debug, thiserror::Error)]
#[error("a task panicked: {0}")]
struct TaskPanicked(String);

impl<M: Send + 'static> Hands<M> {
    /// Empty hands. `claimed` tells the worker what was claimed, `panicked` that a task panicked.
    pub fn new(claimer: Claimer, myself: Address<M>, claimed: fn(Claims) -> M, panicked: fn() -> M) -> Self {
        let wish = Arc::new(Notify::new());
        let claiming = tokio::spawn(claim_when_wished(claimer, myself.clone(), wish.clone(), claimed));
        let claiming = claiming.abort_handle();
        Self { myself, panicked, wish, claiming, tasks: JoinSet::new(), words: None }
    }

    /// Claims beside the mailbox, so that messages do not wait behind a statement; one claim at a time.
    pub fn claim(&self) {
        self.wish.notify_one();
    }

    /// Works on something beside the mailbox.
    pub fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        while let Some(ended) = self.tasks.try_join_next() {
            self.words = words_of(ended).or(self.words.take());
        }
        let alarm = Alarm { myself: self.myself.clone(), panicked: self.panicked };
        self.tasks.spawn(async move {
            task.await;
            drop(alarm);
        });
    }

    /// Finds the panic's words and lets the other tasks go on without this incarnation.
    pub async fn after_a_panic(&mut self) -> ActorError {
        let grace = Instant::now() + PANIC_GRACE;
        while self.words.is_none()
            && let Ok(Some(ended)) = timeout_at(grace, self.tasks.join_next()).await
        {
            self.words = words_of(ended);
        }
        let words = self.words.take().unwrap_or_else(|| "no words".to_owned());
        self.tasks.detach_all();
        ActorError::from(TaskPanicked(words))
    }

    /// Claims nothing more and waits for the tasks. The spec's shutdown time bounds it; past that they are aborted.
    pub async fn finish(&mut self) {
        self.claiming.abort();
        while self.tasks.join_next().await.is_some() {}
    }
}

impl<M: Send + 'static> Drop for Hands<M> {
    fn drop(&mut self) {
        self.claiming.abort();
    }
}

async fn claim_when_wished<M: Send + 'static>(
    claimer: Claimer,
    myself: Address<M>,
    wish: Arc<Notify>,
    claimed: fn(Claims) -> M,
) {
    // Behind a full claim there is more, and the next one will be full as well.
    let mut was_full = false;
    loop {
        // A rate or a breaker that lets something through again is nobody's signal, so its moment is waited for.
        match claimer.places.next_opening() {
            Some(opening) => drop(timeout_at(opening, wish.notified()).await),
            None => wish.notified().await,
        }
        let a_batch_fits = claimer.places.free() >= claimer.batch as usize;
        if claimer.places.in_hand() > 0 && !(was_full && a_batch_fits) {
            tokio::time::sleep(PACE).await;
        }
        was_full = false;
        match claimer.claim().await {
            Ok(claims) if claims.is_empty() => {}
            Ok(claims) => {
                was_full = claims.len() >= claimer.batch as usize;
                // An incarnation that has ended meanwhile drops the guards, and the rows go back.
                let _ = myself.send(claimed(claims)).await;
            }
            Err(error) => warn!(queues = claimer.queue_prefix, %error, "work not claimed"),
        }
    }
}

/// Tells the worker when the task that holds it panics.
struct Alarm<M: Send + 'static> {
    myself: Address<M>,
    panicked: fn() -> M,
}

impl<M: Send + 'static> Drop for Alarm<M> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // A full mailbox will not be told; the next panic finds it, and the row has gone back anyhow.
            let _ = self.myself.try_send((self.panicked)());
        }
    }
}

/// What a task said that ended by a panic.
fn words_of(ended: Result<(), JoinError>) -> Option<String> {
    ended.err()?.try_into_panic().ok().map(|panic| panic_words(&*panic))
}

fn panic_words(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(words), _) => (*words).to_owned(),
        (None, Some(words)) => words.clone(),
        (None, None) => "no words".to_owned(),
    }
}
