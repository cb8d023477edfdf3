//! The calls themselves: sign in, register, look up.
//!
//! **Owns** the tokens. **Fails** as the tables in `error` say.
//! **Limits**: each call is made once, or twice where a token had lost its validity.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::connectors::banks::{BankError, LookUp, LookUpRequest, RegisterRequest, Registration};
use crate::connectors::http::{Answer, HttpClient, HttpError, Request, form};
use crate::connectors::secret::SecretRef;
use crate::connectors::secret::policy::SecretPolicy;
use crate::domain::bank_account::BankAccount;

use super::config::BancoDoBrasilConfig;
use super::token::{ClientKey, Grant, Token, Tokens};
use super::wire::{RegisterBody, RegisteredBody, TitleBody, TitleKey};
use super::{agreement, error};

/// How long a token lives if the bank does not say.
const TOKEN_LIFE_DEFAULT_SECONDS: u64 = 300;
/// No token is trusted for longer, whatever the bank says.
const TOKEN_LIFE_MAX_SECONDS: u64 = 24 * 60 * 60;

#[derive(Debug)]
pub(super) struct Client {
    config: BancoDoBrasilConfig,
    secrets: SecretPolicy,
    http: HttpClient,
    tokens: Tokens,
}

/// Why a call brought no answer that can be read.
enum Failure {
    /// Decided by us or by the sign-in.
    Bank(BankError),
    /// The call itself was lost.
    Lost(HttpError),
}

#[derive(Deserialize)]
struct GrantBody {
    access_token: String,
    expires_in: Option<u64>,
}

/// With what an account signs in.
struct Login {
    client_id: SecretString,
    client_secret: SecretString,
    key: ClientKey,
}

impl Login {
    fn of(account: &BankAccount, secrets: &SecretPolicy) -> Result<Self, BankError> {
        let client_id = secret(account, "client_id", secrets)?;
        let client_secret = secret(account, "client_secret", secrets)?;
        let key = ClientKey::of(&client_id, &client_secret);
        Ok(Self { client_id, client_secret, key })
    }
}

impl Client {
    pub(super) fn new(config: BancoDoBrasilConfig, secrets: SecretPolicy, http: HttpClient) -> Self {
        Self { config, secrets, http, tokens: Tokens::default() }
    }

    pub(super) fn config(&self) -> &BancoDoBrasilConfig {
        &self.config
    }

    pub(super) async fn register(&self, request: &RegisterRequest<'_>) -> Result<Registration, BankError> {
        let unsupported = |reason: &str| BankError::Unsupported { reason: reason.to_owned() };
        let body = RegisterBody::of(request, self.config.pix).map_err(unsupported)?;
        let key =
            TitleKey::of(&request.account.issuer, &request.boleto.codes.nosso_numero).map_err(unsupported)?;
        let body = serde_json::to_vec(&body).expect("a structure of text and numbers can be written as JSON");
        let url = self.config.api_url.join(&["boletos"]);
        let answer = self.call(request.account, Method::POST, url, Bytes::from(body)).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(Failure::Bank(error)) => return Err(error),
            Err(Failure::Lost(lost)) => return Err(error::of_lost_registration(&lost)),
        };
        if !answer.status.is_success() {
            return Err(error::of_registration(&answer, &self.config));
        }
        let status = answer.status.as_u16();
        let body: RegisteredBody = serde_json::from_slice(&answer.body).map_err(|_| {
            BankError::OutcomeUnknown { reason: format!("unreadable answer with status {status}") }
        })?;
        agreement::registration(body, request.boleto, &key, status)
    }

    pub(super) async fn look_up(&self, request: &LookUpRequest<'_>) -> Result<LookUp, BankError> {
        let key = TitleKey::of(&request.account.issuer, &request.boleto.codes.nosso_numero)
            .map_err(|reason| BankError::Unsupported { reason: reason.to_owned() })?;
        let mut url = self.config.api_url.join(&["boletos", &key.number]);
        url.query_pairs_mut().append_pair("numeroConvenio", key.convenio);
        let answer = match self.call(request.account, Method::GET, url, Bytes::new()).await {
            Ok(answer) => answer,
            Err(Failure::Bank(error)) => return Err(error),
            Err(Failure::Lost(lost)) => return Err(error::of_lost_question(&lost)),
        };
        if !answer.status.is_success() {
            return error::of_look_up(&answer, &self.config).map_or(Ok(LookUp::NotFound), Err);
        }
        let body: TitleBody = serde_json::from_slice(&answer.body)
            .map_err(|_| error::unavailable(&answer, "unreadable answer to a look-up"))?;
        agreement::title(body, request.boleto)
    }

    /// Makes a call under a token, and once more under a new one if the bank no longer takes the first.
    async fn call(
        &self,
        account: &BankAccount,
        method: Method,
        mut url: Url,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let app_key = secret(account, "app_key", &self.secrets).map_err(Failure::Bank)?;
        let login = Login::of(account, &self.secrets).map_err(Failure::Bank)?;
        url.query_pairs_mut().append_pair(&self.config.app_key_parameter, app_key.expose_secret());
        for _ in 0..2 {
            let token = self.tokens.get(&login.key, self.sign_in(&login)).await.map_err(Failure::Bank)?;
            let mut request = Request::new(method.clone(), url.clone());
            request.timeout = Some(self.config.timeout);
            request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
            request.headers.insert(AUTHORIZATION, bearer(&token).map_err(Failure::Bank)?);
            if !body.is_empty() {
                request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                request.body = body.clone();
            }
            let answer = self.http.send(request).await.map_err(Failure::Lost)?;
            if answer.status != StatusCode::UNAUTHORIZED {
                return Ok(answer);
            }
            self.tokens.forget(&login.key, &token).await;
        }
        let reason = "the bank does not take a token that it has just given".to_owned();
        Err(Failure::Bank(BankError::Misconfigured { reason }))
    }

    async fn sign_in(&self, login: &Login) -> Result<Grant, BankError> {
        let pair = format!("{}:{}", login.client_id.expose_secret(), login.client_secret.expose_secret());
        let mut request = Request::new(Method::POST, self.config.token_url.url().clone());
        request.timeout = Some(self.config.token_timeout);
        request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        request.headers.insert(AUTHORIZATION, sensitive(&format!("Basic {}", STANDARD.encode(pair)))?);
        request.body = form(&[("grant_type", "client_credentials"), ("scope", &self.config.scope)]);
        let answer = self.http.send(request).await.map_err(|lost| error::of_lost_question(&lost))?;
        if !answer.status.is_success() {
            return Err(error::of_sign_in(&answer));
        }
        let grant: GrantBody = serde_json::from_slice(&answer.body)
            .map_err(|_| error::unavailable(&answer, "unreadable token"))?;
        let life = grant.expires_in.unwrap_or(TOKEN_LIFE_DEFAULT_SECONDS).min(TOKEN_LIFE_MAX_SECONDS);
        let life = Duration::from_secs(life);
        Ok(Grant {
            token: grant.access_token.into(),
            usable_for: life - self.config.token_leeway.min(life / 2),
        })
    }
}

fn secret(account: &BankAccount, key: &str, secrets: &SecretPolicy) -> Result<SecretString, BankError> {
    let reason = match account.credentials.get(key).map(|text| SecretRef::parse(text)) {
        Some(Ok(reference)) => match secrets.resolve(&reference) {
            Ok(value) => return Ok(value),
            Err(error) => error.to_string(),
        },
        Some(Err(error)) => format!("credential {key}: {error}"),
        None => format!("credential {key} is not set"),
    };
    Err(BankError::Misconfigured { reason })
}

fn bearer(token: &Token) -> Result<HeaderValue, BankError> {
    sensitive(&format!("Bearer {}", token.secret.expose_secret()))
}

fn sensitive(text: &str) -> Result<HeaderValue, BankError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| BankError::Misconfigured {
        reason: "a credential holds control characters".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}
