//! Calls under an OAuth2 token of the client-credentials kind.
//!
//! **Owns** the tokens. **Fails** as a misconfiguration where the bank does not take what we sign in with.
//! **Limits**: each call is made once, or twice where a token had lost its validity.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::credentials::{secret, sensitive};
use super::token::{ClientKey, Grant, Tokens};
use super::{BankError, faults};
use crate::connectors::http::{Answer, HttpClient, HttpError, Request, form};
use crate::connectors::secret::policy::SecretPolicy;
use crate::domain::bank_account::BankAccount;

/// How long a token lives if the bank does not say.
const LIFE_DEFAULT_SECONDS: u64 = 300;
/// No token is trusted for longer, whatever the bank says.
const LIFE_MAX_SECONDS: u64 = 24 * 60 * 60;

/// Where and how one bank grants tokens.
#[derive(Debug, Clone)]
pub(super) struct Door {
    pub url: Url,
    pub style: Style,
    /// Nothing is asked for where it is empty.
    pub scope: String,
    /// Sent with the request for a token, beside what the style needs.
    pub headers: HeaderMap,
    pub timeout: Duration,
    /// How long before its end a token is no longer used; never more than half of its life.
    pub leeway: Duration,
}

/// Where the client's id and secret stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// In an `Authorization: Basic` header.
    Basic,
    /// In the form.
    Form,
}

/// With what an account signs in.
pub(super) struct Login {
    client_id: SecretString,
    client_secret: SecretString,
    key: ClientKey,
}

/// Why a call brought no answer that can be read.
pub(super) enum Failure {
    /// Decided by us or by the sign-in: the call itself was not made.
    Bank(BankError),
    /// The call itself was lost.
    Lost(HttpError),
}

impl Failure {
    /// What it means for a call that changes something at the bank.
    pub(super) fn of_change(self) -> BankError {
        match self {
            Self::Bank(error) => error,
            Self::Lost(lost) => faults::of_lost_change(&lost),
        }
    }

    /// What it means for a call that only asks.
    pub(super) fn of_question(self) -> BankError {
        match self {
            Self::Bank(error) => error,
            Self::Lost(lost) => faults::of_lost_question(&lost),
        }
    }
}

#[derive(Deserialize)]
struct GrantBody {
    access_token: String,
    expires_in: Option<u64>,
}

impl Login {
    /// By the account's credentials `client_id` and `client_secret`.
    pub(super) fn of(account: &BankAccount, secrets: &SecretPolicy) -> Result<Self, BankError> {
        let client_id = secret(account, "client_id", secrets)?;
        let client_secret = secret(account, "client_secret", secrets)?;
        let key = ClientKey::of(&client_id, &client_secret);
        Ok(Self { client_id, client_secret, key })
    }
}

/// Makes a call under a token, and once more under a new one if the bank no longer takes the first.
pub(super) async fn call(
    http: &HttpClient,
    tokens: &Tokens,
    door: &Door,
    login: &Login,
    request: impl Fn() -> Request,
) -> Result<Answer, Failure> {
    for _ in 0..2 {
        let token = tokens.get(&login.key, sign_in(http, door, login)).await.map_err(Failure::Bank)?;
        let mut request = request();
        let bearer = sensitive(&format!("Bearer {}", token.secret.expose_secret()));
        request.headers.insert(AUTHORIZATION, bearer.map_err(Failure::Bank)?);
        request.headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        if !request.body.is_empty() {
            request.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        }
        let answer = http.send(request).await.map_err(Failure::Lost)?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        tokens.forget(&login.key, &token).await;
    }
    let reason = "the bank does not take a token that it has just given".to_owned();
    Err(Failure::Bank(BankError::Misconfigured { reason }))
}

async fn sign_in(http: &HttpClient, door: &Door, login: &Login) -> Result<Grant, BankError> {
    let mut request = Request::new(Method::POST, door.url.clone());
    request.timeout = Some(door.timeout);
    request.headers = door.headers.clone();
    request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let (id, secret) = (login.client_id.expose_secret(), login.client_secret.expose_secret());
    let mut fields = vec![("grant_type", "client_credentials")];
    match door.style {
        Style::Basic => {
            let pair = STANDARD.encode(format!("{id}:{secret}"));
            request.headers.insert(AUTHORIZATION, sensitive(&format!("Basic {pair}"))?);
        }
        Style::Form => fields.extend([("client_id", id), ("client_secret", secret)]),
    }
    if !door.scope.is_empty() {
        fields.push(("scope", &door.scope));
    }
    request.body = form(&fields);
    let answer = http.send(request).await.map_err(|lost| faults::of_lost_question(&lost))?;
    if !answer.status.is_success() {
        return Err(faults::of_sign_in(&answer));
    }
    let grant: GrantBody =
        serde_json::from_slice(&answer.body).map_err(|_| faults::unavailable(&answer, "unreadable token"))?;
    let life = Duration::from_secs(grant.expires_in.unwrap_or(LIFE_DEFAULT_SECONDS).min(LIFE_MAX_SECONDS));
    Ok(Grant { token: grant.access_token.into(), usable_for: life - door.leeway.min(life / 2) })
}
