//! What a line or barcode says.

use serde_json::{Value, json};

use crate::cli::table::Column;
use crate::proto::boleto::v1::parse_boleto_response::Code;
use crate::proto::boleto::v1::{ParseBoletoResponse, ParsedArrecadacao, ParsedCobranca};

/// What is shown of it.
pub const DETAIL: [Column; 13] = [
    Column::plain("valid", "/valid"),
    Column::plain("broken rules", "/errors"),
    Column::plain("bank", "/cobranca/bank_code"),
    Column::reais("amount", "/cobranca/amount_cents"),
    Column::plain("due date", "/cobranca/due_date"),
    Column::plain("linha digitavel", "/cobranca/linha_digitavel_formatted"),
    Column::plain("barcode", "/cobranca/barcode"),
    Column::plain("campo livre", "/cobranca/campo_livre"),
    Column::plain("segment", "/arrecadacao/segment"),
    Column::plain("value id", "/arrecadacao/value_id"),
    Column::reais("amount", "/arrecadacao/amount_cents"),
    Column::plain("linha digitavel", "/arrecadacao/linha_digitavel"),
    Column::plain("barcode", "/arrecadacao/barcode"),
];

/// The reading as a document.
pub fn parsed(parsed: &ParseBoletoResponse) -> Value {
    let (cobranca, arrecadacao) = match &parsed.code {
        Some(Code::Cobranca(code)) => (self::cobranca(code), Value::Null),
        Some(Code::Arrecadacao(code)) => (Value::Null, self::arrecadacao(code)),
        None => (Value::Null, Value::Null),
    };
    json!({
        "valid": parsed.valid,
        "errors": parsed.errors,
        "cobranca": cobranca,
        "arrecadacao": arrecadacao,
    })
}

pub(super) fn cobranca(code: &ParsedCobranca) -> Value {
    json!({
        "bank_code": code.bank_code,
        "barcode": code.barcode,
        "linha_digitavel": code.linha_digitavel,
        "linha_digitavel_formatted": code.linha_digitavel_formatted,
        "amount_cents": code.amount_cents,
        "due_date": code.due_date,
        "campo_livre": code.campo_livre,
    })
}

pub(super) fn arrecadacao(code: &ParsedArrecadacao) -> Value {
    json!({
        "barcode": code.barcode,
        "linha_digitavel": code.linha_digitavel,
        "segment": code.segment,
        "value_id": code.value_id,
        "amount_cents": code.amount_cents,
    })
}
