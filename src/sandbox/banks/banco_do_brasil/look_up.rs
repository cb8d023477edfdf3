//! Look-up: `GET /boletos/{id}?numeroConvenio=`.
//!
//! **Owns** nothing.
//! **Fails** with `errors`: 400 without a convênio, 404 for a title that is not on file under it.
//! **Limits**: a title is normal (1), partly paid (18), settled (6) or written off (7).

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{Days, NaiveDate};
use serde_json::{Value, json};

use super::rules::Checked;
use super::{Bank, CONTRACT, codes, fault, number};
use crate::sandbox::banks::file::{Ended, Paid, PaidBy, State, Title};
use crate::sandbox::banks::rules::number_of_reais as reais;

impl Bank {
    pub(super) fn look_up(&self, id: &str, convenio: Option<u64>) -> Response {
        let Some(convenio) = convenio else {
            return fault::look_up(StatusCode::BAD_REQUEST, fault::SCHEMA, "numeroConvenio ausente");
        };
        match number(id, convenio).and_then(|number| self.titles.find(&number)) {
            Some(title) => Json(answer(&title)).into_response(),
            None => fault::ended(Ended::NotOnFile),
        }
    }
}

/// The bank's code of a title's state, and its name.
pub(super) fn state(title: &Title<Checked>) -> (u8, &'static str) {
    match title.state {
        State::Open if title.payments.is_empty() => (1, "NORMAL"),
        State::Open => (18, "PAGO PARCIALMENTE"),
        State::Paid => (6, "LIQUIDADO"),
        State::WrittenOff => (7, "BAIXADO"),
    }
}

/// The day on which the beneficiary has the money: at once by Pix, a day later by barcode.
pub(super) fn credited(paid: Paid) -> NaiveDate {
    match paid.by {
        PaidBy::Pix => paid.on,
        PaidBy::Boleto => paid.on.checked_add_days(Days::new(1)).unwrap_or(paid.on),
    }
}

/// A day as this bank writes it, or nothing.
pub(super) fn day(date: Option<NaiveDate>) -> String {
    date.map(|date| date.format("%d.%m.%Y").to_string()).unwrap_or_default()
}

fn answer(title: &Title<Checked>) -> Value {
    let kept = &title.paper;
    let codes = codes(kept);
    let paid = title.last_payment();
    json!({
        "codigoLinhaDigitavel": codes.line,
        "textoCodigoBarrasTituloCobranca": codes.barcode,
        "codigoEstadoTituloCobranca": state(title).0,
        "codigoTipoBaixaTitulo": u8::from(title.state == State::WrittenOff),
        "numeroContratoCobranca": CONTRACT,
        "numeroCarteiraCobranca": kept.wallet,
        "numeroVariacaoCarteiraCobranca": kept.variation,
        "numeroTituloCliente": kept.number(),
        "valorOriginalTituloCobranca": reais(kept.cents),
        "valorAtualTituloCobranca": reais(kept.cents - kept.rebate_cents),
        "valorAbatimentoTituloCobranca": reais(kept.rebate_cents),
        "dataEmissaoTituloCobranca": day(Some(kept.issued)),
        "dataRegistroTituloCobranca": day(Some(title.registered_on)),
        "dataVencimentoTituloCobranca": day(Some(kept.due)),
        "codigoTipoInscricaoSacado": kept.payer_kind,
        "numeroInscricaoSacadoCobranca": kept.payer_number,
        "valorPagoSacado": reais(title.paid_cents()),
        "valorCreditoCedente": reais(title.paid_cents()),
        "dataRecebimentoTitulo": day(paid.map(|paid| paid.on)),
        "dataCreditoLiquidacao": day(paid.map(credited)),
    })
}
