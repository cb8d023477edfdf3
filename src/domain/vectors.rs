//! The published test data that the rules of this room are judged by.
//!
//! **Owns** nothing. **Fails** by panicking, which in a test is an answer. The data's own `about` explains its fields.

use std::sync::LazyLock;

use chrono::NaiveDate;
use serde::Deserialize;

/// All the vectors, read once.
pub static VECTORS: LazyLock<Vectors> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../tests/fixtures/boleto_vectors.json"))
        .expect("the fixture is well formed")
});

#[derive(Deserialize)]
pub struct Vectors {
    pub valid: Vec<Valid>,
    pub invalid: Vec<Invalid>,
    pub check_digits: Vec<CheckDigit>,
    pub factors: Vec<Factor>,
    pub factor_resolution: Vec<FactorResolution>,
    pub documents: Vec<Document>,
    pub pix: Vec<Pix>,
    pub arrecadacao: Vec<Arrecadacao>,
}

#[derive(Deserialize)]
pub struct Valid {
    pub bank_code: String,
    pub layout: String,
    pub due_date: NaiveDate,
    pub due_factor: u16,
    pub amount_cents: i64,
    pub barcode: String,
    pub digitable_line: String,
    pub digitable_line_formatted: String,
    pub campo_livre: String,
    pub agency: Option<String>,
    pub account: Option<String>,
    pub wallet: String,
    pub convenio: Option<String>,
    pub beneficiary_code: Option<String>,
    pub sequence: String,
    pub nosso_numero: String,
    pub nosso_numero_dv: Option<String>,
    pub nosso_numero_formatted: Option<String>,
    pub seu_numero: Option<String>,
    pub client_code: Option<String>,
    pub checks: String,
}

#[derive(Deserialize)]
pub struct Invalid {
    pub form: String,
    pub code: String,
    pub expected_errors: Vec<String>,
}

#[derive(Deserialize)]
pub struct CheckDigit {
    pub algorithm: String,
    pub input: String,
    pub check_digit: String,
}

#[derive(Deserialize)]
pub struct Factor {
    pub due_date: NaiveDate,
    pub due_factor: u16,
}

#[derive(Deserialize)]
pub struct FactorResolution {
    pub reference_date: NaiveDate,
    pub due_factor: u16,
    pub due_date: Option<NaiveDate>,
}

#[derive(Deserialize)]
pub struct Document {
    pub kind: String,
    pub document: String,
    pub alphanumeric: bool,
    pub valid: bool,
}

#[derive(Deserialize)]
pub struct Pix {
    pub payload: String,
    pub crc_valid: bool,
    pub description: String,
}

#[derive(Deserialize)]
pub struct Arrecadacao {
    pub barcode: String,
    pub digitable_line: String,
    pub segment: String,
    pub value_id: String,
}
