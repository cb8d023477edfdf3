//! Places: how much may be in hand at once and how fast, in all, per queue and per tenant, and whether a queue's party is
//! worth asking at all.
//!
//! **Owns** the counts, the rates and the breakers; a [`Place`] gives itself back when it is dropped, and if somebody was
//! turned away meanwhile the claim loop is woken. All of it outlives the worker that uses it, so that a worker which
//! crashes and starts again does not take more at once than it may, while what was in hand goes on.
//! **Limits**: they are this process's; several processes have as many shares.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{info, warn};

use super::breaker::{Breaker, BreakerConfig, BreakerState, Verdict};
use super::config::QueueLimit;
use super::rate::Bucket;
use super::tenants::{TenantPlace, Tenants};
use crate::domain::ids::TenantId;

/// What bounds one worker.
#[derive(Debug, Clone)]
pub struct Limits {
    /// For each queue that is not named below.
    pub per_queue: QueueLimit,
    /// For queues that have a limit of their own, by name.
    pub queues: BTreeMap<String, QueueLimit>,
    /// In all.
    pub total_max: usize,
    pub breaker: BreakerConfig,
}

/// The places of one worker; clones are the same places.
#[derive(Clone)]
pub struct Places {
    inner: Arc<Inner>,
}

struct Inner {
    limits: Limits,
    tenants: Tenants,
    taken: Mutex<Taken>,
    freed: Arc<Notify>,
}

#[derive(Default)]
struct Taken {
    by_queue: HashMap<String, Entry>,
    total: usize,
    /// Somebody found no place, or the claim loop left rows behind.
    somebody_waits: bool,
}

/// A queue in which something is in hand or was lately.
struct Entry {
    in_hand: usize,
    in_flight_max: usize,
    bucket: Option<Bucket>,
    breaker: Breaker,
}

/// One thing in hand.
pub struct Place {
    places: Places,
    queue: String,
    _tenant: Option<TenantPlace>,
}

/// How a queue stands in this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub queue: String,
    pub in_hand: usize,
    pub breaker: BreakerState,
    /// Failures in a row.
    pub failures: u32,
}

impl Limits {
    /// The same bounds for every queue.
    pub fn uniform(per_queue: QueueLimit, total_max: usize, breaker: BreakerConfig) -> Self {
        Self { per_queue, queues: BTreeMap::new(), total_max, breaker }
    }

    fn of(&self, queue: &str) -> QueueLimit {
        let (own, others) = (self.queues.get(queue).copied().unwrap_or_default(), self.per_queue);
        let own_or = |own: u32, others: u32| if own == 0 { others } else { own };
        QueueLimit {
            in_flight_max: own_or(own.in_flight_max, others.in_flight_max),
            rate_per_minute: own_or(own.rate_per_minute, others.rate_per_minute),
        }
    }
}

impl Places {
    /// Places, all free. `freed` is signalled when a place becomes free that somebody waits for.
    pub fn new(limits: Limits, tenants: Tenants, freed: Arc<Notify>) -> Self {
        Self { inner: Arc::new(Inner { limits, tenants, taken: Mutex::default(), freed }) }
    }

    /// Takes a place in `queue` for `tenant` if there is one now.
    pub fn try_take(&self, queue: &str, tenant: &TenantId) -> Option<Place> {
        self.try_take_for(queue, Some(tenant))
    }

    /// Takes a place in `queue`, if there is one now, for a part of what has its tenant's place already.
    pub fn try_take_within(&self, queue: &str) -> Option<Place> {
        self.try_take_for(queue, None)
    }

    fn try_take_for(&self, queue: &str, tenant: Option<&TenantId>) -> Option<Place> {
        let now = Instant::now();
        let mut taken = self.lock();
        if taken.total >= self.inner.limits.total_max
            || taken.entry(queue, &self.inner.limits, now).free(now) == 0
        {
            taken.somebody_waits = true;
            return None;
        }
        let of_tenant = tenant.map(|tenant| self.inner.tenants.try_take(tenant, &self.inner.freed));
        if let Some(None) = of_tenant {
            taken.somebody_waits = true;
            return None;
        }
        taken.total += 1;
        taken.entry(queue, &self.inner.limits, now).take(now);
        Some(Place { places: self.clone(), queue: queue.to_owned(), _tenant: of_tenant.flatten() })
    }

    /// Notes what an attempt in `queue` says about the party behind it.
    pub fn report(&self, queue: &str, verdict: Verdict) {
        let now = Instant::now();
        let mut taken = self.lock();
        let entry = taken.entry(queue, &self.inner.limits, now);
        let before = entry.breaker.state();
        entry.breaker.heard(verdict, now, &self.inner.limits.breaker);
        let failures = entry.breaker.failures();
        match (before, entry.breaker.state()) {
            (BreakerState::Closed, BreakerState::Open { until }) => {
                let wait = until.saturating_duration_since(now);
                warn!(queue, failures, ?wait, "breaker opened: nothing more is asked until then");
            }
            (BreakerState::Open { .. } | BreakerState::HalfOpen, BreakerState::Closed) => {
                info!(queue, "breaker closed");
                // What waited behind it is due all along.
                self.inner.freed.notify_one();
            }
            _ => {}
        }
    }

    /// Places free in all.
    pub fn free(&self) -> usize {
        self.inner.limits.total_max - self.lock().total
    }

    /// Things in hand.
    pub fn in_hand(&self) -> usize {
        self.lock().total
    }

    /// Places there are in all.
    pub fn total_max(&self) -> usize {
        self.inner.limits.total_max
    }

    /// The queues that have fewer places free than [`Self::free_by_default`] or a limit of their own, with those places.
    pub fn busy(&self) -> Vec<(String, i64)> {
        let now = Instant::now();
        let mut taken = self.lock();
        taken.by_queue.retain(|_, entry| !entry.is_as_new(now));
        let of_their_own =
            self.inner.limits.queues.keys().filter(|queue| !taken.by_queue.contains_key(*queue));
        let untouched: Vec<(String, i64)> = of_their_own
            .map(|queue| (queue.clone(), count(Entry::new(self.inner.limits.of(queue), now).free(now))))
            .collect();
        taken
            .by_queue
            .iter_mut()
            .map(|(queue, entry)| (queue.clone(), count(entry.free(now))))
            .chain(untouched)
            .collect()
    }

    /// Tenants of whom nothing more may be taken now.
    pub fn tenants_full(&self) -> Vec<TenantId> {
        self.inner.tenants.full()
    }

    /// Places in a queue of which nothing is in hand.
    pub fn free_by_default(&self) -> i64 {
        let now = Instant::now();
        count(Entry::new(self.inner.limits.per_queue, now).free(now))
    }

    /// When a rate or a breaker next lets something through that it does not now.
    pub fn next_opening(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut taken = self.lock();
        let of_queues = taken.by_queue.values_mut().filter_map(|entry| entry.next_opening(now)).min();
        of_queues.into_iter().chain(self.inner.tenants.next_opening()).min()
    }

    /// Has the claim loop woken when the next place becomes free.
    pub fn wake_me(&self) {
        self.lock().somebody_waits = true;
    }

    /// The queues in which something is in hand, or whose party did not answer lately.
    pub fn standings(&self) -> Vec<Standing> {
        let standing = |(queue, entry): (&String, &Entry)| Standing {
            queue: queue.clone(),
            in_hand: entry.in_hand,
            breaker: entry.breaker.state(),
            failures: entry.breaker.failures(),
        };
        self.lock().by_queue.iter().map(standing).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.inner.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn entry(&mut self, queue: &str, limits: &Limits, now: Instant) -> &mut Entry {
        if !self.by_queue.contains_key(queue) {
            self.by_queue.insert(queue.to_owned(), Entry::new(limits.of(queue), now));
        }
        self.by_queue.get_mut(queue).expect("it was inserted above")
    }
}

impl Entry {
    fn new(limit: QueueLimit, now: Instant) -> Self {
        let bucket =
            (limit.rate_per_minute > 0).then(|| Bucket::new(f64::from(limit.rate_per_minute) / 60.0, now));
        let in_flight_max = limit.in_flight_max as usize;
        Self { in_hand: 0, in_flight_max, bucket, breaker: Breaker::default() }
    }

    fn free(&mut self, now: Instant) -> usize {
        let by_rate = self.bucket.as_mut().map_or(usize::MAX, |bucket| bucket.free(now));
        let by_breaker = self.breaker.free(now).unwrap_or(usize::MAX);
        self.in_flight_max.saturating_sub(self.in_hand).min(by_rate).min(by_breaker)
    }

    fn take(&mut self, now: Instant) {
        self.in_hand += 1;
        self.breaker.asked();
        if let Some(bucket) = &mut self.bucket {
            bucket.take(now);
        }
    }

    fn is_as_new(&mut self, now: Instant) -> bool {
        let is_rested = self.bucket.as_mut().is_none_or(|bucket| bucket.is_full(now));
        self.in_hand == 0 && is_rested && self.breaker.failures() == 0
    }

    fn next_opening(&mut self, now: Instant) -> Option<Instant> {
        let by_rate = self.bucket.as_mut().and_then(|bucket| bucket.next(now));
        match self.breaker.state() {
            BreakerState::Open { until } if until > now => {
                Some(by_rate.map_or(until, |by_rate| until.max(by_rate)))
            }
            _ => by_rate,
        }
    }
}

fn count(places: usize) -> i64 {
    i64::try_from(places).unwrap_or(i64::MAX)
}

impl Drop for Place {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut taken = self.places.lock();
        taken.total -= 1;
        if let Some(entry) = taken.by_queue.get_mut(&self.queue) {
            entry.in_hand -= 1;
            if entry.in_hand == 0 {
                entry.breaker.nothing_under_way(now);
                if entry.is_as_new(now) {
                    taken.by_queue.remove(&self.queue);
                }
            }
        }
        if std::mem::take(&mut taken.somebody_waits) {
            self.places.inner.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn places(limits: Limits, freed: &Arc<Notify>) -> Places {
        Places::new(limits, Tenants::default(), freed.clone())
    }

    fn limits(in_flight_max: u32, rate_per_minute: u32, total_max: usize) -> Limits {
        let second = Duration::from_secs(1);
        let breaker = BreakerConfig { failures_max: 2, wait_base: second, wait_cap: second };
        Limits::uniform(QueueLimit { in_flight_max, rate_per_minute }, total_max, breaker)
    }

    fn take(places: &Places, queue: &str) -> Option<Place> {
        places.try_take(queue, &TenantId::default())
    }

    #[tokio::test]
    async fn a_full_queue_leaves_room_for_others_and_a_freed_place_wakes_who_waits() {
        let freed = Arc::new(Notify::new());
        let places = places(limits(2, 0, 3), &freed);
        let first = take(&places, "a").expect("a place");
        let _second = take(&places, "a").expect("a place");
        assert!(take(&places, "a").is_none());
        assert_eq!(places.busy(), [("a".to_owned(), 0)]);
        let _other = take(&places, "b").expect("a place");
        assert!(take(&places, "c").is_none(), "three in all");
        drop(first);
        freed.notified().await;
        assert_eq!(places.free(), 1);
        assert!(take(&places, "a").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_lets_a_second_worth_through_and_then_one_at_a_time() {
        let places = places(limits(100, 120, 100), &Arc::default());
        assert_eq!(places.free_by_default(), 2);
        drop((take(&places, "a").expect("a token"), take(&places, "a").expect("a token")));
        assert!(take(&places, "a").is_none(), "nothing is in hand, and the tokens are spent");
        assert_eq!(places.busy(), [("a".to_owned(), 0)]);
        assert!(take(&places, "b").is_some(), "another queue has its own");
        tokio::time::sleep_until(places.next_opening().expect("a token is on its way")).await;
        assert!(take(&places, "a").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_party_that_does_not_answer_holds_back_its_own_queue_until_a_probe_is_answered() {
        let freed = Arc::new(Notify::new());
        let places = places(limits(10, 0, 10), &freed);
        for _ in 0..2 {
            let place = take(&places, "bank").expect("a place");
            places.report("bank", Verdict::Failed);
            drop(place);
        }
        assert!(take(&places, "bank").is_none());
        assert!(take(&places, "other").is_some());
        tokio::time::sleep_until(places.next_opening().expect("a probe is due some time")).await;
        let probe = take(&places, "bank").expect("a probe");
        assert!(take(&places, "bank").is_none(), "one is enough");
        places.report("bank", Verdict::Answered);
        freed.notified().await;
        drop(probe);
        assert!(take(&places, "bank").is_some());
        assert!(places.standings().iter().all(|standing| standing.breaker == BreakerState::Closed));
    }

    #[test]
    fn a_queue_may_have_a_limit_of_its_own() {
        let mut limits = limits(5, 0, 10);
        limits.queues.insert("slow".to_owned(), QueueLimit { in_flight_max: 1, rate_per_minute: 0 });
        let places = places(limits, &Arc::default());
        assert_eq!(places.busy(), [("slow".to_owned(), 1)], "said to the claim before anything is in hand");
        let _one = take(&places, "slow").expect("a place");
        assert!(take(&places, "slow").is_none());
    }
}
