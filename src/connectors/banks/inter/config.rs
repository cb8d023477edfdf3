//! Settings of the Inter connector.
//!
//! **Owns** nothing. The defaults are the bank's production addresses.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::connectors::http::HttpUrl;

/// How Inter is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InterConfig {
    /// The API, up to its version.
    pub api_url: HttpUrl,
    /// Where tokens are issued.
    pub token_url: HttpUrl,
    /// A file of authorities to be trusted besides the platform's; empty for none.
    pub ca_file: String,
    /// The scope that is asked for.
    pub scope: String,
    /// For how many days after the due date the bank keeps a title open (`numDiasAgenda`).
    pub open_days: u16,
    /// The bank's word for a fine in per cent.
    pub fine_percentage_code: String,
    /// The bank's word for a fine of a fixed amount.
    pub fine_amount_code: String,
    /// The bank's word for interest in per cent a month.
    pub interest_percentage_code: String,
    /// The bank's word for interest of an amount a day.
    pub interest_amount_code: String,
    /// The longest line of instructions, of which the bank keeps five.
    pub message_chars_max: usize,
    /// The longest reason of a cancellation.
    pub reason_chars_max: usize,
    /// Whether the bank takes a CNPJ with letters.
    pub alphanumeric_cnpj: bool,
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
    /// Codes of errors that look like a refusal and are none.
    pub unknown_codes: Vec<String>,
}

impl Default for InterConfig {
    fn default() -> Self {
        let address = |text| HttpUrl::parse(text).expect("the bank's addresses are written out here");
        Self {
            api_url: address("https://cdpj.partners.bancointer.com.br/cobranca/v3"),
            token_url: address("https://cdpj.partners.bancointer.com.br/oauth/v2/token"),
            ca_file: String::new(),
            scope: "boleto-cobranca.read boleto-cobranca.write".to_owned(),
            open_days: 30,
            fine_percentage_code: "PERCENTUAL".to_owned(),
            fine_amount_code: "VALORFIXO".to_owned(),
            interest_percentage_code: "TAXAMENSAL".to_owned(),
            interest_amount_code: "VALORDIA".to_owned(),
            message_chars_max: 78,
            reason_chars_max: 50,
            alphanumeric_cnpj: false,
            timeout: Duration::from_secs(20),
            token_timeout: Duration::from_secs(10),
            token_leeway: Duration::from_secs(60),
            settle_after: Duration::from_secs(600),
            unknown_codes: Vec::new(),
        }
    }
}
