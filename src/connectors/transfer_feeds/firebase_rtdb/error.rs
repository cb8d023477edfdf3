//! From the database's answers to what the caller does next.
//!
//! **Owns** nothing. **Fails** towards the unknown: a write of which nobody said that it was not done may have been done.
//!
//! | what came | a question | a write |
//! |---|---|---|
//! | 400 with the missing index | misconfigured, with the rule to add | the same |
//! | 400 and any other 4xx | refused | refused |
//! | 401, 403 | signed out | signed out |
//! | 404 | misconfigured: no such database | the same |
//! | 408, 429, 503 | unavailable | unavailable (503: not attempted) |
//! | 500 and any other 5xx | unavailable | unknown |
//! | no connection | unavailable | unavailable |
//! | no answer | unavailable | unknown |

use chrono::Utc;
use serde::Deserialize;

use crate::connectors::answer::scrub;
use crate::connectors::http::{Answer, HttpError};
use crate::connectors::transfer_feeds::FeedError;

/// Whether a call changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Question,
    Write,
}

/// Of what the database says, so much is read for its reason.
pub(super) const REASON_BYTES_MAX: usize = 4 * 1024;

/// How the database words a missing index.
const INDEX_NOT_DEFINED: &str = "index not defined";

#[derive(Deserialize)]
struct ErrorBody {
    error: String,
}

/// What an answer means that is no success. `transfers` is where the index belongs.
pub(super) fn of_answer(answer: &Answer, kind: Kind, transfers: &str) -> FeedError {
    let status = answer.status.as_u16();
    let said = said(&answer.body);
    let reason =
        if said.is_empty() { format!("status {status}") } else { format!("status {status}: {said}") };
    match status {
        400 if said.to_ascii_lowercase().contains(INDEX_NOT_DEFINED) => missing_index(transfers),
        401 | 403 => FeedError::SignedOut { reason },
        404 => {
            FeedError::Misconfigured { reason: "there is no database at the configured address".to_owned() }
        }
        408 | 429 | 503 => unavailable(answer, reason),
        500.. => match kind {
            Kind::Question => unavailable(answer, reason),
            Kind::Write => FeedError::OutcomeUnknown { reason },
        },
        _ => FeedError::Refused { reason },
    }
}

/// What a call means that brought no answer.
pub(super) fn of_lost(lost: &HttpError, kind: Kind) -> FeedError {
    let reason = lost.to_string();
    match lost {
        HttpError::Forbidden(_) => FeedError::Misconfigured { reason },
        // The head of an answer was there, so that the write was decided; which way, its status says and a second try finds out.
        HttpError::BodyTooLarge { limit_bytes, .. } if kind == Kind::Question => {
            FeedError::TooLarge { limit_bytes: *limit_bytes }
        }
        _ if kind == Kind::Write && lost.may_have_been_sent() => FeedError::OutcomeUnknown { reason },
        _ => FeedError::Unavailable { retry_after: None, reason },
    }
}

/// The rule that the database lacks, word for word as it is to be added.
pub(super) fn missing_index(transfers: &str) -> FeedError {
    let mut rule = r#"".indexOn": ["processed"]"#.to_owned();
    for part in transfers.split('/').rev() {
        rule = format!(r#""{part}": {{ {rule} }}"#);
    }
    FeedError::Misconfigured {
        reason: format!(r#"the database's rules lack an index; add {{ "rules": {{ {rule} }} }}"#),
    }
}

/// Whether it is the missing index, for which there may be another way.
pub(super) fn is_missing_index(error: &FeedError, transfers: &str) -> bool {
    *error == missing_index(transfers)
}

pub(super) fn unreadable(what: &str) -> FeedError {
    FeedError::Unavailable { retry_after: None, reason: format!("unreadable answer to {what}") }
}

fn unavailable(answer: &Answer, reason: String) -> FeedError {
    FeedError::Unavailable { retry_after: answer.retry_after(Utc::now()), reason }
}

fn said(body: &[u8]) -> String {
    let body = &body[..body.len().min(REASON_BYTES_MAX)];
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(body) => scrub(body.error.as_bytes(), REASON_BYTES_MAX, &[]).unwrap_or_default(),
        // A page of some proxy says nothing that its status does not.
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::StatusCode;
    use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};

    use super::*;

    fn of(status: u16, body: &'static str, kind: Kind) -> FeedError {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
        let status = StatusCode::from_u16(status).unwrap();
        of_answer(&Answer { status, headers, body: Bytes::from_static(body.as_bytes()) }, kind, "a/Transfer")
    }

    #[test]
    fn statuses_say_what_to_do_next() {
        use Kind::{Question, Write};
        for kind in [Question, Write] {
            assert!(
                matches!(of(400, r#"{"error":"Invalid data"}"#, kind), FeedError::Refused { reason } if reason.contains("Invalid data"))
            );
            assert!(matches!(of(401, r#"{"error":"Permission denied"}"#, kind), FeedError::SignedOut { .. }));
            assert!(matches!(of(403, "", kind), FeedError::SignedOut { .. }));
            assert!(matches!(of(404, "", kind), FeedError::Misconfigured { .. }));
            for status in [429, 503] {
                let seven = Some(std::time::Duration::from_secs(7));
                assert!(
                    matches!(of(status, "", kind), FeedError::Unavailable { retry_after, .. } if retry_after == seven)
                );
            }
        }
        assert!(
            matches!(of(500, "<html>x</html>", Question), FeedError::Unavailable { reason, .. } if reason == "status 500")
        );
        assert!(matches!(of(500, "", Write), FeedError::OutcomeUnknown { .. }));
        assert!(matches!(of(302, "", Write), FeedError::Refused { .. }));
    }

    #[test]
    fn a_missing_index_names_the_rule_to_add() {
        let body = r#"{"error": "Index not defined, add \".indexOn\": \"processed\", for path \"/Transfer\", to the rules"}"#;
        let error = of(400, body, Kind::Question);
        assert!(is_missing_index(&error, "a/Transfer"));
        let text = error.to_string();
        let rule = &text[text.find('{').unwrap()..];
        let rule: serde_json::Value = serde_json::from_str(rule).unwrap();
        assert_eq!(rule, serde_json::json!({"rules": {"a": {"Transfer": {".indexOn": ["processed"]}}}}));
    }

    #[test]
    fn a_lost_write_is_unknown_unless_nothing_was_sent() {
        let refused = HttpError::Connect { reason: "refused".to_owned() };
        let silent = HttpError::Timeout { elapsed_ms: 5 };
        assert!(matches!(of_lost(&refused, Kind::Write), FeedError::Unavailable { .. }));
        assert!(matches!(of_lost(&silent, Kind::Write), FeedError::OutcomeUnknown { .. }));
        assert!(matches!(of_lost(&silent, Kind::Question), FeedError::Unavailable { .. }));
        let long = HttpError::BodyTooLarge { status: 200, limit_bytes: 9 };
        assert_eq!(of_lost(&long, Kind::Question), FeedError::TooLarge { limit_bytes: 9 });
    }
}
