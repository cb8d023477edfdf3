//! Inter's cobrança v3, behind TLS with a client certificate: charges that the bank numbers, later.
//!
//! **Owns** its charges by the client's own number, and their codes. How many times a new charge is asked for before it
//! has a number is said by the script.
//! **Fails** with `title`, `detail` and `violacoes`.
//! **Limits**: one account. A client's own number is taken once; a real bank forgets it after some minutes. The list is
//! not in the sheet and answers as public clients read it. Discounts, fines and interest are looked at for their code.
//! The refused magic amount is accepted and fails to be issued.

mod charge;
mod request;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use charge::{Charge, shown};
use request::{Cancellation, ChargeRequest, Listing};

use super::desk::{AtDesk, Call, Desk, Filing, REFUSED_CENTS, play, today, unusable};
use super::file::{Ended, State as TitleState, Till};
use super::rules::Rules;
use super::schema::{Unread, read_json, read_query};
use super::token::{SignIn, Tokens, Unauthorized};
use crate::sandbox::BankOptions;
use crate::sandbox::outside::Outside;
use crate::sandbox::script::{Act, BankName};

const READ: &str = "boleto-cobranca.read";
const WRITE: &str = "boleto-cobranca.write";

/// The one account of the bank's one client.
const ACCOUNT: &str = "0001";

struct Inter {
    desk: Desk<Charge>,
    tokens: Tokens,
    /// Own numbers by the codes that the bank gave.
    by_code: Mutex<HashMap<String, String>>,
    next_number: AtomicU64,
}

impl AtDesk for Inter {
    type Paper = Charge;

    fn desk(&self) -> &Desk<Charge> {
        &self.desk
    }
}

type Keeper = State<Arc<Inter>>;
type Refusal = Box<Response>;

/// The bank's door, and the counter at which its charges are paid.
pub fn open(outside: Arc<Outside>, options: &BankOptions) -> (Router, Arc<dyn Till>) {
    let bank = Arc::new(Inter {
        desk: Desk::new(BankName::Inter, outside),
        tokens: Tokens::new(options, SignIn::Form, &[READ, WRITE]),
        by_code: Mutex::default(),
        next_number: AtomicU64::new(1),
    });
    let till = bank.desk.till();
    let router = Router::new()
        .route("/oauth/v2/token", post(token))
        .route("/cobranca/v3/cobrancas", get(list).post(register))
        .route("/cobranca/v3/cobrancas/{code}", get(look_up))
        .route("/cobranca/v3/cobrancas/{code}/cancelar", post(cancel))
        .route("/cobranca/v3/cobrancas/{code}/pdf", get(pdf))
        .fallback(async || problem(StatusCode::NOT_FOUND, "Recurso inexistente", &[]))
        .with_state(bank);
    (router, till)
}

async fn token(State(bank): Keeper, call: Call) -> Response {
    play(bank, Act::Token, call, async |bank: Arc<Inter>, call: Call, refuse: Option<String>| match refuse {
        Some(_) => StatusCode::BAD_REQUEST.into_response(),
        None => bank.tokens.issue(&call.headers, &call.body, bank.desk.epoch()),
    })
    .await
}

async fn register(State(bank): Keeper, call: Call) -> Response {
    play(bank, Act::Register, call, async |bank: Arc<Inter>, call: Call, refuse| {
        bank.register(&call, refuse).await
    })
    .await
}

async fn look_up(State(bank): Keeper, Path(code): Path<String>, call: Call) -> Response {
    play(bank, Act::LookUp, call, async move |bank: Arc<Inter>, call: Call, refuse| {
        match bank.let_in(&call, READ, refuse) {
            Ok(()) => bank.look_up(&code),
            Err(refusal) => *refusal,
        }
    })
    .await
}

async fn list(State(bank): Keeper, call: Call) -> Response {
    play(bank, Act::List, call, async |bank: Arc<Inter>, call: Call, refuse| {
        match bank.let_in(&call, READ, refuse) {
            Ok(()) => bank.list(&call),
            Err(refusal) => *refusal,
        }
    })
    .await
}

async fn cancel(State(bank): Keeper, Path(code): Path<String>, call: Call) -> Response {
    play(bank, Act::WriteOff, call, async move |bank: Arc<Inter>, call: Call, refuse| {
        let admitted = bank.let_in(&call, WRITE, refuse).and_then(|()| read::<Cancellation>(&call));
        match admitted {
            Ok(request) if request.fits() => bank.cancel(&code).await,
            Ok(_) => problem(
                StatusCode::BAD_REQUEST,
                "Requisição inválida",
                &[("motivoCancelamento", "vazio ou longo demais")],
            ),
            Err(refusal) => *refusal,
        }
    })
    .await
}

async fn pdf(State(bank): Keeper, Path(code): Path<String>, call: Call) -> Response {
    play(bank, Act::Document, call, async move |bank: Arc<Inter>, call: Call, refuse| {
        if let Err(refusal) = bank.let_in(&call, READ, refuse) {
            return *refusal;
        }
        match bank.own_number(&code).and_then(|own| bank.desk.file.find(&own)) {
            Some(title) if title.paper.is_issued() => {
                Json(json!({"pdf": STANDARD.encode("%PDF-1.4\n%%EOF\n")})).into_response()
            }
            _ => not_found(),
        }
    })
    .await
}

impl Inter {
    fn let_in(&self, call: &Call, scope: &str, refuse: Option<String>) -> Result<(), Refusal> {
        let refusal = match self.tokens.check(&call.headers, Some(scope), self.desk.epoch()) {
            Ok(()) => match refuse {
                None => return Ok(()),
                Some(code) => problem(StatusCode::BAD_REQUEST, &code, &[("", "recusado")]),
            },
            Err(Unauthorized::Token) => problem(StatusCode::UNAUTHORIZED, "Token inválido", &[]),
            Err(Unauthorized::Scope) => problem(StatusCode::FORBIDDEN, "Escopo não concedido", &[]),
        };
        Err(Box::new(refusal))
    }

    fn own_number(&self, code: &str) -> Option<String> {
        self.by_code.lock().unwrap_or_else(PoisonError::into_inner).get(code).cloned()
    }

    async fn register(&self, call: &Call, refuse: Option<String>) -> Response {
        let request: ChargeRequest = match self.let_in(call, WRITE, None).and_then(|()| read(call)) {
            Ok(request) => request,
            Err(refusal) => return *refusal,
        };
        let key = self.desk.key(ACCOUNT, request.own_number());
        let (cents, due) = match request.check() {
            Ok(checked) => checked,
            Err(rules) => return self.refuse(key, None, "Requisição inválida", &rules).await,
        };
        if let Some(code) = refuse {
            return self.refuse(key, Some(cents), &code, &Rules::default()).await;
        }
        let own = request.own_number().to_owned();
        let charge = self.charge(&request, key.clone(), cents, due);
        if cents == REFUSED_CENTS {
            // Taken, and found to be impossible afterwards: nobody learns it but by asking.
            let code = charge.code.clone();
            self.desk.file.keep(own.clone(), charge, today());
            self.by_code.lock().unwrap_or_else(PoisonError::into_inner).insert(code.clone(), own);
            return match self.desk.refused(key, Some(cents), &["FALHA_EMISSAO"]).await {
                Ok(()) => Json(json!({"codigoSolicitacao": code})).into_response(),
                Err(_) => not_recorded(),
            };
        }
        let filing = self.desk.file_title(own.clone(), charge, cents, due).await;
        let Some(code) = self.desk.file.find(&own).map(|title| title.paper.code) else {
            return not_recorded();
        };
        self.by_code.lock().unwrap_or_else(PoisonError::into_inner).insert(code.clone(), own);
        match filing {
            Filing::Fresh => Json(json!({"codigoSolicitacao": code})).into_response(),
            Filing::Unanswerable => unusable(),
            Filing::NotRecorded => not_recorded(),
            Filing::AlreadyOnFile => {
                let reason = format!("existe uma cobrança emitida há poucos minutos: {code}");
                problem(StatusCode::BAD_REQUEST, "Requisição inválida", &[("seuNumero", &reason)])
            }
        }
    }

    fn charge(&self, request: &ChargeRequest, key: String, cents: u64, due: chrono::NaiveDate) -> Charge {
        Charge {
            key,
            code: uuid::Uuid::new_v4().to_string(),
            own_number: request.own_number().to_owned(),
            payer_document: request.payer_document().to_owned(),
            number: self.next_number.fetch_add(1, Ordering::Relaxed),
            cents,
            due,
            polls_left: self.desk.outside.script.inter_polls(),
            fails: cents == REFUSED_CENTS,
        }
    }

    fn look_up(&self, code: &str) -> Response {
        let Some(own) = self.own_number(code) else { return not_found() };
        let mut titles = self.desk.file.lock();
        let Some(title) = titles.get_mut(&own) else { return not_found() };
        let answer = shown(title, today());
        title.paper.polls_left = title.paper.polls_left.saturating_sub(1);
        Json(answer).into_response()
    }

    fn list(&self, call: &Call) -> Response {
        let Some(listing) = read_query::<Listing>(&call.uri).and_then(Listing::check) else {
            return problem(StatusCode::BAD_REQUEST, "Requisição inválida", &[("", "parâmetro inválido")]);
        };
        let titles = self.desk.file.lock();
        let mut matching: Vec<_> = titles.values().filter(|title| listing.lets(title, today())).collect();
        matching.sort_unstable_by_key(|title| title.paper.number);
        let pages = matching.len().div_ceil(listing.per_page);
        let rows: Vec<_> = matching
            .iter()
            .skip(listing.page * listing.per_page)
            .take(listing.per_page)
            .map(|title| shown(title, today()))
            .collect();
        Json(json!({
            "totalPaginas": pages,
            "totalElementos": matching.len(),
            "ultimaPagina": listing.page + 1 >= pages,
            "primeiraPagina": listing.page == 0,
            "tamanhoPagina": listing.per_page,
            "numeroDeElementos": rows.len(),
            "cobrancas": rows,
        }))
        .into_response()
    }

    async fn cancel(&self, code: &str) -> Response {
        let Some(own) = self.own_number(code) else { return not_found() };
        let changed = self.desk.file.change(&own, today(), |title| {
            let issued = title.paper.is_issued();
            if issued {
                title.state = TitleState::WrittenOff;
            }
            issued.then(|| title.paper.key.clone())
        });
        let key = match changed {
            Ok(Some(key)) => key,
            Ok(None) => return impossible("a cobrança ainda não foi emitida"),
            Err(Ended::NotOnFile) => return not_found(),
            Err(Ended::Paid) => return impossible("a cobrança já foi recebida"),
            Err(Ended::WrittenOff) => return impossible("a cobrança já foi cancelada"),
        };
        match self.desk.written_off(key).await {
            Ok(()) => StatusCode::ACCEPTED.into_response(),
            Err(_) => not_recorded(),
        }
    }

    async fn refuse(&self, key: String, cents: Option<u64>, title: &str, rules: &Rules) -> Response {
        match self.desk.refused(key, cents, &[title]).await {
            Ok(()) => {
                let broken: Vec<_> =
                    rules.0.iter().map(|broken| (broken.field.as_str(), broken.text)).collect();
                problem(StatusCode::BAD_REQUEST, title, &broken)
            }
            Err(_) => not_recorded(),
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(call: &Call) -> Result<T, Refusal> {
    read_json(&call.headers, &call.body).map_err(|unread| {
        Box::new(match unread {
            Unread::Kind => problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "application/json esperado", &[]),
            Unread::Schema(text) => problem(StatusCode::BAD_REQUEST, "Requisição inválida", &[("", &text)]),
        })
    })
}

/// The bank's one shape of error. Values are never repeated.
fn problem(status: StatusCode, title: &str, violations: &[(&str, &str)]) -> Response {
    let violations: Vec<Value> = violations
        .iter()
        .map(|(field, reason)| json!({"razao": reason, "propriedade": field, "valor": ""}))
        .collect();
    let detail = status.canonical_reason().unwrap_or_default();
    (status, Json(json!({"title": title, "detail": detail, "violacoes": violations}))).into_response()
}

fn impossible(reason: &str) -> Response {
    problem(StatusCode::BAD_REQUEST, "Operação não permitida", &[("situacao", reason)])
}

fn not_found() -> Response {
    problem(StatusCode::NOT_FOUND, "Cobrança não encontrada", &[])
}

fn not_recorded() -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, "effect not recorded", &[])
}
