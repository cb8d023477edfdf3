//! Changes and the write-off: `PATCH /boletos/{beneficiary, wallet and number}/{part}`.
//!
//! **Owns** nothing.
//! **Fails** for a part that it does not know, a body that does not hold it, and a title that has ended or is not on file.
//! **Limits**: discount, interest, fine and protest are accepted as they come.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use serde_json::{Map, Value, json};

use super::request::amount;
use super::{INVALID, Itau, Slip, not_recorded, refusal};
use crate::sandbox::banks::desk::{Call, play, today};
use crate::sandbox::banks::file::{Ended, State as TitleState, Title};
use crate::sandbox::banks::rules::{Broken, Rules, iso_date};
use crate::sandbox::script::Act;

/// Taken without being looked at.
const LENIENT: [&str; 4] = ["desconto", "juros", "multa", "protesto"];

/// What is to be done.
enum Change {
    Due(NaiveDate),
    Deduction(u64),
    OwnNumber(String),
    Terms(&'static str),
    WriteOff,
}

pub async fn change(
    State(bank): State<Arc<Itau>>,
    Path((id, part)): Path<(String, String)>,
    call: Call,
) -> Response {
    let act = if part == "baixa" { Act::WriteOff } else { Act::Amend };
    play(bank, act, call, async move |bank: Arc<Itau>, call: Call, refuse: Option<String>| {
        if let Err(refusal) = bank.let_in(&call) {
            return *refusal;
        }
        // A write-off says all in its path, and may come without a body.
        let body: Result<Map<String, Value>, _> =
            if call.body.is_empty() && part == "baixa" { Ok(Map::new()) } else { bank.read(&call) };
        match (body, refuse) {
            (Err(refusal), _) => *refusal,
            (Ok(_), Some(code)) => refusal(StatusCode::UNPROCESSABLE_ENTITY, &code, "recusado", &[]),
            (Ok(body), None) => bank.change(&id, &part, &body).await,
        }
    })
    .await
}

impl Itau {
    async fn change(&self, id: &str, part: &str, body: &Map<String, Value>) -> Response {
        let change = match wanted(part, body) {
            Ok(change) => change,
            Err(broken) => {
                return refusal(StatusCode::UNPROCESSABLE_ENTITY, INVALID, "alteração recusada", &[broken]);
            }
        };
        let key = match self.desk.file.change(&id.to_owned(), today(), |title| apply(title, &change)) {
            Ok(Some(key)) => key,
            Ok(None) => return ended("valor_abatimento", "não é menor que o valor"),
            Err(Ended::NotOnFile) => {
                return refusal(StatusCode::NOT_FOUND, "404", "título não encontrado", &[]);
            }
            Err(Ended::Paid) => return ended("situacao_geral_boleto", "paga"),
            Err(Ended::WrittenOff) => return ended("situacao_geral_boleto", "baixada"),
        };
        let recorded = match change {
            Change::WriteOff => self.desk.written_off(key).await,
            Change::Due(due) => self.desk.amended(key, json!({"due_date": due})).await,
            Change::Deduction(cents) => self.desk.amended(key, json!({"rebate_cents": cents})).await,
            Change::OwnNumber(_) => self.desk.amended(key, json!({"terms": "seu_numero"})).await,
            Change::Terms(name) => self.desk.amended(key, json!({"terms": name})).await,
        };
        match recorded {
            Ok(()) => StatusCode::NO_CONTENT.into_response(),
            Err(_) => not_recorded(),
        }
    }
}

fn ended(field: &str, text: &'static str) -> Response {
    let broken = Broken { field: field.to_owned(), text };
    refusal(StatusCode::UNPROCESSABLE_ENTITY, INVALID, "alteração recusada", &[broken])
}

fn wanted(part: &str, body: &Map<String, Value>) -> Result<Change, Broken> {
    let broken = |field: &str| Broken { field: field.to_owned(), text: "ausente ou inválido" };
    let text = |field: &str| {
        let only = body.len() == 1;
        body.get(field).and_then(Value::as_str).filter(|_| only).ok_or_else(|| broken(field))
    };
    match part {
        "baixa" => Ok(Change::WriteOff),
        "data_vencimento" => {
            let due = iso_date(text("data_vencimento")?).ok_or_else(|| broken("data_vencimento"))?;
            Ok(Change::Due(due))
        }
        "abatimento" => {
            let cents = amount(&mut Rules::default(), "", text("valor_abatimento")?);
            if cents == 0 { Err(broken("valor_abatimento")) } else { Ok(Change::Deduction(cents)) }
        }
        "seu_numero" => Ok(Change::OwnNumber(text("texto_seu_numero")?.to_owned())),
        other => {
            let known = LENIENT.into_iter().find(|name| *name == other).filter(|_| !body.is_empty());
            known
                .map(Change::Terms)
                .ok_or_else(|| broken(if LENIENT.contains(&other) { other } else { "parte" }))
        }
    }
}

/// Does it and returns the title's key, unless the deduction would leave nothing to pay.
fn apply(title: &mut Title<Slip>, change: &Change) -> Option<String> {
    let checked = &mut title.paper.checked;
    match change {
        Change::Due(due) => checked.due = *due,
        Change::Deduction(cents) if *cents >= checked.cents => return None,
        Change::Deduction(cents) => checked.deduction_cents = *cents,
        Change::OwnNumber(own) => checked.own_number.clone_from(own),
        Change::Terms(_) => {}
        Change::WriteOff => title.state = TitleState::WrittenOff,
    }
    Some(title.paper.key.clone())
}
