//! Settings of the dashboard.
//!
//! **Owns** nothing. Defaults, with their reasons, stand in `config/default.toml` alone.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[dashboard]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DashboardConfig {
    /// Whether it is served.
    pub enabled: bool,
    /// Where; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What a proxy in front shows of it, scheme and host.
    pub base_url: Option<String>,
    /// Whether the proxy in front says whose request it passes on.
    pub trusts_forwarded_for: bool,
    /// How often an open page asks anew: 100 ms to 1 min.
    #[serde(with = "humantime_serde")]
    pub refresh_every: Duration,
    /// How long somebody stays signed in who does nothing: 1 min to 7 days.
    #[serde(with = "humantime_serde")]
    pub session_idle: Duration,
    /// How long at most: 1 min to 30 days.
    #[serde(with = "humantime_serde")]
    pub session_lifetime: Duration,
    /// People signed in at a time: 1 to 65,536.
    pub sessions_max: u32,
    /// Connections at a time: 1 to 65,536.
    pub connections_max: u32,
    /// Connections of one address at a time: 1 to `connections_max`.
    pub connections_per_address_max: u32,
    /// Within what a request must have come, and how long a connection may be idle: 10 ms to 5 min.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// The longest head of a request, in bytes: 8 KiB to 1 MiB.
    pub header_bytes_max: usize,
    /// How long a connection lives, whatever it does: 100 ms to 1 h.
    #[serde(with = "humantime_serde")]
    pub connection_timeout: Duration,
}
