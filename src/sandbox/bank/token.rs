//! The token endpoint and the check of every call's bearer token.
//!
//! **Owns** the tokens issued and not yet expired.
//! **Fails** with the errors of OAuth 2 (RFC 6749 §5.2) at the endpoint, and a call by saying what it lacks.
//! **Limits**: expired tokens are forgotten when a new one is issued.

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

use crate::sandbox::BankOptions;

/// What a token lets its bearer do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `cobrancas.boletos-info`
    Info,
    /// `cobrancas.boletos-requisicao`
    Request,
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
    info: bool,
    request: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRequest {
    grant_type: String,
    scope: String,
}

/// Issues and checks tokens.
pub struct Tokens {
    basic: String,
    ttl: Duration,
    issued: Mutex<HashMap<String, Token>>,
}

impl Tokens {
    pub fn new(options: &BankOptions) -> Self {
        let credentials = STANDARD.encode(format!("{}:{}", options.client_id, options.client_secret));
        Tokens { basic: format!("Basic {credentials}"), ttl: options.token_ttl, issued: Mutex::default() }
    }

    /// Answers the token endpoint. Tokens of an earlier `epoch` are void.
    pub fn issue(&self, headers: &HeaderMap, form: &[u8], epoch: u64) -> Response {
        if header_text(headers, header::AUTHORIZATION) != Some(&self.basic) {
            return refusal(StatusCode::UNAUTHORIZED, "invalid_client");
        }
        let is_form = header_text(headers, header::CONTENT_TYPE)
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        let Some(request) = is_form.then(|| parse_form(form)).flatten() else {
            return refusal(StatusCode::BAD_REQUEST, "invalid_request");
        };
        if request.grant_type != "client_credentials" {
            return refusal(StatusCode::BAD_REQUEST, "unsupported_grant_type");
        }
        let (mut info, mut write) = (false, false);
        for scope in request.scope.split(' ') {
            match scope {
                "cobrancas.boletos-info" => info = true,
                "cobrancas.boletos-requisicao" => write = true,
                _ => return refusal(StatusCode::BAD_REQUEST, "invalid_scope"),
            }
        }
        let text = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        let now = Instant::now();
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        issued.retain(|_, token| token.expires > now && token.epoch == epoch);
        issued.insert(text.clone(), Token { expires: now + self.ttl, epoch, info, request: write });
        drop(issued);
        let expires_in = self.ttl.as_secs();
        let answer = json!({
            "access_token": text, "token_type": "Bearer", "expires_in": expires_in, "scope": request.scope,
        });
        ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
    }

    /// Checks a call.
    pub fn check(&self, headers: &HeaderMap, wanted: Scope, epoch: u64) -> Result<(), Unauthorized> {
        let bearer =
            header_text(headers, header::AUTHORIZATION).and_then(|text| text.strip_prefix("Bearer "));
        let issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        let token = bearer
            .and_then(|bearer| issued.get(bearer))
            .filter(|token| token.epoch == epoch && token.expires > Instant::now())
            .ok_or(Unauthorized::Token)?;
        let allowed = match wanted {
            Scope::Info => token.info,
            Scope::Request => token.request,
        };
        if allowed { Ok(()) } else { Err(Unauthorized::Scope) }
    }
}

fn parse_form(form: &[u8]) -> Option<TokenRequest> {
    // The query extractor reads the same encoding, and an address is the way to hand it text.
    let uri = format!("/?{}", std::str::from_utf8(form).ok()?).parse().ok()?;
    axum::extract::Query::try_from_uri(&uri).ok().map(|query| query.0)
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

    const FORM: &str = "grant_type=client_credentials&scope=cobrancas.boletos-info";

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
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
        let tokens = Tokens::new(&BankOptions::default());
        let (status, answer) = issue(&tokens, &tokens.basic, FORM).await;
        assert_eq!((status, &answer["expires_in"]), (StatusCode::OK, &json!(600)));
        let bearer = format!("Bearer {}", answer["access_token"].as_str().unwrap());
        let call = headers(&[(header::AUTHORIZATION, &bearer)]);
        assert_eq!(tokens.check(&call, Scope::Info, 0), Ok(()));
        assert_eq!(tokens.check(&call, Scope::Request, 0), Err(Unauthorized::Scope));
        assert_eq!(tokens.check(&call, Scope::Info, 1), Err(Unauthorized::Token));
        assert_eq!(tokens.check(&HeaderMap::new(), Scope::Info, 0), Err(Unauthorized::Token));

        let short = Tokens::new(&BankOptions { token_ttl: Duration::ZERO, ..BankOptions::default() });
        let (_, answer) = issue(&short, &short.basic, FORM).await;
        let bearer = format!("Bearer {}", answer["access_token"].as_str().unwrap());
        let call = headers(&[(header::AUTHORIZATION, &bearer)]);
        assert_eq!(short.check(&call, Scope::Info, 0), Err(Unauthorized::Token));
    }

    #[tokio::test]
    async fn anything_but_the_documented_request_is_refused() {
        let tokens = Tokens::new(&BankOptions::default());
        let wrong = format!("Basic {}", STANDARD.encode("sandbox-client:guess"));
        let cases = [
            (wrong.as_str(), FORM, "invalid_client"),
            (&tokens.basic, "grant_type=password&scope=cobrancas.boletos-info", "unsupported_grant_type"),
            (&tokens.basic, "grant_type=client_credentials", "invalid_request"),
            (&tokens.basic, "grant_type=client_credentials&scope=everything", "invalid_scope"),
            (&tokens.basic, "grant_type=client_credentials&scope=", "invalid_scope"),
        ];
        for (basic, form, error) in cases {
            assert_eq!(issue(&tokens, basic, form).await.1["error"], error, "{form}");
        }
    }
}
