//! How often was read: the reads of each window, and whether one more is allowed.
//!
//! **Owns** the moments of reads that still count.
//! **Fails** by saying when one more is allowed.
//! **Limits**: a month's window keeps a month of moments.

use std::collections::{HashMap, VecDeque};

use chrono::{DateTime, Datelike as _, Duration, Months, NaiveDate, NaiveTime, Utc};

use super::options::AspspWindow;
use crate::sandbox::script::AspspStep;

/// What is counted by itself: a consent's reads of one kind of one account.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Counted {
    pub consent: String,
    pub step: AspspStep,
    /// None for a list of accounts.
    pub account: Option<String>,
}

/// What is left of a quota after a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    pub most: u32,
    pub left: u32,
    pub seconds: u64,
}

impl Left {
    /// As GoCardless names them, which is what the public threads show.
    pub fn headers(&self) -> [(&'static str, u64); 3] {
        [
            ("http_x_ratelimit_account_success_limit", self.most.into()),
            ("http_x_ratelimit_account_success_remaining", self.left.into()),
            ("http_x_ratelimit_account_success_reset", self.seconds),
        ]
    }
}

/// The counts.
#[derive(Default)]
pub struct Quota(HashMap<Counted, VecDeque<DateTime<Utc>>>);

impl Quota {
    /// Counts a read, if one more is allowed. What is left is nothing when it was not.
    pub fn count(
        &mut self,
        counted: Counted,
        most: u32,
        window: AspspWindow,
        now: DateTime<Utc>,
    ) -> Result<Left, Left> {
        let reads = self.0.entry(counted).or_default();
        let begin = begin(window, now);
        while reads.front().is_some_and(|read| *read <= begin) {
            reads.pop_front();
        }
        let before = u32::try_from(reads.len()).unwrap_or(u32::MAX);
        if before < most {
            reads.push_back(now);
        }
        let free = match (window, reads.front()) {
            (AspspWindow::Rolling, Some(first)) => *first + Duration::hours(24),
            (AspspWindow::Month, _) => next_month(now),
            _ => midnight(now.date_naive()) + Duration::days(1),
        };
        // A part of a second would be too early.
        let seconds = u64::try_from((free - now).num_seconds()).unwrap_or_default() + 1;
        let left = Left { most, left: most.saturating_sub(before + 1), seconds };
        if before < most { Ok(left) } else { Err(Left { left: 0, ..left }) }
    }
}

/// Whatever is not after this moment counts no more.
fn begin(window: AspspWindow, now: DateTime<Utc>) -> DateTime<Utc> {
    let first = match window {
        AspspWindow::Rolling => return now - Duration::hours(24),
        AspspWindow::Day => now.date_naive(),
        AspspWindow::Month => now.date_naive().with_day(1).unwrap_or(now.date_naive()),
    };
    midnight(first) - Duration::milliseconds(1)
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

fn next_month(now: DateTime<Utc>) -> DateTime<Utc> {
    let first = now.date_naive().with_day(1).unwrap_or(now.date_naive());
    midnight(first.checked_add_months(Months::new(1)).unwrap_or(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left after each read, or the seconds until it is allowed.
    fn counts(window: AspspWindow, moments: &[&str]) -> Vec<Result<u32, u64>> {
        let mut quota = Quota::default();
        let counted = Counted { consent: "c".into(), step: AspspStep::Balances, account: None };
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let mut count = |moment: &&str| {
            let outcome = quota.count(counted.clone(), 2, window, at(moment));
            outcome.map(|left| left.left).map_err(|left| left.seconds)
        };
        moments.iter().map(&mut count).collect()
    }

    #[test]
    fn a_window_rolls() {
        let moments =
            ["2026-11-22T12:00:00Z", "2026-11-22T20:00:00Z", "2026-11-23T11:59:50Z", "2026-11-23T12:00:00Z"];
        assert_eq!(counts(AspspWindow::Rolling, &moments), [Ok(1), Ok(0), Err(11), Ok(0)]);
    }

    #[test]
    fn a_day_and_a_month_begin_anew() {
        let moments =
            ["2026-11-30T23:00:00Z", "2026-11-30T23:30:00Z", "2026-11-30T23:59:59Z", "2026-12-01T00:00:00Z"];
        for window in [AspspWindow::Day, AspspWindow::Month] {
            assert_eq!(counts(window, &moments), [Ok(1), Ok(0), Err(2), Ok(1)]);
        }
    }
}
