//! Settings of the gRPC face.
//!
//! **Owns** nothing. Defaults, with their reasons, stand in `config/default.toml` alone.

use std::net::SocketAddr;
use std::time::Duration;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::connectors::secret::SecretRef;

/// `[api]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiConfig {
    /// Where gRPC, health and the dashboard are served; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether `listen` may be an address that other machines can reach; refused at start otherwise.
    pub bind_beyond_loopback: bool,
    /// Watching calls at a time, of all callers together: 1 to 65,536.
    pub streams_max: u32,
    /// Watching calls at a time of one connection: 1 to `streams_max`.
    pub streams_per_caller_max: u32,
    /// Unary calls at a time; one more gets `RESOURCE_EXHAUSTED`. 1 to 65,536.
    pub requests_in_flight_max: u32,
    /// Unary calls of the control service at a time, which the limit above does not count: 1 to 1,024.
    pub control_in_flight_max: u32,
    /// The longest request message, in bytes: 1 KiB to 64 MiB.
    pub message_bytes_max: usize,
    /// The longest message of a batch, in bytes; at least as long as any other: 1 KiB to 64 MiB.
    pub batch_bytes_max: usize,
    /// Batches in flight, among the calls above; one more gets `RESOURCE_EXHAUSTED`. 1 to 1,024.
    pub batches_in_flight_max: u32,
    /// What the metadata of one call may take, in bytes as HTTP/2 counts them: 1 KiB to 1 MiB.
    pub metadata_bytes_max: u32,
    /// Within what the message of a call must have come, whole: 100 ms to 1 h.
    #[serde(with = "humantime_serde")]
    pub message_timeout: Duration,
    /// Calls of one connection that are under way at a time, or whose answers it has not read: 1 to 65,536.
    pub calls_per_connection_max: u32,
    /// Connections at a time: 1 to 65,536.
    pub connections_max: u32,
    /// Connections at a time of one address: 1 to 65,536.
    pub connections_per_address_max: u32,
    /// Within what a new connection must have said that it speaks HTTP/2: 100 ms to 5 min.
    #[serde(with = "humantime_serde")]
    pub handshake_timeout: Duration,
    /// How often a silent connection is asked whether it still lives: 1 s to 1 h.
    #[serde(with = "humantime_serde")]
    pub keepalive_interval: Duration,
    /// Within what it must have answered: 100 ms to 5 min.
    #[serde(with = "humantime_serde")]
    pub keepalive_timeout: Duration,
    /// Whether and how the server is reached by TLS.
    pub tls: TlsConfig,
}

/// `[api.tls]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The server's certificate with what leads to its authority, in PEM; without it there is no TLS.
    pub certificate: Option<SecretRef>,
    /// Its key, in PEM.
    pub private_key: Option<SecretRef>,
    /// The authorities of callers' certificates, in PEM; without them none is asked for.
    pub client_ca: Option<SecretRef>,
    /// How often they are looked at: 10 ms to 1 h.
    #[serde(with = "humantime_serde")]
    pub reload_interval: Duration,
}

/// `[calendar]`: on which days banks settle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarConfig {
    /// Holidays beside the national bank holidays, which are computed.
    pub extra_holidays: Vec<NaiveDate>,
}

/// `[limits]`: of what one answer may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    /// Rows of a page when the caller names no size: 1 to `page_size_max`.
    pub page_size_default: u32,
    /// Rows of a page at most; a caller who asks for more gets so many. 1 to 10,000.
    pub page_size_max: u32,
    /// How often a watch looks for changes when nothing wakes it: 10 ms to 1 min.
    #[serde(with = "humantime_serde")]
    pub watch_poll: Duration,
}
