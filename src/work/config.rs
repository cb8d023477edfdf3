//! Settings of the durable engine.
//!
//! **Owns** nothing. Defaults, with their reasons, stand in `config/default.toml` alone.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[work]`. It holds that `heartbeat_interval` < `fence_after` < `reap_after`: a process must know that its lease is
/// lost before another may take its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkConfig {
    /// How often due work is looked for when nothing wakes the loop: 10 ms to 1 h.
    #[serde(with = "humantime_serde")]
    pub poll_interval: Duration,
    /// How often a process says that it lives: 10 ms to 10 min.
    #[serde(with = "humantime_serde")]
    pub heartbeat_interval: Duration,
    /// How long after its last heartbeat a process holds itself for dead and stops what it does.
    #[serde(with = "humantime_serde")]
    pub fence_after: Duration,
    /// How long after its last heartbeat the others hold it for dead and take its rows.
    #[serde(with = "humantime_serde")]
    pub reap_after: Duration,
    /// How long work under way may take to end when the process stops: up to 1 h.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    /// How long ended work is kept: 1 min to 10 years.
    #[serde(with = "humantime_serde")]
    pub archive_retention: Duration,
    /// How long the name of a request is remembered: 1 day to 10 years.
    #[serde(with = "humantime_serde")]
    pub request_retention: Duration,
    /// Rows claimed in one statement at most: 1 to 1,000.
    pub claim_batch: u32,
    /// Items of one group of a hot verb at most: 1 to 64.
    pub group_max: usize,
    /// Groups of one verb under way at a time: 1 to 64.
    pub lanes: usize,
    /// What one tenant may have in hand, over all workers.
    pub tenants: QueueLimit,
    /// Queues with a limit of their own, by name. A 0 leaves what holds for the others.
    pub queues: BTreeMap<String, QueueLimit>,
}

/// How much of a queue, or of a tenant's, may be in hand, in this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueLimit {
    /// At a time: up to 10,000.
    pub in_flight_max: u32,
    /// Begun per minute, a second's worth at once: up to 1,000,000. 0: as fast as it goes.
    pub rate_per_minute: u32,
}
