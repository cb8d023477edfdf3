//! Until when the payer of a boleto that has ended is kept, and from when on nobody may want it kept any more.
//!
//! Years are counted from the end of the year in which it ended, by the civil time of Brasília: as the tax code counts the five years
//! in which accounts may be asked for (CTN, arts. 173 and 195), within which a debt may be claimed too (Civil Code, art. 206, § 5, I).
//! What a law wants kept may be kept (LGPD, art. 16, I).
//!
//! **Owns** nothing, and reads no clock. **Fails** never. **Limits**: whole years.

use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use chrono_tz::America::Sao_Paulo;

use super::wall_clock;

/// The last day on which it is kept.
pub fn kept_until(ended: DateTime<Utc>, years: u32) -> NaiveDate {
    let year = ended.with_timezone(&Sao_Paulo).year().saturating_add_unsigned(years);
    NaiveDate::from_ymd_opt(year, 12, 31).unwrap_or(NaiveDate::MAX)
}

/// What ended before this moment need not be kept any more; none where there was no such year.
pub fn over_before(now: DateTime<Utc>, years: u32) -> Option<DateTime<Utc>> {
    let year = now.with_timezone(&Sao_Paulo).year().checked_sub_unsigned(years)?;
    let new_year = NaiveDate::from_ymd_opt(year, 1, 1)?.and_hms_opt(0, 0, 0)?;
    wall_clock::moment(new_year, Sao_Paulo)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    #[test]
    fn the_year_in_which_it_ended_does_not_count_and_new_year_is_brasilias() {
        assert_eq!(kept_until(at("2026-03-01T12:00:00Z"), 5).to_string(), "2031-12-31");
        // Two in the morning of the first of January in Greenwich is still the old year.
        assert_eq!(kept_until(at("2027-01-01T02:00:00Z"), 5).to_string(), "2031-12-31");
        assert_eq!(kept_until(at("2027-01-01T03:00:00Z"), 5).to_string(), "2032-12-31");
        assert_eq!(kept_until(at("2026-03-01T12:00:00Z"), 0).to_string(), "2026-12-31");
    }

    #[test]
    fn what_is_kept_until_a_day_is_over_on_the_next() {
        let ended = at("2026-03-01T12:00:00Z");
        assert!(over_before(at("2032-01-01T02:59:59Z"), 5).unwrap() <= ended);
        assert!(over_before(at("2032-01-01T03:00:00Z"), 5).unwrap() > ended);
        assert_eq!(over_before(at("2032-01-01T03:00:00Z"), 5).unwrap(), at("2027-01-01T03:00:00Z"));
    }
}
