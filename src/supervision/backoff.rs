//! How long a failed child waits before it is started again: a pure function of its failures.
//!
//! **Owns** nothing and **fails** never; chance is passed in.
//! **Limits**: no wait is longer than `cap`.

use std::time::Duration;

/// An exponential backoff with a cap and jitter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// The first wait; zero restarts at once, always.
    pub base: Duration,
    /// By how much each further wait is longer; 1.0 keeps it constant.
    pub factor: f64,
    /// The longest wait.
    pub cap: Duration,
    /// The share of a wait, from 0.0 to 1.0, that chance may take off it, so that a crowd does not return in step.
    pub jitter: f64,
    /// A child that has been up for so long has recovered: its next failure waits `base` again.
    pub reset_after: Duration,
}

impl Backoff {
    /// Restart at once.
    pub const NONE: Self = Self {
        base: Duration::ZERO,
        factor: 1.0,
        cap: Duration::ZERO,
        jitter: 0.0,
        reset_after: Duration::from_secs(60),
    };

    /// The wait after a failure that `failures` others came before; `roll` is a random number from 0.0 up to 1.0.
    pub fn delay(&self, failures: u32, roll: f64) -> Duration {
        if self.base.is_zero() {
            return Duration::ZERO;
        }
        let exponent = i32::try_from(failures).unwrap_or(i32::MAX);
        let grown_s = self.base.as_secs_f64() * self.factor.max(1.0).powi(exponent);
        let capped_s = grown_s.min(self.cap.as_secs_f64());
        let kept = 1.0 - self.jitter.clamp(0.0, 1.0) * roll.clamp(0.0, 1.0);
        // Rounding to whole nanoseconds may go up, and the cap is a promise.
        Duration::try_from_secs_f64(capped_s * kept).unwrap_or(self.cap).min(self.cap)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(50),
            factor: 2.0,
            cap: Duration::from_secs(30),
            jitter: 0.2,
            reset_after: Duration::from_secs(60),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_doubles_up_to_the_cap() {
        let backoff = Backoff { jitter: 0.0, cap: Duration::from_millis(300), ..Backoff::default() };
        let waits_ms: Vec<_> = (0..5).map(|n| backoff.delay(n, 0.9).as_millis()).collect();
        assert_eq!(waits_ms, [50, 100, 200, 300, 300]);
    }

    #[test]
    fn nought_is_nought_after_any_number_of_failures() {
        assert_eq!(Backoff::NONE.delay(u32::MAX, 0.5), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn a_wait_is_within_the_cap_and_the_jitter(failures in any::<u32>(), roll in 0.0..1.0f64) {
            let backoff = Backoff::default();
            let wait = backoff.delay(failures, roll);
            prop_assert!(wait <= backoff.cap);
            prop_assert!(wait >= backoff.base.mul_f64(1.0 - backoff.jitter));
        }
    }
}
