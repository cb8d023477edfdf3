//! Settings of how long persons are kept.
//!
//! **Owns** nothing. Defaults, with their reasons, stand in `config/default.toml` alone.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::ids::TenantId;

/// `[retention]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    /// What holds for every tenant that has no entry.
    pub tenant: TenantRetention,
    /// What holds for some, by name.
    pub tenants: BTreeMap<String, TenantRetention>,
}

/// `[retention.tenants.NAME]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantRetention {
    /// So many years behind the one in which it ended, the payer of a boleto is kept: 0 to 100.
    pub boleto_years: u32,
    /// Whether it is erased then without anybody's asking.
    pub erases_boletos: bool,
    /// From when it was taken in a transfer is kept so long: 1 day to 100 years.
    #[serde(with = "humantime_serde")]
    pub transfers_kept: Duration,
    /// Whether it is erased then.
    pub erases_transfers: bool,
    /// So long a customer of banks is kept who is not active: 1 day to 100 years.
    #[serde(with = "humantime_serde")]
    pub customers_kept: Duration,
    /// Whether it is erased then.
    pub erases_customers: bool,
}

impl RetentionConfig {
    /// What holds for a tenant.
    pub fn of(&self, tenant: &TenantId) -> TenantRetention {
        self.tenants.get(tenant.as_str()).copied().unwrap_or(self.tenant)
    }

    /// Whether any tenant has it so.
    pub fn erases(&self, is_so: impl Fn(&TenantRetention) -> bool) -> bool {
        self.tenants.values().chain([&self.tenant]).any(is_so)
    }

    /// What is wrong with it, each with its key.
    pub fn faults(&self) -> Vec<(String, String)> {
        let names = self.tenants.keys().filter(|name| TenantId::parse(name).is_err());
        names
            .map(|name| (format!("retention.tenants.{name}"), "is the name of no tenant".to_owned()))
            .collect()
    }
}
