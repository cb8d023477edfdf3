//! How fast queues grow or shrink, from two looks at them.
//!
//! **Owns** the counts of the look before. **Fails** never. **Limits**: the service counts no throughput, so this is not it: a
//! queue into which as much comes as leaves it stands still. Two looks closer than [`APART`] tell nothing, and the pace before
//! them is kept.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::proto::control::v1::Queue;

/// Counts that are closer are rounding, not a pace.
const APART: Duration = Duration::from_millis(100);

/// The looks so far.
#[derive(Debug, Default)]
pub struct Pace {
    before: Option<(Instant, HashMap<String, i64>)>,
    by_queue: HashMap<String, f64>,
}

impl Pace {
    /// Takes a look into account, of all queues in which something lives.
    pub fn look(&mut self, queues: &[Queue], now: Instant) {
        let waiting: HashMap<String, i64> = queues
            .iter()
            .map(|queue| (queue.name.clone(), queue.available + queue.scheduled + queue.retryable))
            .collect();
        if let Some((then, before)) = &self.before {
            let elapsed = now.saturating_duration_since(*then);
            if elapsed < APART {
                return;
            }
            // A queue that was not listed had nothing in it.
            let grown = |name: &str, count: i64| count - before.get(name).copied().unwrap_or_default();
            let paces = waiting.iter().map(|(name, count)| {
                let pace = grown(name, *count) as f64 / elapsed.as_secs_f64();
                (name.clone(), pace)
            });
            self.by_queue = paces.collect();
        }
        self.before = Some((now, waiting));
    }

    /// Rows a second by which more waits in it than before; nothing before the second look.
    pub fn of(&self, queue: &str) -> Option<f64> {
        self.by_queue.get(queue).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(name: &str, available: i64) -> Queue {
        Queue { name: name.to_owned(), available, ..Queue::default() }
    }

    #[test]
    fn a_pace_takes_two_looks_and_a_queue_that_was_not_there_was_empty() {
        let (mut pace, begun) = (Pace::default(), Instant::now());
        pace.look(&[queue("a", 10)], begun);
        assert_eq!(pace.of("a"), None);
        pace.look(&[queue("a", 4), queue("b", 3)], begun + Duration::from_secs(2));
        assert_eq!((pace.of("a"), pace.of("b"), pace.of("c")), (Some(-3.0), Some(1.5), None));
        pace.look(&[queue("a", 400)], begun + Duration::from_millis(2_001));
        assert_eq!(pace.of("a"), Some(-3.0), "too close to tell");
    }
}
