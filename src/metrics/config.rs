//! Settings of metrics.
//!
//! **Owns** nothing. Defaults, with their reasons, stand in `config/default.toml` alone.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[metrics]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsConfig {
    /// Where `/metrics` is served; nothing for nowhere. Port 0 takes a free one.
    pub listen: Option<SocketAddr>,
    /// Whether other machines may reach it there.
    pub bind_beyond_loopback: bool,
    /// Whether the collector of `telemetry.otlp_endpoint` is told as well.
    pub otlp: bool,
    /// How often it is told: 1 s to 10 min.
    #[serde(with = "humantime_serde")]
    pub export_interval: Duration,
    /// How old may be what was counted in the store: 1 s to 10 min.
    #[serde(with = "humantime_serde")]
    pub sample_every: Duration,
    /// How long a scrape waits for the store: 10 ms to 1 min.
    #[serde(with = "humantime_serde")]
    pub sample_timeout: Duration,
}
