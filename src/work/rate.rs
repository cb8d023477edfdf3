//! A token bucket: so many a second, and a second's worth at once.
//!
//! **Owns** nothing outside itself. Pure: the moment is passed in.

use std::time::Duration;

use tokio::time::Instant;

use super::config::QueueLimit;

/// The bucket of one queue or tenant.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    per_second: f64,
    tokens: f64,
    counted: Instant,
}

impl Bucket {
    /// A full bucket. `per_second` is above 0; below 1 it still holds one token.
    pub fn new(per_second: f64, now: Instant) -> Self {
        Self { per_second, tokens: per_second.max(1.0), counted: now }
    }

    /// The bucket of a queue or a tenant with this limit; none where nothing bounds how fast it goes.
    pub fn of_limit(limit: QueueLimit, now: Instant) -> Option<Self> {
        (limit.rate_per_minute > 0).then(|| Self::new(f64::from(limit.rate_per_minute) / 60.0, now))
    }

    /// The same with another limit. What was taken from the bucket before stays taken, so that setting a rate again and again lets
    /// nothing more through.
    pub fn of_limit_after(before: Option<Self>, limit: QueueLimit, now: Instant) -> Option<Self> {
        let mut bucket = Self::of_limit(limit, now)?;
        if let Some(mut before) = before {
            before.fill(now);
            bucket.tokens = bucket.tokens.min(before.tokens);
        }
        Some(bucket)
    }

    /// Whole tokens there are.
    pub fn free(&mut self, now: Instant) -> usize {
        self.fill(now);
        self.tokens as usize
    }

    /// Takes one, which [`Self::free`] said is there.
    pub fn take(&mut self, now: Instant) {
        self.fill(now);
        self.tokens -= 1.0;
    }

    /// Whether nothing has been taken that has not come back.
    pub fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.tokens >= self.per_second.max(1.0)
    }

    /// When there will be one, if there is none now.
    pub fn next(&mut self, now: Instant) -> Option<Instant> {
        self.fill(now);
        // A little more than the exact time, so that who wakes then finds it.
        (self.tokens < 1.0).then(|| {
            now + Duration::from_secs_f64((1.0 - self.tokens) / self.per_second) + Duration::from_millis(1)
        })
    }

    fn fill(&mut self, now: Instant) {
        let more = now.saturating_duration_since(self.counted).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + more).min(self.per_second.max(1.0));
        self.counted = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_so_many_a_second_and_saves_no_more_than_a_second() {
        let start = Instant::now();
        let mut bucket = Bucket::new(4.0, start);
        for left in (0..4).rev() {
            bucket.take(start);
            assert_eq!(bucket.free(start), left);
        }
        let next = bucket.next(start).expect("it is empty");
        assert_eq!(bucket.free(next), 1);
        assert_eq!(bucket.next(next), None);
        assert_eq!(bucket.free(start + Duration::from_secs(60)), 4);
        assert!(bucket.is_full(start + Duration::from_secs(60)));
    }

    #[test]
    fn another_rate_gives_nothing_twice() {
        let start = Instant::now();
        let limit = |rate_per_minute| QueueLimit { in_flight_max: 0, rate_per_minute };
        let mut bucket = Bucket::of_limit(limit(240), start).expect("a rate");
        (0..3).for_each(|_| bucket.take(start));
        let mut same = Bucket::of_limit_after(Some(bucket), limit(240), start).expect("a rate");
        assert_eq!(same.free(start), 1, "set anew, it is not full anew");
        let mut faster = Bucket::of_limit_after(Some(bucket), limit(600), start).expect("a rate");
        assert_eq!((faster.free(start), faster.free(start + Duration::from_millis(500))), (1, 6));
        assert!(Bucket::of_limit_after(Some(bucket), limit(0), start).is_none());
    }

    #[test]
    fn one_a_minute_is_one_at_once_and_then_one_a_minute() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1.0 / 60.0, start);
        assert_eq!(bucket.free(start), 1);
        bucket.take(start);
        assert_eq!(bucket.free(start + Duration::from_secs(59)), 0);
        assert_eq!(bucket.free(start + Duration::from_secs(61)), 1);
    }
}
