//! Cancellation (baixa): `POST /boletos/{id}/baixar`.
//!
//! **Owns** nothing.
//! **Fails** with `erros` for a title that is paid or already written off, `errors` for one that is not on file.
//! **Limits**: none.

use axum::Json;
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use serde_json::{Value, json};

use super::fault;
use super::request::WriteOff;
use super::{Bank, CONTRACT, key, number};
use crate::sandbox::banks::file::Ended;
use crate::sandbox::ledger::{Effect, EffectKind};

impl Bank {
    pub(super) async fn write_off(&self, id: &str, request: &WriteOff) -> Response {
        let convenio = request.numero_convenio;
        let title = match self.decide_write_off(id, convenio) {
            Ok(title) => title,
            Err(ended) => return fault::ended(ended),
        };
        let effect = Effect::now(EffectKind::BankWrittenOff, key(convenio, title), Value::Null);
        if self.outside.ledger.record(vec![effect]).await.is_err() {
            return fault::not_recorded();
        }
        self.outside.screen.say("bank", format_args!("written off convenio {convenio} numero {title:020}"));
        let now = Utc::now();
        Json(json!({
            "numeroContratoCobranca": CONTRACT.to_string(),
            "dataBaixa": now.format("%d.%m.%Y").to_string(),
            "horarioBaixa": now.format("%H:%M:%S").to_string(),
        }))
        .into_response()
    }

    fn decide_write_off(&self, id: &str, convenio: u64) -> Result<u64, Ended> {
        let title = number(id, convenio).ok_or(Ended::NotOnFile)?;
        self.titles.write_off(&title, Utc::now().date_naive())?;
        Ok(title)
    }
}
