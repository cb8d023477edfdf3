//! Why there is no answer, and what the errors of an ASPSP mean.
//!
//! Statuses and codes are read the same way for every standard: what the settings say of a code comes first, then what the
//! standard says of it, then the status.
//!
//! **Owns** nothing. **Fails** as [`AspspError`] says. **Limits**: of what an ASPSP says its code alone is kept, up to 64 bytes; its
//! sentences may tell of people, and are only looked through for a number of seconds.

use std::time::Duration;

use chrono::Utc;
use serde::{Deserialize, Serialize};

use super::wait;
use crate::connectors::http::{Answer, HttpError};

const CODE_BYTES_MAX: usize = 64;
/// More digits than any code has: a number of somebody's.
const CODE_DIGITS_MAX: usize = 8;

/// Why there is no answer, sorted by what the caller does next. Nothing of it repeats an ASPSP's sentences, an address, a name or a
/// secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AspspError {
    /// Ask again later. Whether bytes left is for the call's record to say.
    #[error("aspsp unavailable: {reason}")]
    Unavailable { retry_after: Option<Duration>, reason: String },
    /// The quota is used up: ask again after that time, or when the window says so.
    #[error("rate limited: {code}")]
    RateLimited { retry_after: Option<Duration>, code: String },
    /// Never ask again under this consent.
    #[error("consent ended ({}): {code}", .how.as_str())]
    ConsentEnded { how: ConsentEnd, code: String },
    /// The token is not, or no longer, good: refresh it. When refreshing says so: have the PSU authorise anew.
    #[error("token not accepted: {code}")]
    Unauthorised { code: String },
    /// Asking the same again gives the same answer.
    #[error("aspsp refused: {code}")]
    Refused { code: String },
    /// The ASPSP knows no such account, consent or payment.
    #[error("not found: {code}")]
    NotFound { code: String },
    /// The answer will come later, to a callback: nothing is known now, least of all that there is nothing.
    #[error("the answer is to come by a callback")]
    Pending,
    /// This ASPSP has no such call, or does not speak JSON in it.
    #[error("not supported: {reason}")]
    Unsupported { reason: String },
    /// Nothing will be answered until somebody corrects our settings.
    #[error("aspsp misconfigured: {reason}")]
    Misconfigured { reason: String },
    /// An answer came, and nobody may rely on it.
    #[error("answer cannot be read: {reason}")]
    Unreadable { reason: String },
    /// An answer came, and it is longer than we read; ask for less.
    #[error("answer is longer than {limit_bytes} bytes")]
    TooLarge { limit_bytes: usize },
}

/// How a consent ended, as far as the ASPSP says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentEnd {
    Expired,
    Revoked,
    /// It cannot be used, and no code says why. Where the standard lets one, ask about the consent itself.
    Unknown,
}

impl ConsentEnd {
    /// The name in the store and in news to owners.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Unknown => "unknown",
        }
    }
}

/// What a code or a status means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    ConsentExpired,
    ConsentRevoked,
    ConsentEnded,
    Unauthorised,
    RateLimited,
    NotFound,
    Refused,
    Unavailable,
    Unsupported,
    Misconfigured,
}

/// What an ASPSP complains of.
#[derive(Default)]
pub(super) struct Complaint {
    /// Its codes, the first of them the one that is kept.
    pub(super) codes: Vec<String>,
    /// Its sentences, never kept.
    pub(super) text: String,
}

impl AspspError {
    /// The kind's name in the store.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "unavailable",
            Self::RateLimited { .. } => "rate_limited",
            Self::ConsentEnded { .. } => "consent_ended",
            Self::Unauthorised { .. } => "unauthorised",
            Self::Refused { .. } => "refused",
            Self::NotFound { .. } => "not_found",
            Self::Pending => "pending",
            Self::Unsupported { .. } => "unsupported",
            Self::Misconfigured { .. } => "misconfigured",
            Self::Unreadable { .. } => "unreadable",
            Self::TooLarge { .. } => "too_large",
        }
    }

    /// Whether the ASPSP wants to be left alone for a while, whichever code it says so with.
    pub fn is_put_off(&self) -> bool {
        match self {
            Self::RateLimited { .. } => true,
            Self::Unavailable { retry_after, .. } => retry_after.is_some(),
            _ => false,
        }
    }

    /// When the ASPSP says that it may be asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } | Self::RateLimited { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// What an answer without success means. `standard` knows the codes of the standard.
pub(super) fn of_answer(
    answer: &Answer,
    complaint: &Complaint,
    settings: impl Fn(&str) -> Option<Meaning>,
    standard: impl Fn(u16, &str) -> Option<Meaning>,
    of_status: impl Fn(u16) -> Meaning,
) -> AspspError {
    let status = answer.status.as_u16();
    let codes = || complaint.codes.iter().map(|code| code.as_str());
    let by_code = codes()
        .find_map(|code| Some((settings(code)?, code)))
        .or_else(|| codes().find_map(|code| Some((standard(status, code)?, code))));
    let (meaning, code) = match by_code {
        Some((meaning, code)) => (meaning, Some(code)),
        None => (of_status(status), codes().next()),
    };
    let code = match code.and_then(shown) {
        Some(code) => format!("{code} ({status})"),
        None => format!("status {status}"),
    };
    meant(meaning, code, answer, &complaint.text)
}

fn meant(meaning: Meaning, code: String, answer: &Answer, text: &str) -> AspspError {
    let ended = |how| AspspError::ConsentEnded { how, code: code.clone() };
    match meaning {
        Meaning::ConsentExpired => ended(ConsentEnd::Expired),
        Meaning::ConsentRevoked => ended(ConsentEnd::Revoked),
        Meaning::ConsentEnded => ended(ConsentEnd::Unknown),
        Meaning::Unauthorised => AspspError::Unauthorised { code },
        Meaning::RateLimited => {
            let retry_after = answer.retry_after(Utc::now()).or_else(|| wait::named_in(text));
            AspspError::RateLimited { retry_after, code }
        }
        Meaning::NotFound => AspspError::NotFound { code },
        Meaning::Refused => AspspError::Refused { code },
        Meaning::Unavailable => {
            AspspError::Unavailable { retry_after: answer.retry_after(Utc::now()), reason: code }
        }
        Meaning::Unsupported => AspspError::Unsupported { reason: code },
        Meaning::Misconfigured => AspspError::Misconfigured { reason: code },
    }
}

/// What a status means wherever its codes say nothing else. Standards differ in 404.
pub(super) fn of_status(status: u16, not_found: Meaning) -> Meaning {
    match status {
        401 => Meaning::Unauthorised,
        404 => not_found,
        429 => Meaning::RateLimited,
        406 | 501 => Meaning::Unsupported,
        408 | 425 | 500 | 502..=599 => Meaning::Unavailable,
        // A redirect is an address that is no longer right; it is not followed, because tokens would go along.
        300..=399 | 405 | 407 | 415 => Meaning::Misconfigured,
        _ => Meaning::Refused,
    }
}

/// Why nothing came, or too much.
pub(super) fn of_lost(lost: &HttpError) -> AspspError {
    match lost {
        HttpError::Forbidden(_) => misconfigured(lost.to_string()),
        HttpError::Connect { .. } | HttpError::Timeout { .. } | HttpError::Reset { .. } => {
            AspspError::Unavailable { retry_after: None, reason: lost.to_string() }
        }
        HttpError::BodyTooLarge { limit_bytes, .. } => AspspError::TooLarge { limit_bytes: *limit_bytes },
    }
}

pub(super) fn misconfigured(reason: impl Into<String>) -> AspspError {
    AspspError::Misconfigured { reason: reason.into() }
}

pub(super) fn unsupported(reason: impl Into<String>) -> AspspError {
    AspspError::Unsupported { reason: reason.into() }
}

pub(super) fn unreadable(reason: impl Into<String>) -> AspspError {
    AspspError::Unreadable { reason: reason.into() }
}

/// An ASPSP's code, if it is one: one standard lets it be any text, and a sentence or a number may be about somebody.
fn shown(code: &str) -> Option<&str> {
    let is_of_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    let digits = code.bytes().filter(u8::is_ascii_digit).count();
    let is_code = code.len() <= CODE_BYTES_MAX && digits <= CODE_DIGITS_MAX && code.bytes().all(is_of_word);
    (is_code && !code.is_empty()).then_some(code)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::StatusCode;
    use reqwest::header::{HeaderMap, RETRY_AFTER};

    use super::*;

    fn answer(status: u16, retry_after: Option<&str>) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, value.parse().unwrap());
        }
        Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: Bytes::new() }
    }

    fn read(answer: &Answer, codes: &[&str], text: &str) -> AspspError {
        let codes = codes.iter().map(|code| (*code).to_owned()).collect();
        let settings = |code: &str| (code == "OWN").then_some(Meaning::ConsentRevoked);
        let standard = |_: u16, code: &str| (code == "KNOWN").then_some(Meaning::NotFound);
        let complaint = Complaint { codes, text: text.to_owned() };
        of_answer(answer, &complaint, settings, standard, |status| of_status(status, Meaning::NotFound))
    }

    #[test]
    fn settings_come_before_the_standard_and_that_before_the_status() {
        let revoked = AspspError::ConsentEnded { how: ConsentEnd::Revoked, code: "OWN (400)".into() };
        assert_eq!(read(&answer(400, None), &["KNOWN", "OWN"], ""), revoked);
        let found = AspspError::NotFound { code: "KNOWN (500)".into() };
        assert_eq!(read(&answer(500, None), &["OTHER", "KNOWN"], ""), found);
        let refused = AspspError::Refused { code: "OTHER (400)".into() };
        assert_eq!(read(&answer(400, None), &["OTHER"], ""), refused);
        assert_eq!(read(&answer(401, None), &[], ""), AspspError::Unauthorised { code: "status 401".into() });
    }

    #[test]
    fn the_header_comes_before_the_words() {
        let wait = |error: AspspError| error.retry_after().map(|wait| wait.as_secs());
        assert_eq!(wait(read(&answer(429, Some("7")), &[], "in 9 seconds")), Some(7));
        assert_eq!(wait(read(&answer(429, None), &[], "in 9 seconds")), Some(9));
        assert_eq!(wait(read(&answer(429, None), &[], "")), None);
        assert_eq!(wait(read(&answer(503, Some("7")), &[], "")), Some(7));
        assert_eq!(wait(read(&answer(503, None), &[], "in 9 seconds")), None);
    }

    #[test]
    fn a_code_that_is_a_sentence_or_a_number_is_not_repeated() {
        for code in ["CONSENT_EXPIRED", "ERR_AIS_CONSENT_401", "E-1.2:x"] {
            assert_eq!(shown(code), Some(code));
        }
        let long = "x".repeat(65);
        for text in ["PL61109010140000071219812874", "no consent of somebody", "brak_zgód", "", long.as_str()]
        {
            assert_eq!(shown(text), None);
        }
        assert_eq!(
            read(&answer(400, None), &["of somebody"], ""),
            AspspError::Refused { code: "status 400".into() }
        );
    }

    #[test]
    fn every_status_means_something() {
        for status in 100..1_000 {
            let kind = of_status(status, Meaning::Misconfigured);
            assert_eq!(kind == Meaning::RateLimited, status == 429);
            assert_eq!(kind == Meaning::Unauthorised, status == 401);
        }
    }
}
