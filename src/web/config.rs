//! Settings of the HTTP face.
//!
//! **Owns** nothing. Defaults, with their reasons, stand in `config/default.toml` alone.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[documents]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentsConfig {
    pub links: LinksConfig,
}

/// `[documents.links]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinksConfig {
    /// Whether links are made and opened.
    pub enabled: bool,
    /// Where the pages are served; port 0 takes a free one.
    pub address: SocketAddr,
    /// What the owner's proxy shows of it; set where links are enabled.
    pub base_url: Option<String>,
    /// How long a link holds when nobody says: 1 s to `lifetime_max`.
    #[serde(with = "humantime_serde")]
    pub lifetime: Duration,
    /// How long at most: 1 s to 3,650 days.
    #[serde(with = "humantime_serde")]
    pub lifetime_max: Duration,
    /// Requests per second of one address: 0 to 10,000; 0 for no bound.
    pub rate_per_second: u32,
    /// Whether the proxy in front says whose request it passes on.
    pub trusts_forwarded_for: bool,
    /// Documents drawn at a time: 1 to 1,024.
    pub drawings_max: u32,
    /// Connections at a time: 1 to 65,536.
    pub connections_max: u32,
    /// Connections of one address at a time: 1 to `connections_max`.
    pub connections_per_address_max: u32,
    /// Within what a request's head must have come, and how long a connection may be idle: 10 ms to 5 min.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// The longest head of a request, in bytes: 8 KiB to 1 MiB.
    pub header_bytes_max: usize,
    /// How long a connection lives, whatever it does: 100 ms to 1 h.
    #[serde(with = "humantime_serde")]
    pub connection_timeout: Duration,
}
