//! Registration at `POST /apiregistro/api`.
//!
//! **Owns** nothing.
//! **Fails** as the door does; the first broken rule is told.
//! **Limits**: numbers may come as numbers or as digits, for the sheet does not say which.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::{Door, INVALID, our_number, status, unauthorized};
use crate::sandbox::banks::desk::{AtDesk, Call, play};
use crate::sandbox::banks::rules::Rules;
use crate::sandbox::banks::schema::{NumberOrText, Unread, read_json};
use crate::sandbox::banks::token::is_basic;
use crate::sandbox::script::Act;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    merchant_id: NumberOrText,
    boleto: Boleto,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Boleto {
    carteira: NumberOrText,
    nosso_numero: NumberOrText,
    numero_documento: NumberOrText,
    data_emissao: String,
    data_vencimento: String,
    valor_titulo: NumberOrText,
    pagador: Person,
    informacoes_opcionais: Option<Optional>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Person {
    nome: String,
    documento: String,
    tipo_documento: NumberOrText,
    endereco: Address,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Address {
    cep: String,
    logradouro: String,
    numero: String,
    complemento: Option<String>,
    bairro: String,
    cidade: String,
    uf: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Optional {
    perc_juros: Option<String>,
    valor_juros: Option<NumberOrText>,
    qtde_dias_juros: Option<NumberOrText>,
    perc_multa_atraso: Option<String>,
    valor_multa_atraso: Option<NumberOrText>,
    qtde_dias_multa_atraso: Option<NumberOrText>,
    sacador_avalista: Option<Person>,
}

pub async fn register(State(door): State<Arc<Door>>, call: Call) -> Response {
    play(door, Act::Register, call, async |door: Arc<Door>, call: Call, refuse| {
        door.register(&call, refuse).await
    })
    .await
}

impl Door {
    async fn register(&self, call: &Call, refuse: Option<String>) -> Response {
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
        let wallet = boleto.carteira.digits().filter(|wallet| (1..=99).contains(wallet));
        rules.require(wallet.is_some(), "carteira", "inválida");
        let number = our_number(&boleto.nosso_numero);
        rules.require(number.is_some(), "nosso_numero", "sem 1 a 11 dígitos");
        rules.text("numero_documento", &boleto.numero_documento.text(), 20);
        let issued = rules.date("data_emissao", &boleto.data_emissao);
        let due = rules.date("data_vencimento", &boleto.data_vencimento);
        let in_order = issued.zip(due).is_none_or(|(issued, due)| issued <= due);
        rules.require(in_order, "data_vencimento", "anterior à emissão");
        let cents = rules.cents("valor_titulo", boleto.valor_titulo.digits(), 1);
        person(&mut rules, "pagador", &boleto.pagador);
        if let Some(optional) = &boleto.informacoes_opcionais {
            terms(&mut rules, optional);
        }
        match (wallet, number, due, rules.0.first()) {
            (Some(wallet), Some(number), Some(due), None) => {
                self.decide(self.slip(wallet, number, cents, due), refuse, json!({})).await
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

fn terms(rules: &mut Rules, optional: &Optional) {
    for (field, rate) in
        [("perc_juros", &optional.perc_juros), ("perc_multa_atraso", &optional.perc_multa_atraso)]
    {
        if let Some(rate) = rate {
            // Five decimals, times 100000.
            rules.digits(field, rate, 8);
        }
    }
    let counts = [
        ("valor_juros", &optional.valor_juros),
        ("qtde_dias_juros", &optional.qtde_dias_juros),
        ("valor_multa_atraso", &optional.valor_multa_atraso),
        ("qtde_dias_multa_atraso", &optional.qtde_dias_multa_atraso),
    ];
    for (field, count) in counts {
        rules.require(count.as_ref().is_none_or(|count| count.digits().is_some()), field, "não é número");
    }
    if let Some(person_behind) = &optional.sacador_avalista {
        person(rules, "sacador_avalista", person_behind);
    }
}

fn person(rules: &mut Rules, field: &str, person: &Person) {
    rules.text(&format!("{field}.nome"), &person.nome, 100);
    let company = match person.tipo_documento.text().as_str() {
        "1" => false,
        "2" => true,
        _ => return rules.require(false, &format!("{field}.tipo_documento"), "não é 1 nem 2"),
    };
    rules.document(&format!("{field}.documento"), company, &person.documento);
    let address = &person.endereco;
    rules.digits(&format!("{field}.endereco.cep"), &address.cep, 8);
    rules.text(&format!("{field}.endereco.logradouro"), &address.logradouro, 100);
    rules.text(&format!("{field}.endereco.numero"), &address.numero, 20);
    rules.optional(&format!("{field}.endereco.complemento"), address.complemento.as_deref(), 100);
    rules.text(&format!("{field}.endereco.bairro"), &address.bairro, 60);
    rules.text(&format!("{field}.endereco.cidade"), &address.cidade, 60);
    rules.state(&format!("{field}.endereco.uf"), &address.uf);
}
