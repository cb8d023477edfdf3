//! Who may: the emulator's owner, holders of an access token of the sandbox's own endpoint, and the old secret.
//!
//! The endpoint exchanges a service account's assertion (RFC 7523), signed with RS256, for an access token, and checks it
//! as strictly as its issuer could be held to: algorithm, signature, key, issuer, audience, times and scopes.
//!
//! **Owns** the tokens issued and not yet expired.
//! **Fails** with the errors of OAuth 2 (RFC 6749 §5.2) at the endpoint, and with 401 at the database.
//! **Limits**: one service account; an assertion lives an hour at most.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use ring::rsa::{KeyPair, PublicKeyComponents};
use ring::signature::RSA_PKCS1_2048_8192_SHA256;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::Instant;

use super::fault::Fault;

/// What the emulator takes for everybody.
const OWNER: &str = "Bearer owner";
/// Who the service account is.
pub const CLIENT_EMAIL: &str = "transfer-listener@sandbox.example";
const KEY_ID: &str = "sandbox-key-1";
/// Google's libraries name this audience, whichever endpoint they ask.
const AUDIENCE: &str = "https://oauth2.googleapis.com/token";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const EMAIL_SCOPE: &str = "https://www.googleapis.com/auth/userinfo.email";
/// Either lets into the database.
const DATABASE_SCOPES: [&str; 2] =
    ["https://www.googleapis.com/auth/firebase.database", "https://www.googleapis.com/auth/firebase"];
const ASSERTION_MAX_S: i64 = 3_600;
const SKEW_S: i64 = 60;

/// How the database lets in.
#[derive(Clone)]
pub struct FirebaseOptions {
    /// Takes `Bearer owner`, as the emulator does.
    pub owner: bool,
    /// The old secret, for `?auth=`.
    pub legacy_secret: String,
    /// An RSA key (PEM, PKCS#8) for the one service account; without it nobody can have an access token.
    pub service_account_key: Option<PathBuf>,
    /// Age at which an access token stops working, and a stream that was opened with it is told so.
    pub token_ttl: Duration,
    /// How often a quiet stream says that it lives.
    pub keep_alive: Duration,
}

impl Default for FirebaseOptions {
    fn default() -> Self {
        FirebaseOptions {
            owner: true,
            legacy_secret: "sandbox-database-secret".into(),
            service_account_key: None,
            token_ttl: Duration::from_secs(3_600),
            keep_alive: Duration::from_secs(30),
        }
    }
}

struct Token {
    expires: Instant,
    epoch: u64,
}

/// Issues and checks.
pub struct Gate {
    owner: bool,
    legacy_secret: String,
    token_ttl: Duration,
    account: Option<PublicKeyComponents<Vec<u8>>>,
    token_url: String,
    issued: Mutex<HashMap<String, Token>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    grant_type: String,
    assertion: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    scope: String,
    iat: i64,
    exp: i64,
    /// Who is acted for; only the account itself.
    sub: Option<String>,
}

impl Gate {
    /// Reads the service account's key, and writes the account's file for those who are to be let in.
    pub fn open(options: &FirebaseOptions, folder: &Path, token_url: String) -> io::Result<(Self, Option<PathBuf>)> {
        let (mut account, mut file) = (None, None);
        if let Some(key_file) = &options.service_account_key {
            let pem = std::fs::read_to_string(key_file)?;
            let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(io::Error::other)?;
            let pair = KeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(io::Error::other)?;
            account = Some(PublicKeyComponents::<Vec<u8>>::from(pair.public()));
            file = Some(write_account(folder, &pem, &token_url)?);
        }
        let gate = Gate {
            owner: options.owner,
            legacy_secret: options.legacy_secret.clone(),
            token_ttl: options.token_ttl,
            account,
            token_url,
            issued: Mutex::default(),
        };
        Ok((gate, file))
    }

    /// Answers the token endpoint. Tokens of an earlier `epoch` are void.
    pub fn exchange(&self, exchange: Option<Exchange>, epoch: u64) -> Response {
        let Some(exchange) = exchange else { return refusal("invalid_request", "not understood") };
        if exchange.grant_type != GRANT {
            return refusal("unsupported_grant_type", "only assertions are exchanged");
        }
        match self.claims(&exchange.assertion).and_then(|claims| self.check_claims(&claims)) {
            Err((error, why)) => refusal(error, why),
            Ok(()) => self.issue(epoch),
        }
    }

    fn issue(&self, epoch: u64) -> Response {
        let text = format!("sandbox.{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        let now = Instant::now();
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        issued.retain(|_, token| token.expires > now && token.epoch == epoch);
        issued.insert(text.clone(), Token { expires: now + self.token_ttl, epoch });
        drop(issued);
        let expires_in = self.token_ttl.as_secs();
        let answer = json!({"access_token": text, "expires_in": expires_in, "token_type": "Bearer"});
        ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
    }

    /// The claims of an assertion that our service account has signed.
    fn claims(&self, assertion: &str) -> Result<Claims, (&'static str, &'static str)> {
        let grant = |why| ("invalid_grant", why);
        let account = self.account.as_ref().ok_or(grant("account not found"))?;
        let (signed, signature) = assertion.rsplit_once('.').ok_or(grant("no assertion"))?;
        let (head, claims) = signed.split_once('.').ok_or(grant("no assertion"))?;
        let head: Head = part(head).ok_or(grant("header not understood"))?;
        let is_ours = head.kid.is_none_or(|kid| kid == KEY_ID) && head.typ.is_none_or(|typ| typ == "JWT");
        if head.alg != "RS256" || !is_ours {
            return Err(grant("header names another algorithm or key"));
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| grant("signature not understood"))?;
        account
            .verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature)
            .map_err(|_| grant("signature does not match"))?;
        part(claims).ok_or(grant("claims not understood"))
    }

    fn check_claims(&self, claims: &Claims) -> Result<(), (&'static str, &'static str)> {
        let grant = |why| Err(("invalid_grant", why));
        let now = Utc::now().timestamp();
        if claims.iss != CLIENT_EMAIL || claims.sub.as_ref().is_some_and(|sub| *sub != claims.iss) {
            return grant("account not found");
        }
        if claims.aud != self.token_url && claims.aud != AUDIENCE {
            return grant("audience is another");
        }
        if claims.iat > now + SKEW_S || claims.exp <= now - SKEW_S || claims.exp - claims.iat > ASSERTION_MAX_S {
            return grant("must be a short-lived token and in a reasonable timeframe");
        }
        let scopes: Vec<&str> = claims.scope.split(' ').collect();
        if !scopes.contains(&EMAIL_SCOPE) || !scopes.iter().any(|scope| DATABASE_SCOPES.contains(scope)) {
            return Err(("invalid_scope", "scopes do not let into the database"));
        }
        Ok(())
    }

    /// Checks a call, and says until when its credential holds, if it ends at all.
    pub fn check(
        &self,
        headers: &HeaderMap,
        access_token: Option<&str>,
        auth: Option<&str>,
        epoch: u64,
    ) -> Result<Option<Instant>, Fault> {
        let header = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
        match (header, access_token, auth) {
            (Some(OWNER), None, _) if self.owner => Ok(None),
            (Some(header), None, None) => self.lookup(header.strip_prefix("Bearer "), epoch).map(Some),
            (None, Some(token), None) => self.lookup(Some(token), epoch).map(Some),
            (None, None, Some(secret)) if secret == self.legacy_secret => Ok(None),
            _ => Err(Fault::Unauthorized),
        }
    }

    fn lookup(&self, token: Option<&str>, epoch: u64) -> Result<Instant, Fault> {
        let issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        token
            .and_then(|token| issued.get(token))
            .filter(|token| token.epoch == epoch && token.expires > Instant::now())
            .map(|token| token.expires)
            .ok_or(Fault::Unauthorized)
    }
}

fn part<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

fn refusal(error: &str, why: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"error": error, "error_description": why}))).into_response()
}

/// The file that Google hands to the owner of a service account, in its form.
fn write_account(folder: &Path, private_key: &str, token_url: &str) -> io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join("service-account.json");
    let account = json!({
        "type": "service_account",
        "project_id": "sandbox",
        "private_key_id": KEY_ID,
        "private_key": private_key,
        "client_email": CLIENT_EMAIL,
        "client_id": "1",
        "token_uri": token_url,
    });
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    serde_json::to_writer(&mut file, &account)?;
    Ok(path)
}
