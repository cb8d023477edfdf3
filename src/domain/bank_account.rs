//! Under which agreement with which bank boletos are issued, and by which connector they are registered.
//!
//! **Owns** nothing. **Fails** with every broken rule at once, so that an operator corrects a configuration in one go.
//! Credentials are references (`env:NAME`, `file:path`), never values.

mod rules;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use self::rules::{AccountRules, RuleName};
use super::boleto::issuer::Issuer;
use super::ids::{BankAccountId, TenantId};
use super::money::Rounding;
use super::tax_id::TaxId;

/// A configuration under which boletos are issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankAccount {
    pub id: BankAccountId,
    pub tenant_id: TenantId,
    /// The owner's own name for it, unique per tenant.
    pub external_id: Option<String>,
    pub display_name: String,
    pub beneficiary: Beneficiary,
    /// The agreement as the bank knows it; decides nosso número and campo livre.
    pub issuer: Issuer,
    pub provider: Provider,
    /// What the connector needs to sign in, by the connector's own key names.
    pub credentials: BTreeMap<String, String>,
    /// Used when a request names no account; at most one per tenant.
    pub is_default: bool,
    /// What the bank makes of a fraction of a cent.
    pub rounding: Rounding,
    /// When a request is to be issued under another account.
    pub rules: AccountRules,
    /// Grows by one with every change.
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Who is paid (beneficiário).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beneficiary {
    pub name: String,
    pub tax_id: TaxId,
}

impl std::fmt::Debug for Beneficiary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Beneficiary(masked)")
    }
}

/// Which connector registers the account's boletos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// Banco do Brasil, Cobranças v2.
    BancoDoBrasil,
    /// A gateway with Bradesco ShopFacil or Caixa behind it.
    BoletoApi,
    /// Bradesco's registration API.
    BradescoApiregistro,
    /// Bradesco ShopFacil's own API.
    BradescoShopfacil,
    /// No bank at all: it answers by the amount, for trials.
    Development,
    /// Inter, cobrança v3.
    Inter,
    /// Itaú, cash_management v2.
    Itau,
    /// Santander, collection_bill_management v2.
    Santander,
}

impl Provider {
    /// Every connector there is.
    pub const ALL: [Self; 8] = [
        Self::BancoDoBrasil,
        Self::BoletoApi,
        Self::BradescoApiregistro,
        Self::BradescoShopfacil,
        Self::Development,
        Self::Inter,
        Self::Itau,
        Self::Santander,
    ];

    /// The connector's name in the store, in configuration and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BancoDoBrasil => "banco_do_brasil",
            Self::BoletoApi => "boleto_api",
            Self::BradescoApiregistro => "bradesco_apiregistro",
            Self::BradescoShopfacil => "bradesco_shopfacil",
            Self::Development => "development",
            Self::Inter => "inter",
            Self::Itau => "itau",
            Self::Santander => "santander",
        }
    }

    /// The connector of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.as_str() == name)
    }
}
