//! The Pix code of a title: `POST /boletos/{id}/gerar-pix`, `/cancelar-pix`, `GET /boletos/{id}/pix`.
//!
//! **Owns** nothing; a title has one code or none.
//! **Fails** with `erros` for a title that has ended, with `errors` for one that is not on file or has no code.
//! **Limits**: the answer is the registration's `qrCode`; the sheet does not say more.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use serde_json::json;

use super::fault::{self, Fault};
use super::register::qr_code;
use super::request::{CallQuery, QrCode};
use super::{Bank, Caller, INFO, Keeper, key, number};
use crate::sandbox::banks::file::Ended;
use crate::sandbox::ledger::{Effect, EffectKind};
use crate::sandbox::script::{Act, BankName, Party};

const PARTY: Party = Party::Bank(BankName::BancoDoBrasil, Act::Pix);

pub async fn make(
    state: Keeper,
    caller: Caller,
    id: Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    set(state, caller, id, uri, headers, body, true).await
}

pub async fn end(
    state: Keeper,
    caller: Caller,
    id: Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    set(state, caller, id, uri, headers, body, false).await
}

pub async fn show(
    State(bank): Keeper,
    ConnectInfo(line): Caller,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let script = bank.outside.script.clone();
    script
        .perform(PARTY, &line, move |orders| async move {
            match (bank.admit::<CallQuery>(&uri, &headers, INFO), orders.refuse) {
                (Err(refusal), _) => *refusal,
                (Ok(_), Some(code)) => fault::business(&[Fault::new(&code, "consulta recusada")]),
                (Ok(query), None) => bank.show_qr_code(&id, query.convenio),
            }
        })
        .await
}

async fn set(
    State(bank): Keeper,
    ConnectInfo(line): Caller,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    present: bool,
) -> Response {
    let script = bank.outside.script.clone();
    script
        .perform(PARTY, &line, move |orders| async move {
            let request = bank.change::<QrCode>(&uri, &headers, &body, orders.refuse, "pix recusado");
            match request {
                Ok(request) => bank.set_qr_code(&id, request.numero_convenio, present).await,
                Err(refusal) => *refusal,
            }
        })
        .await
}

impl Bank {
    async fn set_qr_code(&self, id: &str, convenio: u64, present: bool) -> Response {
        let Some(title) = number(id, convenio) else { return fault::ended(Ended::NotOnFile) };
        let changed = self.titles.change(&title, Utc::now().date_naive(), |title| {
            title.paper.pix = present;
            title.paper
        });
        let kept = match changed {
            Ok(kept) => kept,
            Err(ended) => return fault::ended(ended),
        };
        let effect = Effect::now(EffectKind::BankAmended, key(convenio, title), json!({"pix": present}));
        if self.outside.ledger.record(vec![effect]).await.is_err() {
            return fault::not_recorded();
        }
        let answer = if present { json!({"qrCode": qr_code(&kept)}) } else { json!({}) };
        Json(answer).into_response()
    }

    fn show_qr_code(&self, id: &str, convenio: Option<u64>) -> Response {
        let Some(convenio) = convenio else {
            return fault::look_up(StatusCode::BAD_REQUEST, fault::SCHEMA, "numeroConvenio ausente");
        };
        let title = number(id, convenio).and_then(|number| self.titles.find(&number));
        match title.filter(|title| title.paper.pix) {
            Some(title) => Json(json!({"qrCode": qr_code(&title.paper)})).into_response(),
            None => fault::look_up(StatusCode::NOT_FOUND, fault::NOT_FOUND, "pix não encontrado"),
        }
    }
}
