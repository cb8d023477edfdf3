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
    /// How much of an answer is read so that its connection can be used again; the body itself is not kept.
    pub body_read_bytes: usize,
    /// Where owners may have their webhooks.
    pub egress: EgressConfig,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(15),
            in_flight_max: 8,
            body_read_bytes: 4 * 1024,
            egress: EgressConfig { hosts: vec!["*".to_owned()], ..EgressConfig::default() },
        }
    }
}
