//! How often one address may ask.
//!
//! **Owns** a fixed number of buckets, so that memory stays flat whoever asks: addresses that fall into one share it, and
//! which ones do nobody outside can tell. **Fails** with the time to wait.
//! **Limits**: [`BUCKETS`]; an IPv6 network of 64 bits, which one subscriber has, counts as one address.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::seats::subscriber;
use crate::work::rate::Bucket;

const BUCKETS: usize = 4_096;

/// The buckets of one listener.
pub struct Rates {
    per_second: u32,
    hasher: RandomState,
    buckets: Mutex<Vec<Option<Bucket>>>,
}

impl Rates {
    /// So many requests a second, and a second's worth at once; 0 for as many as come.
    pub fn new(per_second: u32) -> Self {
        Self { per_second, hasher: RandomState::new(), buckets: Mutex::new(vec![None; BUCKETS]) }
    }

    /// Takes one request of an address.
    ///
    /// # Errors
    /// How long it has to wait.
    pub fn take(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        if self.per_second == 0 {
            return Ok(());
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let place = self.hasher.hash_one(subscriber(address)) % (BUCKETS as u64);
        // The remainder is below the number of buckets, so the place is one of them.
        let slot = usize::try_from(place).ok().and_then(|place| buckets.get_mut(place));
        let Some(slot) = slot else { return Ok(()) };
        let bucket = slot.get_or_insert_with(|| Bucket::new(f64::from(self.per_second), now));
        if bucket.free(now) == 0 {
            let next = bucket.next(now).unwrap_or(now);
            return Err(next.saturating_duration_since(now));
        }
        bucket.take(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_that_asks_too_often_is_told_how_long_to_wait() {
        let (rates, start) = (Rates::new(2), Instant::now());
        let one = address("192.0.2.1");
        assert_eq!((rates.take(one, start), rates.take(one, start)), (Ok(()), Ok(())));
        let wait = rates.take(one, start).expect_err("a third within a second");
        assert!(wait <= Duration::from_millis(501), "{wait:?}");
        assert_eq!(rates.take(one, start + wait), Ok(()));
        // Of so many others, none that has asked nothing yet waits; one may fall into the same bucket.
        let others = (1..=20).map(|last| address(&format!("198.51.100.{last}")));
        assert!(others.filter(|other| rates.take(*other, start).is_err()).count() <= 1);
    }

    #[test]
    fn nothing_is_counted_without_a_bound() {
        let (rates, now) = (Rates::new(0), Instant::now());
        assert!((0..1_000).all(|_| rates.take(address("192.0.2.1"), now).is_ok()));
    }
}
