//! Settings of the Emotion Logic connector.
//!
//! **Owns** nothing. The default address is the vendor's cloud.

use serde::{Deserialize, Serialize};

use crate::connectors::analyzers::AudioForm;
use crate::connectors::analyzers::config::TimeLimits;
use crate::connectors::http::HttpUrl;
use crate::connectors::secret::SecretRef;

/// How Emotion Logic is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmotionLogicConfig {
    /// The API, up to what comes before `analysis`.
    pub url: HttpUrl,
    pub edition: Edition,
    /// The cloud's `apiKey`.
    pub api_key: Option<SecretRef>,
    /// The cloud's `apiKeyPassword`.
    pub api_key_password: Option<SecretRef>,
    pub sensitivity: Sensitivity,
    /// 0 for automatic, 1000 for the usual.
    pub background_noise: u32,
    /// Whether a canned answer is asked for, which costs nothing; for trials.
    pub dummy_response: bool,
    /// Uploaded, so that no address leaves the house, or named by its address.
    pub send: AudioForm,
    /// Where in an answer the list of segments stands, as a JSON pointer; empty where it is not counted.
    pub segments_at: String,
    /// Codes of errors by which the vendor will never take the answer.
    pub refused_codes: Vec<String>,
    /// Codes of errors by which it does no work for us at present.
    pub paused_codes: Vec<String>,
    /// Whether the vendor may be called without TLS on another machine.
    pub plain_http: bool,
    pub timeout: TimeLimits,
}

impl Default for EmotionLogicConfig {
    fn default() -> Self {
        Self {
            url: HttpUrl::parse("https://cloud.emlo.cloud")
                .expect("the vendor's address is written out here"),
            edition: Edition::Cloud,
            api_key: None,
            api_key_password: None,
            sensitivity: Sensitivity::Normal,
            background_noise: 1000,
            dummy_response: false,
            send: AudioForm::Upload,
            segments_at: String::new(),
            refused_codes: Vec::new(),
            paused_codes: Vec::new(),
            plain_http: false,
            timeout: TimeLimits::default(),
        }
    }
}

/// Where the vendor's engine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edition {
    /// At the vendor's, who asks for keys and for the person's consent.
    Cloud,
    /// At the operator's own.
    Container,
}

/// How much the engine makes of little.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sensitivity {
    Normal,
    High,
    Low,
}

impl Sensitivity {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::High => "high",
            Self::Low => "low",
        }
    }
}
