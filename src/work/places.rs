//! Places: how much may be in hand at once and how fast, in all, per queue and per tenant, and whether a queue's party is
//! worth asking at all.
//!
//! A breaker stands on a party: on each queue alone where that is a party of its own, or on every queue below a name where
//! all of them lead to the same one. While a party is held back, none of its queues has a place, known here or not.
//!
//! **Owns** the counts, the rates and the breakers; a [`Place`] gives itself back when it is dropped, and if somebody was
//! turned away meanwhile the claim loop is woken. All of it outlives the worker that uses it, so that a worker which
//! crashes and starts again does not take more at once than it may, while what was in hand goes on.
//! **Limits**: they are this process's; several processes have as many shares.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// In all, to begin with.
    pub total_max: usize,
    pub breaker: BreakerConfig,
    /// Whom the work of a queue asks: the queue itself, or the part of its name that ends in the slash below which all queues
    /// ask the same party.
    pub party_of: fn(&str) -> &str,
}

/// The places of one worker; clones are the same places.
#[derive(Clone)]
pub struct Places {
    inner: Arc<Inner>,
}

struct Inner {
    tenants: Tenants,
    taken: Mutex<Taken>,
    freed: Arc<Notify>,
}

struct Taken {
    /// By what all of it is bounded; a reload may bound it otherwise.
    limits: Limits,
    by_queue: HashMap<String, Entry>,
    /// Of the parties that did not answer lately, by their names.
    breakers: HashMap<String, Breaker>,
    total: usize,
    total_max: usize,
    /// Where the places of several workers are added up.
    counted_in: Option<Arc<AtomicU64>>,
    /// Somebody found no place, or the claim loop left rows behind.
    somebody_waits: bool,
}

/// A queue in which something is in hand or was lately.
struct Entry {
    in_hand: usize,
    in_flight_max: usize,
    bucket: Option<Bucket>,
}

/// One thing in hand.
pub struct Place {
    places: Places,
    queue: String,
    _tenant: Option<TenantPlace>,
}

/// How a queue stands in this process, or a party of several queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub queue: String,
    /// On whom its breaker stands.
    pub party: String,
    pub in_hand: usize,
    pub breaker: BreakerState,
    /// Failures in a row.
    pub failures: u32,
}

/// What resizing came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resized {
    pub before: usize,
    /// More than there are places now, until what is too much has ended.
    pub in_hand: usize,
}

/// The party of queues each of which leads to one of its own.
pub fn each_its_own(queue: &str) -> &str {
    queue
}

/// The party of queues whose names say it in their first two parts: `analysis/vendor/` of `analysis/vendor/tenant/company`.
pub fn of_two_parts(queue: &str) -> &str {
    let second = queue.match_indices('/').nth(1);
    second.map_or(queue, |(slash, _)| &queue[..=slash])
}

impl Limits {
    /// The same bounds for every queue, each with a party of its own.
    pub fn uniform(per_queue: QueueLimit, total_max: usize, breaker: BreakerConfig) -> Self {
        Self { per_queue, queues: BTreeMap::new(), total_max, breaker, party_of: each_its_own }
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
        let taken = Taken {
            total_max: limits.total_max,
            limits,
            by_queue: HashMap::new(),
            breakers: HashMap::new(),
            total: 0,
            counted_in: None,
            somebody_waits: false,
        };
        Self { inner: Arc::new(Inner { tenants, taken: Mutex::new(taken), freed }) }
    }

    /// Adds these places to a sum, which follows them from here on.
    pub fn count_in(&self, sum: &Arc<AtomicU64>) {
        let mut taken = self.lock();
        sum.fetch_add(taken.total_max as u64, Ordering::Relaxed);
        taken.counted_in = Some(sum.clone());
    }

    /// Has more or fewer places from here on. What is in hand goes on.
    pub fn resize(&self, total_max: usize) -> Resized {
        let mut taken = self.lock();
        let before = std::mem::replace(&mut taken.total_max, total_max);
        if let Some(sum) = &taken.counted_in {
            // Taken away first, the sum is short for a moment and never less than nothing.
            sum.fetch_sub(before as u64, Ordering::Relaxed);
            sum.fetch_add(total_max as u64, Ordering::Relaxed);
        }
        if total_max > before {
            self.inner.freed.notify_one();
        }
        Resized { before, in_hand: taken.total }
    }

    /// Is bounded otherwise from here on. What is in hand goes on and counts; who asks whom stays as it is. A number of places that
    /// an operator has chosen stays too, unless it is the one that is set anew.
    pub fn set_limits(&self, limits: Limits) {
        let total_max = limits.total_max;
        let before = {
            let (now, mut taken) = (Instant::now(), self.lock());
            for (queue, entry) in &mut taken.by_queue {
                entry.bound(limits.of(queue), now);
            }
            let party_of = taken.limits.party_of;
            std::mem::replace(&mut taken.limits, Limits { party_of, ..limits })
        };
        if before.total_max != total_max {
            self.resize(total_max);
        }
        self.inner.freed.notify_one();
    }

    /// What bounds a queue.
    pub fn limit_of(&self, queue: &str) -> QueueLimit {
        self.lock().limits.of(queue)
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
        if taken.total >= taken.total_max || taken.free_in(queue, now) == 0 {
            taken.somebody_waits = true;
            return None;
        }
        let of_tenant = tenant.map(|tenant| self.inner.tenants.try_take(tenant, &self.inner.freed));
        if let Some(None) = of_tenant {
            taken.somebody_waits = true;
            return None;
        }
        taken.total += 1;
        taken.entry(queue, now).take(now);
        let party = (taken.limits.party_of)(queue);
        if let Some(breaker) = taken.breakers.get_mut(party) {
            breaker.asked();
        }
        Some(Place { places: self.clone(), queue: queue.to_owned(), _tenant: of_tenant.flatten() })
    }

    /// Notes what an attempt in `queue` says about the party behind it.
    pub fn report(&self, queue: &str, verdict: Verdict) {
        let now = Instant::now();
        let mut taken = self.lock();
        let party = (taken.limits.party_of)(queue);
        if verdict == Verdict::Answered && !taken.breakers.contains_key(party) {
            return;
        }
        if party == queue {
            // Its row among the queues stays for as long as its breaker does.
            taken.entry(queue, now);
        }
        let Taken { breakers, limits, .. } = &mut *taken;
        let breaker = breakers.entry(party.to_owned()).or_default();
        let before = breaker.state();
        breaker.heard(verdict, now, &limits.breaker);
        let (after, failures) = (breaker.state(), breaker.failures());
        if failures == 0 {
            taken.breakers.remove(party);
        }
        match (before, after) {
            (BreakerState::Closed, BreakerState::Open { until }) => {
                let wait = until.saturating_duration_since(now);
                warn!(party, failures, ?wait, "breaker opened: nothing more is asked until then");
            }
            (BreakerState::Open { .. } | BreakerState::HalfOpen, BreakerState::Closed) => {
                info!(party, "breaker closed");
                // What waited behind it is due all along.
                self.inner.freed.notify_one();
            }
            _ => {}
        }
    }

    /// Places free in all.
    pub fn free(&self) -> usize {
        let taken = self.lock();
        taken.total_max.saturating_sub(taken.total)
    }

    /// Things in hand.
    pub fn in_hand(&self) -> usize {
        self.lock().total
    }

    /// Places there are in all.
    pub fn total_max(&self) -> usize {
        self.lock().total_max
    }

    /// The queues that have fewer places free than [`Self::free_by_default`] or a limit of their own, with those places. Queues
    /// of which nothing is known here may have none either: see [`Self::held_back`].
    pub fn busy(&self) -> Vec<(String, i64)> {
        let now = Instant::now();
        let mut taken = self.lock();
        let Taken { by_queue, breakers, limits, .. } = &mut *taken;
        by_queue.retain(|queue, entry| breakers.contains_key(queue) || !entry.is_as_new(now));
        let of_their_own = limits.queues.keys().filter(|queue| !by_queue.contains_key(*queue));
        let untouched: Vec<(String, i64)> = of_their_own
            .map(|queue| (queue.clone(), count(Entry::new(limits.of(queue), now).free(now))))
            .collect();
        let free_of = |(queue, entry): (&String, &mut Entry)| {
            let by_party = free_of_party(breakers, limits, queue, now);
            (queue.clone(), count(entry.free(now).min(by_party)))
        };
        by_queue.iter_mut().map(free_of).chain(untouched).collect()
    }

    /// The parties of several queues that are not asked freely now, by the beginnings of their queues' names, in order; with
    /// how much may be asked of each.
    pub fn held_back(&self) -> Vec<(String, usize)> {
        let now = Instant::now();
        let taken = self.lock();
        let wide = taken.breakers.iter().filter(|(party, _)| is_wide(party));
        let mut held: Vec<(String, usize)> =
            wide.filter_map(|(party, breaker)| Some((party.clone(), breaker.free(now)?))).collect();
        held.sort_unstable();
        held
    }

    /// Tenants of whom nothing more may be taken now.
    pub fn tenants_full(&self) -> Vec<TenantId> {
        self.inner.tenants.full()
    }

    /// Places in a queue of which nothing is in hand.
    pub fn free_by_default(&self) -> i64 {
        let now = Instant::now();
        count(Entry::new(self.lock().limits.per_queue, now).free(now))
    }

    /// When a rate or a breaker next lets something through that it does not now.
    pub fn next_opening(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut taken = self.lock();
        let Taken { by_queue, breakers, limits, .. } = &mut *taken;
        let opening = |(queue, entry): (&String, &mut Entry)| {
            let by_rate = entry.next_opening(now);
            let by_party = breakers.get((limits.party_of)(queue)).and_then(|breaker| opens_at(breaker, now));
            by_party.map(|until| by_rate.map_or(until, |by_rate| until.max(by_rate))).or(by_rate)
        };
        let of_queues = by_queue.iter_mut().filter_map(opening).min();
        let wide = breakers.iter().filter(|(party, _)| is_wide(party));
        let of_parties = wide.filter_map(|(_, breaker)| opens_at(breaker, now)).min();
        of_queues.into_iter().chain(of_parties).chain(self.inner.tenants.next_opening()).min()
    }

    /// Has the claim loop woken when the next place becomes free.
    pub fn wake_me(&self) {
        self.lock().somebody_waits = true;
    }

    /// The queues in which something is in hand, or whose party did not answer lately; and the parties of several queues that
    /// did not, each under its own name.
    pub fn standings(&self) -> Vec<Standing> {
        let taken = self.lock();
        let limits = &taken.limits;
        let standing = |queue: &str, in_hand: usize| {
            let party = (limits.party_of)(queue);
            let breaker = taken.breakers.get(party).copied().unwrap_or_default();
            let (state, failures) = (breaker.state(), breaker.failures());
            Standing { queue: queue.to_owned(), party: party.to_owned(), in_hand, breaker: state, failures }
        };
        let wide = taken.breakers.keys().filter(|party| is_wide(party));
        let of_parties = wide.map(|party| standing(party, taken.in_hand_of(party)));
        let of_queues = taken.by_queue.iter().map(|(queue, entry)| standing(queue, entry.in_hand));
        of_queues.chain(of_parties).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.inner.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn entry(&mut self, queue: &str, now: Instant) -> &mut Entry {
        if !self.by_queue.contains_key(queue) {
            self.by_queue.insert(queue.to_owned(), Entry::new(self.limits.of(queue), now));
        }
        self.by_queue.get_mut(queue).expect("it was inserted above")
    }

    fn free_in(&mut self, queue: &str, now: Instant) -> usize {
        let by_party = free_of_party(&self.breakers, &self.limits, queue, now);
        self.entry(queue, now).free(now).min(by_party)
    }

    /// What is in hand of a party's.
    fn in_hand_of(&self, party: &str) -> usize {
        let of_party = self.by_queue.iter().filter(|(queue, _)| (self.limits.party_of)(queue) == party);
        of_party.map(|(_, entry)| entry.in_hand).sum()
    }

    /// One thing less is in hand.
    fn give_back(&mut self, queue: &str, now: Instant) {
        self.total -= 1;
        let Some(entry) = self.by_queue.get_mut(queue) else { return };
        entry.in_hand -= 1;
        let party = (self.limits.party_of)(queue);
        if self.breakers.contains_key(party) && self.in_hand_of(party) == 0 {
            self.breakers.entry(party.to_owned()).and_modify(|breaker| breaker.nothing_under_way(now));
        }
        let keeps_breaker = self.breakers.contains_key(queue);
        if !keeps_breaker && self.by_queue.get_mut(queue).is_some_and(|entry| entry.is_as_new(now)) {
            self.by_queue.remove(queue);
        }
    }
}

impl Entry {
    fn new(limit: QueueLimit, now: Instant) -> Self {
        let bucket = Bucket::of_limit(limit, now);
        Self { in_hand: 0, in_flight_max: limit.in_flight_max as usize, bucket }
    }

    fn bound(&mut self, limit: QueueLimit, now: Instant) {
        self.in_flight_max = limit.in_flight_max as usize;
        self.bucket = Bucket::of_limit_after(self.bucket, limit, now);
    }

    fn free(&mut self, now: Instant) -> usize {
        let by_rate = self.bucket.as_mut().map_or(usize::MAX, |bucket| bucket.free(now));
        self.in_flight_max.saturating_sub(self.in_hand).min(by_rate)
    }

    fn take(&mut self, now: Instant) {
        self.in_hand += 1;
        if let Some(bucket) = &mut self.bucket {
            bucket.take(now);
        }
    }

    fn is_as_new(&mut self, now: Instant) -> bool {
        let is_rested = self.bucket.as_mut().is_none_or(|bucket| bucket.is_full(now));
        self.in_hand == 0 && is_rested
    }

    fn next_opening(&mut self, now: Instant) -> Option<Instant> {
        self.bucket.as_mut().and_then(|bucket| bucket.next(now))
    }
}

/// Whether a party stands behind every queue below its name.
fn is_wide(party: &str) -> bool {
    party.ends_with('/')
}

/// How much may be asked of a queue's party, as far as its breaker bounds that.
fn free_of_party(breakers: &HashMap<String, Breaker>, limits: &Limits, queue: &str, now: Instant) -> usize {
    let breaker = breakers.get((limits.party_of)(queue));
    breaker.and_then(|breaker| breaker.free(now)).unwrap_or(usize::MAX)
}

fn opens_at(breaker: &Breaker, now: Instant) -> Option<Instant> {
    match breaker.state() {
        BreakerState::Open { until } if until > now => Some(until),
        _ => None,
    }
}

fn count(places: usize) -> i64 {
    i64::try_from(places).unwrap_or(i64::MAX)
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.give_back(&self.queue, Instant::now());
        if std::mem::take(&mut taken.somebody_waits) {
            self.places.inner.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
