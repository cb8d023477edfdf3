//! When a wall clock shows a time: also where a change of the clocks skips that time or shows it twice.
//!
//! **Owns** nothing; the rules are those of the tz database that the program was built with. **Fails** nowhere but beyond the
//! years that a calendar has. **Limits**: a time that is shown twice is the first of the two; one that is skipped is the first
//! moment behind the gap.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// Steps in which the end of a gap is looked for; no two changes of any clock are so close.
const STEP: TimeDelta = TimeDelta::minutes(30);
/// The longest gap: the clocks never go forward by more than a day, which a zone once did.
const STEPS_MAX: i32 = 50;

/// The moment at which the wall clock of `zone` shows `local`.
pub fn moment(local: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&local) {
        MappedLocalTime::Single(moment) | MappedLocalTime::Ambiguous(moment, _) => {
            Some(moment.with_timezone(&Utc))
        }
        MappedLocalTime::None => behind_gap(local, zone),
    }
}

/// The first moment behind the gap in which `local` lies.
fn behind_gap(local: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    let shown = |local: NaiveDateTime| zone.from_local_datetime(&local).latest();
    let before = (1..=STEPS_MAX).find_map(|steps| shown(local - STEP * steps))?;
    let behind = (1..=STEPS_MAX).find_map(|steps| shown(local + STEP * steps))?;
    // The change is the first second that does not have the offset before it.
    let offset_before = before.offset().fix();
    let (mut low, mut high) = (before.timestamp(), behind.timestamp());
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        let offset = zone.offset_from_utc_datetime(&DateTime::from_timestamp(middle, 0)?.naive_utc()).fix();
        if offset == offset_before { low = middle } else { high = middle }
    }
    DateTime::from_timestamp(high, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_times_are_the_end_of_the_gap_and_repeated_ones_the_first() {
        let at = |local: &str, zone: Tz| {
            let local = NaiveDateTime::parse_from_str(local, "%Y-%m-%d %H:%M:%S").unwrap();
            moment(local, zone).unwrap().format("%Y-%m-%dT%H:%M:%SZ").to_string()
        };
        let warsaw = chrono_tz::Europe::Warsaw;
        assert_eq!(at("2027-03-28 01:59:59", warsaw), "2027-03-28T00:59:59Z");
        for skipped in ["02:00:00", "02:00:01", "02:30:00", "02:59:59", "03:00:00"] {
            assert_eq!(at(&format!("2027-03-28 {skipped}"), warsaw), "2027-03-28T01:00:00Z", "{skipped}");
        }
        assert_eq!(at("2027-10-31 02:30:00", warsaw), "2027-10-31T00:30:00Z");
        assert_eq!(at("2027-10-31 03:00:00", warsaw), "2027-10-31T02:00:00Z");
        // Half an hour, at two in the morning.
        assert_eq!(at("2027-10-03 02:15:00", chrono_tz::Australia::Lord_Howe), "2027-10-02T15:30:00Z");
        // At midnight, into the next day.
        assert_eq!(at("2027-04-30 00:15:00", chrono_tz::Africa::Cairo), "2027-04-29T22:00:00Z");
        // A whole day that never was.
        assert_eq!(at("2011-12-30 12:00:00", chrono_tz::Pacific::Apia), "2011-12-30T10:00:00Z");
    }
}
