//! Registration at ShopFacil, spoken to directly.
//!
//! **Owns** nothing.
//! **Fails** as the door does; the first broken rule is told.
//! **Limits**: the sheet knows the sign-in, the kind of payment, wallets, dates, amounts and the answer, and no more of
//! the body. Only those are looked at; whatever else is sent is taken as it comes, on any path below `/shopfacil`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{ACCOUNT, AGENCY, Door, INVALID, our_number, status, unauthorized};
use crate::sandbox::banks::codes::{codes, free_field};
use crate::sandbox::banks::desk::{AtDesk, Call, play};
use crate::sandbox::banks::rules::Rules;
use crate::sandbox::banks::schema::{NumberOrText, Unread, read_json};
use crate::sandbox::banks::token::is_basic;
use crate::sandbox::script::Act;

#[derive(Deserialize)]
struct Request {
    merchant_id: NumberOrText,
    meio_pagamento: NumberOrText,
    boleto: Boleto,
    #[serde(flatten)]
    _rest: Map<String, Value>,
}

#[derive(Deserialize)]
struct Boleto {
    carteira: NumberOrText,
    nosso_numero: NumberOrText,
    data_emissao: Option<String>,
    data_vencimento: String,
    valor_titulo: NumberOrText,
    #[serde(flatten)]
    _rest: Map<String, Value>,
}

pub async fn register(State(door): State<Arc<Door>>, call: Call) -> Response {
    play(door, Act::Register, call, async |door: Arc<Door>, call: Call, refuse| {
        door.register_at_shop(&call, refuse).await
    })
    .await
}

impl Door {
    async fn register_at_shop(&self, call: &Call, refuse: Option<String>) -> Response {
        if !is_basic(&call.headers, &self.merchant, &self.key) {
            return unauthorized();
        }
        let request: Request = match read_json(&call.headers, &call.body) {
            Ok(request) => request,
            Err(Unread::Kind) => return status(INVALID, "application/json", json!({})),
            Err(Unread::Schema(text)) => return status(INVALID, &text, json!({})),
        };
        let mut rules = Rules::default();
        let boleto = &request.boleto;
        rules.require(request.merchant_id.text() == self.merchant, "merchant_id", "desconhecido");
        rules.require(request.meio_pagamento.text() == "300", "meio_pagamento", "não é 300");
        let wallet = boleto.carteira.digits().filter(|wallet| matches!(wallet, 25 | 26));
        rules.require(wallet.is_some(), "carteira", "não é 25 nem 26");
        let number = our_number(&boleto.nosso_numero);
        rules.require(number.is_some(), "nosso_numero", "sem 1 a 11 dígitos");
        if let Some(issued) = &boleto.data_emissao {
            rules.date("data_emissao", issued);
        }
        let due = rules.date("data_vencimento", &boleto.data_vencimento);
        let cents = rules.cents("valor_titulo", boleto.valor_titulo.digits(), 1);
        match (wallet, number, due, rules.0.first()) {
            (Some(wallet), Some(number), Some(due), None) => {
                let field = free_field::bradesco(AGENCY, wallet, number, ACCOUNT);
                let line = codes("237", &field, due, cents).line;
                let url = format!("https://shopfacil.sandbox.example/boleto/{number}");
                let more = json!({"boleto": {"linha_digitavel": line, "url_acesso": url}});
                self.decide(self.slip(wallet, number, cents, due), refuse, more).await
            }
            (.., broken) => {
                let text =
                    broken.map(|broken| format!("{}: {}", broken.field, broken.text)).unwrap_or_default();
                let key = self.desk().key(&self.merchant, &boleto.nosso_numero.text());
                self.refuse(key, None, INVALID, &text).await
            }
        }
    }
}
