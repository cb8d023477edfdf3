//! Many titles: `GET /boletos?indicadorSituacao=`.
//!
//! **Owns** nothing.
//! **Fails** at the gateway when the query has a name that it does not know, in `errors` when a value will not do.
//! **Limits**: pages of 100; an index is the place of a title among those that match. Agency and account are looked at for
//! their form alone: the sandbox's bank has one beneficiary.

use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::{Value, json};

use super::fault::{self, Fault};
use super::look_up::{credited, day, state};
use super::request::Keyed;
use super::rules::{Checked, date};
use super::{Bank, CONTRACT, Caller, INFO, Keeper};
use crate::sandbox::banks::file::{State as TitleState, Title};
use crate::sandbox::banks::rules::number_of_reais as reais;
use crate::sandbox::script::Party;

const PAGE: usize = 100;

/// The query.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ListQuery {
    #[serde(rename = "gw-dev-app-key")]
    app_key: Option<String>,
    indicador_situacao: String,
    #[serde(rename = "agenciaBeneficiario")]
    _agencia_beneficiario: Option<u64>,
    #[serde(rename = "contaBeneficiario")]
    _conta_beneficiario: Option<u64>,
    numero_convenio: Option<u64>,
    carteira_convenio: Option<u8>,
    variacao_carteira_convenio: Option<u16>,
    codigo_estado_titulo_cobranca: Option<u8>,
    data_inicio_vencimento: Option<String>,
    data_fim_vencimento: Option<String>,
    data_inicio_registro: Option<String>,
    data_fim_registro: Option<String>,
    data_inicio_movimento: Option<String>,
    data_fim_movimento: Option<String>,
    #[serde(default)]
    indice: usize,
}

impl Keyed for ListQuery {
    fn app_key(&self) -> Option<&str> {
        self.app_key.as_deref()
    }
}

pub async fn list(State(bank): Keeper, ConnectInfo(line): Caller, uri: Uri, headers: HeaderMap) -> Response {
    let script = bank.outside.script.clone();
    script
        .perform(Party::BankList, &line, move |orders| async move {
            match (bank.admit::<ListQuery>(&uri, &headers, INFO), orders.refuse) {
                (Err(refusal), _) => *refusal,
                (Ok(_), Some(code)) => fault::business(&[Fault::new(&code, "consulta recusada")]),
                (Ok(query), None) => bank.list(&query),
            }
        })
        .await
}

impl Bank {
    fn list(self: &Arc<Self>, query: &ListQuery) -> Response {
        let Some(filter) = Filter::of(query) else {
            return fault::look_up(StatusCode::BAD_REQUEST, fault::RULE, "parâmetro inválido");
        };
        let titles = self.titles.lock();
        let mut matching: Vec<_> = titles.values().filter(|title| filter.lets(title)).collect();
        matching.sort_unstable_by_key(|title| title.paper.title);
        let rows: Vec<_> = matching.iter().skip(query.indice).take(PAGE).map(|title| row(title)).collect();
        let next = query.indice + rows.len();
        let more = next < matching.len();
        Json(json!({
            "indicadorContinuidade": if more { "S" } else { "N" },
            "quantidadeRegistros": rows.len(),
            "proximoIndice": if more { next } else { 0 },
            "boletos": rows,
        }))
        .into_response()
    }
}

/// A span of days, open where nothing is said.
struct Days(Option<NaiveDate>, Option<NaiveDate>);

impl Days {
    fn of(from: Option<&String>, to: Option<&String>) -> Option<Self> {
        let read = |text: Option<&String>| match text {
            Some(text) => date(text).map(Some),
            None => Some(None),
        };
        Some(Days(read(from)?, read(to)?))
    }

    fn hold(&self, day: NaiveDate) -> bool {
        self.0.is_none_or(|from| from <= day) && self.1.is_none_or(|to| day <= to)
    }
}

struct Filter<'a> {
    query: &'a ListQuery,
    ended: bool,
    due: Days,
    registered: Days,
    moved: Days,
}

impl<'a> Filter<'a> {
    fn of(query: &'a ListQuery) -> Option<Self> {
        let ended = match query.indicador_situacao.as_str() {
            "A" => false,
            "B" => true,
            _ => return None,
        };
        Some(Filter {
            query,
            ended,
            due: Days::of(query.data_inicio_vencimento.as_ref(), query.data_fim_vencimento.as_ref())?,
            registered: Days::of(query.data_inicio_registro.as_ref(), query.data_fim_registro.as_ref())?,
            moved: Days::of(query.data_inicio_movimento.as_ref(), query.data_fim_movimento.as_ref())?,
        })
    }

    fn lets(&self, title: &Title<Checked>) -> bool {
        let (query, kept) = (self.query, &title.paper);
        (title.state != TitleState::Open) == self.ended
            && query.numero_convenio.is_none_or(|convenio| convenio == kept.convenio)
            && query.carteira_convenio.is_none_or(|wallet| wallet == kept.wallet)
            && query.variacao_carteira_convenio.is_none_or(|variation| variation == kept.variation)
            && query.codigo_estado_titulo_cobranca.is_none_or(|code| code == state(title).0)
            && self.due.hold(kept.due)
            && self.registered.hold(title.registered_on)
            && self.moved.hold(title.moved_on)
    }
}

fn row(title: &Title<Checked>) -> Value {
    let kept = &title.paper;
    let (code, name) = state(title);
    json!({
        "numeroBoletoBB": kept.number(),
        "dataRegistro": day(Some(title.registered_on)),
        "dataVencimento": day(Some(kept.due)),
        "valorOriginal": reais(kept.cents),
        "carteiraConvenio": kept.wallet,
        "variacaoCarteiraConvenio": kept.variation,
        "codigoEstadoTituloCobranca": code,
        "estadoTituloCobranca": name,
        "contrato": CONTRACT,
        "dataMovimento": day(Some(title.moved_on)),
        "dataCredito": day(title.last_payment().map(credited)),
        "valorAtual": reais(kept.cents - kept.rebate_cents),
        "valorPago": reais(title.paid_cents()),
    })
}
