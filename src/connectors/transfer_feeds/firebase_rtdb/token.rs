//! What we are signed in with, renewed before its end, one sign-in at a time.
//!
//! A service account's signed statement (RFC 7523) is exchanged for an access token where its key file says. The emulator and
//! databases with a secret of the old kind need no exchange.
//!
//! **Owns** the token of this process; it is never stored. **Fails** with the failure of the sign-in, shared by all who waited
//! for it. **Limits**: no token is trusted for more than a day; it is renewed [`FirebaseRtdbConfig::token_leeway`] before its
//! end, a little earlier by chance, so that many processes do not come at once.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::config::FirebaseRtdbConfig;
use super::key::ServiceAccount;
use super::redirect;
use crate::connectors::http::{Answer, HttpClient, HttpError, Request, form};
use crate::connectors::secret::SecretRef;
use crate::connectors::transfer_feeds::FeedError;

/// What a service account needs to read and write a database.
const SCOPES: &str =
    "https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/firebase.database";
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// For how long the signed statement is good; no more than an hour is taken.
const STATEMENT_LIFE_SECONDS: i64 = 3_600;
/// How long a token lives if nobody says.
const LIFE_DEFAULT_SECONDS: u64 = 3_600;
const LIFE_MAX_SECONDS: u64 = 24 * 60 * 60;
/// What has less left is not used on.
const LIFE_LEFT_MIN: Duration = Duration::from_mins(1);
/// Up to this share of the leeway chance adds to it.
const JITTER: f64 = 0.2;

/// How one call is signed.
#[derive(Clone)]
pub(super) enum Pass {
    Bearer(Arc<Token>),
    /// `?auth=`.
    Query(Arc<SecretString>),
}

/// An access token.
pub(super) struct Token {
    pub(super) secret: SecretString,
    /// From then on another one is asked for; never, where it has no end.
    pub(super) renew_at: Option<Instant>,
    ends_at: Option<Instant>,
}

/// The tokens of one database.
#[derive(Debug)]
pub(super) struct Tokens {
    config: Arc<FirebaseRtdbConfig>,
    http: HttpClient,
    // Held while signing in: this is what makes it one at a time. Who is dropped meanwhile lets the next in line sign in.
    state: tokio::sync::Mutex<State>,
    account: Mutex<Option<KnownAccount>>,
}

#[derive(Default)]
struct State {
    token: Option<Arc<Token>>,
    failure: Option<(Instant, FeedError)>,
}

/// A key that was read, with the text that it was read from: reading one is dear, and a rotated file counts at once.
struct KnownAccount {
    text: SecretString,
    account: Arc<ServiceAccount>,
}

#[derive(Deserialize)]
struct GrantBody {
    access_token: String,
    expires_in: Option<u64>,
}

#[derive(Deserialize)]
struct RefusalBody {
    error: String,
}

impl Tokens {
    pub(super) fn new(config: Arc<FirebaseRtdbConfig>, http: HttpClient) -> Self {
        Self { config, http, state: tokio::sync::Mutex::default(), account: Mutex::default() }
    }

    /// What the next call is signed with.
    pub(super) async fn pass(&self) -> Result<Pass, FeedError> {
        let credentials = &self.config.credentials;
        if credentials.emulator {
            let secret = SecretString::from("owner");
            return Ok(Pass::Bearer(Arc::new(Token { secret, renew_at: None, ends_at: None })));
        }
        if let Some(reference) = &credentials.legacy_secret {
            return Ok(Pass::Query(Arc::new(resolve(reference)?)));
        }
        self.token().await.map(Pass::Bearer)
    }

    async fn token(&self) -> Result<Arc<Token>, FeedError> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(token) = &state.token
            && token.renew_at.is_none_or(|at| Instant::now() < at)
        {
            return Ok(Arc::clone(token));
        }
        // Somebody failed while we were waiting in line; the answer would hardly be another one now.
        if let Some((at, error)) = &state.failure
            && *at > asked
        {
            return Err(error.clone());
        }
        match self.sign_in().await {
            Ok(token) => {
                let token = Arc::new(token);
                *state = State { token: Some(Arc::clone(&token)), failure: None };
                Ok(token)
            }
            Err(error) => {
                if let Some(token) = still_good(state.token.as_deref(), &error, Instant::now()) {
                    let token = Arc::new(token);
                    state.token = Some(Arc::clone(&token));
                    return Ok(token);
                }
                *state = State { token: None, failure: Some((Instant::now(), error.clone())) };
                Err(error)
            }
        }
    }

    /// Forgets what the database no longer takes, unless another one has taken its place. Says whether asking again may help.
    pub(super) async fn forget(&self, stale: &Pass) -> bool {
        let Pass::Bearer(stale) = stale else { return false };
        let mut state = self.state.lock().await;
        if state.token.as_ref().is_some_and(|current| Arc::ptr_eq(current, stale)) {
            state.token = None;
        }
        // A token without an end is not one that we were granted.
        stale.renew_at.is_some()
    }

    /// The service account itself, which also signs addresses.
    pub(super) fn account(&self) -> Result<Arc<ServiceAccount>, FeedError> {
        let Some(reference) = &self.config.credentials.service_account else {
            return Err(misconfigured("only a service account can sign"));
        };
        let text = resolve(reference)?;
        // A key is put there whole, so that it is whole even if a holder of the lock panicked.
        let mut known = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_ref()
            && known.text.expose_secret() == text.expose_secret()
        {
            return Ok(Arc::clone(&known.account));
        }
        let account =
            ServiceAccount::read(text.expose_secret()).map_err(|error| misconfigured(&error.to_string()))?;
        let account = Arc::new(account);
        *known = Some(KnownAccount { text, account: Arc::clone(&account) });
        Ok(account)
    }

    async fn sign_in(&self) -> Result<Token, FeedError> {
        let account = self.account()?;
        let url = Url::parse(&account.token_uri)
            .ok()
            .filter(|url| redirect::is_safe(url, self.config.allow_loopback))
            .ok_or_else(|| misconfigured("the service account's token_uri is no address with TLS"))?;
        let statement = statement(&account, Utc::now())?;
        let mut request = Request::new(Method::POST, url);
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers.insert(CONTENT_TYPE, form_type);
        request.body = form(&[("grant_type", GRANT_TYPE), ("assertion", statement.expose_secret())]);
        request.timeout = Some(self.config.timeout);
        let asked = Instant::now();
        let answer = self.http.send(request).await.map_err(|lost| of_lost(&lost))?;
        if !answer.status.is_success() {
            return Err(of_refusal(&answer));
        }
        let body: GrantBody =
            serde_json::from_slice(&answer.body).map_err(|_| unavailable("an unreadable grant"))?;
        let life = Duration::from_secs(body.expires_in.unwrap_or(LIFE_DEFAULT_SECONDS).min(LIFE_MAX_SECONDS));
        let usable_for = usable_for(life, self.config.token_leeway, rand::random());
        let secret = SecretString::from(body.access_token);
        Ok(Token { secret, renew_at: Some(asked + usable_for), ends_at: Some(asked + life) })
    }
}

/// What we have is used on where another one cannot be had at the moment, until half of what is left of its life is over.
fn still_good(token: Option<&Token>, error: &FeedError, now: Instant) -> Option<Token> {
    let token = token.filter(|_| matches!(error, FeedError::Unavailable { .. }))?;
    let left = token.ends_at?.checked_duration_since(now).filter(|left| *left >= LIFE_LEFT_MIN)?;
    tracing::warn!(%error, left_s = left.as_secs(), "transfer feed's token could not be renewed yet");
    Some(Token { secret: token.secret.clone(), renew_at: Some(now + left / 2), ends_at: token.ends_at })
}

/// For how long a token is used that lives so long; `roll` is a random number from 0.0 up to 1.0.
fn usable_for(life: Duration, leeway: Duration, roll: f64) -> Duration {
    let leeway = leeway.mul_f64(1.0 + JITTER * roll.clamp(0.0, 1.0));
    life - leeway.min(life / 2)
}

/// Who we are and what we want, signed.
fn statement(account: &ServiceAccount, now: DateTime<Utc>) -> Result<SecretString, FeedError> {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"alg": "RS256", "typ": "JWT", "kid": account.key_id}));
    let claims = part(json!({
        "iss": account.email,
        "scope": SCOPES,
        "aud": account.token_uri,
        "iat": now.timestamp(),
        "exp": now.timestamp() + STATEMENT_LIFE_SECONDS,
    }));
    let signed = format!("{header}.{claims}");
    let signature = account.sign(signed.as_bytes()).map_err(|error| misconfigured(&error.to_string()))?;
    Ok(SecretString::from(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

fn resolve(reference: &SecretRef) -> Result<SecretString, FeedError> {
    reference.resolve().map_err(|error| misconfigured(&error.to_string()))
}

fn of_lost(lost: &HttpError) -> FeedError {
    match lost {
        HttpError::Forbidden(_) => misconfigured(&lost.to_string()),
        _ => unavailable(&lost.to_string()),
    }
}

fn of_refusal(answer: &Answer) -> FeedError {
    let status = answer.status.as_u16();
    match status {
        400 | 401 | 403 => {
            // The code alone: what is said beside it may repeat what we sent.
            let code = serde_json::from_slice::<RefusalBody>(&answer.body).map(|body| body.error);
            let code =
                code.ok().filter(|code| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
            let code = code.unwrap_or_else(|| format!("status {status}"));
            FeedError::SignedOut { reason: format!("sign-in refused: {code}") }
        }
        404 => misconfigured("nothing grants tokens at the service account's token_uri"),
        _ => FeedError::Unavailable {
            retry_after: answer.retry_after(Utc::now()),
            reason: format!("sign-in failed with status {status}"),
        },
    }
}

fn misconfigured(reason: &str) -> FeedError {
    FeedError::Misconfigured { reason: reason.to_owned() }
}

fn unavailable(reason: &str) -> FeedError {
    FeedError::Unavailable { retry_after: None, reason: format!("sign-in: {reason}") }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pass(masked)")
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("failure", &self.failure).finish_non_exhaustive()
    }
}

impl fmt::Debug for KnownAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KnownAccount(masked)")
    }
}

#[cfg(test)]
mod tests;
