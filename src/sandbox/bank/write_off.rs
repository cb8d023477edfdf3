//! Cancellation (baixa): `POST /boletos/{id}/baixar`.
//!
//! **Owns** nothing.
//! **Fails** with `erros` for a title that is already written off, `errors` for one that is not on file.
//! **Limits**: none.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use serde_json::{Value, json};

use super::fault::{self, Fault};
use super::request::WriteOff;
use super::titles::{Titles, key};
use super::{Bank, CONTRACT};
use crate::sandbox::ledger::{Effect, EffectKind};

enum Decision {
    WrittenOff(u64),
    Already,
    NotFound,
}

impl Bank {
    pub(super) async fn write_off(&self, id: &str, request: &WriteOff) -> Response {
        let convenio = request.numero_convenio;
        let title = match self.decide_write_off(id, convenio) {
            Decision::WrittenOff(title) => title,
            Decision::Already => {
                return fault::business(&[Fault::new(fault::ALREADY_WRITTEN_OFF, "título já baixado")]);
            }
            Decision::NotFound => {
                return fault::look_up(StatusCode::NOT_FOUND, fault::NOT_FOUND, "título não encontrado");
            }
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

    fn decide_write_off(&self, id: &str, convenio: u64) -> Decision {
        let mut titles = self.titles.lock();
        let title = Titles::number(id, convenio).and_then(|number| titles.get_mut(&number));
        match title {
            None => Decision::NotFound,
            Some(title) if title.written_off => Decision::Already,
            Some(title) => {
                title.written_off = true;
                Decision::WrittenOff(title.registration.title)
            }
        }
    }
}
