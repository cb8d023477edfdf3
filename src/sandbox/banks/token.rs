//! A bank's token endpoint, and the check of every call's bearer token.
//!
//! **Owns** the tokens issued and not yet expired.
//! **Fails** with the errors of OAuth 2 (RFC 6749 §5.2) at the endpoint, and a call by saying what it lacks.
//! **Limits**: client credentials only; expired tokens are forgotten when a new one is issued.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::schema::read_form;
use crate::sandbox::BankOptions;

/// Where a client says who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignIn {
    /// In a Basic header.
    Basic,
    /// In the form, as `client_id` and `client_secret`.
    Form,
}

/// Why a call's token does not do.
#[derive(Debug, PartialEq, Eq)]
pub enum Unauthorized {
    /// None, unknown or expired.
    Token,
    /// Valid, for something else.
    Scope,
}

struct Token {
    expires: Instant,
    epoch: u64,
    scopes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRequest {
    grant_type: String,
    scope: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
}

/// Issues and checks tokens.
pub struct Tokens {
    sign_in: SignIn,
    client_id: String,
    client_secret: String,
    ttl: Duration,
    /// What may be asked for; a bank without any takes no notice of scopes.
    scopes: &'static [&'static str],
    issued: Mutex<HashMap<String, Token>>,
}

impl Tokens {
    pub fn new(options: &BankOptions, sign_in: SignIn, scopes: &'static [&'static str]) -> Self {
        Tokens {
            sign_in,
            client_id: options.client_id.clone(),
            client_secret: options.client_secret.clone(),
            ttl: options.token_ttl,
            scopes,
            issued: Mutex::default(),
        }
    }

    /// Answers the token endpoint. Tokens of an earlier `epoch` are void.
    pub fn issue(&self, headers: &HeaderMap, form: &[u8], epoch: u64) -> Response {
        let request: Option<TokenRequest> = read_form(headers, form);
        if !self.is_client(headers, request.as_ref()) {
            return refusal(StatusCode::UNAUTHORIZED, "invalid_client");
        }
        let Some(request) = request else { return refusal(StatusCode::BAD_REQUEST, "invalid_request") };
        if request.grant_type != "client_credentials" {
            return refusal(StatusCode::BAD_REQUEST, "unsupported_grant_type");
        }
        let scope = match (request.scope, self.scopes.is_empty()) {
            (None, false) => return refusal(StatusCode::BAD_REQUEST, "invalid_request"),
            (scope, _) => scope.unwrap_or_default(),
        };
        let scopes: Vec<String> = scope.split(' ').map(str::to_owned).collect();
        if !self.scopes.is_empty() && scopes.iter().any(|scope| !self.scopes.contains(&scope.as_str())) {
            return refusal(StatusCode::BAD_REQUEST, "invalid_scope");
        }
        let text = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        let now = Instant::now();
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        issued.retain(|_, token| token.expires > now && token.epoch == epoch);
        issued.insert(text.clone(), Token { expires: now + self.ttl, epoch, scopes });
        drop(issued);
        let expires_in = self.ttl.as_secs();
        let answer = json!({
            "access_token": text, "token_type": "Bearer", "expires_in": expires_in, "scope": scope,
        });
        ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
    }

    fn is_client(&self, headers: &HeaderMap, request: Option<&TokenRequest>) -> bool {
        let in_form = |request: &TokenRequest| {
            request.client_id.as_ref() == Some(&self.client_id)
                && request.client_secret.as_ref() == Some(&self.client_secret)
        };
        match self.sign_in {
            SignIn::Basic => is_basic(headers, &self.client_id, &self.client_secret),
            SignIn::Form => request.is_some_and(in_form),
        }
    }

    /// Checks a call; `wanted` is the scope that it needs, if the bank has any.
    pub fn check(&self, headers: &HeaderMap, wanted: Option<&str>, epoch: u64) -> Result<(), Unauthorized> {
        let bearer =
            header_text(headers, header::AUTHORIZATION).and_then(|text| text.strip_prefix("Bearer "));
        let issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        let token = bearer
            .and_then(|bearer| issued.get(bearer))
            .filter(|token| token.epoch == epoch && token.expires > Instant::now())
            .ok_or(Unauthorized::Token)?;
        let allowed = wanted.is_none_or(|wanted| token.scopes.iter().any(|scope| scope == wanted));
        if allowed { Ok(()) } else { Err(Unauthorized::Scope) }
    }
}

/// Whether the Basic header names this user with this password.
pub fn is_basic(headers: &HeaderMap, user: &str, password: &str) -> bool {
    let expected = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    header_text(headers, header::AUTHORIZATION) == Some(&expected)
}

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn refusal(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({"error": error, "error_description": "token request refused"}))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "cobrancas.boletos-info";
    const WRITE: &str = "cobrancas.boletos-requisicao";
    const FORM: &str = "grant_type=client_credentials&scope=cobrancas.boletos-info";

    fn basic(options: &BankOptions) -> Tokens {
        Tokens::new(options, SignIn::Basic, &[INFO, WRITE])
    }

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    fn right() -> String {
        format!("Basic {}", STANDARD.encode("sandbox-client:sandbox-secret"))
    }

    async fn issue(tokens: &Tokens, basic: &str, form: &str) -> (StatusCode, serde_json::Value) {
        let kind = "application/x-www-form-urlencoded";
        let headers = headers(&[(header::AUTHORIZATION, basic), (header::CONTENT_TYPE, kind)]);
        let response = tokens.issue(&headers, form.as_bytes(), 0);
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_token_works_for_its_scope_until_it_expires() {
        let tokens = basic(&BankOptions::default());
        let (status, answer) = issue(&tokens, &right(), FORM).await;
        assert_eq!((status, &answer["expires_in"]), (StatusCode::OK, &json!(600)));
        let bearer = format!("Bearer {}", answer["access_token"].as_str().unwrap());
        let call = headers(&[(header::AUTHORIZATION, &bearer)]);
        assert_eq!(tokens.check(&call, Some(INFO), 0), Ok(()));
        assert_eq!(tokens.check(&call, Some(WRITE), 0), Err(Unauthorized::Scope));
        assert_eq!(tokens.check(&call, Some(INFO), 1), Err(Unauthorized::Token));
        assert_eq!(tokens.check(&HeaderMap::new(), Some(INFO), 0), Err(Unauthorized::Token));

        let short = basic(&BankOptions { token_ttl: Duration::ZERO, ..BankOptions::default() });
        let (_, answer) = issue(&short, &right(), FORM).await;
        let bearer = format!("Bearer {}", answer["access_token"].as_str().unwrap());
        let call = headers(&[(header::AUTHORIZATION, &bearer)]);
        assert_eq!(short.check(&call, Some(INFO), 0), Err(Unauthorized::Token));
    }

    #[tokio::test]
    async fn anything_but_the_documented_request_is_refused() {
        let tokens = basic(&BankOptions::default());
        let wrong = format!("Basic {}", STANDARD.encode("sandbox-client:guess"));
        let cases = [
            (wrong.as_str(), FORM, "invalid_client"),
            (&right(), "grant_type=password&scope=cobrancas.boletos-info", "unsupported_grant_type"),
            (&right(), "grant_type=client_credentials", "invalid_request"),
            (&right(), "grant_type=client_credentials&scope=everything", "invalid_scope"),
            (&right(), "grant_type=client_credentials&scope=", "invalid_scope"),
            (&right(), "grant_type=client_credentials&scope=cobrancas.boletos-info&x=1", "invalid_request"),
        ];
        for (basic, form, error) in cases {
            assert_eq!(issue(&tokens, basic, form).await.1["error"], error, "{form}");
        }
    }

    #[tokio::test]
    async fn a_bank_that_reads_the_form_takes_no_header_for_it() {
        let tokens = Tokens::new(&BankOptions::default(), SignIn::Form, &[]);
        let form = "grant_type=client_credentials&client_id=sandbox-client&client_secret=sandbox-secret";
        let (status, answer) = issue(&tokens, "Basic none", form).await;
        assert_eq!(status, StatusCode::OK);
        let bearer = format!("Bearer {}", answer["access_token"].as_str().unwrap());
        assert_eq!(tokens.check(&headers(&[(header::AUTHORIZATION, &bearer)]), None, 0), Ok(()));
        let bare = issue(&tokens, &right(), "grant_type=client_credentials").await;
        assert_eq!((bare.0, &bare.1["error"]), (StatusCode::UNAUTHORIZED, &json!("invalid_client")));
    }
}
