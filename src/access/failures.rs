//! How often each address has shown a token that was wrong.
//!
//! Nobody guesses 256 bits; what this keeps away is the load of trying, and the noise.
//!
//! **Owns** the counts, in memory only. **Fails** never. **Limits**: [`ADDRESSES_MAX`] addresses, of which the oldest make room; an
//! IPv6 network of 64 bits counts as one address, for one customer has all of it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::seats::subscriber;

const WINDOW: Duration = Duration::from_secs(60);
const ADDRESSES_MAX: usize = 4_096;

/// The counts.
pub struct Failures {
    per_minute_max: AtomicU32,
    counts: Mutex<HashMap<IpAddr, (u32, Instant)>>,
}

impl Failures {
    pub fn new(per_minute_max: u32) -> Self {
        Self { per_minute_max: AtomicU32::new(per_minute_max), counts: Mutex::default() }
    }

    /// From here on an address waits when it has so many.
    pub fn set_per_minute_max(&self, per_minute_max: u32) {
        self.per_minute_max.store(per_minute_max, Ordering::Relaxed);
    }

    /// Counts one. Whoever came without an address is no network's, and is not counted.
    pub fn note(&self, address: Option<IpAddr>, now: Instant) {
        let Some(address) = address.map(subscriber) else { return };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= ADDRESSES_MAX && !counts.contains_key(&address) {
            counts.retain(|_, (_, since)| now.duration_since(*since) < WINDOW);
            let oldest = counts.iter().min_by_key(|(_, (_, since))| *since).map(|(address, _)| *address);
            if let Some(oldest) = oldest.filter(|_| counts.len() >= ADDRESSES_MAX) {
                counts.remove(&oldest);
            }
        }
        let (count, since) = counts.entry(address).or_insert((0, now));
        if now.duration_since(*since) >= WINDOW {
            (*count, *since) = (0, now);
        }
        *count = count.saturating_add(1);
    }

    /// Whether an address has to wait.
    pub fn are_too_many(&self, address: Option<IpAddr>, now: Instant) -> bool {
        let Some(address) = address.map(subscriber) else { return false };
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let found = counts.get(&address);
        found.is_some_and(|(count, since)| {
            *count >= self.per_minute_max.load(Ordering::Relaxed) && now.duration_since(*since) < WINDOW
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_waits_for_its_minute_and_no_other_does() {
        let (failures, began) = (Failures::new(2), Instant::now());
        let one: Option<IpAddr> = "2001:db8::1".parse().ok();
        let neighbour: Option<IpAddr> = "2001:db8::2".parse().ok();
        let other: Option<IpAddr> = "192.0.2.1".parse().ok();
        failures.note(one, began);
        assert!(!failures.are_too_many(one, began));
        failures.note(neighbour, began);
        assert!(failures.are_too_many(one, began) && !failures.are_too_many(other, began));
        assert!(!failures.are_too_many(one, began + WINDOW));
        failures.note(one, began + WINDOW);
        assert!(!failures.are_too_many(one, began + WINDOW), "it is counted anew");
        failures.set_per_minute_max(1);
        assert!(failures.are_too_many(one, began + WINDOW), "from now on one is too many");
    }

    #[test]
    fn however_many_addresses_there_are_few_are_kept() {
        let (failures, began) = (Failures::new(1), Instant::now());
        for number in 0..2 * u32::try_from(ADDRESSES_MAX).unwrap() {
            failures.note(Some(IpAddr::from(number.to_be_bytes())), began);
        }
        assert_eq!(failures.counts.lock().unwrap().len(), ADDRESSES_MAX);
    }
}
