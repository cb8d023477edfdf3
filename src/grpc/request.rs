//! What the services do alike with their requests: read ids and dates, hash a body, say what is wrong.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::America::Sao_Paulo;
use prost::Message;
use sha2::{Digest as _, Sha256};

use super::status::ApiError;
use crate::domain::ids::TenantId;
use crate::domain::violation::Violation;
use crate::store::request_key::RequestKey;

/// Grows when the same body would be read differently, so that an old key is never taken for another body's.
const BODY_VERSION: u8 = 1;
const REQUEST_ID_CHARS_MAX: usize = 128;
const REASON_CHARS_MAX: usize = 255;

/// An id, or one violation.
pub fn id<T: std::str::FromStr>(field: &str, text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|_| ApiError::field(field, "must be a UUID"))
}

/// An id that may be left out.
pub fn optional_id<T: std::str::FromStr>(
    field: &str,
    text: &str,
    violations: &mut Vec<Violation>,
) -> Option<T> {
    if text.is_empty() {
        return None;
    }
    let parsed = text.parse().ok();
    if parsed.is_none() {
        violations.push(Violation::new(field, "must be a UUID"));
    }
    parsed
}

/// A civil date that may be left out.
pub fn optional_date(field: &str, text: &str, violations: &mut Vec<Violation>) -> Option<NaiveDate> {
    if text.is_empty() {
        return None;
    }
    let parsed = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10);
    if parsed.is_none() {
        violations.push(Violation::new(field, "must be a date, YYYY-MM-DD"));
    }
    parsed
}

/// Text that may be left out, of a length at most.
pub fn optional_text(
    field: &str,
    text: String,
    chars_max: usize,
    violations: &mut Vec<Violation>,
) -> Option<String> {
    if text.chars().count() > chars_max {
        violations.push(Violation::new(field, format!("at most {chars_max} characters")));
    }
    if text.chars().any(|character| character.is_control() && character != '\n') {
        violations.push(Violation::new(field, "no control characters"));
    }
    (!text.is_empty()).then_some(text)
}

/// Why somebody did something, in their own words: 1 to 255 characters.
pub fn reason(text: String, violations: &mut Vec<Violation>) -> String {
    let reason = optional_text("reason", text, REASON_CHARS_MAX, violations);
    if reason.as_deref().is_none_or(|reason| reason.trim().is_empty()) {
        violations.push(Violation::new("reason", "required"));
    }
    reason.unwrap_or_default()
}

/// Why somebody did something, where they need not say: up to 255 characters, empty for nothing said.
pub fn optional_reason(text: String, violations: &mut Vec<Violation>) -> String {
    optional_text("reason", text, REASON_CHARS_MAX, violations).unwrap_or_default()
}

/// [`optional_reason`] of a request of which nothing else can be wrong.
pub fn only_reason(text: String) -> Result<String, ApiError> {
    let mut violations = Vec::new();
    let reason = optional_reason(text, &mut violations);
    if violations.is_empty() { Ok(reason) } else { Err(ApiError::Invalid(violations)) }
}

/// The key of a request that names itself; none for one that does not.
pub fn key(
    tenant: &TenantId,
    method: &'static str,
    request_id: &str,
    body: &impl Message,
    violations: &mut Vec<Violation>,
) -> Option<RequestKey> {
    if request_id.is_empty() {
        return None;
    }
    let fits =
        request_id.len() <= REQUEST_ID_CHARS_MAX && request_id.bytes().all(|byte| byte.is_ascii_graphic());
    if !fits {
        let rule = format!("1 to {REQUEST_ID_CHARS_MAX} visible ASCII characters");
        violations.push(Violation::new("request_id", rule));
        return None;
    }
    let mut body_hash = vec![BODY_VERSION];
    body_hash.extend(Sha256::digest(body.encode_to_vec()));
    Some(RequestKey { tenant_id: tenant.clone(), method, request_id: request_id.to_owned(), body_hash })
}

/// The civil date of now in America/Sao_Paulo, where boletos fall due.
pub fn today() -> NaiveDate {
    Utc::now().with_timezone(&Sao_Paulo).date_naive()
}

/// A moment as the store keeps it: to the microsecond.
pub fn now() -> DateTime<Utc> {
    let now = Utc::now();
    DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
}
