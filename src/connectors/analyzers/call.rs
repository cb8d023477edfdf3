//! One call of a vendor: under which deadline, with which secret, and what its failing means.
//!
//! **Owns** nothing. **Fails** as [`AnalyzerError`] says: what surely did not leave can be asked for again, what may have
//! arrived is unknown. The status decides before the body does. **Limits**: an answer that is too long is not read at all.

use bytes::Bytes;
use chrono::Utc;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::connectors::http::{Answer, HttpClient, HttpError, Request};
use crate::connectors::secret::SecretRef;

use super::{AnalyzerError, RawAnswer};

/// How often an answer that cannot be read is asked for again: not at all.
pub(super) const NEVER: u32 = 0;
/// Once.
pub(super) const ONCE: u32 = 1;
/// A few times.
pub(super) const FEW: u32 = 3;

/// The header by which the vendor of RA7 knows who asks.
const VENDOR_AUTH: HeaderName = HeaderName::from_static("n-ms-authcb");

/// Sends a request, and returns the body of an answer of success.
pub(super) async fn send(http: &HttpClient, request: Request) -> Result<Bytes, AnalyzerError> {
    match http.send(request).await {
        Ok(answer) => match of_status(answer.status, &answer) {
            Some(error) => Err(error),
            None => Ok(answer.body),
        },
        Err(error) => Err(of_lost(&error)),
    }
}

fn of_lost(error: &HttpError) -> AnalyzerError {
    let reason = error.to_string();
    match error {
        HttpError::Forbidden(_) => AnalyzerError::Misconfigured { reason },
        HttpError::Connect { .. } => unavailable(reason),
        HttpError::Timeout { .. } | HttpError::Reset { .. } => AnalyzerError::OutcomeUnknown { reason },
        HttpError::BodyTooLarge { status, .. } if (200..300).contains(status) => {
            AnalyzerError::Unreadable { reason, again_max: NEVER, raw: RawAnswer::default() }
        }
        HttpError::BodyTooLarge { .. } => unavailable(reason),
    }
}

/// What a status alone means, whatever the body.
fn of_status(status: StatusCode, answer: &Answer) -> Option<AnalyzerError> {
    let reason = format!("status {}", status.as_u16());
    Some(match status.as_u16() {
        200..=299 => return None,
        402 | 403 => AnalyzerError::Paused { reason },
        // A redirect is an address that is no longer right; it is not followed, because the secret would go along.
        300..=399 | 401 | 404 | 405 | 407 => AnalyzerError::Misconfigured { reason },
        408 | 425 | 429 | 500..=599 => {
            AnalyzerError::Unavailable { retry_after: answer.retry_after(Utc::now()), reason }
        }
        _ => AnalyzerError::Refused { reason },
    })
}

pub(super) fn unavailable(reason: impl Into<String>) -> AnalyzerError {
    AnalyzerError::Unavailable { retry_after: None, reason: reason.into() }
}

pub(super) fn misconfigured(reason: impl Into<String>) -> AnalyzerError {
    AnalyzerError::Misconfigured { reason: reason.into() }
}

pub(super) fn unreadable(reason: impl Into<String>, again_max: u32, body: &Bytes) -> AnalyzerError {
    AnalyzerError::Unreadable { reason: reason.into(), again_max, raw: RawAnswer(body.clone()) }
}

/// The object that a body holds, whatever it is said to be. A body that is none has been lost on the way, or comes from somebody
/// in between: the vendor itself always writes an object.
pub(super) fn object(body: &Bytes) -> Result<Map<String, Value>, AnalyzerError> {
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(unreadable("the answer is no object", FEW, body)),
        Err(_) if body.trim_ascii().is_empty() => Err(unavailable("the answer is empty")),
        Err(_) if body.trim_ascii_start().starts_with(b"<") => Err(unavailable("the answer is a page")),
        Err(error) if error.is_eof() => Err(unavailable("the answer breaks off")),
        Err(_) => Err(unavailable("the answer is no JSON")),
    }
}

/// A secret of our own configuration.
pub(super) fn secret(reference: Option<&SecretRef>, key: &str) -> Result<SecretString, AnalyzerError> {
    let reference = reference.ok_or_else(|| misconfigured(format!("{key} is not set")))?;
    reference.resolve().map_err(|error| misconfigured(error.to_string()))
}

/// Puts the vendor's own header in, so that no log shows it.
pub(super) fn put_auth(request: &mut Request, secret: &SecretString) -> Result<(), AnalyzerError> {
    let mut value = HeaderValue::from_str(secret.expose_secret())
        .map_err(|_| misconfigured("the secret holds control characters"))?;
    value.set_sensitive(true);
    request.headers.insert(VENDOR_AUTH, value);
    Ok(())
}

/// Whether secrets and recordings may go to this address: behind TLS, on this machine, or where the operator says so.
pub(super) fn check_line(url: &Url, plain_http: bool) -> Result<(), AnalyzerError> {
    let local = match url.host_str().unwrap_or_default() {
        "localhost" | "[::1]" => true,
        host => host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback()),
    };
    if url.scheme() == "https" || plain_http || local {
        return Ok(());
    }
    Err(misconfigured("the vendor's address is not https, and plain_http is off"))
}

/// The text with everything escaped but letters, digits, `-`, `.` and `_`.
pub(super) fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_safe_in_an_escaped_address() {
        let url = "https://h.example/v0/b/x/o/cloud%2Fu%2F0.wav?alt=media&t=a b~é";
        assert_eq!(
            escaped(url),
            "https%3A%2F%2Fh.example%2Fv0%2Fb%2Fx%2Fo%2Fcloud%252Fu%252F0.wav%3Falt%3Dmedia%26t%3Da%20b%7E%C3%A9"
        );
    }

    #[test]
    fn secrets_go_where_nobody_listens_in() {
        let line = |url: &str, plain| check_line(&Url::parse(url).unwrap(), plain).is_ok();
        for good in ["https://vendor.example/", "http://127.0.0.1:9/", "http://localhost/", "http://[::1]:9/"]
        {
            assert!(line(good, false), "{good}");
        }
        for bad in ["http://vendor.example/", "http://10.0.0.1/", "http://localhost.example/"] {
            assert!(!line(bad, false) && line(bad, true), "{bad}");
        }
    }

    #[test]
    fn a_status_says_what_to_do() {
        let of = |status: u16| {
            let answer = Answer {
                status: StatusCode::from_u16(status).unwrap(),
                headers: [("retry-after".parse().unwrap(), HeaderValue::from_static("7"))]
                    .into_iter()
                    .collect(),
                body: Bytes::new(),
            };
            of_status(answer.status, &answer)
        };
        assert_eq!(of(200), None);
        let wait = Some(std::time::Duration::from_secs(7));
        for status in [429, 500, 502, 503] {
            assert!(
                matches!(of(status), Some(AnalyzerError::Unavailable { retry_after, .. }) if retry_after == wait)
            );
        }
        for status in [402, 403] {
            assert!(matches!(of(status), Some(AnalyzerError::Paused { .. })), "{status}");
        }
        for status in [301, 307, 401, 404] {
            assert!(matches!(of(status), Some(AnalyzerError::Misconfigured { .. })), "{status}");
        }
        for status in [400, 413, 415, 422] {
            assert!(matches!(of(status), Some(AnalyzerError::Refused { .. })), "{status}");
        }
    }
}
