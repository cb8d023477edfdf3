//! A circuit breaker: asks a party that does not answer less and less often, and everybody again once it answers.
//!
//! ```text
//! closed ── failures_max failures in a row ──► open ── its wait is over ──► half open (one probe)
//!    ▲                                          ▲                                │
//!    └──────────── anything answered ───────────┴──── the probe failed, the wait doubles
//! ```
//!
//! **Owns** nothing outside itself. Pure: the moment is passed in. What waits behind an open breaker stays where it is and
//! spends no attempt; the probe is an ordinary attempt. **Limits**: `[breaker]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// `[breaker]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakerConfig {
    /// Failures in a row after which nothing more is asked: 1 to 10,000.
    pub failures_max: u32,
    /// The wait before the first probe; doubles with each probe that fails.
    #[serde(with = "humantime_serde")]
    pub wait_base: Duration,
    /// The longest wait before a probe.
    #[serde(with = "humantime_serde")]
    pub wait_cap: Duration,
}

/// What an attempt says about the other party, whatever it says about the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It answered, be it with a no.
    Answered,
    /// It did not, or not in a way that anybody could use.
    Failed,
}

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    Closed,
    /// Nothing is asked before this moment.
    Open {
        until: Instant,
    },
    /// One probe is under way.
    HalfOpen,
}

/// The breaker of one queue.
#[derive(Debug, Clone, Copy)]
pub struct Breaker {
    state: BreakerState,
    /// In a row, the one that opened it included.
    failures: u32,
    /// How often it has opened since it was last closed.
    openings: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: BreakerState::Closed, failures: 0, openings: 0 }
    }
}

impl Breaker {
    /// How many may be asked now, where it bounds that.
    pub fn free(&self, now: Instant) -> Option<usize> {
        match self.state {
            BreakerState::Closed => None,
            BreakerState::Open { until } => Some(usize::from(now >= until)),
            BreakerState::HalfOpen => Some(0),
        }
    }

    /// Somebody is about to be asked; only after [`Self::free`] allowed it.
    pub fn asked(&mut self) {
        if matches!(self.state, BreakerState::Open { .. }) {
            self.state = BreakerState::HalfOpen;
        }
    }

    /// Takes note of an outcome. Calls that were under way when it opened are heard too: an answer is an answer.
    pub fn heard(&mut self, verdict: Verdict, now: Instant, config: &BreakerConfig) {
        match (verdict, self.state) {
            (Verdict::Answered, _) => *self = Self::default(),
            (Verdict::Failed, BreakerState::Open { .. }) => {}
            (Verdict::Failed, BreakerState::Closed) => {
                self.failures = self.failures.saturating_add(1);
                if self.failures >= config.failures_max {
                    self.open(now, config);
                }
            }
            (Verdict::Failed, BreakerState::HalfOpen) => {
                self.failures = self.failures.saturating_add(1);
                self.open(now, config);
            }
        }
    }

    /// Nothing is under way any more. A probe that ended without a verdict, cut off or found needless, proves nothing:
    /// the next may go at once.
    pub fn nothing_under_way(&mut self, now: Instant) {
        if self.state == BreakerState::HalfOpen {
            self.state = BreakerState::Open { until: now };
        }
    }

    /// Where it stands.
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    fn open(&mut self, now: Instant, config: &BreakerConfig) {
        let wait = config.wait_base.saturating_mul(1 << self.openings.min(20)).min(config.wait_cap);
        self.openings = self.openings.saturating_add(1);
        self.state = BreakerState::Open { until: now + wait };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn config() -> BreakerConfig {
        BreakerConfig { failures_max: 3, wait_base: SECOND, wait_cap: 4 * SECOND }
    }

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..3 {
            assert_eq!(breaker.free(now), None);
            breaker.heard(Verdict::Failed, now, &config());
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_an_answer_between_them_does_not() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for verdict in [Verdict::Failed, Verdict::Failed, Verdict::Answered, Verdict::Failed, Verdict::Failed]
        {
            breaker.heard(verdict, now, &config());
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
        breaker.heard(Verdict::Failed, now, &config());
        assert_eq!(breaker.state(), BreakerState::Open { until: now + SECOND });
        assert_eq!(breaker.failures(), 3);
    }

    #[test]
    fn one_probe_at_a_time_and_each_failed_one_doubles_the_wait_up_to_the_cap() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        for wait in [1, 2, 4, 4] {
            assert_eq!(breaker.free(now + wait * SECOND - Duration::from_millis(1)), Some(0));
            now += wait * SECOND;
            assert_eq!(breaker.free(now), Some(1));
            breaker.asked();
            assert_eq!(breaker.free(now), Some(0), "one probe is enough");
            breaker.heard(Verdict::Failed, now, &config());
        }
        now += 4 * SECOND;
        breaker.asked();
        breaker.heard(Verdict::Answered, now, &config());
        assert_eq!(breaker.free(now), None);
        assert_eq!(opened(now).state(), BreakerState::Open { until: now + SECOND }, "and it begins anew");
    }

    #[test]
    fn a_probe_without_a_verdict_leaves_room_for_the_next() {
        let now = Instant::now();
        let mut breaker = opened(now);
        breaker.asked();
        breaker.nothing_under_way(now + SECOND);
        assert_eq!(breaker.free(now + SECOND), Some(1));
    }

    #[test]
    fn late_failures_of_earlier_calls_do_not_put_the_probe_off() {
        let now = Instant::now();
        let mut breaker = opened(now);
        breaker.heard(Verdict::Failed, now + SECOND / 2, &config());
        assert_eq!(breaker.state(), BreakerState::Open { until: now + SECOND });
    }
}
