//! Changes: `PATCH /boletos/{id}`.
//!
//! **Owns** nothing.
//! **Fails** with `erros` when not exactly one indicator is `S` or what belongs to it is missing, and for a title that has
//! ended; with `errors` for one that is not on file.
//! **Limits**: the amount cannot change; of a discount, interest or fine only its presence is looked at.

use axum::Json;
use axum::response::{IntoResponse, Response};
use chrono::{NaiveDate, Utc};
use serde_json::{Value, json};

use super::fault::{self, Fault, RULE};
use super::request::Amendment;
use super::rules::{Checked, date};
use super::{Bank, CONTRACT, key, number};
use crate::sandbox::banks::file::{Ended, Title};
use crate::sandbox::banks::rules::cents_of_number;
use crate::sandbox::ledger::{Effect, EffectKind};

/// What is to change.
#[derive(Debug, PartialEq)]
enum Change {
    Due(NaiveDate),
    Rebate(u64),
    /// Kept by the bank under this name, and looked at no further.
    Terms(&'static str),
}

impl Bank {
    pub(super) async fn amend(&self, id: &str, request: &Amendment) -> Response {
        let change = match change(request) {
            Ok(change) => change,
            Err(text) => return fault::business(&[Fault::new(RULE, text)]),
        };
        let today = Utc::now().date_naive();
        let convenio = request.numero_convenio;
        let Some(title) = number(id, convenio) else { return fault::ended(Ended::NotOnFile) };
        match self.titles.change(&title, today, |title| apply(title, &change)) {
            Ok(true) => {}
            Ok(false) => {
                return fault::business(&[Fault::new(RULE, "valorAbatimento: não é menor que o valor")]);
            }
            Err(ended) => return fault::ended(ended),
        }
        let detail = detail(&change);
        self.outside.screen.say("bank", format_args!("amended     convenio {convenio} numero {title:020}"));
        let effect = Effect::now(EffectKind::BankAmended, key(convenio, title), detail);
        if self.outside.ledger.record(vec![effect]).await.is_err() {
            return fault::not_recorded();
        }
        let now = Utc::now();
        Json(json!({
            "numeroContratoCobranca": CONTRACT.to_string(),
            "dataAtualizacao": now.format("%d.%m.%Y").to_string(),
            "horarioAtualizacao": now.format("%H:%M:%S").to_string(),
        }))
        .into_response()
    }
}

/// The one change that a request asks for.
fn change(request: &Amendment) -> Result<Change, &'static str> {
    let indicators = [
        &request.indicador_nova_data_vencimento,
        &request.indicador_incluir_abatimento,
        &request.indicador_atribuir_desconto,
        &request.indicador_cobrar_juros,
        &request.indicador_cobrar_multa,
    ];
    if indicators.iter().any(|indicator| indicator.as_ref().is_some_and(|text| text != "S" && text != "N")) {
        return Err("indicador: valor não previsto");
    }
    let wanted = indicators.map(|indicator| indicator.as_deref() == Some("S"));
    match wanted {
        [true, false, false, false, false] => {
            let text = request.alteracao_data.as_ref().ok_or("alteracaoData: ausente")?;
            date(&text.nova_data_vencimento).map(Change::Due).ok_or("novaDataVencimento: inválida")
        }
        [false, true, false, false, false] => {
            let rebate = request.abatimento.as_ref().ok_or("abatimento: ausente")?;
            let cents = cents_of_number(rebate.valor_abatimento).filter(|cents| *cents > 0);
            cents.map(Change::Rebate).ok_or("valorAbatimento: inválido")
        }
        [false, false, true, false, false] => {
            request.desconto.as_ref().map(|_| Change::Terms("desconto")).ok_or("desconto: ausente")
        }
        [false, false, false, true, false] => {
            request.juros.as_ref().map(|_| Change::Terms("juros")).ok_or("juros: ausente")
        }
        [false, false, false, false, true] => {
            request.multa.as_ref().map(|_| Change::Terms("multa")).ok_or("multa: ausente")
        }
        _ => Err("indicador: nem nenhum, nem mais de um"),
    }
}

/// Makes the change unless the deduction would leave nothing to pay.
fn apply(title: &mut Title<Checked>, change: &Change) -> bool {
    match *change {
        Change::Due(due) => title.paper.due = due,
        Change::Rebate(cents) if cents >= title.paper.cents => return false,
        Change::Rebate(cents) => title.paper.rebate_cents = cents,
        Change::Terms(_) => {}
    }
    true
}

fn detail(change: &Change) -> Value {
    match change {
        Change::Due(due) => json!({"due_date": due}),
        Change::Rebate(cents) => json!({"rebate_cents": cents}),
        Change::Terms(name) => json!({"terms": name}),
    }
}
