//! Settings that all analyzers share, and those of each.
//!
//! **Owns** nothing. **Limits**: the vendor's site gives up on its engine after 40 s and takes a moment to say so. Whoever
//! waits for less than 45 s never learns why, so that no deadline may be set below that.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::connectors::http::{HttpClient, HttpClientError, HttpConfig};

use super::AnalyzerKind;
use super::emotion_logic::config::{Edition, EmotionLogicConfig};
use super::nemesysco_cloud::config::NemesyscoCloudConfig;
use super::nemesysco_container::config::NemesyscoContainerConfig;
use super::nemesysco_ra7::config::NemesyscoRa7Config;

/// The shortest deadline that an operator may set.
pub const TIMEOUT_FLOOR: Duration = Duration::from_secs(45);

/// Settings of every analyzer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnalyzersConfig {
    /// Name resolution, TCP and TLS together.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// The longest answer that is read: one text a segment, of up to a thousand characters.
    pub body_max_bytes: usize,
    pub nemesysco_ra7: NemesyscoRa7Config,
    pub nemesysco_container: NemesyscoContainerConfig,
    pub nemesysco_cloud: NemesyscoCloudConfig,
    pub emotion_logic: EmotionLogicConfig,
}

impl Default for AnalyzersConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            body_max_bytes: 16 * 1024 * 1024,
            nemesysco_ra7: NemesyscoRa7Config::default(),
            nemesysco_container: NemesyscoContainerConfig::default(),
            nemesysco_cloud: NemesyscoCloudConfig::default(),
            emotion_logic: EmotionLogicConfig::default(),
        }
    }
}

impl AnalyzersConfig {
    /// What has to be set before an analyzer can be asked, and is not; by the names of its settings.
    pub fn missing(&self, kind: AnalyzerKind) -> Vec<&'static str> {
        let (ra7, site) = (&self.nemesysco_ra7, &self.nemesysco_container);
        let (cloud, emotion) = (&self.nemesysco_cloud, &self.emotion_logic);
        let is_keyed = emotion.edition == Edition::Cloud;
        let needed = match kind {
            AnalyzerKind::NemesyscoRa7 => {
                vec![("prefix", ra7.prefix.is_some()), ("auth", ra7.auth.is_some())]
            }
            AnalyzerKind::NemesyscoContainer => {
                vec![("url", site.url.is_some()), ("auth", site.auth.is_some())]
            }
            AnalyzerKind::NemesyscoCloud => vec![("url", cloud.url.is_some())],
            AnalyzerKind::EmotionLogic => vec![
                ("api_key", !is_keyed || emotion.api_key.is_some()),
                ("api_key_password", !is_keyed || emotion.api_key_password.is_some()),
            ],
        };
        needed.into_iter().filter(|(_, is_set)| !is_set).map(|(name, _)| name).collect()
    }

    /// A client under the house's limits, but for those that vendors need otherwise.
    pub(super) fn client(&self, http: &HttpConfig) -> Result<HttpClient, HttpClientError> {
        HttpClient::trusted(&HttpConfig {
            connect_timeout: self.connect_timeout,
            body_max_bytes: self.body_max_bytes,
            ..http.clone()
        })
    }
}

/// For how long a vendor is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeLimits {
    /// At least; for a recording of unknown length this is all. Never less than 45 s outside tests.
    #[serde(with = "humantime_serde")]
    pub min: Duration,
    /// So many times the length of the recording.
    pub per_length: u32,
    /// At most, however long the recording is.
    #[serde(with = "humantime_serde")]
    pub max: Duration,
}

impl Default for TimeLimits {
    fn default() -> Self {
        Self { min: Duration::from_secs(60), per_length: 3, max: Duration::from_mins(15) }
    }
}

impl TimeLimits {
    /// The deadline of one call about recordings of this length.
    pub fn deadline(&self, length: Option<Duration>) -> Duration {
        let grown = length.unwrap_or_default().saturating_mul(self.per_length);
        // The least wins over the most: a cap below it would have us give up before the vendor can say why.
        grown.min(self.max).max(self.min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_grows_with_the_recording_between_its_bounds() {
        let limits = TimeLimits::default();
        let seconds = |length: Option<u64>| limits.deadline(length.map(Duration::from_secs)).as_secs();
        assert_eq!(seconds(None), 60);
        assert_eq!(seconds(Some(20)), 60);
        assert_eq!(seconds(Some(21)), 63);
        assert_eq!(seconds(Some(300)), 900);
        assert_eq!(seconds(Some(u64::MAX)), 900);
        assert!(limits.min >= TIMEOUT_FLOOR);
        let upside_down = TimeLimits { max: Duration::from_secs(1), ..limits };
        assert_eq!(upside_down.deadline(None), Duration::from_secs(60));
    }

    #[test]
    fn settings_are_read_by_their_names_and_no_other() {
        let text = r#"{"nemesysco_ra7":{"prefix":"https://vendor.example/a?u=","auth":"env:A","timeout":{"max":"5m"}},
            "nemesysco_container":{"style":"native","engine":"qa7"},"emotion_logic":{"edition":"container"}}"#;
        let config: AnalyzersConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.nemesysco_ra7.timeout.max, Duration::from_secs(300));
        assert_eq!(config.nemesysco_ra7.timeout.min, Duration::from_secs(60));
        for bad in [
            r#"{"nemesysco":{}}"#,
            r#"{"nemesysco_ra7":{"prefix":"vendor.example"}}"#,
            r#"{"nemesysco_ra7":{"prefix":"https://user:word@vendor.example/"}}"#,
            r#"{"nemesysco_ra7":{"auth":"a-secret-by-itself"}}"#,
            r#"{"nemesysco_container":{"style":"old"}}"#,
            r#"{"emotion_logic":{"sensitivity":"extreme"}}"#,
        ] {
            assert!(serde_json::from_str::<AnalyzersConfig>(bad).is_err(), "{bad}");
        }
    }
}
