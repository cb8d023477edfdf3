//! Calls under HTTP Basic: one pair of an account's credentials, one POST of JSON.
//!
//! **Owns** nothing; secrets are read at each call, so that a new one counts at once. **Fails** by the status where that
//! alone decides; what a bank says in the body of any other answer is the bank's own table to read.
//! **Limits**: each call is made once.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};
use secrecy::ExposeSecret;
use serde::Serialize;

use super::credentials::{secret, sensitive};
use super::{BankError, faults};
use crate::connectors::http::{Answer, HttpClient, Request};
use crate::connectors::secret::policy::SecretPolicy;
use crate::domain::bank_account::BankAccount;

/// The header that an account signs in with, by two of its credentials.
pub(super) fn authorization(
    account: &BankAccount,
    user: &str,
    password: &str,
    secrets: &SecretPolicy,
) -> Result<HeaderValue, BankError> {
    let (user, password) = (secret(account, user, secrets)?, secret(account, password, secrets)?);
    let pair = STANDARD.encode(format!("{}:{}", user.expose_secret(), password.expose_secret()));
    sensitive(&format!("Basic {pair}"))
}

/// Sends something that changes what the bank has on file. An answer that comes back is a success or a complaint whose
/// body may say what the bank decided.
pub(super) async fn change(
    http: &HttpClient,
    url: Url,
    timeout: Duration,
    authorization: HeaderValue,
    body: &impl Serialize,
) -> Result<Answer, BankError> {
    let mut request = Request::new(Method::POST, url);
    request.timeout = Some(timeout);
    request.headers.insert(AUTHORIZATION, authorization);
    request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let body = serde_json::to_vec(body).expect("a structure of text and numbers can be written as JSON");
    request.body = body.into();
    let answer = http.send(request).await.map_err(|lost| faults::of_lost_change(&lost))?;
    match answer.status.as_u16() {
        status @ (401 | 403) => Err(BankError::Misconfigured {
            reason: format!("the bank does not take the account's credentials: status {status}"),
        }),
        429 => Err(faults::unavailable(&answer, "too many requests")),
        200..=299 => Ok(answer),
        400..=499 if answer.status.as_u16() != 408 => Ok(answer),
        _ => Err(unknown(&answer, "no decision")),
    }
}

/// An answer after which nobody knows whether the bank kept anything.
pub(super) fn unknown(answer: &Answer, what: &str) -> BankError {
    BankError::OutcomeUnknown { reason: format!("{what} with status {}", answer.status.as_u16()) }
}
