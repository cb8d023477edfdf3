//! From which day on a bank is asked for transactions.
//!
//! **Owns** nothing. **Fails** nowhere. **Limits**: never further back than the bank, or what the customer has allowed, lets us; at
//! least today.

use chrono::{Days, NaiveDate};

/// The first day to ask for: some days before the last complete set, and no further back than each of the caps.
pub fn first_day(
    today: NaiveDate,
    synced_through: Option<NaiveDate>,
    overlap_days: u32,
    history_days: impl IntoIterator<Item = u32>,
) -> NaiveDate {
    let back = |from: NaiveDate, days: u32| {
        from.checked_sub_days(Days::new(u64::from(days))).unwrap_or(NaiveDate::MIN)
    };
    let wanted = synced_through.map_or(NaiveDate::MIN, |through| back(through, overlap_days));
    let earliest = history_days.into_iter().map(|days| back(today, days)).max();
    wanted.max(earliest.unwrap_or(today)).min(today)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn it_is_the_overlap_or_the_cap_whichever_is_later() {
        let today = day("2026-11-22");
        let first = |through: Option<&str>, caps: &[u32]| {
            first_day(today, through.map(day), 7, caps.iter().copied()).to_string()
        };
        assert_eq!(first(None, &[90, 400]), "2026-08-24", "never synced: as far back as all of them let us");
        assert_eq!(first(Some("2026-11-21"), &[90]), "2026-11-14");
        assert_eq!(first(Some("2026-05-01"), &[90, 30]), "2026-10-23", "a gap longer than the cap");
        assert_eq!(first(Some("2027-11-21"), &[90]), "2026-11-22", "a clock that was ahead");
        assert_eq!(first(None, &[]), "2026-11-22");
        assert_eq!(first(None, &[u32::MAX]), NaiveDate::MIN.to_string());
    }
}
