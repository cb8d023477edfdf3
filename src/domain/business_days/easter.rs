//! On which Sunday Easter falls: the computus of the Gregorian calendar.
//!
//! **Owns** nothing. **Fails** with nothing where the year lies beyond the calendar that dates have.
//! **Limits**: true from 1583 on, when the Gregorian calendar began; earlier years get an answer without a meaning.

use chrono::{Days, NaiveDate};

/// Easter Sunday: the first Sunday after the ecclesiastical full moon that falls on or after 21 March.
pub(super) fn easter(year: i32) -> Option<NaiveDate> {
    let golden_number = year.rem_euclid(19) + 1;
    let century = year.div_euclid(100) + 1;
    // Three of four centuries leave a leap day out.
    let leap_days_dropped = (3 * century).div_euclid(4) - 12;
    // The moon's own cycle of nineteen years runs ahead of the calendar by eight days in twenty-five centuries.
    let moon_correction = (8 * century + 5).div_euclid(25) - 5;
    let mut epact = (11 * golden_number + 20 + moon_correction - leap_days_dropped).rem_euclid(30);
    // Two epacts give way, so that no full moon falls on one date twice in nineteen years.
    if epact == 24 || (epact == 25 && golden_number > 11) {
        epact += 1;
    }
    // All days from here on are days of March, and go on counting beyond the 31st.
    let moon = 44 - epact;
    let full_moon = if moon < 21 { moon + 30 } else { moon };
    let sunday_shift = (5 * year).div_euclid(4) - leap_days_dropped - 10;
    let sunday = full_moon + 7 - (sunday_shift + full_moon).rem_euclid(7);
    NaiveDate::from_ymd_opt(year, 3, 1)?.checked_add_days(Days::new(u64::try_from(sunday - 1).ok()?))
}
