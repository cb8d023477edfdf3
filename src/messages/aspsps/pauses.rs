//! What operators have paused, as it was when it was last looked up.
//!
//! **Owns** that list for [`Pauses`]' interval. **Fails** towards not asking: where the store cannot say, what was known last holds,
//! and before anything is known every bank is held back. **Limits**: one reading an interval for all desks together.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;

use crate::store::queue::QueuePause;
use crate::store::{Store, StoreError};

const UNKNOWN: &str = "the store does not say whether it is paused";

type Read = dyn Fn() -> BoxFuture<'static, Result<Vec<QueuePause>, StoreError>> + Send + Sync;

/// The pauses; clones are the same.
#[derive(Clone)]
pub struct Pauses {
    inner: Arc<Inner>,
}

struct Inner {
    read: Box<Read>,
    interval: Duration,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    read_at: Option<Instant>,
    /// None before they have been read once.
    pauses: Option<Vec<QueuePause>>,
}

impl Pauses {
    /// Those of a store, looked up anew once they are older than the interval.
    pub fn of(store: Store, interval: Duration) -> Self {
        Self::read_by(
            Box::new(move || {
                let store = store.clone();
                async move { store.queue_pauses().await }.boxed()
            }),
            interval,
        )
    }

    pub(super) fn read_by(read: Box<Read>, interval: Duration) -> Self {
        Self { inner: Arc::new(Inner { read, interval, known: Mutex::default() }) }
    }

    /// Why a queue is held back, if it is.
    pub async fn reason(&self, queue: &str) -> Option<String> {
        // Held while they are read, so that a crowd of askers reads once.
        let mut known = self.inner.known.lock().await;
        let is_fresh = known.read_at.is_some_and(|at| at.elapsed() < self.inner.interval);
        if !is_fresh {
            match (self.inner.read)().await {
                Ok(pauses) => known.pauses = Some(pauses),
                Err(error) => warn!(%error, "pauses of banks are not known anew"),
            }
            // Also after a failure: a store that is away is not asked by every visit.
            known.read_at = Some(Instant::now());
        }
        let Some(pauses) = &known.pauses else { return Some(UNKNOWN.to_owned()) };
        pauses.iter().find(|pause| pause.covers(queue)).map(|pause| pause.reason.clone())
    }

    /// Has them read anew by whoever asks next.
    pub(super) async fn forget(&self) {
        self.inner.known.lock().await.read_at = None;
    }
}
