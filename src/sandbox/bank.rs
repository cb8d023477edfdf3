//! A bank that speaks Banco do Brasil's Cobranças v2, as public sources describe it; no bank has certified this.
//!
//! **Owns** its titles and tokens, in memory: a restarted bank has forgotten both, its ledger has not.
//! **Fails** in the three shapes of errors that the real one has, and as scripted. Two magic amounts need no
//! script: 5000003 cents are kept, but the first two attempts get an HTML page with status 500 for an answer;
//! 5000004 cents are refused.
//! **Limits**: convênios of seven digits, one beneficiary; no payments.

mod codes;
mod documents;
pub mod fault;
mod look_up;
mod pix;
mod register;
mod request;
mod rules;
mod titles;
mod token;
mod write_off;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;

use fault::Fault;
use request::CallQuery;
use titles::Titles;
use token::{Scope, Tokens, Unauthorized};

use super::BankOptions;
use super::line::Line;
use super::outside::Outside;
use super::script::Party;

/// The contract that every title of the sandbox belongs to.
const CONTRACT: u64 = 19_581_316;

struct Bank {
    outside: Arc<Outside>,
    app_key: String,
    tokens: Tokens,
    titles: Titles,
}

pub(super) fn router(outside: Arc<Outside>, options: BankOptions) -> Router {
    let tokens = Tokens::new(&options);
    let bank = Arc::new(Bank { outside, app_key: options.app_key, tokens, titles: Titles::default() });
    Router::new()
        .route("/oauth/token", post(token))
        .route("/cobrancas/v2/boletos", post(register))
        .route("/cobrancas/v2/boletos/{id}", get(look_up))
        .route("/cobrancas/v2/boletos/{id}/baixar", post(write_off))
        .fallback(async || fault::gateway(StatusCode::NOT_FOUND, "no such resource"))
        .with_state(bank)
}

type Caller = ConnectInfo<Line>;
type Keeper = State<Arc<Bank>>;
/// An answer that ends the call early; boxed because answers are large.
type Refusal = Box<Response>;

async fn token(State(bank): Keeper, ConnectInfo(line): Caller, headers: HeaderMap, form: Bytes) -> Response {
    let script = bank.outside.script.clone();
    script
        .perform(Party::BankToken, &line, move |orders| async move {
            match orders.refuse {
                Some(_) => StatusCode::BAD_REQUEST.into_response(),
                None => bank.tokens.issue(&headers, &form, bank.outside.script.token_epoch()),
            }
        })
        .await
}

async fn register(
    State(bank): Keeper,
    ConnectInfo(line): Caller,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let script = bank.outside.script.clone();
    script
        .perform(Party::BankRegister, &line, move |orders| async move {
            if let Err(refusal) = bank.admit(&uri, &headers, Scope::Request) {
                return *refusal;
            }
            match read_json(&headers, &body) {
                Ok(request) => bank.register(&request, orders.refuse).await,
                Err(refusal) => *refusal,
            }
        })
        .await
}

async fn look_up(
    State(bank): Keeper,
    ConnectInfo(line): Caller,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let script = bank.outside.script.clone();
    script
        .perform(Party::BankLookUp, &line, move |orders| async move {
            match (bank.admit(&uri, &headers, Scope::Info), orders.refuse) {
                (Err(refusal), _) => *refusal,
                (Ok(_), Some(code)) => fault::business(&[Fault::new(&code, "consulta recusada")]),
                (Ok(query), None) => bank.look_up(&id, query.convenio),
            }
        })
        .await
}

async fn write_off(
    State(bank): Keeper,
    ConnectInfo(line): Caller,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let script = bank.outside.script.clone();
    script
        .perform(Party::BankWriteOff, &line, move |orders| async move {
            if let Err(refusal) = bank.admit(&uri, &headers, Scope::Request) {
                return *refusal;
            }
            match (read_json(&headers, &body), orders.refuse) {
                (Err(refusal), _) => *refusal,
                (Ok(_), Some(code)) => fault::business(&[Fault::new(&code, "baixa recusada")]),
                (Ok(request), None) => bank.write_off(&id, &request).await,
            }
        })
        .await
}

impl Bank {
    /// What the gateway looks at before the bank sees a call: the query, the app key, the token.
    fn admit(&self, uri: &Uri, headers: &HeaderMap, wanted: Scope) -> Result<CallQuery, Refusal> {
        let refuse = |status, text| Err(Box::new(fault::gateway(status, text)));
        let Ok(Query(query)) = Query::<CallQuery>::try_from_uri(uri) else {
            return refuse(StatusCode::BAD_REQUEST, "query not understood");
        };
        if query.app_key.as_deref() != Some(&self.app_key) {
            return refuse(StatusCode::FORBIDDEN, "invalid gw-dev-app-key");
        }
        match self.tokens.check(headers, wanted, self.outside.script.token_epoch()) {
            Ok(()) => Ok(query),
            Err(Unauthorized::Token) => refuse(StatusCode::UNAUTHORIZED, "invalid or expired token"),
            Err(Unauthorized::Scope) => refuse(StatusCode::FORBIDDEN, "scope not granted"),
        }
    }
}

fn read_json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().unwrap_or_default().trim() != "application/json" {
        return Err(Box::new(fault::gateway(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "application/json expected",
        )));
    }
    serde_json::from_slice(body)
        .map_err(|error| Box::new(fault::business(&[Fault::new(fault::SCHEMA, schema_text(&error))])))
}

/// Names the field that is missing or too much; any other error could repeat a value, so only its place is told.
fn schema_text(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if text.starts_with("unknown field")
        || text.starts_with("missing field")
        || text.starts_with("duplicate field")
    {
        return text;
    }
    format!("tipo ou sintaxe inválida na coluna {} da linha {}", error.column(), error.line())
}

#[cfg(test)]
pub(in crate::sandbox) mod tests;
