//! Settings of who may do what.
//!
//! **Owns** nothing. Defaults, with their reasons, stand in `config/default.toml` alone.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::domain::access::Scopes;
use crate::domain::ids::TenantId;

/// Who is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessMode {
    /// Everybody, as the tenant `default`, to do everything.
    Open,
    /// Whoever shows a token, or a certificate that is named here.
    Tokens,
}

/// `[access]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessConfig {
    pub mode: AccessMode,
    /// How long a token holds when nothing else is asked for: 1 min to `lifetime_max`.
    #[serde(with = "humantime_serde")]
    pub lifetime: Duration,
    /// The longest that a token may hold: 1 min to 10 years.
    #[serde(with = "humantime_serde")]
    pub lifetime_max: Duration,
    /// How often revocations are looked for: 10 ms to 800 ms.
    #[serde(with = "humantime_serde")]
    pub check_interval: Duration,
    /// How long a token that was seen to hold is let in while the store cannot be asked: 1 s to 1 h.
    #[serde(with = "humantime_serde")]
    pub trust: Duration,
    /// Tokens that are known without asking the store: 1 to 65,536.
    pub tokens_known_max: u32,
    /// Wrong tokens of one address in a minute, past which it is told to wait: 1 to 1,000,000.
    pub failures_per_minute_max: u32,
    /// What an entry of `certificates` says where it does not say it itself.
    pub certificate: Principal,
    /// What certificates of callers stand for, by a DNS name or a URI in them.
    pub certificates: BTreeMap<String, Principal>,
}

/// `[access.certificates."NAME"]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Principal {
    /// Whose rows they see and change.
    #[serde(with = "tenant")]
    pub tenant: TenantId,
    pub scopes: ScopeNames,
}

/// Scopes as a list of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeNames(pub Scopes);

impl Serialize for ScopeNames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|scope| scope.as_str()))
    }
}

impl<'de> Deserialize<'de> for ScopeNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names: Vec<String> = Vec::deserialize(deserializer)?;
        let scopes: Result<Scopes, _> = names.iter().map(|name| name.parse()).collect();
        scopes.map(Self).map_err(de::Error::custom)
    }
}

mod tenant {
    use super::{Deserialize, Deserializer, Serializer, TenantId, de};

    pub fn serialize<S: Serializer>(tenant: &TenantId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(tenant.as_str())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TenantId, D::Error> {
        let text = String::deserialize(deserializer)?;
        TenantId::parse(&text).map_err(de::Error::custom)
    }
}
