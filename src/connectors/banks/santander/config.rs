//! Settings of the Santander connector.
//!
//! **Owns** nothing. The defaults are the bank's production addresses.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::connectors::http::HttpUrl;

/// How Santander is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SantanderConfig {
    /// The API, up to its version.
    pub api_url: HttpUrl,
    /// Where tokens are issued.
    pub token_url: HttpUrl,
    /// A file of authorities to be trusted besides the platform's; empty for none.
    pub ca_file: String,
    /// Which of the bank's two worlds titles are for.
    pub environment: Environment,
    /// What kind of title the bank files.
    pub document_kind: DocumentKind,
    /// Whether the nosso número goes to the bank with its check digit.
    pub bank_number_with_check_digit: bool,
    /// How the bank is asked for a title (`tipoConsulta`).
    pub look_up_kind: String,
    /// What the bank writes on a title that was paid by Pix, and that it shows as written off.
    pub paid_by_pix_text: String,
    /// The longest line of instructions.
    pub message_chars_max: usize,
    /// Whether the bank takes a CNPJ with letters.
    pub alphanumeric_cnpj: bool,
    /// Whether open boletos are looked up to learn what was paid.
    pub reconcile_by_look_up: bool,
    /// The deadline of one call of the API.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The deadline of signing in.
    #[serde(with = "humantime_serde")]
    pub token_timeout: Duration,
    /// How long before its end a token is no longer used; never more than half of its life.
    #[serde(with = "humantime_serde")]
    pub token_leeway: Duration,
    /// How long after a send "not found" may still turn into "on file".
    #[serde(with = "humantime_serde")]
    pub settle_after: Duration,
    /// Codes of errors that say that the number or the key is taken: look up and compare.
    pub already_on_file_codes: Vec<String>,
    /// Codes of errors that say that there is no such title, besides status 404.
    pub not_found_codes: Vec<String>,
    /// Codes of errors that look like a refusal and are none.
    pub unknown_codes: Vec<String>,
}

/// `environment`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Environment {
    #[serde(rename = "PRODUCAO")]
    Production,
    #[serde(rename = "TESTE")]
    Trial,
}

/// `documentKind`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DocumentKind {
    DuplicataMercantil,
    DuplicataServico,
    NotaPromissoria,
    Recibo,
    Outros,
}

impl Default for SantanderConfig {
    fn default() -> Self {
        let address = |text| HttpUrl::parse(text).expect("the bank's addresses are written out here");
        Self {
            api_url: address("https://trust-open.api.santander.com.br/collection_bill_management/v2"),
            token_url: address("https://trust-open.api.santander.com.br/auth/oauth/v2/token"),
            ca_file: String::new(),
            environment: Environment::Production,
            document_kind: DocumentKind::DuplicataMercantil,
            bank_number_with_check_digit: true,
            look_up_kind: "default".to_owned(),
            paid_by_pix_text: "BAIXA DE PAGAMENTO VIA PIX".to_owned(),
            message_chars_max: 100,
            alphanumeric_cnpj: false,
            reconcile_by_look_up: false,
            timeout: Duration::from_secs(20),
            token_timeout: Duration::from_secs(10),
            token_leeway: Duration::from_secs(60),
            settle_after: Duration::from_secs(120),
            already_on_file_codes: Vec::new(),
            not_found_codes: Vec::new(),
            unknown_codes: Vec::new(),
        }
    }
}
