//! Settings of the connector for Bradesco's registration API.
//!
//! **Owns** nothing. There is no address until an operator gives one: the sources name none.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::connectors::http::HttpUrl;

/// How Bradesco's registration API is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BradescoApiregistroConfig {
    /// The host, with whatever comes before `/apiregistro/api`.
    pub api_url: Option<HttpUrl>,
    /// The deadline of one call.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

impl Default for BradescoApiregistroConfig {
    fn default() -> Self {
        Self { api_url: None, timeout: Duration::from_secs(10) }
    }
}
