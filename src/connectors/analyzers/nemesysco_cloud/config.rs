//! Settings of the connector for Nemesysco's cloud.
//!
//! **Owns** nothing. There is no address until an operator gives one: the one that is public has no TLS.

use serde::{Deserialize, Serialize};

use crate::connectors::analyzers::config::TimeLimits;
use crate::connectors::http::HttpUrl;
use crate::connectors::secret::SecretRef;

/// How the cloud is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NemesyscoCloudConfig {
    /// The whole address to which questions are posted.
    pub url: Option<HttpUrl>,
    /// The value of `N-MS-AUTHCB`; without one no such header is sent.
    pub auth: Option<SecretRef>,
    /// Whether the vendor may be called without TLS on another machine.
    pub plain_http: bool,
    /// Which sections the answer is to have. The risk of each question is needed, and the segments tell silence from a failure.
    pub service_flags: String,
    /// The vendor's setting of that name, 10 to 40.
    pub power: u8,
    /// How many questions are put into one call.
    pub questions_max: usize,
    /// What a row of risk calls its question, with `{topic}` and `{question}` for what we called it.
    pub row_id: String,
    pub timeout: TimeLimits,
}

impl Default for NemesyscoCloudConfig {
    fn default() -> Self {
        Self {
            url: None,
            auth: None,
            plain_http: false,
            service_flags: "RISKREPQ,SEG".to_owned(),
            power: 20,
            questions_max: 8,
            row_id: "{topic}{question}".to_owned(),
            timeout: TimeLimits::default(),
        }
    }
}
