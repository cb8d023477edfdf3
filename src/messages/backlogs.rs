//! How much waits for one bank account, so that a bank that is slower than its shops does not make a queue without end.
//!
//! **Owns** counts that are a quarter of a second old at most; what this process adds meanwhile is counted on top, what others
//! add is seen with the next count. Asked only where no place is free, so a queue that flows costs nothing.
//! **Fails** as the store does. **Limits**: `registration.backlog_max`; 10,000 queues at hand, then it begins anew.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::{Store, StoreError};

const COUNT_EVERY: Duration = Duration::from_millis(250);
const QUEUES_MAX: usize = 10_000;

/// The counts at hand; clones are the same.
#[derive(Clone)]
pub struct Backlogs {
    store: Store,
    /// 0: no bound.
    max: Arc<AtomicU32>,
    known: Arc<Mutex<HashMap<String, Known>>>,
}

#[derive(Clone, Copy)]
struct Known {
    waiting: u32,
    /// Let in since the count began; whether it saw them nobody knows, so they count beside it.
    let_in: u32,
    counted: Instant,
}

impl Backlogs {
    /// Nothing counted yet.
    pub fn new(store: Store, max: u32) -> Self {
        Self { store, max: Arc::new(AtomicU32::new(max)), known: Arc::default() }
    }

    /// Bounds every queue by another number from here on.
    pub fn set_max(&self, max: u32) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// Whether one more may wait in `queue`; if so, it is counted.
    pub async fn has_room(&self, queue: &str) -> Result<bool, StoreError> {
        let max = self.max.load(Ordering::Relaxed);
        if max == 0 {
            return Ok(true);
        }
        if let Some(has_room) = self.by_the_last_count(queue, max) {
            return Ok(has_room);
        }
        let waiting = self.store.count_waiting(queue, max).await?;
        let mut known = self.lock();
        let entry = known.entry(queue.to_owned()).or_insert_with(Known::nothing);
        entry.waiting = waiting.saturating_add(entry.let_in);
        Ok(entry.take(max))
    }

    /// Nothing when it is time to count. Whoever is told so counts; the others go by the last count meanwhile.
    fn by_the_last_count(&self, queue: &str, max: u32) -> Option<bool> {
        let mut known = self.lock();
        let Some(entry) = known.get_mut(queue) else {
            if known.len() >= QUEUES_MAX {
                known.clear();
            }
            known.insert(queue.to_owned(), Known::nothing());
            return None;
        };
        if entry.counted.elapsed() >= COUNT_EVERY {
            (entry.counted, entry.let_in) = (Instant::now(), 0);
            return None;
        }
        Some(entry.take(max))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn nothing() -> Self {
        Self { waiting: 0, let_in: 0, counted: Instant::now() }
    }

    fn take(&mut self, max: u32) -> bool {
        let has_room = self.waiting < max;
        self.waiting += u32::from(has_room);
        self.let_in += u32::from(has_room);
        has_room
    }
}
