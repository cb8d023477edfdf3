//! How often a bank may be asked without the customer present.
//!
//! What "a day" means differs from bank to bank: 24 hours that roll along, or a day or a month of some calendar. Where a bank does not
//! say, the strictest is taken: rolling.
//!
//! **Owns** nothing. **Fails** nowhere. **Limits**: the accesses that are counted are passed in; who keeps them keeps those of the
//! last [`Window::reach`] at least.

use std::time::Duration;

use chrono::{DateTime, Datelike as _, Months, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::domain::wall_clock;

/// Over what a bank counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// The last so long, at every moment.
    Rolling(Duration),
    /// The day of a zone's calendar.
    Day(Tz),
    /// The month of a zone's calendar.
    Month(Tz),
}

/// How many accesses there may be in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    pub limit: u32,
    pub window: Window,
}

/// Whether one more may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// So many, this one included.
    Left(u32),
    /// None before then.
    Until(DateTime<Utc>),
}

impl Window {
    /// Accesses that are older than this count nowhere.
    pub fn reach(self) -> Duration {
        const DAY: Duration = Duration::from_hours(24);
        match self {
            Self::Rolling(length) => length,
            // A day has up to 25 hours and, where a zone changes its mind, more.
            Self::Day(_) => DAY * 2,
            Self::Month(_) => DAY * 32,
        }
    }

    /// Since when accesses count at a moment.
    fn begin(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Rolling(length) => now.checked_sub_signed(TimeDelta::from_std(length).ok()?),
            Self::Day(zone) => midnight(now.with_timezone(&zone).date_naive(), zone),
            Self::Month(zone) => midnight(now.with_timezone(&zone).date_naive().with_day(1)?, zone),
        }
    }

    /// From when on an access of that moment counts no more.
    fn end_of(self, access: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            // At exactly that length before, it counts still: whoever counts with a coarser clock is not provoked.
            Self::Rolling(length) => access
                .checked_add_signed(TimeDelta::from_std(length).ok()?)?
                .checked_add_signed(TimeDelta::microseconds(1)),
            Self::Day(zone) => midnight(access.with_timezone(&zone).date_naive().succ_opt()?, zone),
            Self::Month(zone) => {
                let first = access.with_timezone(&zone).date_naive().with_day(1)?;
                midnight(first.checked_add_months(Months::new(1))?, zone)
            }
        }
    }
}

impl Quota {
    /// Whether one more access may be made, after those.
    pub fn allowance(&self, accesses: &[DateTime<Utc>], now: DateTime<Utc>) -> Allowance {
        let Some(begin) = self.window.begin(now) else { return Allowance::Left(self.limit) };
        let mut counted: Vec<DateTime<Utc>> =
            accesses.iter().copied().filter(|access| *access >= begin).collect();
        let used = counted.len();
        let limit = self.limit as usize;
        if used < limit {
            return Allowance::Left((limit - used) as u32);
        }
        counted.sort_unstable();
        // As many must have gone as are too many, and one more.
        let last_to_go = counted.get(used - limit).copied();
        let until = last_to_go.and_then(|access| self.window.end_of(access));
        Allowance::Until(until.unwrap_or(DateTime::<Utc>::MAX_UTC))
    }
}

fn midnight(date: NaiveDate, zone: Tz) -> Option<DateTime<Utc>> {
    wall_clock::moment(date.and_time(NaiveTime::MIN), zone)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn four_accesses_in_any_twenty_four_hours() {
        let quota = Quota { limit: 4, window: Window::Rolling(Duration::from_hours(24)) };
        let accesses: Vec<_> =
            ["2026-11-21T04:00:00Z", "2026-11-21T12:00:00Z", "2026-11-21T20:00:00Z", "2026-11-22T03:59:00Z"]
                .map(at)
                .into();
        assert_eq!(
            quota.allowance(&accesses, at("2026-11-22T03:59:30Z")),
            Allowance::Until(at("2026-11-22T04:00:00.000001Z"))
        );
        assert_eq!(quota.allowance(&accesses, at("2026-11-22T04:00:01Z")), Allowance::Left(1));
        assert_eq!(quota.allowance(&[], at("2026-11-22T04:00:01Z")), Allowance::Left(4));
        let none = Quota { limit: 0, ..quota };
        assert!(matches!(none.allowance(&[], at("2026-11-22T04:00:01Z")), Allowance::Until(_)));
    }

    #[test]
    fn a_day_of_the_calendar_ends_at_its_own_midnight() {
        let quota = Quota { limit: 1, window: Window::Day(chrono_tz::Europe::Warsaw) };
        let access = [at("2027-03-28T00:30:00Z")];
        assert_eq!(
            quota.allowance(&access, at("2027-03-28T21:59:59Z")),
            Allowance::Until(at("2027-03-28T22:00:00Z"))
        );
        assert_eq!(quota.allowance(&access, at("2027-03-28T22:00:00Z")), Allowance::Left(1));
        let month = Quota { limit: 1, window: Window::Month(chrono_tz::America::Sao_Paulo) };
        let access = [at("2027-01-01T02:59:59Z")];
        assert_eq!(
            month.allowance(&access, at("2027-01-01T03:00:00Z")),
            Allowance::Left(1),
            "it was in December there"
        );
        let access = [at("2027-01-01T03:00:00Z")];
        assert_eq!(
            month.allowance(&access, at("2027-01-31T12:00:00Z")),
            Allowance::Until(at("2027-02-01T03:00:00Z"))
        );
    }

    proptest! {
        #[test]
        fn whoever_waits_as_told_never_goes_over(
            gaps in prop::collection::vec(0_i64..200_000, 1..60), limit in 1_u32..6, kind in 0_usize..3,
        ) {
            let window = [
                Window::Rolling(Duration::from_hours(24)), Window::Day(chrono_tz::Europe::Warsaw), Window::Month(Tz::UTC),
            ][kind];
            let quota = Quota { limit, window };
            let (mut now, mut made): (DateTime<Utc>, Vec<DateTime<Utc>>) = (at("2027-03-20T00:00:00Z"), Vec::new());
            for gap in gaps {
                now += TimeDelta::seconds(gap);
                if let Allowance::Until(until) = quota.allowance(&made, now) {
                    prop_assert!(until > now);
                    now = until;
                    prop_assert!(matches!(quota.allowance(&made, now), Allowance::Left(_)), "it was told to come then");
                }
                made.push(now);
                let begin = window.begin(now).unwrap();
                prop_assert!(made.iter().filter(|access| **access >= begin).count() <= limit as usize);
            }
        }
    }
}
