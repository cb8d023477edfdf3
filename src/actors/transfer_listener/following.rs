//! When a feed is listened to: while this process holds its office, one connection after the other.
//!
//! **Owns** the task of the connection. **Fails** never: each end of a connection is a state with a wait.
//! **Limits**: waits between tries at a feed that lets us in no longer are `Means::retry`'s; those at a store that is away go up
//! to [`STORE_WAIT`]'s cap.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{Instrument as _, debug, error, info_span, warn};

use super::Means;
use super::intake::{Intake, Trouble};
use crate::connectors::transfer_feeds::{FeedError, TransferFeed as _};
use crate::messages::transfers::FeedState;
use crate::store::StoreError;
use crate::supervision::Backoff;

/// Groups of news that wait for us, at most.
const NEWS_MAX: usize = 4;

/// Between two looks whether the store answers again.
const STORE_WAIT: Backoff = Backoff {
    base: Duration::from_millis(500),
    factor: 2.0,
    cap: Duration::from_secs(15),
    jitter: 0.2,
    reset_after: Duration::from_secs(60),
};

/// Between two connections that ended while a record was read again.
const READ_WAIT: Backoff =
    Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(60), ..STORE_WAIT };

/// Listens whenever it is this process's turn.
pub(super) async fn follow(means: Arc<Means>) {
    let feed = &means.feed;
    loop {
        feed.became(FeedState::Elsewhere, means.store.now());
        means.office.taken().await;
        feed.became(FeedState::Connecting, means.store.now());
        tokio::select! {
            biased;
            () = means.office.lost() => debug!(feed = feed.name, "feed left to another process"),
            () = listen_for_ever(&means) => {}
        }
    }
}

/// Listens again and again; only its being dropped ends it.
async fn listen_for_ever(means: &Arc<Means>) {
    let mut failures = 0;
    loop {
        let mut intake = Intake::new(means);
        let ended = listen(means, &mut intake).await;
        if intake.is_reconciled() {
            failures = 0;
        }
        let wait = match &ended {
            Ended::Refused(reason) => {
                refused(means, reason);
                means.retry.delay(failures, rand::random())
            }
            Ended::StoreAway(reason) => {
                lost(means, "the store is away", reason);
                wait_for_the_store(means).await;
                continue;
            }
            Ended::Unread(reason) => {
                lost(means, "a record could not be read", reason);
                READ_WAIT.delay(failures, rand::random())
            }
        };
        failures = failures.saturating_add(1);
        tokio::time::sleep(wait).await;
    }
}

/// How a connection ended, by what is done next.
enum Ended {
    /// Nothing but a person's hand helps, so that it is tried again now and then.
    Refused(FeedError),
    StoreAway(StoreError),
    Unread(FeedError),
}

/// Listens until the feed will have us no longer, or what it tells cannot be kept.
async fn listen(means: &Arc<Means>, intake: &mut Intake<'_>) -> Ended {
    let (news, mut told) = mpsc::channel(NEWS_MAX);
    // Hangs up when it is dropped. A task of its own, so that it reads on while we wait for the store.
    let mut listening = JoinSet::new();
    let (connector, span) = (means.feed.connector.clone(), info_span!("feed.listen", feed = means.feed.name));
    listening.spawn(async move { connector.listen(news).await }.instrument(span));
    if let Err(trouble) = intake.take_in(&mut told).await {
        return match trouble {
            Trouble::Store(error) => Ended::StoreAway(error),
            Trouble::Feed(error) => Ended::Unread(error),
        };
    }
    match listening.join_next().await {
        Some(Ok(Err(error))) => Ended::Refused(error),
        // A panic in there is a bug, and this task ends with it; it is never cancelled while we wait for it.
        Some(Err(panicked)) if panicked.is_panic() => std::panic::resume_unwind(panicked.into_panic()),
        _ => Ended::Unread(FeedError::Unavailable {
            retry_after: None,
            reason: "the stream ended without a reason".to_owned(),
        }),
    }
}

fn refused(means: &Means, error: &FeedError) {
    let (feed, state) = (&means.feed, FeedState::Refused { reason: error.to_string() });
    if feed.status.borrow().state != state {
        error!(feed = feed.name, %error, "feed lets us in no longer; it is tried again now and then");
    }
    feed.became(state, means.store.now());
}

fn lost(means: &Means, reason: &str, error: impl std::fmt::Display) {
    let (feed, state) = (&means.feed, FeedState::Lost { reason: reason.to_owned() });
    if feed.status.borrow().state != state {
        warn!(feed = feed.name, %error, reason, "feed given up for a while");
    }
    feed.became(state, means.store.now());
}

/// What was told meanwhile is in the next snapshot.
async fn wait_for_the_store(means: &Means) {
    for failures in 0.. {
        tokio::time::sleep(STORE_WAIT.delay(failures, rand::random())).await;
        if means.store.queue_pauses().await.is_ok() {
            return;
        }
    }
}
