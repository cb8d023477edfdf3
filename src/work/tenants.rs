//! What one tenant may have in hand, over all workers of this process, so that a busy one leaves room for the others.
//!
//! **Owns** the counts; a [`TenantPlace`] gives itself back when it is dropped. **Limits**: `[work.tenants]`; they are this
//! process's share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::config::QueueLimit;
use super::rate::Bucket;
use crate::domain::ids::TenantId;

/// The tenants' places; clones are the same. The default bounds nobody.
#[derive(Clone, Default)]
pub struct Tenants {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Whether anybody is bounded at all; read without the lock.
    is_bounded: AtomicBool,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    limit: QueueLimit,
    by_tenant: HashMap<TenantId, Entry>,
    /// The claim loops that were turned away.
    waiting: Vec<Arc<Notify>>,
}

struct Entry {
    in_hand: usize,
    bucket: Option<Bucket>,
}

/// One thing of a tenant's in hand.
pub struct TenantPlace {
    /// None where tenants are not bounded, which then costs nothing.
    of: Option<(Tenants, TenantId)>,
}

impl Tenants {
    /// Every tenant is bounded by `limit`; a 0 in it bounds nothing.
    pub fn new(limit: QueueLimit) -> Self {
        let tenants = Self::default();
        tenants.set_limit(limit);
        tenants
    }

    /// Bounds every tenant by another limit from here on. What was begun while nobody was bounded is not counted.
    pub fn set_limit(&self, limit: QueueLimit) {
        let (now, mut taken) = (Instant::now(), self.lock());
        taken.limit = limit;
        for entry in taken.by_tenant.values_mut() {
            entry.bucket = Bucket::of_limit_after(entry.bucket, limit, now);
        }
        self.inner.is_bounded.store(limit != QueueLimit::default(), Ordering::Relaxed);
        for freed in taken.waiting.drain(..) {
            freed.notify_one();
        }
    }

    /// Takes a place if there is one now; else `freed` is signalled when one is given back.
    pub fn try_take(&self, tenant: &TenantId, freed: &Arc<Notify>) -> Option<TenantPlace> {
        if !self.inner.is_bounded.load(Ordering::Relaxed) {
            return Some(TenantPlace { of: None });
        }
        let now = Instant::now();
        let mut taken = self.lock();
        let limit = taken.limit;
        let fresh = || Entry { in_hand: 0, bucket: Bucket::of_limit(limit, now) };
        let entry = taken.by_tenant.entry(tenant.clone()).or_insert_with(fresh);
        if entry.is_full(limit, now) {
            if !taken.waiting.iter().any(|known| Arc::ptr_eq(known, freed)) {
                taken.waiting.push(freed.clone());
            }
            return None;
        }
        entry.in_hand += 1;
        if let Some(bucket) = &mut entry.bucket {
            bucket.take(now);
        }
        Some(TenantPlace { of: Some((self.clone(), tenant.clone())) })
    }

    /// Those of whom nothing more may be taken now.
    pub fn full(&self) -> Vec<TenantId> {
        let (now, mut taken) = (Instant::now(), self.lock());
        let limit = taken.limit;
        let full =
            |(tenant, entry): (&TenantId, &mut Entry)| entry.is_full(limit, now).then(|| tenant.clone());
        taken.by_tenant.iter_mut().filter_map(full).collect()
    }

    /// When a rate next lets something through that it does not now.
    pub fn next_opening(&self) -> Option<Instant> {
        let now = Instant::now();
        self.lock().by_tenant.values_mut().filter_map(|entry| entry.bucket.as_mut()?.next(now)).min()
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.inner.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn is_full(&mut self, limit: QueueLimit, now: Instant) -> bool {
        let is_taken = limit.in_flight_max > 0 && self.in_hand >= limit.in_flight_max as usize;
        is_taken || self.bucket.as_mut().is_some_and(|bucket| bucket.free(now) == 0)
    }
}

impl Drop for TenantPlace {
    fn drop(&mut self) {
        let Some((tenants, tenant)) = self.of.take() else { return };
        let now = Instant::now();
        let mut taken = tenants.lock();
        if let Some(entry) = taken.by_tenant.get_mut(&tenant) {
            entry.in_hand -= 1;
            if entry.in_hand == 0 && entry.bucket.as_mut().is_none_or(|bucket| bucket.is_full(now)) {
                taken.by_tenant.remove(&tenant);
            }
        }
        for freed in taken.waiting.drain(..) {
            freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_busy_tenant_leaves_room_for_another_and_who_waits_is_woken() {
        let tenants = Tenants::new(QueueLimit { in_flight_max: 1, rate_per_minute: 0 });
        let other = TenantId::parse("other").expect("a name");
        let freed = Arc::new(Notify::new());
        let first = tenants.try_take(&TenantId::default(), &freed).expect("a place");
        assert!(tenants.try_take(&TenantId::default(), &freed).is_none());
        assert_eq!(tenants.full(), [TenantId::default()]);
        assert!(tenants.try_take(&other, &freed).is_some());
        drop(first);
        freed.notified().await;
        assert!(tenants.full().is_empty());
    }

    #[tokio::test]
    async fn another_limit_holds_from_here_on_and_wakes_who_waits() {
        let tenants = Tenants::default();
        let (one, freed) = (TenantId::default(), Arc::new(Notify::new()));
        let uncounted = tenants.try_take(&one, &freed).expect("nobody is bounded");
        tenants.set_limit(QueueLimit { in_flight_max: 1, rate_per_minute: 0 });
        drop(uncounted);
        let counted = tenants.try_take(&one, &freed).expect("the first that counts");
        assert!(tenants.try_take(&one, &freed).is_none());
        tenants.set_limit(QueueLimit { in_flight_max: 2, rate_per_minute: 0 });
        freed.notified().await;
        assert!(tenants.try_take(&one, &freed).is_some());
        tenants.set_limit(QueueLimit::default());
        drop(counted);
        assert!(tenants.full().is_empty());
    }
}
