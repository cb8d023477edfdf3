//! The owners' queues that boletos have named lately, so that not every boleto asks the store for the same one.
//!
//! **Owns** a bounded map. An endpoint's row never goes away, so what is remembered stays true; that it was disabled is
//! seen where it matters, in the transaction that announces. **Limits**: 10,000 queues, then it begins anew.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::ids::{EndpointId, TenantId};

const QUEUES_MAX: usize = 10_000;

/// The queues at hand; clones are the same.
#[derive(Clone, Default)]
pub struct KnownQueues {
    known: Arc<RwLock<HashMap<TenantId, HashMap<String, EndpointId>>>>,
}

impl KnownQueues {
    /// The endpoint of a tenant's queue, if it is at hand.
    pub fn find(&self, tenant: &TenantId, queue_url: &str) -> Option<EndpointId> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(tenant)?.get(queue_url).copied()
    }

    /// Keeps a tenant's queue at hand.
    pub fn keep(&self, tenant: &TenantId, queue_url: &str, id: EndpointId) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.values().map(HashMap::len).sum::<usize>() >= QUEUES_MAX {
            known.clear();
        }
        known.entry(tenant.clone()).or_default().insert(queue_url.to_owned(), id);
    }
}
