//! Amounts of any currency, exact to the third decimal, as open banking writes them.
//!
//! **Owns** nothing. **Fails** by being none: text that is no decimal number is no amount, and never becomes one by rounding.
//! **Limits**: Berlin Group 1.3.11 `amountValue` has up to fourteen digits and three decimals; more than that is taken as long as
//! it can be held, and more decimals only if they are zeros. The house's own `Cents` are of one currency and two decimals.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;

const DECIMALS_MAX: usize = 3;
const THOUSAND: i64 = 1_000;

/// A signed amount. Equal amounts are equal however they were written: `1.5`, `1.50` and `01.500` are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount {
    thousandths: i64,
}

impl Amount {
    /// Reads `12`, `-12.5` or `12.345`; blanks around it do not count.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, decimals) = match digits.split_once('.') {
            Some((whole, decimals)) if !decimals.is_empty() => (whole, decimals),
            Some(_) => return None,
            None => (digits, ""),
        };
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_digits(whole) || !is_digits(decimals) {
            return None;
        }
        let (kept, beyond) = decimals.split_at(decimals.len().min(DECIMALS_MAX));
        if beyond.bytes().any(|digit| digit != b'0') {
            return None;
        }
        let fraction = kept.bytes().chain([b'0'; DECIMALS_MAX]).take(DECIMALS_MAX);
        let fraction = fraction.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        let whole: i64 = whole.parse().ok()?;
        let thousandths = whole.checked_mul(THOUSAND)?.checked_add(fraction)?;
        Some(Self { thousandths: if is_negative { -thousandths } else { thousandths } })
    }

    /// That many thousandths of the currency's unit.
    pub fn from_thousandths(thousandths: i64) -> Self {
        Self { thousandths }
    }

    /// In thousandths of the currency's unit.
    pub fn thousandths(self) -> i64 {
        self.thousandths
    }

    /// In hundredths and the exponent two; in thousandths and the exponent three where hundredths cannot say it.
    pub fn minor(self) -> (i64, u8) {
        if self.thousandths % 10 == 0 { (self.thousandths / 10, 2) } else { (self.thousandths, 3) }
    }

    /// The same amount the other way.
    #[must_use]
    pub fn negated(self) -> Self {
        Self { thousandths: self.thousandths.saturating_neg() }
    }

    pub fn is_negative(self) -> bool {
        self.thousandths < 0
    }
}

impl fmt::Display for Amount {
    /// With two decimals, or three where they are needed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_negative() { "-" } else { "" };
        let size = self.thousandths.unsigned_abs();
        let (whole, fraction) = (size / 1_000, size % 1_000);
        match fraction % 10 {
            0 => write!(f, "{sign}{whole}.{:02}", fraction / 10),
            _ => write!(f, "{sign}{whole}.{fraction:03}"),
        }
    }
}

/// An amount in JSON, as text or as a number, digit by digit; none where it is missing or blank.
pub(super) fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Amount>, D::Error> {
    let Some(raw) = Option::<&RawValue>::deserialize(deserializer)? else { return Ok(None) };
    let text = raw.get();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    if text.trim().is_empty() {
        return Ok(None);
    }
    // The text itself stays out of the error: what somebody has is nobody else's.
    Amount::parse(text).map(Some).ok_or_else(|| D::Error::custom("no amount"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_as_the_standards_write_them() {
        for (text, thousandths, shown) in [
            ("1056", 1_056_000, "1056.00"),
            ("5768.2", 5_768_200, "5768.20"),
            ("-1.50", -1_500, "-1.50"),
            ("5877.78", 5_877_780, "5877.78"),
            (" 0.125 ", 125, "0.125"),
            ("-0.00", 0, "0.00"),
            ("007", 7_000, "7.00"),
            ("+1.0000", 1_000, "1.00"),
            ("99999999999999.999", 99_999_999_999_999_999, "99999999999999.999"),
        ] {
            let amount = Amount::parse(text).unwrap();
            assert_eq!((amount.thousandths(), amount.to_string().as_str()), (thousandths, shown), "{text}");
        }
        assert_eq!(Amount::parse("1.5").unwrap().minor(), (150, 2));
        assert_eq!(Amount::parse("-1.005").unwrap().minor(), (-1_005, 3));
    }

    #[test]
    fn what_is_no_amount_is_none() {
        for text in
            ["", "-", ".5", "5.", "1,50", "1 000", "1e3", "0x1", "--1", "1.2.3", "1.0001", "NaN", "٣", "1.-5"]
        {
            assert_eq!(Amount::parse(text), None, "{text}");
        }
        assert_eq!(Amount::parse("9223372036854775.808"), None);
        assert_eq!(Amount::parse("9223372036854775.807").unwrap().thousandths(), i64::MAX);
        assert_eq!(Amount::parse(&"9".repeat(400)), None);
    }

    #[test]
    fn json_has_them_as_text_or_as_numbers() {
        #[derive(serde::Deserialize)]
        struct Body {
            #[serde(default, deserialize_with = "amount")]
            of: Option<Amount>,
        }
        let read =
            |json: &str| serde_json::from_str::<Body>(json).map(|body| body.of.map(Amount::thousandths));
        assert_eq!(read(r#"{"of":"-12.5"}"#).unwrap(), Some(-12_500));
        // A floating-point number would have lost the last digit.
        assert_eq!(read(r#"{"of":90071992547409.931}"#).unwrap(), Some(90_071_992_547_409_931));
        for none in [r#"{"of":null}"#, r#"{"of":" "}"#, "{}"] {
            assert_eq!(read(none).unwrap(), None, "{none}");
        }
        for bad in
            [r#"{"of":"12,5"}"#, r#"{"of":1e3}"#, r#"{"of":[]}"#, r#"{"of":true}"#, r#"{"of":"s3cret"}"#]
        {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.contains("no amount") && !error.contains("s3cret"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(thousandths in -i64::MAX..=i64::MAX) {
            let amount = Amount::from_thousandths(thousandths);
            prop_assert_eq!(Amount::parse(&amount.to_string()), Some(amount));
            prop_assert_eq!(amount.negated().negated(), amount);
            let (minor, exponent) = amount.minor();
            prop_assert_eq!(minor * if exponent == 2 { 10 } else { 1 }, thousandths);
        }

        #[test]
        fn no_text_is_too_much(text in "\\PC{0,40}", digits in "[-+]?[0-9.]{0,40}") {
            for text in [text, digits] {
                if let Some(amount) = Amount::parse(&text) {
                    prop_assert_eq!(Amount::parse(&amount.to_string()), Some(amount));
                }
            }
        }
    }
}
