//! Bodies and queries against closed schemas, and the words for what is wrong with them.
//!
//! **Owns** nothing.
//! **Fails** with the field that is missing or too much; any other fault is told by its place alone, because the parser's
//! own words could repeat a value.
//! **Limits**: types only; what values mean is for each bank's rules.

use axum::http::{HeaderMap, Uri, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Why a body was not read.
#[derive(Debug, PartialEq, Eq)]
pub enum Unread {
    /// It is not said to be JSON.
    Kind,
    /// It breaks the schema, in these words.
    Schema(String),
}

/// Reads a JSON body.
pub fn read_json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Unread> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().unwrap_or_default().trim() != "application/json" {
        return Err(Unread::Kind);
    }
    serde_json::from_slice(body).map_err(|error| Unread::Schema(words(&error)))
}

/// Reads a query; anything that is not in the schema makes it unreadable.
pub fn read_query<T: DeserializeOwned>(uri: &Uri) -> Option<T> {
    axum::extract::Query::try_from_uri(uri).ok().map(|query| query.0)
}

/// Reads a form.
pub fn read_form<T: DeserializeOwned>(headers: &HeaderMap, form: &[u8]) -> Option<T> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return None;
    }
    // The query extractor reads the same encoding, and an address is the way to hand it text.
    read_query(&format!("/?{}", std::str::from_utf8(form).ok()?).parse().ok()?)
}

fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if ["unknown field", "missing field", "duplicate field"].iter().any(|start| text.starts_with(start)) {
        return text;
    }
    format!("tipo ou sintaxe inválida na coluna {} da linha {}", error.column(), error.line())
}

/// A value that the sheets name without its type: a number or a text of digits will do.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum NumberOrText {
    Number(serde_json::Number),
    Text(String),
}

impl NumberOrText {
    /// As it was written.
    pub fn text(&self) -> String {
        match self {
            NumberOrText::Number(number) => number.to_string(),
            NumberOrText::Text(text) => text.clone(),
        }
    }

    /// The whole number, when it is digits and nothing else.
    pub fn digits(&self) -> Option<u64> {
        let text = self.text();
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
    }
}
