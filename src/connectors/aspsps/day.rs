//! Days and moments as ASPSPs write them, in the zone in which an ASPSP keeps its books.
//!
//! PolishAPI describes its moments without a zone although their format demands one, so that both are met; Berlin Group writes
//! days. What has no zone is local time of the ASPSP; what has one is the day that it is there.
//!
//! **Owns** nothing. **Fails** by being none: text that is no date never becomes one. **Limits**: the years 0 to 9999.

use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::domain::wall_clock;

/// `2026-04-10`
const DAY_BYTES: usize = 10;
const LOCAL: &str = "%Y-%m-%dT%H:%M:%S%.f";
const WITH_SHORT_OFFSET: &str = "%Y-%m-%dT%H:%M:%S%.f%z";

/// A zone of the tz database, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(Tz);

/// No zone has this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a zone of the tz database is needed, such as Europe/Warsaw")]
pub struct UnknownZone;

impl Zone {
    pub fn new(zone: Tz) -> Self {
        Self(zone)
    }

    /// The zone itself.
    pub fn tz(self) -> Tz {
        self.0
    }

    /// The day of a date or of a moment; none for what is neither.
    pub fn day(self, text: &str) -> Option<NaiveDate> {
        let text = text.trim();
        if text.len() == DAY_BYTES {
            return day_of(text);
        }
        match moment_of(text)? {
            Written::Local(local) => Some(local.date()),
            Written::Exact(moment) => Some(moment.with_timezone(&self.0).date_naive()),
        }
    }

    /// A moment; of a date alone, when that day begins.
    pub fn moment(self, text: &str) -> Option<DateTime<Utc>> {
        let text = text.trim();
        let local = if text.len() == DAY_BYTES {
            day_of(text)?.and_hms_opt(0, 0, 0)?
        } else {
            match moment_of(text)? {
                Written::Local(local) => local,
                Written::Exact(moment) => return Some(moment),
            }
        };
        wall_clock::moment(local, self.0)
    }
}

enum Written {
    Local(NaiveDateTime),
    Exact(DateTime<Utc>),
}

fn day_of(text: &str) -> Option<NaiveDate> {
    // Chrono alone would also take years of five digits, signs and blanks.
    let is_date = text.bytes().enumerate().all(|(place, byte)| match place {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    if is_date { NaiveDate::parse_from_str(text, "%Y-%m-%d").ok() } else { None }
}

fn moment_of(text: &str) -> Option<Written> {
    day_of(text.get(..DAY_BYTES)?)?;
    let exact =
        DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_str(text, WITH_SHORT_OFFSET));
    match exact {
        Ok(moment) => Some(Written::Exact(moment.to_utc())),
        Err(_) => NaiveDateTime::parse_from_str(text, LOCAL).ok().map(Written::Local),
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl TryFrom<String> for Zone {
    type Error = UnknownZone;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self).map_err(|_| UnknownZone)
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.to_string()
    }
}

#[cfg(test)]
mod tests {
    use chrono::Datelike;
    use proptest::prelude::*;

    use super::*;

    const WARSAW: Zone = Zone(Tz::Europe__Warsaw);

    #[test]
    fn a_day_is_the_aspsps_own() {
        for (text, day) in [
            ("2026-04-10", "2026-04-10"),
            (" 2026-04-10 ", "2026-04-10"),
            ("2026-04-10T00:00:00", "2026-04-10"),
            ("2026-04-10T23:59:59.999", "2026-04-10"),
            ("2026-04-10T00:00:00.000+02:00", "2026-04-10"),
            ("2026-04-10T00:00:00+0200", "2026-04-10"),
            // Midnight in Warsaw, and the hours behind it.
            ("2026-04-09T22:00:00Z", "2026-04-10"),
            ("2026-04-09T21:59:59Z", "2026-04-09"),
        ] {
            assert_eq!(WARSAW.day(text).unwrap().to_string(), day, "{text}");
        }
        let nothing = [
            "",
            "10.04.2026",
            "2026-02-30",
            "2026-4-1",
            "+2026-04-1",
            "20260410",
            "2026-04-10T",
            "2026-04-10 x",
        ];
        for text in nothing {
            assert_eq!((WARSAW.day(text), WARSAW.moment(text)), (None, None), "{text}");
        }
    }

    #[test]
    fn a_moment_without_a_zone_is_local() {
        for (text, moment) in [
            ("2026-04-10T12:00:00", "2026-04-10 10:00:00 UTC"),
            ("2026-04-10T12:00:00Z", "2026-04-10 12:00:00 UTC"),
            ("2026-01-10", "2026-01-09 23:00:00 UTC"),
            // Skipped by the clocks.
            ("2027-03-28T02:30:00", "2027-03-28 01:00:00 UTC"),
        ] {
            assert_eq!(WARSAW.moment(text).unwrap().to_string(), moment, "{text}");
        }
    }

    #[test]
    fn zones_are_read_by_their_names() {
        let zone: Zone = serde_json::from_str(r#""Europe/Warsaw""#).unwrap();
        assert_eq!((zone, serde_json::to_string(&zone).unwrap().as_str()), (WARSAW, r#""Europe/Warsaw""#));
        assert!(serde_json::from_str::<Zone>(r#""Warsaw""#).is_err());
    }

    proptest! {
        #[test]
        fn every_day_is_read_back(days in 0..3_652_058) {
            let day = NaiveDate::from_num_days_from_ce_opt(days + 1).unwrap();
            for text in [day.to_string(), format!("{day}T00:00:00"), format!("{day}T12:00:00Z")] {
                prop_assert_eq!(WARSAW.day(&text), Some(day), "{}", text);
            }
            prop_assert!(day.year() <= 9_999);
        }

        #[test]
        fn no_text_is_too_much(
            text in "\\PC{0,40}",
            near in "[0-9]{4}-[0-9]{2}-[0-9]{2}T?[0-9:.+Z é-]{0,24}",
        ) {
            for text in [text, near] {
                prop_assert_eq!(WARSAW.day(&text).is_some(), WARSAW.moment(&text).is_some(), "{}", text);
            }
        }
    }
}
