//! What the store may be told.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[store]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// `sqlite:PATH` or `postgres://…`; empty for `bursar.db` in the data directory.
    pub url: String,
    /// Connections at most: the pool on PostgreSQL, the readers on SQLite.
    pub connections_max: u32,
    /// No call waits longer.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}
