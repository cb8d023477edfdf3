//! By what an account is one, and what stands on it to the last digit.
//!
//! A bank's own name for an account (`resourceId`, `account-id`) holds for one consent only (Berlin Group 1.3.11), so an account
//! is known by its number and its currency.
//!
//! **Owns** nothing. **Fails** with what is wrong with a text. **Limits**: amounts have three decimals at most, which is what both
//! standards allow, and lie within a thousandth of an `i64`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Characters of an account's number, at most: an IBAN has 34.
pub const NUMBER_CHARS_MAX: usize = 64;

/// Which account of a customer's at a bank.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccountKey {
    /// An IBAN or a number of the country's, without blanks, in capitals.
    pub number: String,
    /// Three capitals of ISO 4217.
    pub currency: String,
}

/// Why a text names no account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAccount {
    #[error("an account's number is 1 to 64 letters and digits")]
    Number,
    #[error("a currency is three letters")]
    Currency,
}

impl AccountKey {
    /// # Errors
    /// A number that is empty, too long, or masked; a currency that is none.
    pub fn new(number: &str, currency: &str) -> Result<Self, NoAccount> {
        let number: String = number.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_uppercase();
        let is_plain = number.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-/.".contains(&byte));
        // PolishAPI's getAccounts masks numbers; a masked one is nobody's.
        if !(1..=NUMBER_CHARS_MAX).contains(&number.len()) || !is_plain {
            return Err(NoAccount::Number);
        }
        let currency = currency.trim().to_uppercase();
        if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(NoAccount::Currency);
        }
        Ok(Self { number, currency })
    }
}

/// An amount in thousandths of its currency's unit, signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Thousandths(pub i64);

/// The text is no amount, or one that cannot be kept to the last digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an amount is digits with at most three behind a dot")]
pub struct NoAmount;

impl Thousandths {
    /// Reads `-12.5` as it is written by both standards.
    ///
    /// # Errors
    /// Anything but a sign, digits and up to three decimals; an amount that is too large.
    pub fn parse(text: &str) -> Result<Self, NoAmount> {
        let (is_negative, digits) = match text.as_bytes() {
            [b'-', ..] => (true, &text[1..]),
            [b'+', ..] => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let is_plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let ends_in_a_dot = digits.ends_with('.');
        if whole.is_empty() || decimals.len() > 3 || ends_in_a_dot || !is_plain(whole) || !is_plain(decimals)
        {
            return Err(NoAmount);
        }
        let thousandths = format!("{whole}{decimals:0<3}").parse::<i64>().map_err(|_| NoAmount)?;
        Ok(Self(if is_negative { -thousandths } else { thousandths }))
    }
}

impl fmt::Display for Thousandths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, rest) = (self.0.unsigned_abs() / 1_000, self.0.unsigned_abs() % 1_000);
        if rest.is_multiple_of(10) {
            write!(f, "{sign}{whole}.{:02}", rest / 10)
        } else {
            write!(f, "{sign}{whole}.{rest:03}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_kept_to_the_last_digit() {
        for (text, thousandths, written) in [
            ("12.5", 12_500, "12.50"),
            ("-0.01", -10, "-0.01"),
            ("+7", 7_000, "7.00"),
            ("1.234", 1_234, "1.234"),
            ("0.005", 5, "0.005"),
            ("-9223372036854775.807", -i64::MAX, "-9223372036854775.807"),
        ] {
            assert_eq!(Thousandths::parse(text), Ok(Thousandths(thousandths)), "{text}");
            assert_eq!(Thousandths(thousandths).to_string(), written);
        }
        for bad in ["", "-", ".5", "1.", "1,5", "1.2345", " 1", "1e3", "--1", "9223372036854775.808", "-+1"] {
            assert_eq!(Thousandths::parse(bad), Err(NoAmount), "{bad:?}");
        }
    }

    #[test]
    fn an_account_is_known_however_its_number_is_written() {
        let key = AccountKey::new("pl61 1090 1014 0000 0712 1981 2874", "pln").unwrap();
        assert_eq!(key, AccountKey::new("PL61109010140000071219812874", " PLN ").unwrap());
        assert_eq!(AccountKey::new("PL61****2874", "PLN"), Err(NoAccount::Number));
        assert_eq!(AccountKey::new("  ", "PLN"), Err(NoAccount::Number));
        assert_eq!(AccountKey::new("1", "zł"), Err(NoAccount::Currency));
    }
}
