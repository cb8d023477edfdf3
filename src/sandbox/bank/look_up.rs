//! Look-up: `GET /boletos/{id}?numeroConvenio=`.
//!
//! **Owns** nothing.
//! **Fails** with `errors`: 400 without a convênio, 404 for a title that is not on file under it.
//! **Limits**: a title is normal (1) or written off (7); nobody pays in the sandbox.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use serde_json::{Value, json};

use super::titles::{Title, Titles};
use super::{Bank, CONTRACT, codes, fault};

const NORMAL: u8 = 1;
const WRITTEN_OFF: u8 = 7;

impl Bank {
    pub(super) fn look_up(&self, id: &str, convenio: Option<u64>) -> Response {
        let Some(convenio) = convenio else {
            return fault::look_up(StatusCode::BAD_REQUEST, fault::SCHEMA, "numeroConvenio ausente");
        };
        let title = Titles::number(id, convenio).and_then(|number| self.titles.lock().get(&number).copied());
        match title {
            Some(title) => Json(answer(&title)).into_response(),
            None => fault::look_up(StatusCode::NOT_FOUND, fault::NOT_FOUND, "título não encontrado"),
        }
    }
}

fn answer(title: &Title) -> Value {
    let kept = &title.registration;
    let codes = codes::codes(kept.title, kept.wallet, kept.due, kept.cents);
    let day = |date: NaiveDate| date.format("%d.%m.%Y").to_string();
    json!({
        "codigoLinhaDigitavel": codes.line,
        "textoCodigoBarrasTituloCobranca": codes.barcode,
        "codigoEstadoTituloCobranca": if title.written_off { WRITTEN_OFF } else { NORMAL },
        "codigoTipoBaixaTitulo": u8::from(title.written_off),
        "numeroContratoCobranca": CONTRACT,
        "numeroCarteiraCobranca": kept.wallet,
        "numeroVariacaoCarteiraCobranca": kept.variation,
        "numeroTituloCliente": format!("{:020}", kept.title),
        "valorOriginalTituloCobranca": reais(kept.cents),
        "valorAtualTituloCobranca": reais(kept.cents),
        "dataEmissaoTituloCobranca": day(kept.issued),
        "dataRegistroTituloCobranca": day(title.registered_on),
        "dataVencimentoTituloCobranca": day(kept.due),
        "codigoTipoInscricaoSacado": kept.payer_kind,
        "numeroInscricaoSacadoCobranca": kept.payer_number,
        "valorPagoSacado": 0.0,
        "valorCreditoCedente": 0.0,
        "dataRecebimentoTitulo": "",
        "dataCreditoLiquidacao": "",
    })
}

/// A JSON number of reais. Ten digits of cents are far below the precision of a double.
fn reais(cents: u64) -> f64 {
    cents as f64 / 100.0
}
