//! The bank's three ways of saying no: business errors, look-up errors, and the gateway's own.
//!
//! **Owns** the sandbox's error codes. They are invented: a real bank's differ, so a connector must be told
//! which one means "already on file", and never guess it from the text.
//! **Fails** never.
//! **Limits**: texts are fixed or name a field, and never repeat what was sent.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::sandbox::banks::file::Ended;

/// The title is already on file at the bank.
pub const ALREADY_ON_FILE: &str = "4874915";
/// The request does not follow the schema.
pub const SCHEMA: &str = "4000001";
/// A field breaks a rule; the text names it.
pub const RULE: &str = "4000002";
/// The refusal that the magic amount asks for.
pub const MAGIC_REFUSAL: &str = "4000048";
/// The title is already written off.
pub const ALREADY_WRITTEN_OFF: &str = "4000007";
/// The title is paid.
pub const ALREADY_PAID: &str = "4000006";
/// No such title.
pub const NOT_FOUND: &str = "4000404";

/// One business error.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    pub code: String,
    pub text: String,
}

impl Fault {
    pub fn new(code: &str, text: impl Into<String>) -> Self {
        Fault { code: code.into(), text: text.into() }
    }
}

/// `erros`, with one number for the whole occurrence.
pub fn business(faults: &[Fault]) -> Response {
    let occurrence = format!("{:016X}", rand::random::<u64>());
    let faults: Vec<_> = faults
        .iter()
        .map(|fault| json!({"codigo": fault.code, "versao": "1", "mensagem": fault.text, "ocorrencia": occurrence}))
        .collect();
    (StatusCode::BAD_REQUEST, Json(json!({"erros": faults}))).into_response()
}

/// `errors`, as look-ups answer.
pub fn look_up(status: StatusCode, code: &str, text: &str) -> Response {
    (status, Json(json!({"errors": [{"code": code, "message": text}]}))).into_response()
}

/// A title that cannot be changed any more, or is not there.
pub fn ended(ended: Ended) -> Response {
    match ended {
        Ended::NotOnFile => look_up(StatusCode::NOT_FOUND, NOT_FOUND, "título não encontrado"),
        Ended::Paid => business(&[Fault::new(ALREADY_PAID, "título já liquidado")]),
        Ended::WrittenOff => business(&[Fault::new(ALREADY_WRITTEN_OFF, "título já baixado")]),
    }
}

/// What the gateway in front of the bank says.
pub fn gateway(status: StatusCode, text: &str) -> Response {
    let error = status.canonical_reason().unwrap_or("Error");
    (status, Json(json!({"statusCode": status.as_u16(), "error": error, "message": text}))).into_response()
}

/// The ledger is broken, so nothing may be called done.
pub fn not_recorded() -> Response {
    gateway(StatusCode::SERVICE_UNAVAILABLE, "effect not recorded")
}
