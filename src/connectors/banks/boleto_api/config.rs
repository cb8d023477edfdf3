//! Settings of the connector for a gateway in the manner of boleto-api.
//!
//! **Owns** nothing. There is no address until an operator gives one: everybody runs a gateway of their own.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::connectors::http::HttpUrl;

/// How the gateway is called, and what the banks behind it want to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BoletoApiConfig {
    /// The gateway, with whatever comes before `/v1/boleto/register`.
    pub api_url: Option<HttpUrl>,
    /// The deadline of one call with Bradesco behind it.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The deadline of one call with Caixa behind it.
    #[serde(with = "humantime_serde")]
    pub caixa_timeout: Duration,
    /// Bradesco's number of the agreement, for accounts whose credentials have none; empty for none.
    pub bradesco_agreement_number: String,
    /// A sentence put behind the instructions of each boleto of Caixa; `{company}` and `{tax_id}` stand for whoever the
    /// money is collected for. Empty for none.
    pub caixa_instructions: String,
    /// Codes of errors by which Caixa says that the number is taken.
    pub caixa_already_on_file_codes: Vec<String>,
    /// Codes of Caixa's errors that look like a refusal and are none.
    pub caixa_unknown_codes: Vec<String>,
}

impl Default for BoletoApiConfig {
    fn default() -> Self {
        Self {
            api_url: None,
            timeout: Duration::from_secs(10),
            caixa_timeout: Duration::from_secs(20),
            bradesco_agreement_number: String::new(),
            caixa_instructions: String::new(),
            caixa_already_on_file_codes: Vec::new(),
            caixa_unknown_codes: Vec::new(),
        }
    }
}
