//! A gateway of the boleto-api kind, in front of Bradesco's ShopFacil (237) and of Caixa (104).
//!
//! **Owns** its titles, and the unguessable pair by which each title's page is found.
//! **Fails** with `errors`: codes that begin with MP for what the gateway itself refuses, the bank's code for the rest.
//! **Limits**: of version 1 the registration and the two pages. A scripted refusal by a code that means "registered" or
//! "in progress" keeps the title, as the bank behind would. The sheet names no code for a number that Caixa already has;
//! the one here is the sandbox's own.

mod request;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::{Value, json};

use request::{Bank, Checked, CheckedRequest};

use super::codes::{Codes, codes, free_field};
use super::desk::{AtDesk, Call, Desk, Filing, REFUSED_CENTS, play, unusable};
use super::file::{Paper, Till, same_number};
use super::schema::{Unread, read_json, read_query};
use super::token::is_basic;
use crate::sandbox::BankOptions;
use crate::sandbox::outside::Outside;
use crate::sandbox::script::{Act, BankName};

/// Caixa has the number already; the sandbox's own code.
pub const CAIXA_ALREADY_ON_FILE: &str = "1069";
/// ShopFacil has the number already.
pub const SHOPFACIL_ALREADY_ON_FILE: &str = "9300574";
/// Codes of ShopFacil's answers under which the bank has the title all the same.
pub const KEPT_CODES: [&str; 6] = ["0", "930051", "930053", "93005119", "93005999", "-548"];

/// A title as the bank behind the gateway keeps it.
#[derive(Clone)]
pub struct Slip {
    checked: Checked,
    key: String,
    codes: Codes,
    id: String,
    pk: String,
}

impl Paper for Slip {
    fn key(&self) -> String {
        self.key.clone()
    }

    fn answers_to(&self, text: &str) -> bool {
        same_number(&self.checked.number, text)
            || [&self.key, &self.codes.barcode, &self.codes.line].iter().any(|name| *name == text)
    }
}

struct Gateway {
    desk: Desk<Slip>,
    user: String,
    password: String,
    inner_user: String,
    inner_password: String,
    base: String,
}

impl AtDesk for Gateway {
    type Paper = Slip;

    fn desk(&self) -> &Desk<Slip> {
        &self.desk
    }
}

/// The gateway's door at this address, and the counter at which its titles are paid.
pub fn open(outside: Arc<Outside>, options: &BankOptions, base: String) -> (Router, Arc<dyn Till>) {
    let gateway = Arc::new(Gateway {
        desk: Desk::new(BankName::BoletoApi, outside),
        user: options.client_id.clone(),
        password: options.client_secret.clone(),
        inner_user: options.inner_user.clone(),
        inner_password: options.inner_password.clone(),
        base,
    });
    let till = gateway.desk.till();
    let router = Router::new()
        .route("/v1/boleto/register", post(register))
        .route("/boleto", get(page))
        .fallback(async || errors(StatusCode::NOT_FOUND, &[("MP404", "no such resource".into())]))
        .with_state(gateway);
    (router, till)
}

type Keeper = State<Arc<Gateway>>;

async fn register(State(gateway): Keeper, call: Call) -> Response {
    play(gateway, Act::Register, call, async |gateway: Arc<Gateway>, call: Call, refuse| {
        gateway.register(&call, refuse).await
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    fmt: String,
    id: String,
    pk: String,
}

/// The page that a payer is sent to; it wants both halves of its address.
async fn page(State(gateway): Keeper, call: Call) -> Response {
    play(gateway, Act::Document, call, async |gateway: Arc<Gateway>, call: Call, _| {
        let query: Option<PageQuery> = read_query(&call.uri);
        let Some(query) = query.filter(|query| query.fmt == "html") else {
            return errors(StatusCode::BAD_REQUEST, &[("MP400", "fmt, id, pk".into())]);
        };
        let titles = gateway.desk.file.lock();
        let slip =
            titles.values().map(|title| &title.paper).find(|slip| slip.id == query.id && slip.pk == query.pk);
        match slip {
            Some(slip) => {
                let page = format!("<!DOCTYPE html><html><body><p>{}</p></body></html>", slip.codes.line);
                ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
            }
            None => errors(StatusCode::NOT_FOUND, &[("MP404", "boleto not found".into())]),
        }
    })
    .await
}

impl Gateway {
    async fn register(&self, call: &Call, refuse: Option<String>) -> Response {
        if !is_basic(&call.headers, &self.user, &self.password) {
            return (StatusCode::UNAUTHORIZED, Json(json!({}))).into_response();
        }
        let body: Value = match read_json(&call.headers, &call.body) {
            Ok(body) => body,
            Err(unread) => return errors(StatusCode::BAD_REQUEST, &[("MP400", words(unread))]),
        };
        let CheckedRequest { agreement, number, outcome } =
            request::read(&body, &self.inner_user, &self.inner_password);
        let key = self.desk.key(&agreement, &number);
        let checked = match outcome {
            Ok(checked) => checked,
            Err(faults) => return self.refuse(key, None, StatusCode::BAD_REQUEST, &faults).await,
        };
        if checked.cents == REFUSED_CENTS {
            let fault = ("930052", "registro recusado pelo valor magico".to_owned());
            return self.refuse(key, Some(checked.cents), StatusCode::BAD_REQUEST, &[fault]).await;
        }
        if let Some(code) = refuse {
            // Under these codes the bank has the title, whatever the gateway makes of them.
            if checked.bank == Bank::ShopFacil && KEPT_CODES.contains(&code.as_str()) {
                let (cents, due) = (checked.cents, checked.due);
                if self.desk.file_title(id_of(&checked), self.slip(checked, key), cents, due).await
                    == Filing::NotRecorded
                {
                    return not_recorded();
                }
                return errors(StatusCode::BAD_REQUEST, &[(&code, "situacao do registro".to_owned())]);
            }
            let fault = (code.as_str(), "registro recusado".to_owned());
            return self.refuse(key, Some(checked.cents), StatusCode::BAD_REQUEST, &[fault]).await;
        }
        let (bank, cents, due) = (checked.bank, checked.cents, checked.due);
        let slip = self.slip(checked, key);
        let answer = self.answer(&slip);
        match self.desk.file_title(id_of(&slip.checked), slip, cents, due).await {
            Filing::Fresh => Json(answer).into_response(),
            Filing::Unanswerable => unusable(),
            Filing::NotRecorded => not_recorded(),
            Filing::AlreadyOnFile => {
                let code = match bank {
                    Bank::ShopFacil => SHOPFACIL_ALREADY_ON_FILE,
                    Bank::Caixa => CAIXA_ALREADY_ON_FILE,
                };
                errors(StatusCode::BAD_REQUEST, &[(code, "titulo ja cadastrado".to_owned())])
            }
        }
    }

    fn slip(&self, checked: Checked, key: String) -> Slip {
        let codes = codes_of(&checked);
        let random = || format!("{:032x}", rand::random::<u128>());
        Slip { checked, key, codes, id: random(), pk: random() }
    }

    fn answer(&self, slip: &Slip) -> Value {
        let href = |format: &str| format!("{}/boleto?fmt={format}&id={}&pk={}", self.base, slip.id, slip.pk);
        json!({
            "id": slip.id,
            "digitableLine": slip.codes.line,
            "barCodeNumber": slip.codes.barcode,
            "ourNumber": slip.checked.number,
            "links": [
                {"href": href("pdf"), "rel": "pdf", "method": "GET"},
                {"href": href("html"), "rel": "html", "method": "GET"},
            ],
        })
    }

    async fn refuse(
        &self,
        key: String,
        cents: Option<u64>,
        status: StatusCode,
        faults: &[(&str, String)],
    ) -> Response {
        let codes: Vec<_> = faults.iter().map(|(code, _)| *code).collect();
        match self.desk.refused(key, cents, &codes).await {
            Ok(()) => errors(status, faults),
            Err(_) => not_recorded(),
        }
    }
}

/// Numbers of the two banks are apart.
fn id_of(checked: &Checked) -> String {
    format!("{:?}+{}", checked.bank, checked.number)
}

fn codes_of(checked: &Checked) -> Codes {
    let Checked { bank, due, cents, .. } = checked;
    let (due, cents): (NaiveDate, u64) = (*due, *cents);
    match bank {
        Bank::ShopFacil => {
            let number = checked.number.parse().unwrap_or(0);
            let field = free_field::bradesco(checked.agency, checked.wallet, number, checked.account);
            codes("237", &field, due, cents)
        }
        Bank::Caixa => codes("104", &free_field::caixa(checked.agreement, &checked.number), due, cents),
    }
}

fn words(unread: Unread) -> String {
    match unread {
        Unread::Kind => "application/json expected".to_owned(),
        Unread::Schema(text) => text,
    }
}

fn errors(status: StatusCode, faults: &[(&str, String)]) -> Response {
    let faults: Vec<_> = faults.iter().map(|(code, text)| json!({"code": code, "message": text})).collect();
    (status, Json(json!({"errors": faults}))).into_response()
}

fn not_recorded() -> Response {
    errors(StatusCode::SERVICE_UNAVAILABLE, &[("MP503", "effect not recorded".to_owned())])
}
