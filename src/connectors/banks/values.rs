//! Values as banks write them: amounts as numbers or text, codes of either kind, blanks for what is not known.
//!
//! **Owns** nothing. **Limits**: amounts never pass through a floating-point number, in either direction.

use std::borrow::Cow;

use chrono::NaiveDate;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::connectors::http::HttpUrl;
use crate::domain::money::Cents;

/// An amount as text with exactly two decimals: `1234.50`.
pub(super) fn decimal(amount: Cents) -> String {
    let Cents(cents) = amount;
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.unsigned_abs() / 100, cents.unsigned_abs() % 100)
}

/// An amount as a number in JSON with exactly two decimals, written digit by digit.
pub(super) fn number(amount: Cents) -> Box<RawValue> {
    RawValue::from_string(decimal(amount)).expect("digits, a point and two digits are a number in JSON")
}

/// An amount as a bank wrote it in JSON (`12`, `12.5`, `"12.50"`), in cents; `None` for what is no amount of cents.
pub(super) fn cents(raw: &RawValue) -> Option<Cents> {
    cents_of(raw.get().trim_matches('"'))
}

/// An amount as a bank wrote it (`12`, `12.5`, `12.50`), in cents; `None` for what is no amount of cents.
pub(super) fn cents_of(text: &str) -> Option<Cents> {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let fraction = match fraction.trim_end_matches('0') {
        "" => Cow::Borrowed("00"),
        short if short.len() == 1 => Cow::Owned(format!("{short}0")),
        exact => Cow::Borrowed(exact),
    };
    if whole.is_empty() || !is_digits(whole) || fraction.len() != 2 || !is_digits(&fraction) {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    whole.checked_mul(100)?.checked_add(fraction.parse().ok()?).map(Cents)
}

/// A civil date as many banks write it (`2026-04-10`), with or without a time of day; blank and zero dates are none.
pub(super) fn day(text: &str) -> Option<NaiveDate> {
    text.trim().get(..10).and_then(|day| day.parse().ok())
}

/// Text or number, as text; a bank is not always of one mind about which it is.
pub(super) fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Text that may have come as a number; blanks and zeros, with which a bank fills what it does not know, are none.
pub(super) fn given(value: Option<Value>) -> Option<String> {
    value.and_then(text).filter(|text| text.bytes().any(|byte| byte != b'0'))
}

/// The address of a page in the web that may be shown to a payer; none where it is of another kind, or endless.
pub(super) fn page(text: &str) -> Option<String> {
    const CHARS_MAX: usize = 2_048;
    HttpUrl::parse(text.trim()).ok().map(String::from).filter(|address| address.len() <= CHARS_MAX)
}
