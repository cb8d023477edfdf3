//! Places: how much may be in hand at once, in all and per queue.
//!
//! **Owns** the counts; a [`Place`] gives itself back when it is dropped, and if somebody was turned away meanwhile the
//! claim loop is woken. The counts outlive the worker that uses them, so that a worker which crashes and starts again
//! does not take more at once than it may, while what was in hand goes on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// The places of one worker; clones are the same places.
#[derive(Clone)]
pub struct Places {
    inner: Arc<Inner>,
}

struct Inner {
    per_queue_max: usize,
    total_max: usize,
    taken: Mutex<Taken>,
    freed: Arc<Notify>,
}

#[derive(Default)]
struct Taken {
    by_queue: HashMap<String, usize>,
    total: usize,
    /// Somebody found no place, or the claim loop left rows behind.
    somebody_waits: bool,
}

/// One thing in hand.
pub struct Place {
    places: Places,
    queue: String,
}

impl Places {
    /// Places, all free. `freed` is signalled when a place becomes free that somebody waits for.
    pub fn new(per_queue_max: usize, total_max: usize, freed: Arc<Notify>) -> Self {
        let inner = Inner { per_queue_max, total_max, taken: Mutex::default(), freed };
        Self { inner: Arc::new(inner) }
    }

    /// Takes a place in `queue` if there is one now.
    pub fn try_take(&self, queue: &str) -> Option<Place> {
        let mut taken = self.lock();
        let in_queue = taken.by_queue.get(queue).copied().unwrap_or(0);
        if in_queue >= self.inner.per_queue_max || taken.total >= self.inner.total_max {
            taken.somebody_waits = true;
            return None;
        }
        taken.total += 1;
        *taken.by_queue.entry(queue.to_owned()).or_default() += 1;
        Some(Place { places: self.clone(), queue: queue.to_owned() })
    }

    /// Places free in all.
    pub fn free(&self) -> usize {
        self.inner.total_max - self.lock().total
    }

    /// Whether anything is in hand.
    pub fn are_taken(&self) -> bool {
        self.lock().total > 0
    }

    /// The queues in which something is in hand, with the places still free there.
    pub fn busy(&self) -> Vec<(String, i64)> {
        let free = |in_hand: usize| i64::try_from(self.inner.per_queue_max - in_hand).unwrap_or(i64::MAX);
        self.lock().by_queue.iter().map(|(queue, in_hand)| (queue.clone(), free(*in_hand))).collect()
    }

    /// Places in a queue of which nothing is in hand.
    pub fn per_queue_max(&self) -> i64 {
        i64::try_from(self.inner.per_queue_max).unwrap_or(i64::MAX)
    }

    /// Has the claim loop woken when the next place becomes free.
    pub fn wake_me(&self) {
        self.lock().somebody_waits = true;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.inner.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.total -= 1;
        if let Some(in_queue) = taken.by_queue.get_mut(&self.queue) {
            *in_queue -= 1;
            if *in_queue == 0 {
                taken.by_queue.remove(&self.queue);
            }
        }
        if std::mem::take(&mut taken.somebody_waits) {
            self.places.inner.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_leaves_room_for_others_and_a_freed_place_wakes_who_waits() {
        let freed = Arc::new(Notify::new());
        let places = Places::new(2, 3, freed.clone());
        let first = places.try_take("a").expect("a place");
        let _second = places.try_take("a").expect("a place");
        assert!(places.try_take("a").is_none());
        assert_eq!(places.busy(), [("a".to_owned(), 0)]);
        let _other = places.try_take("b").expect("a place");
        assert!(places.try_take("c").is_none(), "three in all");
        drop(first);
        freed.notified().await;
        assert_eq!(places.free(), 1);
        assert!(places.try_take("a").is_some());
    }
}
