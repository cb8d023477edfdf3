//! Registration: `POST /boletos`.
//!
//! **Owns** the decision; the title is filed and its effect handed to the ledger before anything can be cancelled.
//! **Fails** with `erros`, or with a page when the magic amount asks for an unknown outcome.
//! **Limits**: those of the rules.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use serde_json::{Value, json};

use super::fault::{self, Fault};
use super::request::Registration;
use super::rules::{Checked, check};
use super::{Bank, CONTRACT, codes, key};
use crate::sandbox::banks::desk::{REFUSED_CENTS, UNKNOWN_CENTS, UNUSABLE_ATTEMPTS, unusable};
use crate::sandbox::banks::pix;
use crate::sandbox::ledger::{Effect, EffectKind};
use crate::sandbox::screen::reais;

impl Bank {
    pub(super) async fn register(&self, request: &Registration, refuse: Option<String>) -> Response {
        let checked = match check(request) {
            Ok(checked) => checked,
            Err(faults) => return self.refuse(request, None, &faults).await,
        };
        if let Some(code) = refuse {
            let faults = [Fault::new(&code, "título recusado")];
            return self.refuse(request, Some(checked.cents), &faults).await;
        }
        if checked.cents == REFUSED_CENTS {
            let faults = [Fault::new(fault::MAGIC_REFUSAL, "título recusado pelo valor mágico")];
            return self.refuse(request, Some(checked.cents), &faults).await;
        }
        let now = Utc::now();
        let (fresh, attempts) = self.titles.keep(checked.title, checked, now.date_naive());
        let kind = if fresh { EffectKind::BankRegistered } else { EffectKind::BankDuplicateRefused };
        let detail = json!({
            "amount_cents": checked.cents, "due_date": checked.due, "pix": checked.pix, "attempt": attempts,
        });
        let effect = Effect { at: now, kind, key: key(checked.convenio, checked.title), detail };
        if self.outside.ledger.record(vec![effect]).await.is_err() {
            return fault::not_recorded();
        }
        let (convenio, title, amount) = (checked.convenio, checked.title, reais(checked.cents));
        let word = if fresh { "registered " } else { "duplicate  " };
        self.outside
            .screen
            .say("bank", format_args!("{word} convenio {convenio} numero {title:020} {amount}"));
        if checked.cents == UNKNOWN_CENTS && attempts <= UNUSABLE_ATTEMPTS {
            return unusable();
        }
        if fresh {
            return (StatusCode::CREATED, Json(answer(&checked))).into_response();
        }
        fault::business(&[Fault::new(fault::ALREADY_ON_FILE, "título já registrado para o convênio")])
    }

    async fn refuse(&self, request: &Registration, cents: Option<u64>, faults: &[Fault]) -> Response {
        let (convenio, number) = (request.numero_convenio, &request.numero_titulo_cliente);
        // What is no number could be anything, so it is not repeated.
        let digits = number.len() <= 20 && number.bytes().all(|byte| byte.is_ascii_digit());
        let number = if digits { number.as_str() } else { "unreadable" };
        let codes: Vec<_> = faults.iter().map(|fault| fault.code.as_str()).collect();
        let detail = json!({"amount_cents": cents, "codes": codes});
        let effect = Effect::now(EffectKind::BankRefused, format!("{convenio}+{number}"), detail);
        if self.outside.ledger.record(vec![effect]).await.is_err() {
            return fault::not_recorded();
        }
        let codes = codes.join(" ");
        self.outside
            .screen
            .say("bank", format_args!("refused     convenio {convenio} numero {number} code {codes}"));
        fault::business(faults)
    }
}

fn answer(checked: &Checked) -> Value {
    let codes = codes(checked);
    let mut answer = json!({
        "numero": checked.number(),
        "numeroCarteira": checked.wallet,
        "numeroVariacaoCarteira": checked.variation,
        "codigoCliente": 932_131_545,
        "linhaDigitavel": codes.line,
        "codigoBarraNumerico": codes.barcode,
        "numeroContratoCobranca": CONTRACT,
        "beneficiario": {
            "agencia": 452,
            "contaCorrente": 123_873,
            "tipoEndereco": 0,
            "logradouro": "RUA DO SANDBOX 1",
            "bairro": "CENTRO",
            "cidade": "BRASILIA",
            "codigoCidade": 0,
            "uf": "DF",
            "cep": 70_000_001,
            "indicadorComprovacao": "",
        },
    });
    if checked.pix {
        answer["qrCode"] = qr_code(checked);
    }
    answer
}

/// The Pix code as every answer shows it.
pub(super) fn qr_code(checked: &Checked) -> Value {
    let pix = pix::pix(&checked.number(), checked.cents);
    json!({"url": pix.url, "txId": pix.tx_id, "emv": pix.emv})
}
