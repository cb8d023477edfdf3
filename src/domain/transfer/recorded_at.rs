//! When something was recorded, in every form in which feeds say it, and whether that is too long ago.
//!
//! Text is `2026/01/15 - 10:20:30` without a zone, so the zone is configured. Numbers are seconds or milliseconds since 1970;
//! which of the two is told by their size.
//!
//! **Owns** nothing. **Fails** with [`UnreadableTime`], and with [`Untimely`] for what is not to be analysed. **Limits**: times
//! from 2001 to 2286; an hour that a change of the clocks skips is the moment of the change, one that it repeats is the earlier.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;
use serde_json::Value;

use crate::domain::wall_clock;

const TEXT_FORM: &str = "%Y/%m/%d - %H:%M:%S";
/// From here on a number counts milliseconds: as seconds it would be the year 5138.
const MILLISECONDS_FROM: f64 = 100_000_000_000.0;
/// 2001-09-09, the first second with ten digits: what is smaller is no date that anybody recorded.
const SECONDS_MIN: f64 = 1_000_000_000.0;
const SECONDS_END: f64 = 10_000_000_000.0;

/// It is neither text of the known form nor a plausible number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the time of recording is neither `YYYY/MM/DD - hh:mm:ss` nor seconds or milliseconds since 1970")]
pub struct UnreadableTime;

/// Why a recording is not to be analysed, by its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Untimely {
    #[error("it was recorded longer ago than is analysed")]
    TooOld,
    #[error("its time of recording lies in the future")]
    InTheFuture,
}

/// Reads a time of recording.
///
/// # Errors
/// [`UnreadableTime`].
pub fn read(value: &Value, zone: Tz) -> Result<DateTime<Utc>, UnreadableTime> {
    match value {
        Value::Number(number) => number.as_f64().ok_or(UnreadableTime).and_then(of_number),
        Value::String(text) => of_text(text.trim(), zone),
        _ => Err(UnreadableTime),
    }
}

fn of_text(text: &str, zone: Tz) -> Result<DateTime<Utc>, UnreadableTime> {
    if let Ok(number) = text.parse::<f64>() {
        return of_number(number);
    }
    // What the daemon before us wrote has the name of its zone behind; the digits are what counts.
    let digits = text.get(..21).unwrap_or(text);
    let local = NaiveDateTime::parse_from_str(digits, TEXT_FORM).map_err(|_| UnreadableTime)?;
    let time = wall_clock::moment(local, zone).ok_or(UnreadableTime)?;
    of_number(time.timestamp() as f64)
}

fn of_number(number: f64) -> Result<DateTime<Utc>, UnreadableTime> {
    let seconds = if number >= MILLISECONDS_FROM { number / 1_000.0 } else { number };
    if !(SECONDS_MIN..SECONDS_END).contains(&seconds) {
        return Err(UnreadableTime);
    }
    DateTime::from_timestamp_millis((seconds * 1_000.0).round() as i64).ok_or(UnreadableTime)
}

/// Whether something recorded then is to be analysed now.
///
/// # Errors
/// [`Untimely`]. Clocks may differ by `tolerance`.
pub fn check_age(
    recorded_at: DateTime<Utc>,
    now: DateTime<Utc>,
    age_max: Duration,
    tolerance: Duration,
) -> Result<(), Untimely> {
    match (now - recorded_at).to_std() {
        Ok(age) if age > age_max => Err(Untimely::TooOld),
        Ok(_) => Ok(()),
        Err(_) => {
            let ahead = (recorded_at - now).to_std().unwrap_or_default();
            if ahead > tolerance { Err(Untimely::InTheFuture) } else { Ok(()) }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use serde_json::json;

    use super::*;

    fn at(value: Value, zone: Tz) -> Option<String> {
        read(&value, zone).ok().map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
    }

    #[test]
    fn every_form_is_read_and_nothing_else() {
        let mexico = chrono_tz::America::Mexico_City;
        let wanted = Some("2026-01-15T16:20:30.000Z".to_owned());
        for value in [
            json!("2026/01/15 - 10:20:30"),
            json!(" 2026/01/15 - 10:20:30 "),
            json!("2026/01/15 - 10:20:30 CST"),
            json!(1_768_494_030),
            json!(1_768_494_030_000_i64),
            json!("1768494030"),
            json!("1768494030000"),
            json!(1_768_494_030.0),
        ] {
            assert_eq!(at(value.clone(), mexico), wanted, "{value}");
        }
        assert_eq!(at(json!(1_768_494_030_250_i64), mexico).as_deref(), Some("2026-01-15T16:20:30.250Z"));
        for bad in [
            json!(null),
            json!(true),
            json!(""),
            json!("yesterday"),
            json!("2026-01-15 10:20:30"),
            json!("NaN"),
            json!("2026/02/30 - 10:20:30"),
            json!("2026/01/15 - 25:20:30"),
            json!(0),
            json!(-1),
            json!(20_260_115),
            json!(1e18),
            json!("inf"),
            json!({"a": 1}),
            json!([1]),
        ] {
            assert_eq!(at(bad.clone(), mexico), None, "{bad}");
        }
    }

    #[test]
    fn a_skipped_hour_is_the_moment_of_the_change_and_a_repeated_one_the_earlier() {
        let warsaw = chrono_tz::Europe::Warsaw;
        assert_eq!(at(json!("2026/03/29 - 02:30:00"), warsaw).as_deref(), Some("2026-03-29T01:00:00.000Z"));
        assert_eq!(at(json!("2026/10/25 - 02:30:00"), warsaw).as_deref(), Some("2026-10-25T00:30:00.000Z"));
    }

    #[test]
    fn what_is_old_or_of_tomorrow_is_told_apart() {
        let now = DateTime::from_timestamp(1_768_494_030, 0).unwrap();
        let (days, minutes) =
            (|n: u64| Duration::from_secs(n * 86_400), |n: u64| Duration::from_secs(n * 60));
        let check = |recorded_at| check_age(recorded_at, now, days(3), minutes(5));
        assert_eq!(check(now - days(3)), Ok(()));
        assert_eq!(check(now - days(3) - TimeDelta::seconds(1)), Err(Untimely::TooOld));
        assert_eq!(check(now + minutes(5)), Ok(()));
        assert_eq!(check(now + minutes(6)), Err(Untimely::InTheFuture));
    }
}
