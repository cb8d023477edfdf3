//! On which days banks settle: everything but weekends, national bank holidays and the holidays that are added.
//!
//! **Owns** nothing. The holidays are calculated, none is downloaded; Lei 14.759/2023 made 20 November one of them.
//! **Fails** never: at the end of the calendar that dates have, a search stays on the last day.
//! **Limits**: holidays of a state or a town are added by whoever knows them. 31 December is a business day here, as
//! it is in ANBIMA's calendar, although branches have no counter service; who wants it to be a holiday adds it.
//! The rules are those of today, with 20 November from 2024 on; older years are not rebuilt any further.

mod easter;

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate, Weekday};

use self::easter::easter;

/// Holidays that are the same day every year, as month and day.
const FIXED: [(u32, u32); 8] = [(1, 1), (4, 21), (5, 1), (9, 7), (10, 12), (11, 2), (11, 15), (12, 25)];
/// The day of Zumbi and of Black Consciousness, as month and day.
const BLACK_CONSCIOUSNESS: (u32, u32) = (11, 20);
const BLACK_CONSCIOUSNESS_SINCE: i32 = 2024;
/// Days after Easter: Carnaval's Monday and Tuesday, Good Friday, Corpus Christi.
const MOVABLE: [i64; 4] = [-48, -47, -2, 60];

/// The days on which banks are closed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Calendar {
    extra: BTreeSet<NaiveDate>,
}

impl Calendar {
    /// Weekends and national bank holidays alone.
    pub fn national() -> Self {
        Self::default()
    }

    /// The national calendar with further holidays: a state's, a town's, or 31 December.
    pub fn with_extra(holidays: impl IntoIterator<Item = NaiveDate>) -> Self {
        Self { extra: holidays.into_iter().collect() }
    }

    /// Whether the date is a national bank holiday or one that was added; weekends are not asked about.
    pub fn is_holiday(&self, date: NaiveDate) -> bool {
        is_national_holiday(date) || self.extra.contains(&date)
    }

    /// Whether banks settle on that date.
    pub fn is_business_day(&self, date: NaiveDate) -> bool {
        !matches!(date.weekday(), Weekday::Sat | Weekday::Sun) && !self.is_holiday(date)
    }

    /// The date itself where it is a business day, else the first one after it.
    pub fn next_business_day(&self, date: NaiveDate) -> NaiveDate {
        let mut day = date;
        while !self.is_business_day(day) {
            match day.succ_opt() {
                Some(next) => day = next,
                None => break,
            }
        }
        day
    }

    /// The business day that comes `count` business days after the date; for 0, [`Calendar::next_business_day`].
    /// A date that is none itself is not counted: one business day after a Saturday is a Monday.
    pub fn add_business_days(&self, date: NaiveDate, count: u16) -> NaiveDate {
        if count == 0 {
            return self.next_business_day(date);
        }
        let mut day = date;
        for _ in 0..count {
            day = self.next_business_day(day.succ_opt().unwrap_or(day));
        }
        day
    }
}

fn is_national_holiday(date: NaiveDate) -> bool {
    let month_and_day = (date.month(), date.day());
    FIXED.contains(&month_and_day)
        || (month_and_day == BLACK_CONSCIOUSNESS && date.year() >= BLACK_CONSCIOUSNESS_SINCE)
        || easter(date.year())
            .is_some_and(|easter| MOVABLE.contains(&date.signed_duration_since(easter).num_days()))
}

#[cfg(test)]
mod tests;
