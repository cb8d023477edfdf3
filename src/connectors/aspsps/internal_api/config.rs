//! Settings of the internal service that refreshes accounts.
//!
//! **Owns** nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::connectors::aspsps::config::IdentityConfig;
use crate::connectors::http::HttpUrl;
use crate::connectors::secret::SecretRef;

/// How the internal service is called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InternalApiConfig {
    pub base_url: Option<HttpUrl>,
    /// What stands behind the base address.
    pub path: String,
    /// The parameter that says whose accounts are meant; empty: none does.
    pub user_parameter: String,
    /// The header that says so; empty: none does.
    pub user_header: String,
    /// The header `Authorization`, whole.
    pub authorization: Option<SecretRef>,
    /// Whether it may be called without TLS, on another machine than this one.
    pub plain_http: bool,
    /// By what certificate it knows us, if it wants one.
    pub identity: IdentityConfig,
    /// The deadline of one call: the service asks several banks meanwhile.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The longest answer that is taken.
    pub body_max_bytes: usize,
}

impl Default for InternalApiConfig {
    fn default() -> Self {
        Self {
            base_url: None,
            path: "bankaccount".to_owned(),
            user_parameter: String::new(),
            user_header: String::new(),
            authorization: None,
            plain_http: false,
            identity: IdentityConfig::default(),
            timeout: Duration::from_mins(2),
            body_max_bytes: 8 * 1024 * 1024,
        }
    }
}
