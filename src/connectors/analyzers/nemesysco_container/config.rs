//! Settings of the connector for Nemesysco's container site.
//!
//! **Owns** nothing. There is no address until an operator gives one. What is not set is not sent, and the site's own default
//! counts.

use serde::{Deserialize, Serialize};

use crate::connectors::analyzers::config::TimeLimits;
use crate::connectors::http::HttpUrl;
use crate::connectors::secret::SecretRef;

/// How the site is called.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
    /// The level of background noise; the site's own is 1000.
    pub background_noise: Option<u32>,
    /// The longest segment, 1 to 3 seconds; the site's own is 2.
    pub segment_length_max_s: Option<u8>,
    /// The type of analysis, 1 to 5; the site's own is 1.
    pub analyze_type: Option<u8>,
    /// Whether channels are mixed into one.
    pub to_mono: Option<bool>,
    /// Whether the recording is made as loud as others.
    pub normalize: Option<bool>,
    /// Whether the names of questionnaire and question are sent along. The analysis needs neither.
    pub send_titles: bool,
    pub timeout: TimeLimits,
}

/// How the site is spoken to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// `GET Analyze/`, as the vendor's Windows service had it.
    #[default]
    Windows,
    /// `POST _api.php`.
    Native,
}

/// What analyses behind the site.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// Gives a risk for each question.
    #[default]
    Ra7,
    /// Measures; no formula has been agreed on.
    Lva7,
    /// Measures, for call centres.
    Qa7,
}
