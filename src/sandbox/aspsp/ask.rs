//! A request as it came, and what a bank says to it before it is put in a standard's form.
//!
//! **Owns** nothing.
//! **Fails** by [`Refusal`].
//! **Limits**: a header that comes twice is none.

use axum::http::{HeaderMap, Method};
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::journal::AspspCall;
use super::key::Keys;
use crate::sandbox::ledger::Effect;

/// A request, and what else an answer is made of.
pub struct Ask<'a> {
    pub method: &'a Method,
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
    pub now: DateTime<Utc>,
    /// All tokens of other epochs have ended.
    pub epoch: u64,
    pub keys: &'a Keys,
    pub client_id: &'a str,
    pub client_secret: &'a str,
}

impl Ask<'_> {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }

    pub fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }
}

/// What was said, and what came of it.
#[derive(Default)]
pub struct Told {
    pub body: Vec<u8>,
    pub effects: Vec<Effect>,
}

impl Told {
    pub fn of(body: &impl Serialize) -> Self {
        // What is told has texts for keys and no numbers that JSON does not know, so it can be written.
        Told { body: serde_json::to_vec(body).unwrap_or_default(), effects: Vec::new() }
    }
}

/// Why not, in no standard's form.
#[derive(Debug)]
pub struct Refusal {
    pub status: u16,
    pub code: String,
    pub text: String,
    pub retry_after_s: Option<u64>,
    /// The request breaks the standard itself.
    pub is_complaint: bool,
    /// Things that happened nevertheless.
    pub effects: Vec<Effect>,
}

impl Refusal {
    pub fn new(status: u16, code: &str, text: impl Into<String>) -> Self {
        Refusal {
            status,
            code: code.to_owned(),
            text: text.into(),
            retry_after_s: None,
            is_complaint: false,
            effects: Vec::new(),
        }
    }

    /// The request breaks the standard, whatever the bank's state is.
    pub fn complaint(status: u16, code: &str, text: impl Into<String>) -> Self {
        Refusal { is_complaint: true, ..Self::new(status, code, text) }
    }

    /// One that a script wants: `CODE`, with the status that it usually has, or `status:CODE`.
    pub fn scripted(code: &str) -> Self {
        if let Some((status, code)) = code.split_once(':')
            && let Ok(status) = status.parse()
        {
            return Self::new(status, code, "refused");
        }
        let status = match code {
            "CONSENT_EXPIRED" | "CONSENT_INVALID" | "CERTIFICATE_EXPIRED" => 401,
            code if code.starts_with("TOKEN_") => 401,
            "SERVICE_BLOCKED" | "CONSENT_UNKNOWN" => 403,
            "RESOURCE_UNKNOWN" => 404,
            "STATUS_INVALID" => 409,
            "ACCESS_EXCEEDED" => 429,
            _ => 400,
        };
        Self::new(status, code, "refused")
    }
}

/// The journal's line about a call under way.
pub type Note = AspspCall;
