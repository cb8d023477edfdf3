//! The verbs that every visit needs, in groups over all visits in hand.
//!
//! **Owns** the lanes, which outlive runs. **Fails** per item, as the store does. **Limits**: a group of accounts is smaller than the
//! others, for each of them may bring thousands of transactions.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::actors::aspsp_calls;
use crate::domain::ids::AccountId;
use crate::domain::openbanking::quota::Allowance;
use crate::store::openbanking::account::AccountDraft;
use crate::store::openbanking::apply::{Applied, Told};
use crate::store::openbanking::quota::AccessWanted;
use crate::store::openbanking::session::{ApiCall, ApiSession, SessionEnd};
use crate::store::{Store, StoreError};
use crate::work::Lane;

/// Accounts of one group at most.
const APPLIED_MAX: usize = 32;

/// A lane a verb.
#[derive(Clone)]
pub(super) struct Lanes {
    pub sessions: Lane<ApiSession, ApiSession>,
    pub ends: Lane<SessionEnd, bool>,
    pub calls: Lane<ApiCall, ()>,
    pub accesses: Lane<AccessWanted, Allowance>,
    pub given_back: Lane<Uuid, ()>,
    pub accounts: Lane<AccountDraft, AccountId>,
    pub told: Lane<Arc<Told>, Applied>,
    pub stale: Lane<(AccountId, String, DateTime<Utc>), ()>,
}

impl Lanes {
    pub fn open(store: &Store, width: usize, group_max: usize) -> Self {
        // Each verb takes the store anew, for a group may outlive whoever asked for it.
        macro_rules! lane {
            ($name:literal, $max:expr, $store:ident, $items:ident => $verb:expr) => {{
                let store = store.clone();
                Lane::open($name, width, $max, move |$items| {
                    let $store = store.clone();
                    async move { $verb }
                })
            }};
        }
        Self {
            sessions: lane!("open_api_sessions", group_max, store, items => store.open_api_sessions(&items).await),
            ends: lane!("close_api_sessions", group_max, store, items => store.close_api_sessions(&items).await),
            calls: aspsp_calls::lane(store.clone(), group_max),
            accesses: lane!("take_accesses", group_max, store, items => store.take_accesses(&items).await),
            given_back: lane!("give_accesses_back", group_max, store, items => {
                each(items.len(), store.give_accesses_back(&items).await)
            }),
            accounts: lane!("put_accounts", group_max, store, items => store.put_accounts(&items).await),
            told: lane!("apply_told", group_max.min(APPLIED_MAX), store, items => store.apply_told(&items).await),
            stale: lane!("accounts_stale", group_max, store, items => {
                let items: Arc<[(AccountId, String, DateTime<Utc>)]> = items;
                let now = items.iter().map(|(.., now)| *now).max().unwrap_or_else(|| store.now());
                // Of two that speak of one account the last counts.
                let mut said: std::collections::HashMap<AccountId, String> = std::collections::HashMap::new();
                said.extend(items.iter().map(|(id, reason, _)| (*id, reason.clone())));
                let said: Vec<(AccountId, String)> = said.into_iter().collect();
                each(items.len(), store.accounts_stale(&said, now).await)
            }),
        }
    }
}

/// What a statement over a group says of each item of it.
fn each<T>(count: usize, result: Result<T, StoreError>) -> Vec<Result<(), StoreError>> {
    let result = result.map(|_| ());
    (0..count).map(|_| result.clone()).collect()
}
