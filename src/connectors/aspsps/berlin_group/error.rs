//! The errors of Berlin Group: codes in a list, or a problem of RFC 9457.
//!
//! **Owns** nothing. **Fails** never: a body that is neither leaves the decision to the status.
//! **Limits**: `CONSENT_INVALID` says that a consent cannot be used and not why, so that its status has to be asked for.

use reqwest::header::HeaderMap;
use serde::Deserialize;

use crate::connectors::aspsps::AspspError;
use crate::connectors::aspsps::config::AspspConfig;
use crate::connectors::aspsps::error::{self, Complaint, Meaning};
use crate::connectors::aspsps::text::{list, word};
use crate::connectors::http::Answer;

#[derive(Deserialize, Default)]
#[serde(default)]
struct ErrorBody {
    #[serde(rename = "tppMessages", deserialize_with = "list")]
    messages: Vec<Message>,
    /// Of a problem, whose codes stand here or in `additionalErrors`.
    #[serde(deserialize_with = "word")]
    code: Option<String>,
    #[serde(deserialize_with = "word")]
    detail: Option<String>,
    #[serde(deserialize_with = "word")]
    title: Option<String>,
    #[serde(rename = "additionalErrors", deserialize_with = "list")]
    additional: Vec<Message>,
    /// Of a refusal to grant a token (RFC 6749, section 5.2).
    #[serde(deserialize_with = "word")]
    error: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Message {
    #[serde(deserialize_with = "word")]
    category: Option<String>,
    #[serde(deserialize_with = "word")]
    code: Option<String>,
    #[serde(deserialize_with = "word")]
    text: Option<String>,
    #[serde(deserialize_with = "word")]
    detail: Option<String>,
}

/// What an answer without success means.
pub(super) fn of_answer(answer: &Answer, config: &AspspConfig) -> AspspError {
    let complaint = complaint(&answer.body);
    let settings = |code: &str| config.codes.meaning(code);
    error::of_answer(answer, &complaint, settings, of_code, |status| {
        error::of_status(status, Meaning::NotFound)
    })
}

/// The id that an answer repeats.
pub(super) fn answer_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-request-id")?.to_str().ok().map(str::trim)
}

fn complaint(body: &[u8]) -> Complaint {
    let Ok(body) = serde_json::from_slice::<ErrorBody>(body) else { return Complaint::default() };
    let mut messages: Vec<Message> = body.messages.into_iter().chain(body.additional).collect();
    // A warning is no reason.
    messages.sort_by_key(|message| message.category.as_deref() == Some("WARNING"));
    let texts = messages.iter().flat_map(|message| [&message.text, &message.detail]);
    let texts = texts.chain([&body.detail, &body.title]).flatten();
    let text = texts.map(String::as_str).collect::<Vec<_>>().join("\n");
    let codes = messages.into_iter().filter_map(|message| message.code);
    Complaint { codes: body.code.into_iter().chain(body.error).chain(codes).collect(), text }
}

/// What the standard's codes mean.
fn of_code(status: u16, code: &str) -> Option<Meaning> {
    Some(match code {
        "CONSENT_EXPIRED" => Meaning::ConsentExpired,
        "CONSENT_INVALID" | "CONSENT_UNKNOWN" => Meaning::ConsentEnded,
        "ACCESS_EXCEEDED" => Meaning::RateLimited,
        "RESOURCE_UNKNOWN" if matches!(status, 400 | 403 | 404) => Meaning::NotFound,
        "SERVICE_BLOCKED" => Meaning::Refused,
        "PRODUCT_UNKNOWN" | "SERVICE_INVALID" => Meaning::Misconfigured,
        _ if code.starts_with("TOKEN_") || code == "invalid_grant" => Meaning::Unauthorised,
        _ if code.starts_with("CERTIFICATE_") || code.starts_with("SIGNATURE_") => Meaning::Misconfigured,
        "invalid_client" | "unauthorized_client" | "unsupported_grant_type" => Meaning::Misconfigured,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::StatusCode;

    use super::*;
    use crate::connectors::aspsps::ConsentEnd;

    fn read(status: u16, body: &str) -> AspspError {
        let status = StatusCode::from_u16(status).unwrap();
        let answer =
            Answer { status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(body.as_bytes()) };
        of_answer(&answer, &AspspConfig::default())
    }

    fn kind(status: u16, code: &str) -> &'static str {
        read(status, &format!(r#"{{"tppMessages":[{{"category":"ERROR","code":"{code}"}}]}}"#)).kind()
    }

    #[test]
    fn codes_mean_what_the_table_says() {
        for (status, code, meaning) in [
            (401, "CONSENT_EXPIRED", "consent_ended"),
            (401, "CONSENT_INVALID", "consent_ended"),
            (400, "CONSENT_UNKNOWN", "consent_ended"),
            (403, "CONSENT_UNKNOWN", "consent_ended"),
            (401, "TOKEN_EXPIRED", "unauthorised"),
            (401, "TOKEN_INVALID", "unauthorised"),
            (401, "CERTIFICATE_EXPIRED", "misconfigured"),
            (401, "SIGNATURE_INVALID", "misconfigured"),
            (403, "RESOURCE_UNKNOWN", "not_found"),
            (404, "RESOURCE_UNKNOWN", "not_found"),
            (403, "SERVICE_BLOCKED", "refused"),
            (400, "PERIOD_INVALID", "refused"),
            (400, "SESSIONS_NOT_SUPPORTED", "refused"),
            (409, "STATUS_INVALID", "refused"),
            (429, "ACCESS_EXCEEDED", "rate_limited"),
            (401, "ACCESS_EXCEEDED", "rate_limited"),
            (404, "PRODUCT_UNKNOWN", "misconfigured"),
            (500, "INTERNAL_SERVER_ERROR", "unavailable"),
        ] {
            assert_eq!(kind(status, code), meaning, "{status} {code}");
        }
        let expired =
            AspspError::ConsentEnded { how: ConsentEnd::Expired, code: "CONSENT_EXPIRED (401)".into() };
        assert_eq!(read(401, r#"{"tppMessages":[{"code":"CONSENT_EXPIRED"}]}"#), expired);
    }

    #[test]
    fn a_status_alone_decides_where_nothing_is_said() {
        for (status, body, meaning) in [
            (401, "", "unauthorised"),
            (403, "<html>", "refused"),
            (404, "{}", "not_found"),
            (405, "[]", "misconfigured"),
            (406, "{\"tppMessages\":null}", "unsupported"),
            (408, "", "unavailable"),
            (429, "{\"tppMessages\":{}}", "rate_limited"),
            (302, "", "misconfigured"),
            (503, "", "unavailable"),
        ] {
            assert_eq!(read(status, body).kind(), meaning, "{status} {body}");
        }
    }

    #[test]
    fn problems_and_warnings_are_read() {
        let problem =
            r#"{"type":"x","title":"Limit","detail":"Next access in 600 seconds","code":"ACCESS_EXCEEDED"}"#;
        let wait = read(429, problem).retry_after();
        assert_eq!(wait, Some(std::time::Duration::from_secs(600)));
        let mixed = r#"{"tppMessages":[{"category":"WARNING","code":"OLD"},{"category":"ERROR","code":"FORMAT_ERROR"}]}"#;
        assert_eq!(read(400, mixed), AspspError::Refused { code: "FORMAT_ERROR (400)".into() });
        assert_eq!(read(400, r#"{"error":"invalid_grant"}"#).kind(), "unauthorised");
    }
}
