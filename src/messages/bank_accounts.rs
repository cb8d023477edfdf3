//! The bank accounts at hand: read once, read again when they change here and at an interval for changes made elsewhere.
//!
//! What a nosso número depends on never changes, so an account that is a second old cannot issue a wrong code; which one
//! is the default, and its credentials, may be that old in the other processes.
//!
//! **Owns** one snapshot. **Fails** as the store does when an account is not at hand and has to be looked for.
//! **Limits**: few accounts (thousands); all of them are kept.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::bank_account::BankAccount;
use crate::domain::ids::{BankAccountId, TenantId};
use crate::store::{Store, StoreError};

/// The accounts at hand; clones are the same.
#[derive(Clone)]
pub struct BankAccounts {
    store: Store,
    snapshot: Arc<RwLock<Arc<Snapshot>>>,
}

#[derive(Default)]
struct Snapshot {
    by_id: HashMap<BankAccountId, Arc<BankAccount>>,
    by_external_id: HashMap<(TenantId, String), BankAccountId>,
    defaults: HashMap<TenantId, BankAccountId>,
}

/// How a request names its bank account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountKey {
    Id(BankAccountId),
    ExternalId(String),
    Default,
}

impl BankAccounts {
    /// No accounts yet.
    pub fn new(store: Store) -> Self {
        Self { store, snapshot: Arc::default() }
    }

    /// Reads all accounts again.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let mut fresh = Snapshot::default();
        for account in self.store.all_bank_accounts().await? {
            if let Some(external_id) = &account.external_id {
                fresh.by_external_id.insert((account.tenant_id.clone(), external_id.clone()), account.id);
            }
            if account.is_default {
                fresh.defaults.insert(account.tenant_id.clone(), account.id);
            }
            fresh.by_id.insert(account.id, Arc::new(account));
        }
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        Ok(())
    }

    /// A tenant's account; read again once when it is not at hand.
    pub async fn find(
        &self,
        tenant: &TenantId,
        key: &AccountKey,
    ) -> Result<Option<Arc<BankAccount>>, StoreError> {
        if let Some(account) = self.at_hand(tenant, key) {
            return Ok(Some(account));
        }
        self.refresh().await?;
        Ok(self.at_hand(tenant, key))
    }

    fn at_hand(&self, tenant: &TenantId, key: &AccountKey) -> Option<Arc<BankAccount>> {
        let snapshot = self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone();
        let id = match key {
            AccountKey::Id(id) => *id,
            AccountKey::ExternalId(name) => *snapshot.by_external_id.get(&(tenant.clone(), name.clone()))?,
            AccountKey::Default => *snapshot.defaults.get(tenant)?,
        };
        snapshot.by_id.get(&id).filter(|account| account.tenant_id == *tenant).cloned()
    }
}
