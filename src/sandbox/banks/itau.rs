//! Itaú's cash_management v2 and its query, behind TLS with a client certificate.
//!
//! **Owns** its titles.
//! **Fails** with `codigo`, `mensagem` and `campos`; the codes are the sandbox's own.
//! **Limits**: the query has paths of its own, as the real one has a host of its own, on the same socket. Interest and
//! fines are looked at for their codes, discounts not at all; a change's parts for their presence, but for the due date,
//! the deduction and the own number. A title is known by wallet and nosso número under its beneficiary.

mod change;
mod query;
mod request;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use request::{Checked, Registration};

use super::codes::{Codes, codes, free_field};
use super::desk::{AtDesk, Call, Desk, Filing, REFUSED_CENTS, play, unusable};
use super::file::{Paper, Till, same_number};
use super::pix::pix;
use super::rules::Broken;
use super::schema::{Unread, read_json};
use super::token::{SignIn, Tokens};
use crate::sandbox::BankOptions;
use crate::sandbox::outside::Outside;
use crate::sandbox::script::{Act, BankName};

/// The number is taken.
pub const ALREADY_ON_FILE: &str = "409";
/// A field breaks the schema or a rule.
pub const INVALID: &str = "422";
/// The refusal that the magic amount asks for.
pub const MAGIC_REFUSAL: &str = "48";

/// A title on file.
#[derive(Clone)]
pub struct Slip {
    checked: Checked,
    key: String,
}

impl Slip {
    fn codes(&self) -> Codes {
        let Checked { beneficiary, wallet, number, due, cents, .. } = &self.checked;
        // Agency 4, account 7 of which the barcode holds the last five, and their digit.
        let (agency, account) = (&beneficiary[..4], &beneficiary[6..11]);
        codes("341", &free_field::itau(agency, account, wallet, number), *due, *cents)
    }

    fn emv(&self) -> Option<String> {
        let Checked { beneficiary, number, cents, hybrid, .. } = &self.checked;
        hybrid.then(|| pix(&format!("{beneficiary}{number}"), *cents).emv)
    }
}

impl Paper for Slip {
    fn key(&self) -> String {
        self.key.clone()
    }

    fn answers_to(&self, text: &str) -> bool {
        let codes = self.codes();
        same_number(&self.checked.number, text)
            || [&self.key, &codes.barcode, &codes.line].iter().any(|name| *name == text)
            || self.emv().is_some_and(|emv| emv == text)
    }
}

struct Itau {
    desk: Desk<Slip>,
    tokens: Tokens,
    app_key: String,
    client_id: String,
}

impl AtDesk for Itau {
    type Paper = Slip;

    fn desk(&self) -> &Desk<Slip> {
        &self.desk
    }
}

type Keeper = State<Arc<Itau>>;
type Refusal = Box<Response>;

/// The bank's door, and the counter at which its titles are paid.
pub fn open(outside: Arc<Outside>, options: &BankOptions) -> (Router, Arc<dyn Till>) {
    let bank = Arc::new(Itau {
        desk: Desk::new(BankName::Itau, outside),
        tokens: Tokens::new(options, SignIn::Form, &[]),
        app_key: options.app_key.clone(),
        client_id: options.client_id.clone(),
    });
    let till = bank.desk.till();
    let router = Router::new()
        .route("/api/oauth/token", post(token))
        .route("/cash_management/v2/boletos", post(register))
        .route("/cash_management/v2/boletos/{id}/{part}", patch(change::change))
        .route("/boletoscash/v2/boletos", get(query::query))
        .fallback(async || refusal(StatusCode::NOT_FOUND, "404", "recurso inexistente", &[]))
        .with_state(bank);
    (router, till)
}

async fn token(State(bank): Keeper, call: Call) -> Response {
    play(bank, Act::Token, call, async |bank: Arc<Itau>, call: Call, refuse: Option<String>| match refuse {
        Some(_) => StatusCode::BAD_REQUEST.into_response(),
        None => bank.tokens.issue(&call.headers, &call.body, bank.desk.epoch()),
    })
    .await
}

async fn register(State(bank): Keeper, call: Call) -> Response {
    play(bank, Act::Register, call, async |bank: Arc<Itau>, call: Call, refuse| {
        bank.register(&call, refuse).await
    })
    .await
}

impl Itau {
    /// The application's key, the call's own id, and the token.
    fn let_in(&self, call: &Call) -> Result<(), Refusal> {
        let key = call.header("x-itau-apikey");
        // The sheet names the header and not its value; clients send their id or a key of its own.
        if key.is_none_or(|key| key != self.app_key && key != self.client_id) {
            return Err(Box::new(refusal(StatusCode::FORBIDDEN, "403", "x-itau-apikey", &[])));
        }
        let id = call.header("x-itau-correlationid").and_then(|id| uuid::Uuid::parse_str(id).ok());
        if id.is_none() {
            return Err(Box::new(refusal(StatusCode::BAD_REQUEST, "400", "x-itau-correlationID", &[])));
        }
        self.tokens
            .check(&call.headers, None, self.desk.epoch())
            .map_err(|_| Box::new(refusal(StatusCode::UNAUTHORIZED, "401", "token inválido", &[])))
    }

    fn read<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Refusal> {
        read_json(&call.headers, &call.body).map_err(|unread| {
            Box::new(match unread {
                Unread::Kind => {
                    refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "415", "application/json esperado", &[])
                }
                Unread::Schema(text) => refusal(StatusCode::BAD_REQUEST, INVALID, &text, &[]),
            })
        })
    }

    async fn register(&self, call: &Call, refuse: Option<String>) -> Response {
        let request: Registration = match self.let_in(call).and_then(|()| self.read(call)) {
            Ok(request) => request,
            Err(refusal) => return *refusal,
        };
        let (agreement, number) = request.names();
        let key = self.desk.key(&agreement, &number);
        let checked = match request.check() {
            Ok(checked) => checked,
            Err(broken) => return self.refuse(key, None, INVALID, &broken).await,
        };
        if let Some(code) = refuse {
            return self.refuse(key, Some(checked.cents), &code, &[]).await;
        }
        if checked.cents == REFUSED_CENTS {
            return self.refuse(key, Some(checked.cents), MAGIC_REFUSAL, &[]).await;
        }
        let (id, cents, due) = (checked.id(), checked.cents, checked.due);
        let for_keeps = checked.for_keeps;
        let slip = Slip { checked, key };
        let answer = registered(&slip);
        if !for_keeps {
            return Json(answer).into_response();
        }
        match self.desk.file_title(id, slip, cents, due).await {
            Filing::Fresh => Json(answer).into_response(),
            Filing::Unanswerable => unusable(),
            Filing::AlreadyOnFile => {
                refusal(StatusCode::UNPROCESSABLE_ENTITY, ALREADY_ON_FILE, "título já registrado", &[])
            }
            Filing::NotRecorded => not_recorded(),
        }
    }

    async fn refuse(&self, key: String, cents: Option<u64>, code: &str, broken: &[Broken]) -> Response {
        match self.desk.refused(key, cents, &[code]).await {
            Ok(()) => refusal(StatusCode::UNPROCESSABLE_ENTITY, code, "registro recusado", broken),
            Err(_) => not_recorded(),
        }
    }
}

fn registered(slip: &Slip) -> Value {
    let (checked, codes) = (&slip.checked, slip.codes());
    let mut answer = json!({"data": {
        "etapa_processo_boleto": if checked.for_keeps { "efetivacao" } else { "validacao" },
        "beneficiario": {"id_beneficiario": checked.beneficiary},
        "dado_boleto": {
            "codigo_carteira": checked.wallet,
            "valor_total_titulo": format!("{:017}", checked.cents),
            "dados_individuais_boleto": [{
                "numero_nosso_numero": checked.number,
                "data_vencimento": checked.due,
                "valor_titulo": format!("{:017}", checked.cents),
                "texto_seu_numero": checked.own_number,
                "codigo_barras": codes.barcode,
                "numero_linha_digitavel": codes.line,
            }],
        },
    }});
    if let Some(emv) = slip.emv() {
        answer["data"]["dados_qrcode"] = json!({"emv": emv});
    }
    answer
}

/// The bank's shape of error. Values are never repeated.
fn refusal(status: StatusCode, code: &str, text: &str, broken: &[Broken]) -> Response {
    let fields: Vec<_> = broken
        .iter()
        .map(|broken| json!({"campo": broken.field, "mensagem": broken.text, "valor": ""}))
        .collect();
    (status, Json(json!({"codigo": code, "mensagem": text, "campos": fields}))).into_response()
}

fn not_recorded() -> Response {
    refusal(StatusCode::SERVICE_UNAVAILABLE, "503", "effect not recorded", &[])
}
