//! Counts the places of a mailbox: one is taken for a message, and given back when the message has been handled.
//!
//! **Owns** one counter that senders and the worker share. A semaphore of tokio's would do, but it takes a lock for
//! every place that is given back, which was 8 % of the rate of messages.
//! **Fails** with [`NoPlace`] when it is full or closed.
//! **Limits**: `capacity` places, a little less than 2⁶³ at most.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Marks a counter whose mailbox is gone.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// Why no place was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    Full,
    Closed,
}

/// The places of one mailbox.
#[derive(Debug)]
pub(super) struct Places {
    capacity: usize,
    taken: AtomicUsize,
    /// Those who wait for a place; while there are any, nobody else gets one.
    waiting: AtomicUsize,
    freed: Notify,
}

/// Counts somebody among those who wait, until dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Places {
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = capacity.clamp(1, CLOSED - 1);
        Self { capacity, taken: AtomicUsize::new(0), waiting: AtomicUsize::new(0), freed: Notify::new() }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many places are taken.
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed) & !CLOSED
    }

    /// Takes a place if one is free and nobody waits for it; says how many are taken then.
    pub(super) fn try_take(&self) -> Result<usize, NoPlace> {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            let closed = self.taken.load(Ordering::Relaxed) & CLOSED != 0;
            return Err(if closed { NoPlace::Closed } else { NoPlace::Full });
        }
        self.take_any()
    }

    /// Waits for a place, in turn; fails only when the mailbox is closed.
    pub(super) async fn take(&self) -> Result<usize, NoPlace> {
        if let Ok(taken) = self.try_take() {
            return Ok(taken);
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(&self.waiting);
        loop {
            // Listening begins before the look, so that a place freed in between is not missed.
            let mut freed = std::pin::pin!(self.freed.notified());
            freed.as_mut().enable();
            match self.take_any() {
                Err(NoPlace::Full) => freed.await,
                result => return result,
            }
        }
    }

    /// Gives a place back.
    pub(super) fn give_back(&self) {
        // Both sides write, then read what the other wrote, and the total order of these four lets one of them see it.
        self.taken.fetch_sub(1, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.freed.notify_one();
        }
    }

    /// Turns away all who wait and all who come.
    pub(super) fn close(&self) {
        self.taken.fetch_or(CLOSED, Ordering::SeqCst);
        self.freed.notify_waiters();
    }

    fn take_any(&self) -> Result<usize, NoPlace> {
        let mut taken = self.taken.load(Ordering::SeqCst);
        loop {
            if taken & CLOSED != 0 {
                return Err(NoPlace::Closed);
            }
            if taken >= self.capacity {
                return Err(NoPlace::Full);
            }
            match self.taken.compare_exchange_weak(taken, taken + 1, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return Ok(taken + 1),
                Err(seen) => taken = seen,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn who_waits_comes_before_who_tries() {
        let places = Arc::new(Places::new(1));
        assert_eq!(places.try_take(), Ok(1));
        assert_eq!(places.try_take(), Err(NoPlace::Full));
        let waiter = tokio::spawn({
            let places = places.clone();
            async move { places.take().await }
        });
        tokio::task::yield_now().await;
        places.give_back();
        assert_eq!(places.try_take(), Err(NoPlace::Full));
        assert_eq!(waiter.await.unwrap(), Ok(1));
        assert_eq!(places.taken(), 1);
    }

    #[tokio::test]
    async fn a_waiter_that_gives_up_passes_its_turn_on() {
        let places = Arc::new(Places::new(1));
        places.try_take().unwrap();
        let spawn = || {
            let places = places.clone();
            tokio::spawn(async move { places.take().await })
        };
        let (first, second) = (spawn(), spawn());
        tokio::task::yield_now().await;
        places.give_back();
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        assert_eq!(second.await.unwrap(), Ok(1));
    }

    #[tokio::test]
    async fn closing_turns_everybody_away() {
        let places = Arc::new(Places::new(1));
        places.try_take().unwrap();
        let waiter = tokio::spawn({
            let places = places.clone();
            async move { places.take().await }
        });
        tokio::task::yield_now().await;
        places.close();
        assert_eq!(waiter.await.unwrap(), Err(NoPlace::Closed));
        assert_eq!(places.try_take(), Err(NoPlace::Closed));
        places.give_back();
        assert_eq!(places.taken(), 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_wake_up_is_lost_between_threads() {
        const ROUNDS: usize = 2_000;
        let places = Arc::new(Places::new(2));
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let places = places.clone();
                tokio::spawn(async move {
                    for _ in 0..ROUNDS {
                        assert!(places.take().await.unwrap() <= 2);
                        tokio::task::yield_now().await;
                        places.give_back();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(places.taken(), 0);
    }
}
