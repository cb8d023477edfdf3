//! Settings of the connector for Nemesysco's container site.
//!
//! **Owns** nothing. There is no address until an operator gives one. The other defaults are the site's own; what is left at them
//! is not sent.

use serde::{Deserialize, Serialize};

use crate::connectors::analyzers::config::TimeLimits;
use crate::connectors::http::HttpUrl;
use crate::connectors::secret::SecretRef;

/// How the site is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NemesyscoContainerConfig {
    /// The site, up to the folder in which its pages are.
    pub url: Option<HttpUrl>,
    pub style: Style,
    /// Which engine runs behind the site; an answer of another one is not read.
    pub engine: Engine,
    /// The value of `N-MS-AUTHCB`, or the user id of the native style.
    pub auth: Option<SecretRef>,
    /// Whether the site may be called without TLS on another machine.
    pub plain_http: bool,
    /// The level of background noise.
    pub background_noise: u32,
    /// The longest segment, 1 to 3 seconds.
    pub segment_length_max_s: u8,
    /// The type of analysis, 1 to 5.
    pub analyze_type: u8,
    /// Whether channels are mixed into one.
    pub to_mono: bool,
    /// Whether the recording is made as loud as others.
    pub normalize: bool,
    /// Whether the names of questionnaire and question are sent along. The analysis needs neither.
    pub send_titles: bool,
    pub timeout: TimeLimits,
}

impl Default for NemesyscoContainerConfig {
    fn default() -> Self {
        Self {
            url: None,
            style: Style::Windows,
            engine: Engine::Ra7,
            auth: None,
            plain_http: false,
            background_noise: 1000,
            segment_length_max_s: 2,
            analyze_type: 1,
            to_mono: false,
            normalize: false,
            send_titles: false,
            timeout: TimeLimits::default(),
        }
    }
}

/// How the site is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// `GET Analyze/`, as the vendor's Windows service had it.
    Windows,
    /// `POST _api.php`.
    Native,
}

/// What analyses behind the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// Gives a risk for each question.
    Ra7,
    /// Measures; no formula has been agreed on.
    Lva7,
    /// Measures, for call centres.
    Qa7,
}
