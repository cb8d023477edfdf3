//! Counts restarts in a sliding window, so that a crash loop is told from bad luck.
//!
//! **Owns** the moments of the last few restarts and **fails** never.
//! **Limits**: it keeps at most `max + 1` moments.

use std::collections::VecDeque;
use std::time::Duration;

/// How many restarts are borne within how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intensity {
    /// The restarts that are borne; one more is a meltdown.
    pub max: u32,
    /// The width of the sliding window.
    pub within: Duration,
}

impl Default for Intensity {
    fn default() -> Self {
        Self { max: 3, within: Duration::from_secs(5) }
    }
}

/// The restarts that still count.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    moments: VecDeque<Duration>,
}

impl Window {
    /// Notes a restart at `now` and says whether the intensity has been passed.
    pub(super) fn note(&mut self, now: Duration, intensity: Intensity) -> bool {
        self.moments.push_back(now);
        while self.moments.front().is_some_and(|first| first.saturating_add(intensity.within) <= now) {
            self.moments.pop_front();
        }
        let passed = self.moments.len() > intensity.max as usize;
        if passed {
            // What is past the limit is of no further use, and dropping it keeps the window bounded.
            self.moments.pop_front();
        }
        passed
    }

    pub(super) fn clear(&mut self) {
        self.moments.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_IN_TEN: Intensity = Intensity { max: 2, within: Duration::from_secs(10) };

    #[test]
    fn one_more_than_max_within_the_window_is_too_many() {
        let mut window = Window::default();
        assert!(!window.note(Duration::from_secs(1), TWO_IN_TEN));
        assert!(!window.note(Duration::from_secs(2), TWO_IN_TEN));
        assert!(window.note(Duration::from_secs(3), TWO_IN_TEN));
    }

    #[test]
    fn a_restart_slides_out_when_the_window_has_passed_over_it() {
        let mut window = Window::default();
        assert!(!window.note(Duration::from_secs(1), TWO_IN_TEN));
        assert!(!window.note(Duration::from_secs(2), TWO_IN_TEN));
        assert!(!window.note(Duration::from_secs(11), TWO_IN_TEN));
        assert!(window.note(Duration::from_millis(11_999), TWO_IN_TEN));
    }

    #[test]
    fn an_endless_window_forgets_nothing() {
        let mut window = Window::default();
        let endless = Intensity { max: 1, within: Duration::MAX };
        assert!(!window.note(Duration::from_secs(1), endless));
        assert!(window.note(Duration::from_secs(1_000_000), endless));
    }

    #[test]
    fn an_intensity_of_nought_bears_no_restart() {
        let none = Intensity { max: 0, within: Duration::from_secs(1) };
        assert!(Window::default().note(Duration::ZERO, none));
    }
}
