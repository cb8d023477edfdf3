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
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

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

/// By what a call was let in.
pub enum Credential {
    /// It holds for ever.
    Endless,
    /// An access token.
    Token {
        expires: Instant,
        /// All tokens of this moment are void after the next change.
        epochs: watch::Receiver<u64>,
    },
}

impl Credential {
    /// Waits until it holds no more.
    pub async fn ended(&mut self) {
        match self {
            Credential::Endless => std::future::pending().await,
            Credential::Token { expires, epochs } => tokio::select! {
                () = sleep_until(*expires) => {}
                // A world that is gone has no valid tokens either.
                _ = epochs.changed() => {}
            },
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
    pub fn open(
        options: &FirebaseOptions,
        folder: &Path,
        token_url: String,
    ) -> io::Result<(Self, Option<PathBuf>)> {
        let (mut account, mut file) = (None, None);
        if let Some(key_file) = &options.service_account_key {
            let pem = std::fs::read_to_string(key_file)?;
            let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(io::Error::other)?;
            let pair = KeyPair::from_pkcs8(der.secret_pkcs8_der())
                .map_err(|rejected| io::Error::other(rejected.to_string()))?;
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

    pub fn issue(&self, epoch: u64) -> Response {
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
        if claims.iat > now + SKEW_S
            || claims.exp <= now - SKEW_S
            || claims.exp - claims.iat > ASSERTION_MAX_S
        {
            return grant("must be a short-lived token and in a reasonable timeframe");
        }
        let scopes: Vec<&str> = claims.scope.split(' ').collect();
        if !scopes.contains(&EMAIL_SCOPE) || !scopes.iter().any(|scope| DATABASE_SCOPES.contains(scope)) {
            return Err(("invalid_scope", "scopes do not let into the database"));
        }
        Ok(())
    }

    /// Checks a call, and says until when its credential holds.
    pub fn check(
        &self,
        headers: &HeaderMap,
        access_token: Option<&str>,
        auth: Option<&str>,
        mut epochs: watch::Receiver<u64>,
    ) -> Result<Credential, Fault> {
        let header = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
        let epoch = *epochs.borrow_and_update();
        let token = match (header, access_token, auth) {
            (Some(OWNER), None, None) if self.owner => return Ok(Credential::Endless),
            (None, None, Some(secret)) if secret == self.legacy_secret => return Ok(Credential::Endless),
            (Some(header), None, None) => header.strip_prefix("Bearer "),
            (None, Some(token), None) => Some(token),
            _ => None,
        };
        Ok(Credential::Token { expires: self.lookup(token, epoch)?, epochs })
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
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    serde_json::to_writer(&mut file, &account)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN_URL: &str = "http://127.0.0.1:1/token";

    fn gate(token_ttl: Duration) -> Gate {
        let options = FirebaseOptions { token_ttl, ..FirebaseOptions::default() };
        Gate::open(&options, Path::new(""), TOKEN_URL.to_owned()).unwrap().0
    }

    async fn issued(gate: &Gate, epoch: u64) -> String {
        let answer = axum::body::to_bytes(gate.issue(epoch).into_body(), 10_000).await.unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    fn enters(gate: &Gate, token: &str, epoch: u64) -> bool {
        let epochs = watch::Sender::new(epoch);
        gate.check(&HeaderMap::new(), Some(token), None, epochs.subscribe()).is_ok()
    }

    #[tokio::test]
    async fn a_token_holds_until_its_time_or_its_epoch_is_over() {
        let lasting = gate(Duration::from_secs(60));
        let token = issued(&lasting, 0).await;
        assert!(enters(&lasting, &token, 0) && !enters(&lasting, &token, 1) && !enters(&lasting, "other", 0));
        let short = gate(Duration::ZERO);
        let token = issued(&short, 0).await;
        assert!(!enters(&short, &token, 0));
    }

    #[tokio::test]
    async fn claims_must_be_whole_fresh_and_for_the_database() {
        let gate = gate(Duration::from_secs(60));
        let now = Utc::now().timestamp();
        let scope = format!("{EMAIL_SCOPE} {}", DATABASE_SCOPES[0]);
        let good =
            json!({"iss": CLIENT_EMAIL, "aud": TOKEN_URL, "scope": scope, "iat": now, "exp": now + 3_600});
        let check = |name: &str, value: serde_json::Value| {
            let mut claims = good.clone();
            claims[name] = value;
            gate.check_claims(&serde_json::from_value(claims).unwrap()).map_err(|(error, _)| error)
        };
        assert_eq!(check("aud", json!(AUDIENCE)), Ok(()));
        assert_eq!(check("sub", json!(CLIENT_EMAIL)), Ok(()));
        let bad = [
            ("iss", json!("somebody@else.example")),
            ("sub", json!("somebody@else.example")),
            ("aud", json!("https://elsewhere.example/token")),
            ("iat", json!(now + 600)),
            ("exp", json!(now + 3_601)),
            ("exp", json!(now - 61)),
        ];
        for (name, value) in bad {
            assert_eq!(check(name, value.clone()), Err("invalid_grant"), "{name} {value}");
        }
        assert_eq!(check("scope", json!(EMAIL_SCOPE)), Err("invalid_scope"));
        assert_eq!(check("scope", json!(DATABASE_SCOPES[0])), Err("invalid_scope"));
    }

    #[tokio::test]
    async fn without_a_service_account_nothing_is_exchanged() {
        let gate = gate(Duration::from_secs(60));
        let exchange =
            |grant: &str| Some(Exchange { grant_type: grant.to_owned(), assertion: "a.b.c".to_owned() });
        for asked in [None, exchange(GRANT), exchange("password")] {
            assert_eq!(gate.exchange(asked, 0).status(), StatusCode::BAD_REQUEST);
        }
    }
}
