//! A percentage as banks know it: exactly five decimals, kept as a whole number.
//!
//! **Owns** nothing. A value of this type is above 0 % and at most 100 %, by construction.
//! **Fails** with the rule that was broken. What has more than five decimals is refused, because rounding it would
//! put another rate on file than the one agreed.
//! **Limits**: read from decimal text with a point; no sign, no exponent, no comma, no blanks.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::domain::money::{Cents, Rounding};

const DECIMALS: usize = 5;
const INTEGER_DIGITS_MAX: usize = 3;
const UNITS_PER_PERCENT: u32 = 100_000;
const UNITS_MAX: u32 = 100 * UNITS_PER_PERCENT;
/// A month of interest has 30 days, however many the calendar gives it.
const DAYS_PER_MONTH: i128 = 30;

/// A percentage, counted in hundred-thousandths of one per cent: 1.5 % is 150,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u32);

/// Why text is no percentage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PercentError {
    /// No plain decimal number.
    #[error("a percentage is written as a decimal number with a point")]
    Form,
    /// Finer than a bank can express.
    #[error("a percentage has at most five decimals")]
    Decimals,
    /// Nothing, or more than the whole.
    #[error("a percentage is above 0 and at most 100")]
    Bounds,
}

impl Percent {
    /// The percentage of so many hundred-thousandths of one per cent, where it is within its bounds.
    pub fn from_units(units: u32) -> Option<Self> {
        (1..=UNITS_MAX).contains(&units).then_some(Self(units))
    }

    /// How many hundred-thousandths of one per cent it is, from 1 to 10,000,000: the digits that banks take.
    pub fn units(self) -> u32 {
        self.0
    }

    /// This part of an amount.
    pub fn of(self, basis: Cents, rounding: Rounding) -> Cents {
        rounding.divide(i128::from(basis.0) * i128::from(self.0), i128::from(UNITS_MAX))
    }

    /// This rate a month, simple and pro rata, for so many days. It is rounded once, at the end: a daily amount that
    /// was rounded first would lose a part of a cent every day.
    pub fn of_days(self, basis: Cents, days: u32, rounding: Rounding) -> Cents {
        // 63, 24 and 32 bits: no product of these fills the 127 that there are.
        let numerator = i128::from(basis.0) * i128::from(self.0) * i128::from(days);
        rounding.divide(numerator, i128::from(UNITS_MAX) * DAYS_PER_MONTH)
    }
}

impl FromStr for Percent {
    type Err = PercentError;

    fn from_str(text: &str) -> Result<Self, PercentError> {
        let (integer, decimals) = match text.split_once('.') {
            Some((_, "")) => return Err(PercentError::Form),
            Some(parts) => parts,
            None => (text, ""),
        };
        let all_digits = integer.bytes().chain(decimals.bytes()).all(|byte| byte.is_ascii_digit());
        if integer.is_empty() || !all_digits {
            return Err(PercentError::Form);
        }
        if decimals.len() > DECIMALS {
            return Err(PercentError::Decimals);
        }
        if integer.len() > INTEGER_DIGITS_MAX {
            return Err(PercentError::Bounds);
        }
        let digits = integer.bytes().chain(decimals.bytes()).chain(std::iter::repeat(b'0'));
        let units = digits
            .take(integer.len() + DECIMALS)
            .fold(0_u32, |units, digit| units * 10 + u32::from(digit & 0x0f));
        Self::from_units(units).ok_or(PercentError::Bounds)
    }
}

/// As short as it can be and still be read back: `2`, `0.29`, `1.5`.
impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (integer, decimals) = (self.0 / UNITS_PER_PERCENT, self.0 % UNITS_PER_PERCENT);
        if decimals == 0 {
            return write!(f, "{integer}");
        }
        let decimals = format!("{decimals:05}");
        write!(f, "{integer}.{}", decimals.trim_end_matches('0'))
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn units(text: &str) -> Result<u32, PercentError> {
        text.parse().map(Percent::units)
    }

    #[test]
    fn text_is_read_exactly() {
        for (text, expected) in [
            ("1.5", 150_000),
            // Through binary floating point these two come out one less.
            ("0.29", 29_000),
            ("0.57", 57_000),
            ("0.00001", 1),
            ("99.99999", 9_999_999),
            ("100", 10_000_000),
            ("100.00000", 10_000_000),
            ("002", 200_000),
        ] {
            assert_eq!(units(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_percentage_is_refused_with_its_rule() {
        for text in ["", ".", ".5", "5.", "1,5", "+1", "-1", "1e1", " 1", "1 ", "1.5.0", "٣", "1.٣"] {
            assert_eq!(units(text), Err(PercentError::Form), "{text:?}");
        }
        for text in ["1.000001", "1.500000", "0.000001"] {
            assert_eq!(units(text), Err(PercentError::Decimals), "{text}");
        }
        for text in ["0", "0.00000", "100.00001", "999", "1000", "0001", "99999999999999999999"] {
            assert_eq!(units(text), Err(PercentError::Bounds), "{text}");
        }
        assert_eq!(Percent::from_units(0), None);
        assert_eq!(Percent::from_units(10_000_001), None);
    }

    #[test]
    fn in_the_store_it_is_text() {
        let percent: Percent = "0.29".parse().unwrap();
        assert_eq!(serde_json::to_string(&percent).unwrap(), r#""0.29""#);
        assert_eq!(serde_json::from_str::<Percent>(r#""0.29000""#).unwrap(), percent);
        assert!(serde_json::from_str::<Percent>("0.29").is_err());
        assert!(serde_json::from_str::<Percent>(r#""0""#).is_err());
    }

    #[test]
    fn no_amount_and_no_number_of_days_is_too_much() {
        let whole = Percent::from_units(UNITS_MAX).unwrap();
        for rounding in Rounding::ALL {
            assert_eq!(whole.of(Cents(i64::MAX), rounding), Cents(i64::MAX));
            assert_eq!(whole.of_days(Cents(i64::MAX), u32::MAX, rounding), Cents(i64::MAX));
            assert_eq!(whole.of_days(Cents(i64::MIN), u32::MAX, rounding), Cents(i64::MIN));
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(units in 1..=UNITS_MAX) {
            let percent = Percent::from_units(units).unwrap();
            prop_assert_eq!(percent.to_string().parse(), Ok(percent));
        }

        #[test]
        fn a_month_of_days_is_the_rate(units in 1..=UNITS_MAX, cents in 0_i64..=9_999_999_999, months in 1_u32..48) {
            let percent = Percent::from_units(units).unwrap();
            for rounding in Rounding::ALL {
                let whole = rounding.divide(i128::from(cents) * i128::from(units) * i128::from(months), 10_000_000);
                prop_assert_eq!(percent.of_days(Cents(cents), 30 * months, rounding), whole);
            }
        }

        #[test]
        fn parts_lose_less_than_a_cent_each(units in 1..=UNITS_MAX, left in 0_i64..5_000_000_000, right in 0_i64..5_000_000_000) {
            let percent = Percent::from_units(units).unwrap();
            let of = |cents| percent.of(Cents(cents), Rounding::Truncate).0;
            let lost = of(left + right) - (of(left) + of(right));
            prop_assert!((0..=1).contains(&lost));
        }

        #[test]
        fn the_rules_differ_by_at_most_a_cent(units in 1..=UNITS_MAX, cents in 0_i64..=9_999_999_999, days in 0_u32..40_000) {
            let percent = Percent::from_units(units).unwrap();
            let by = |rounding| percent.of_days(Cents(cents), days, rounding).0;
            prop_assert!((0..=1).contains(&(by(Rounding::HalfEven) - by(Rounding::Truncate))));
        }
    }
}
