//! Settings of the queues that are read.
//!
//! **Owns** nothing. Defaults, with their reasons, stand in `config/default.toml` alone.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::ids::TenantId;

/// `[ingress]`: what comes in by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngressConfig {
    pub boletos_to_register: QueueConsumerConfig,
}

/// `[ingress.boletos_to_register]`: which queue is read, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueConsumerConfig {
    /// The queue; none where nothing is read.
    pub queue_url: Option<String>,
    /// Where it lives, if neither its URL nor the channel's settings say.
    pub region: Option<String>,
    /// Whose boletos it is about.
    pub tenant: TenantId,
    /// How long an empty queue is waited at: up to 20 s.
    #[serde(with = "humantime_serde")]
    pub wait: Duration,
    /// Messages a call: 1 to 10.
    pub batch: u32,
    /// Messages in hand at a time: 1 to 10,000.
    pub in_flight_max: u32,
    /// How long a message in hand is hidden from other readers: 2 s to 12 h.
    #[serde(with = "humantime_serde")]
    pub visibility: Duration,
}
