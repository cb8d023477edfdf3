//! When the batches of a run begin, and how many users a run can serve before the next.
//!
//! **Owns** nothing. **Fails** nowhere. **Limits**: from start to start; a batch that overruns delays the next and never overlaps it.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// How a run is cut into batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// Users of one batch: at least 1.
    pub batch_size: u32,
    /// From the start of one batch to the start of the next.
    pub batch_interval: Duration,
    /// Whether a batch that ends early is followed at once.
    pub eager: bool,
}

impl Pacing {
    /// When the batch of that number (from 0) begins, the one before having ended then.
    pub fn start(
        &self,
        begin: DateTime<Utc>,
        number: u32,
        end_of_before: Option<DateTime<Utc>>,
    ) -> DateTime<Utc> {
        let Some(end_of_before) = end_of_before else { return begin };
        if self.eager {
            return end_of_before.max(begin);
        }
        let behind = TimeDelta::from_std(self.batch_interval.saturating_mul(number)).ok();
        let planned =
            behind.and_then(|behind| begin.checked_add_signed(behind)).unwrap_or(DateTime::<Utc>::MAX_UTC);
        planned.max(end_of_before)
    }

    /// Batches that so many users make.
    pub fn batches(&self, users: u64) -> u64 {
        users.div_ceil(u64::from(self.batch_size.max(1)))
    }

    /// Users whose batches begin within one period of the timetable.
    pub fn capacity(&self, period: Duration) -> u64 {
        let interval = self.batch_interval.as_secs().max(1);
        (period.as_secs() / interval).saturating_mul(u64::from(self.batch_size))
    }
}

/// The same in an order in which neighbours are of different banks for as long as there are any, and those of one bank stay in
/// theirs: so that no bank is asked by a crowd while others idle.
pub fn interleaved<T>(items: Vec<T>, bank: impl Fn(&T) -> &str) -> Vec<T> {
    let mut order: BTreeMap<(usize, usize), T> = BTreeMap::new();
    let mut seen: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for item in items {
        let next = seen.len();
        let (place, count) = seen.entry(bank(&item).to_owned()).or_insert((next, 0));
        order.insert((*count, *place), item);
        *count += 1;
    }
    order.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACING: Pacing = Pacing { batch_size: 10, batch_interval: Duration::from_mins(2), eager: false };

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_000_000 + minute * 60, 0).unwrap()
    }

    #[test]
    fn batches_begin_at_their_interval_and_never_overlap() {
        assert_eq!(PACING.start(at(0), 0, None), at(0));
        assert_eq!(PACING.start(at(0), 1, Some(at(1))), at(2), "an idle minute");
        assert_eq!(PACING.start(at(0), 2, Some(at(7))), at(7), "it overran");
        assert_eq!(
            PACING.start(at(0), 3, Some(at(8))),
            at(8),
            "and is not made up for by starting two at once"
        );
        let eager = Pacing { eager: true, ..PACING };
        assert_eq!(eager.start(at(0), 1, Some(at(1))), at(1));
    }

    #[test]
    fn banks_take_turns_and_nobody_is_lost() {
        let users = vec![("a", 1), ("a", 2), ("a", 3), ("b", 4), ("c", 5), ("b", 6)];
        let order = interleaved(users, |(bank, _)| bank);
        assert_eq!(order, [("a", 1), ("b", 4), ("c", 5), ("a", 2), ("b", 6), ("a", 3)]);
        assert!(interleaved(Vec::<&str>::new(), |bank| bank).is_empty());
    }

    #[test]
    fn the_defaults_serve_2400_users_in_eight_hours() {
        assert_eq!(PACING.capacity(Duration::from_hours(8)), 2_400);
        assert_eq!(PACING.batches(2_401), 241);
        assert_eq!((PACING.batches(0), PACING.batches(10), PACING.batches(11)), (0, 1, 2));
        assert_eq!(
            Pacing { batch_size: u32::MAX, batch_interval: Duration::ZERO, eager: true }
                .capacity(Duration::MAX),
            u64::MAX
        );
    }
}
