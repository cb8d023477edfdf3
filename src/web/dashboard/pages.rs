//! What each page shows, asked of the API as it is opened.
//!
//! **Owns** nothing. **Fails** as the API does: what one part of a page may not show is said in its place, and the rest is shown.
//! **Limits**: [`ROWS`] rows of a list, the next ones on a page of their own.

pub mod boletos;
pub mod dead_letters;
pub mod overview;
pub mod timetable;
pub mod transfers;

use std::collections::HashMap;

use serde_json::{Value, json};

use super::api::Trouble;

/// Rows of a list.
pub const ROWS: i32 = 50;

/// The fields of a form, or of the part of an address behind its question mark.
pub type Fields = HashMap<String, String>;

/// A field, or nothing.
pub fn field(fields: &Fields, name: &str) -> String {
    fields.get(name).cloned().unwrap_or_default()
}

/// A part of a page: what it shows, or why it does not.
///
/// # Errors
/// Where nobody is signed in: then there is no page.
pub fn part<T>(told: Result<T, Trouble>, show: impl FnOnce(T) -> Value) -> Result<Value, Trouble> {
    match told {
        Ok(told) => Ok(json!({ "data": show(told), "trouble": null })),
        Err(Trouble::Refused { words, .. }) => Ok(json!({ "data": null, "trouble": words })),
        Err(Trouble::SignedOut) => Err(Trouble::SignedOut),
    }
}

/// Each of some messages as it is shown.
pub fn each<T>(messages: &[T], show: impl Fn(&T) -> Value) -> Value {
    messages.iter().map(show).collect()
}
