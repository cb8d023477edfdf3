//! The query: `GET /boletoscash/v2/boletos?id_beneficiario&codigo_carteira&nosso_numero`.
//!
//! **Owns** nothing.
//! **Fails** with 400 for a query that is not whole, 404 for a title that is not on file.
//! **Limits**: one title for each call; payments and the write-off have the names that public clients read.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Itau, Slip, refusal};
use crate::sandbox::banks::desk::{Call, play};
use crate::sandbox::banks::file::{State as TitleState, Title};
use crate::sandbox::banks::schema::read_query;
use crate::sandbox::script::Act;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    id_beneficiario: String,
    codigo_carteira: String,
    nosso_numero: String,
}

pub async fn query(State(bank): State<Arc<Itau>>, call: Call) -> Response {
    play(bank, Act::LookUp, call, async |bank: Arc<Itau>, call: Call, refuse: Option<String>| {
        if let Err(refusal) = bank.let_in(&call) {
            return *refusal;
        }
        if let Some(code) = refuse {
            return refusal(StatusCode::UNPROCESSABLE_ENTITY, &code, "consulta recusada", &[]);
        }
        let Some(query) = read_query::<Query>(&call.uri) else {
            return refusal(StatusCode::BAD_REQUEST, "400", "parâmetro ausente ou inesperado", &[]);
        };
        let id = format!("{}{}{}", query.id_beneficiario, query.codigo_carteira, query.nosso_numero);
        match bank.desk.file.find(&id) {
            Some(title) => Json(json!({"data": [shown(&title)]})).into_response(),
            None => refusal(StatusCode::NOT_FOUND, "404", "título não encontrado", &[]),
        }
    })
    .await
}

fn situation(title: &Title<Slip>) -> &'static str {
    match title.state {
        TitleState::Open => "Em Aberto",
        TitleState::Paid => "Paga",
        TitleState::WrittenOff => "Baixada",
    }
}

fn shown(title: &Title<Slip>) -> Value {
    let (checked, codes) = (&title.paper.checked, title.paper.codes());
    let amount = |cents: u64| format!("{cents:017}");
    let payments: Vec<_> = title
        .payments
        .iter()
        .map(|paid| {
            json!({
                "valor_pago_total_cobranca": amount(paid.cents),
                "data_inclusao_pagamento": paid.on,
            })
        })
        .collect();
    let mut shown = json!({
        "id_boleto": checked.id(),
        "beneficiario": {"id_beneficiario": checked.beneficiary},
        "dado_boleto": {
            "codigo_carteira": checked.wallet,
            "data_emissao": checked.issued,
            "valor_total_titulo": amount(checked.cents),
            "valor_abatimento": amount(checked.deduction_cents),
            "dados_individuais_boleto": [{
                "situacao_geral_boleto": situation(title),
                "numero_nosso_numero": checked.number,
                "data_vencimento": checked.due,
                "valor_titulo": amount(checked.cents),
                "texto_seu_numero": checked.own_number,
                "codigo_barras": codes.barcode,
                "numero_linha_digitavel": codes.line,
            }],
            "pagamentos_cobranca": payments,
        },
    });
    if title.state == TitleState::WrittenOff {
        shown["dado_boleto"]["baixa"] = json!({"data_inclusao_alteracao_baixa": title.moved_on});
    }
    shown
}
