//! The protocol's messages as JSON documents: the field names are the protocol's, and every field is always there.
//!
//! Enums are their short names in lower case, times RFC 3339, durations seconds with an `s`, amounts integers,
//! what is absent `null`. The readable views are cut out of the same documents.
//!
//! **Owns** nothing. **Fails** never: a value of an enum that we do not know is shown as its number.

pub mod audit;
pub mod bank_account;
pub mod boleto;
pub mod delivery;
pub mod endpoint;
pub mod job;
pub mod node;
pub mod openbanking;
pub mod parsed;
pub mod process;
pub mod queue;
pub mod reconciliation;
pub mod token;
pub mod transfer;
pub mod work;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use prost_types::{Duration, Timestamp};
use serde_json::Value;

/// A point in time, RFC 3339 in UTC.
pub(super) fn time(time: Option<&Timestamp>) -> Value {
    time.map_or(Value::Null, |time| Value::String(time.to_string()))
}

/// A span of time, such as `1.5s`.
pub(super) fn duration(duration: Option<&Duration>) -> Value {
    duration.map_or(Value::Null, |duration| Value::String(duration.to_string()))
}

/// The short name of an enum's value: `BOLETO_STATUS_PAID` is `paid`.
fn short(number: i32, prefix: &str, name: Option<&'static str>) -> String {
    let name = name.and_then(|name| name.strip_prefix(prefix));
    name.map_or_else(|| number.to_string(), str::to_ascii_lowercase)
}

/// Reads an argument that is the short name of an enum's value.
pub(super) fn short_name_parser<E: Clone + Send + Sync + 'static>(
    names: &'static [&'static str],
    prefix: &'static str,
    value: fn(&str) -> Option<E>,
) -> impl TypedValueParser<Value = E> {
    PossibleValuesParser::new(names).try_map(move |name| {
        value(&format!("{prefix}{}", name.to_ascii_uppercase())).ok_or("the protocol has no such value")
    })
}

#[cfg(test)]
mod tests;
