//! The four digits in which a code carries its due date, and how they are read back.
//!
//! **Owns** nothing. The factor counts the days since 1997-10-07 and starts again at 1000 after 9999,
//! on 2025-02-22 and on 2049-10-14, so that it can only be read with a reference date.
//! **Fails** for dates that no code issued today could mean.
//! **Limits**: a code is read as due at most 3,000 days before and 5,500 days after the reference (FEBRABAN, FB-082/2012).

use std::fmt;

use chrono::{Days, NaiveDate};

/// How many days after the reference a due date may lie and still be read back.
pub const DAYS_AHEAD_MAX: i64 = 5_500;
/// How many days before the reference a due date may lie and still be read back.
pub const DAYS_BEHIND_MAX: i64 = 3_000;

const FIRST: i64 = 1_000;
const CYCLE: i64 = 9_000;

/// A due-date factor (fator de vencimento), from 1000 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DueDateFactor(u16);

/// The date has no factor: factors begin on 2000-07-03.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a due date before 2000-07-03 has no factor")]
pub struct NoDueDateFactor;

impl DueDateFactor {
    /// The factor of a due date.
    ///
    /// # Errors
    /// A date before 2000-07-03, where factors begin.
    pub fn of(date: NaiveDate) -> Result<Self, NoDueDateFactor> {
        let days = days_since_base(date);
        if days < FIRST {
            return Err(NoDueDateFactor);
        }
        let factor = FIRST + (days - FIRST) % CYCLE;
        Ok(Self(u16::try_from(factor).expect("a factor is at most 9999")))
    }

    /// The factor of that number, where it is one; a field that begins with 0 carries no date.
    pub fn new(number: u16) -> Option<Self> {
        (1_000..=9_999).contains(&number).then_some(Self(number))
    }

    /// The number, from 1000 to 9999.
    pub fn get(self) -> u16 {
        self.0
    }

    /// The due date that is meant, seen from `reference`; nothing where no date lies in the window.
    /// The window is narrower than the cycle, so that there is never more than one answer.
    pub fn resolve(self, reference: NaiveDate) -> Option<NaiveDate> {
        let today = days_since_base(reference);
        let factor = i64::from(self.0);
        // The first cycle in which the factor is not before the window; there was none before the first.
        let cycles = (today - DAYS_BEHIND_MAX - factor + CYCLE - 1).div_euclid(CYCLE).max(0);
        let days = factor + cycles * CYCLE;
        if days > today + DAYS_AHEAD_MAX {
            return None;
        }
        base().checked_add_days(Days::new(u64::try_from(days).ok()?))
    }
}

impl fmt::Display for DueDateFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.0)
    }
}

fn days_since_base(date: NaiveDate) -> i64 {
    date.signed_duration_since(base()).num_days()
}

const fn base() -> NaiveDate {
    NaiveDate::from_ymd_opt(1997, 10, 7).expect("7 October 1997 is a date")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::vectors::VECTORS;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn every_published_date_has_its_factor() {
        for vector in &VECTORS.factors {
            assert_eq!(
                DueDateFactor::of(vector.due_date).unwrap().get(),
                vector.due_factor,
                "{}",
                vector.due_date
            );
        }
        assert_eq!(VECTORS.factors.len(), 8);
    }

    #[test]
    fn every_published_factor_is_read_as_its_date() {
        for vector in &VECTORS.factor_resolution {
            let found = DueDateFactor::new(vector.due_factor).unwrap().resolve(vector.reference_date);
            assert_eq!(found, vector.due_date, "{} seen from {}", vector.due_factor, vector.reference_date);
        }
        assert_eq!(VECTORS.factor_resolution.len(), 11);
    }

    #[test]
    fn factors_begin_in_july_2000() {
        assert_eq!(DueDateFactor::of(date("2000-07-02")), Err(NoDueDateFactor));
        assert_eq!(DueDateFactor::of(date("2000-07-03")).unwrap().get(), 1_000);
        assert_eq!(DueDateFactor::new(999), None);
        assert_eq!(DueDateFactor::new(10_000), None);
        // Before the first cycle there was no other: 9999 must not be read as 2000-07-02.
        assert_eq!(DueDateFactor::new(9_999).unwrap().resolve(date("2000-07-02")), None);
    }

    #[test]
    fn a_code_is_read_on_both_sides_of_both_rollovers() {
        for (reference, factor, due) in [
            ("2025-02-22", 9_999, "2025-02-21"),
            ("2025-02-21", 1_000, "2025-02-22"),
            ("2049-10-14", 9_999, "2049-10-13"),
            ("2049-10-13", 1_000, "2049-10-14"),
            ("2049-10-14", 1_001, "2049-10-15"),
        ] {
            assert_eq!(
                DueDateFactor::new(factor).unwrap().resolve(date(reference)),
                Some(date(due)),
                "{reference}"
            );
        }
    }

    #[test]
    fn both_edges_of_the_window_belong_to_it() {
        let reference = date("2026-11-21");
        for (due, read) in
            [("2018-09-03", false), ("2018-09-04", true), ("2041-12-12", true), ("2041-12-13", false)]
        {
            let found = DueDateFactor::of(date(due)).unwrap().resolve(reference);
            assert_eq!(found, read.then(|| date(due)));
        }
    }

    #[test]
    fn the_ends_of_the_calendar_are_no_dates_and_no_panic() {
        let factor = DueDateFactor::new(1_000).unwrap();
        assert_eq!(factor.resolve(NaiveDate::MIN), None);
        // At the far end only dates that the calendar still has can be meant.
        for number in (1_000..=9_999).step_by(100) {
            let due = DueDateFactor::new(number).unwrap().resolve(NaiveDate::MAX);
            assert!(due.is_none_or(|due| (NaiveDate::MAX - due).num_days() <= DAYS_BEHIND_MAX));
        }
    }

    proptest! {
        #[test]
        fn a_date_within_the_window_is_read_back(day in 1_000_i64..60_000, ahead in -3_000_i64..=5_500) {
            let due = base().checked_add_days(Days::new(day as u64)).unwrap();
            let reference = due - chrono::TimeDelta::days(ahead);
            prop_assert_eq!(DueDateFactor::of(due).unwrap().resolve(reference), Some(due));
        }

        #[test]
        fn a_date_outside_the_window_is_never_given(factor in 1_000_u16..=9_999, day in 0_i64..60_000) {
            let reference = base().checked_add_days(Days::new(day as u64)).unwrap();
            if let Some(due) = DueDateFactor::new(factor).unwrap().resolve(reference) {
                prop_assert!((-3_000..=5_500).contains(&(due - reference).num_days()));
                prop_assert_eq!(DueDateFactor::of(due).unwrap().get(), factor);
            }
        }
    }
}
