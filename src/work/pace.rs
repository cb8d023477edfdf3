//! How fast queues move: the attempts at a queue's work that this process has ended within the last minute, whatever came of them.
//!
//! **Owns** the counts, in memory; they begin anew with the process. **Fails** never.
//! **Limits**: [`QUEUES_MAX`] queues; where more of them move within a minute, those that come last are not counted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

/// A queue's minute is some 300 bytes.
const QUEUES_MAX: usize = 4_096;
const SECONDS: usize = 60;

/// The counts; clones are the same.
#[derive(Clone)]
pub struct Pace {
    began: Instant,
    minutes: Arc<Mutex<HashMap<String, Minute>>>,
}

/// Attempts of each of the last seconds; a second's place is its number's remainder.
struct Minute {
    counts: [u32; SECONDS],
    /// The second that was counted last.
    second: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { began: Instant::now(), minutes: Arc::default() }
    }
}

impl Pace {
    /// Notes that an attempt at a queue's work has ended.
    pub fn ended(&self, queue: &str, now: Instant) {
        let second = self.second(now);
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(minute) = minutes.get_mut(queue) {
            return minute.add(second);
        }
        if minutes.len() >= QUEUES_MAX {
            minutes.retain(|_, minute| second.saturating_sub(minute.second) < SECONDS as u64);
        }
        if minutes.len() < QUEUES_MAX {
            let mut minute = Minute { counts: [0; SECONDS], second };
            minute.add(second);
            minutes.insert(queue.to_owned(), minute);
        }
    }

    /// How many have ended within the last minute.
    pub fn last_minute(&self, queue: &str, now: Instant) -> u64 {
        let second = self.second(now);
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        minutes.get_mut(queue).map_or(0, |minute| {
            minute.forget_until(second);
            minute.counts.iter().copied().map(u64::from).sum()
        })
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_secs()
    }
}

impl Minute {
    fn add(&mut self, second: u64) {
        self.forget_until(second);
        // A remainder of sixty is a place among sixty.
        if let Some(count) = self.counts.get_mut((second % SECONDS as u64) as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// Empties the places of the seconds since the last one, which hold what is a minute old.
    fn forget_until(&mut self, second: u64) {
        for passed in 1..=second.saturating_sub(self.second).min(SECONDS as u64) {
            if let Some(count) = self.counts.get_mut(((self.second + passed) % SECONDS as u64) as usize) {
                *count = 0;
            }
        }
        self.second = self.second.max(second);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_has_ended_counts_for_a_minute() {
        let pace = Pace::default();
        let at = |seconds: u64| pace.began + Duration::from_secs(seconds);
        for (queue, second) in [("a", 0), ("a", 0), ("a", 1), ("b", 1), ("a", 59)] {
            pace.ended(queue, at(second));
        }
        let seen: Vec<u64> =
            [59, 60, 61, 118, 119, 500].map(|second| pace.last_minute("a", at(second))).into();
        assert_eq!(seen, [4, 2, 1, 1, 0, 0]);
        assert_eq!((pace.last_minute("b", at(2)), pace.last_minute("c", at(2))), (1, 0));
        pace.ended("a", at(501));
        pace.ended("a", at(500));
        assert_eq!(pace.last_minute("a", at(501)), 2, "whoever comes late is counted with the last");
    }

    #[test]
    fn no_more_queues_are_kept_than_there_may_be_and_those_that_rest_make_room() {
        let pace = Pace::default();
        for number in 0..=QUEUES_MAX {
            pace.ended(&number.to_string(), pace.began);
        }
        assert_eq!(pace.last_minute(&QUEUES_MAX.to_string(), pace.began), 0);
        let later = pace.began + Duration::from_secs(SECONDS as u64);
        pace.ended("new", later);
        assert_eq!(pace.last_minute("new", later), 1);
        assert_eq!(pace.minutes.lock().unwrap().len(), 1);
    }
}
