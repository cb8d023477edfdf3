//! Banco do Brasil's Cobranças v2.
//!
//! **Owns** its titles and tokens, in memory: a restarted bank has forgotten both, its ledger has not.
//! **Fails** in the three shapes of errors that the real one has.
//! **Limits**: convênios of seven digits, one beneficiary. The sheet does not say what a change of discount, interest or
//! fine holds, nor what a list answers: the first is taken as it comes, the second is as public clients read it.

mod amend;
pub mod fault;
mod list;
mod look_up;
mod qr_code;
mod register;
mod request;
mod rules;
mod write_off;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;

use fault::Fault;
use request::{CallQuery, Keyed};
use rules::Checked;

use super::codes::{self, Codes, free_field};
use super::file::{Counter, File, Till};
use super::schema::{self, Unread, read_query};
use super::token::{SignIn, Tokens, Unauthorized};
use crate::sandbox::BankOptions;
use crate::sandbox::line::Line;
use crate::sandbox::outside::Outside;
use crate::sandbox::script::{BankName, Party};

/// The contract that every title of the sandbox belongs to.
const CONTRACT: u64 = 19_581_316;

/// The scope of a call that reads.
const INFO: &str = "cobrancas.boletos-info";
/// The scope of a call that changes something.
const WRITE: &str = "cobrancas.boletos-requisicao";

struct Bank {
    outside: Arc<Outside>,
    app_key: String,
    tokens: Tokens,
    /// By nosso número, which begins with the convênio.
    titles: Arc<File<u64, Checked>>,
}

/// The bank's door, and the counter at which its titles are paid.
pub fn open(outside: Arc<Outside>, options: &BankOptions) -> (Router, Arc<dyn Till>) {
    let tokens = Tokens::new(options, SignIn::Basic, &[INFO, WRITE]);
    let titles: Arc<File<u64, Checked>> = Arc::default();
    let till = Arc::new(Counter { bank: BankName::BancoDoBrasil, file: titles.clone() });
    let bank = Arc::new(Bank { outside, app_key: options.app_key.clone(), tokens, titles });
    let router = Router::new()
        .route("/oauth/token", post(token))
        .route("/cobrancas/v2/boletos", get(list::list).post(register))
        .route("/cobrancas/v2/boletos/{id}", get(look_up).patch(amend))
        .route("/cobrancas/v2/boletos/{id}/baixar", post(write_off))
        .route("/cobrancas/v2/boletos/{id}/gerar-pix", post(qr_code::make))
        .route("/cobrancas/v2/boletos/{id}/cancelar-pix", post(qr_code::end))
        .route("/cobrancas/v2/boletos/{id}/pix", get(qr_code::show))
        .fallback(async || fault::gateway(StatusCode::NOT_FOUND, "no such resource"))
        .with_state(bank);
    (router, till)
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
            if let Err(refusal) = bank.admit::<CallQuery>(&uri, &headers, WRITE) {
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
            match (bank.admit::<CallQuery>(&uri, &headers, INFO), orders.refuse) {
                (Err(refusal), _) => *refusal,
                (Ok(_), Some(code)) => fault::business(&[Fault::new(&code, "consulta recusada")]),
                (Ok(query), None) => bank.look_up(&id, query.convenio),
            }
        })
        .await
}

async fn amend(
    State(bank): Keeper,
    ConnectInfo(line): Caller,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let script = bank.outside.script.clone();
    script
        .perform(Party::BankAmend, &line, move |orders| async move {
            let request = bank.change(&uri, &headers, &body, orders.refuse, "alteração recusada");
            match request {
                Ok(request) => bank.amend(&id, &request).await,
                Err(refusal) => *refusal,
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
            let request = bank.change(&uri, &headers, &body, orders.refuse, "baixa recusada");
            match request {
                Ok(request) => bank.write_off(&id, &request).await,
                Err(refusal) => *refusal,
            }
        })
        .await
}

impl Bank {
    /// What the gateway looks at before the bank sees a call: the query, the app key, the token.
    fn admit<Q: DeserializeOwned + Keyed>(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        scope: &str,
    ) -> Result<Q, Refusal> {
        let refuse = |status, text| Err(Box::new(fault::gateway(status, text)));
        let Some(query) = read_query::<Q>(uri) else {
            return refuse(StatusCode::BAD_REQUEST, "query not understood");
        };
        if query.app_key() != Some(&self.app_key) {
            return refuse(StatusCode::FORBIDDEN, "invalid gw-dev-app-key");
        }
        match self.tokens.check(headers, Some(scope), self.outside.script.token_epoch()) {
            Ok(()) => Ok(query),
            Err(Unauthorized::Token) => refuse(StatusCode::UNAUTHORIZED, "invalid or expired token"),
            Err(Unauthorized::Scope) => refuse(StatusCode::FORBIDDEN, "scope not granted"),
        }
    }

    /// Admits a call that changes a title and reads what it asks for, unless the script refuses it.
    fn change<T: DeserializeOwned>(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
        refuse: Option<String>,
        text: &str,
    ) -> Result<T, Refusal> {
        self.admit::<CallQuery>(uri, headers, WRITE)?;
        let request = read_json(headers, body)?;
        match refuse {
            Some(code) => Err(Box::new(fault::business(&[Fault::new(&code, text)]))),
            None => Ok(request),
        }
    }
}

fn read_json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Refusal> {
    schema::read_json(headers, body).map_err(|unread| {
        Box::new(match unread {
            Unread::Kind => fault::gateway(StatusCode::UNSUPPORTED_MEDIA_TYPE, "application/json expected"),
            Unread::Schema(text) => fault::business(&[Fault::new(fault::SCHEMA, text)]),
        })
    })
}

/// The number of a title as it stands in a path: twenty digits that begin with 000 and the convênio.
fn number(id: &str, convenio: u64) -> Option<u64> {
    let digits = id.len() == 20 && id.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = digits.then(|| id.parse().ok())??;
    (number / 10_000_000_000 == convenio).then_some(number)
}

/// The codes of a title as later changes have left it.
fn codes(kept: &Checked) -> Codes {
    codes::codes("001", &free_field::banco_do_brasil(kept.title, kept.wallet), kept.due, kept.cents)
}

/// The ledger's key of a title.
fn key(convenio: u64, title: u64) -> String {
    format!("{convenio}+{title:020}")
}

#[cfg(test)]
mod tests;
