//! Settings of the Banco do Brasil connector.
//!
//! **Owns** nothing. The defaults are the bank's production addresses.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::connectors::http::HttpUrl;

/// How Banco do Brasil is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BancoDoBrasilConfig {
    /// The API, up to its version.
    pub api_url: HttpUrl,
    /// Where tokens are issued.
    pub token_url: HttpUrl,
    /// The query parameter that carries the app key; some agreements use `gw-app-key` in production.
    pub app_key_parameter: String,
    /// The scope that is asked for.
    pub scope: String,
    /// The query parameter for the first day of the movements that are listed.
    pub movements_from_parameter: String,
    /// The query parameter for their last day.
    pub movements_until_parameter: String,
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
    /// Codes of errors that look like a refusal and are none, such as a service that is away for a moment.
    pub unknown_codes: Vec<String>,
    /// Whether the bank is asked for a Pix text with each boleto.
    pub pix: bool,
}

impl Default for BancoDoBrasilConfig {
    fn default() -> Self {
        let address = |text| HttpUrl::parse(text).expect("the bank's addresses are written out here");
        Self {
            api_url: address("https://api.bb.com.br/cobrancas/v2"),
            token_url: address("https://oauth.bb.com.br/oauth/token"),
            app_key_parameter: "gw-dev-app-key".to_owned(),
            movements_from_parameter: "dataInicioMovimento".to_owned(),
            movements_until_parameter: "dataFimMovimento".to_owned(),
            scope: "cobrancas.boletos-requisicao cobrancas.boletos-info".to_owned(),
            timeout: Duration::from_secs(20),
            token_timeout: Duration::from_secs(10),
            token_leeway: Duration::from_secs(60),
            settle_after: Duration::from_secs(120),
            already_on_file_codes: vec!["4874915".to_owned()],
            not_found_codes: Vec::new(),
            unknown_codes: Vec::new(),
            pix: false,
        }
    }
}
