//! Settings of the Itaú connector.
//!
//! **Owns** nothing. The defaults are the bank's production addresses.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::connectors::http::HttpUrl;

/// How Itaú is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ItauConfig {
    /// The API, up to its version.
    pub api_url: HttpUrl,
    /// The API that is asked what is on file, up to its version; it lives on a host of its own.
    pub query_url: HttpUrl,
    /// Where tokens are issued.
    pub token_url: HttpUrl,
    /// A file of authorities to be trusted besides the platform's; empty for none.
    pub ca_file: String,
    /// Whether titles are put on file or only tried.
    pub stage: Stage,
    /// Whether a registration is put into an object named `data`, as answers are.
    pub request_in_data: bool,
    /// How the bank is told which channel it is asked by (`codigo_canal_operacao`); empty to leave it out.
    pub channel: String,
    /// What kind of title the bank files (`codigo_especie`).
    pub document_kind: String,
    /// The bank's code for a fine in per cent.
    pub fine_percentage_code: String,
    /// The bank's code for no fine at all.
    pub fine_none_code: String,
    /// The bank's code for interest in per cent a month.
    pub interest_percentage_code: String,
    /// The longest name of a payer.
    pub name_chars_max: usize,
    /// The longest line of a street with its number.
    pub street_chars_max: usize,
    /// The longest name of a district.
    pub district_chars_max: usize,
    /// The longest name of a city.
    pub city_chars_max: usize,
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
    /// Codes of errors that say that the number is taken: look up and compare.
    pub already_on_file_codes: Vec<String>,
    /// Codes of errors that say that there is no such title, besides status 404.
    pub not_found_codes: Vec<String>,
    /// Codes of errors that look like a refusal and are none.
    pub unknown_codes: Vec<String>,
}

/// `etapa_processo_boleto`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The bank checks a title and files nothing.
    Validacao,
    /// The bank files the title.
    Efetivacao,
}

impl Default for ItauConfig {
    fn default() -> Self {
        let address = |text| HttpUrl::parse(text).expect("the bank's addresses are written out here");
        Self {
            api_url: address("https://api.itau.com.br/cash_management/v2"),
            query_url: address("https://secure.api.cloud.itau.com.br/boletoscash/v2"),
            token_url: address("https://sts.itau.com.br/api/oauth/token"),
            ca_file: String::new(),
            stage: Stage::Efetivacao,
            request_in_data: false,
            channel: "API".to_owned(),
            document_kind: "01".to_owned(),
            fine_percentage_code: "02".to_owned(),
            fine_none_code: "03".to_owned(),
            interest_percentage_code: "90".to_owned(),
            name_chars_max: 50,
            street_chars_max: 45,
            district_chars_max: 15,
            city_chars_max: 20,
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
