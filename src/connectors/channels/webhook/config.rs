//! Settings of webhooks.
//!
//! **Owns** nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::connectors::egress::EgressConfig;

/// How webhooks are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookConfig {
    /// Within what an endpoint must have answered.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// How many subjects of one destination are sent at a time.
    pub in_flight_max: usize,
    /// How much of an answer is read; of that its first words are kept, without anybody's data.
    pub body_read_bytes: usize,
    /// The waits between attempts; without any, those of the notifier.
    #[serde(with = "durations")]
    pub retry_waits: Vec<Duration>,
    /// Where owners may have their webhooks.
    pub egress: EgressConfig,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(15),
            in_flight_max: 8,
            body_read_bytes: 4 * 1024,
            // The schedule that Standard Webhooks proposes.
            retry_waits: [5, 5 * 60, 30 * 60, 2 * 3_600, 5 * 3_600, 10 * 3_600, 10 * 3_600]
                .map(Duration::from_secs)
                .to_vec(),
            egress: EgressConfig { hosts: vec!["*".to_owned()], ..EgressConfig::default() },
        }
    }
}

/// A list of durations, each with its unit.
mod durations {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Span(#[serde(with = "humantime_serde")] Duration);

    pub fn serialize<S: Serializer>(spans: &[Duration], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(spans.iter().copied().map(Span))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Duration>, D::Error> {
        Ok(Vec::<Span>::deserialize(deserializer)?.into_iter().map(|Span(span)| span).collect())
    }
}
