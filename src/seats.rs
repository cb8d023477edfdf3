//! Seats: so many in all, and so many of each holder, given back when they are dropped.
//!
//! **Owns** the count of each holder, and nothing of one who has none left. **Fails** by giving none; nobody waits for one.
//! **Limits**: [`Bounds`]. They may change while seats are taken: whoever has one keeps it, and where they became fewer the next is
//! given once there is room again.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many seats there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Of all holders together.
    pub all: usize,
    /// Of each of them.
    pub each: usize,
}

impl Bounds {
    /// So many, whoever has them.
    pub const fn of_all(max: usize) -> Self {
        Self { all: max, each: max }
    }
}

/// Seats of holders that `K` tells apart; clones are the same seats.
pub struct Seats<K: Copy + Eq + Hash> {
    inner: Arc<Mutex<Inner<K>>>,
}

struct Inner<K> {
    bounds: Bounds,
    all: usize,
    of_each: HashMap<K, usize>,
}

/// A seat that is taken.
pub struct Seat<K: Copy + Eq + Hash> {
    seats: Seats<K>,
    holder: K,
}

impl<K: Copy + Eq + Hash> Clone for Seats<K> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<K: Copy + Eq + Hash> Seats<K> {
    /// As many seats as this, all of them free.
    pub fn new(bounds: Bounds) -> Self {
        Self { inner: Arc::new(Mutex::new(Inner { bounds, all: 0, of_each: HashMap::new() })) }
    }

    /// From here on there are so many.
    pub fn set_bounds(&self, bounds: Bounds) {
        self.lock().bounds = bounds;
    }

    /// One for this holder; nothing where there is none.
    pub fn take(&self, holder: K) -> Option<Seat<K>> {
        let mut inner = self.lock();
        let own = inner.of_each.get(&holder).copied().unwrap_or(0);
        if own >= inner.bounds.each || inner.all >= inner.bounds.all {
            return None;
        }
        inner.all += 1;
        inner.of_each.insert(holder, own + 1);
        Some(Seat { seats: self.clone(), holder })
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K>> {
        // Each holder of the lock counts by one, which a panic cannot leave half done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash> Drop for Seat<K> {
    fn drop(&mut self) {
        let mut inner = self.seats.lock();
        inner.all -= 1;
        if let Some(own) = inner.of_each.get_mut(&self.holder) {
            *own -= 1;
            if *own == 0 {
                inner.of_each.remove(&self.holder);
            }
        }
    }
}

/// Who is at the other end, as far as an address tells: whoever has one address of IPv6 has a network of them, a /64 as a rule
/// (RFC 6177), and counts as one.
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_has_so_many_and_leaves_the_others_theirs() {
        let seats = Seats::new(Bounds { all: 3, each: 2 });
        let first = seats.take("greedy").expect("a seat");
        let second = seats.take("greedy").expect("another");
        assert!(seats.take("greedy").is_none(), "two of one");
        let other = seats.take("other").expect("a seat");
        assert!(seats.take("third").is_none(), "three in all");
        drop(first);
        let again = seats.take("greedy").expect("one was given back");
        drop((second, other, again));
        assert!(seats.lock().of_each.is_empty(), "nothing is kept of those who have gone");
        assert_eq!(seats.lock().all, 0);
    }

    #[test]
    fn who_has_a_seat_keeps_it_when_they_become_fewer() {
        let seats = Seats::new(Bounds::of_all(2));
        let (first, second) = (seats.take(()).expect("a seat"), seats.take(()).expect("a seat"));
        seats.set_bounds(Bounds::of_all(1));
        drop(first);
        assert!(seats.take(()).is_none(), "the second is still taken");
        drop(second);
        let only = seats.take(()).expect("the one that there is");
        assert!(seats.take(()).is_none());
        seats.set_bounds(Bounds::of_all(2));
        assert!(seats.take(()).is_some(), "one more at once");
        drop(only);
    }

    #[test]
    fn a_network_of_addresses_counts_as_one() {
        let address = |text: &str| -> IpAddr { text.parse().unwrap() };
        assert_eq!(subscriber(address("2001:db8::1")), subscriber(address("2001:db8::ffff:1")));
        assert_ne!(subscriber(address("2001:db8::1")), subscriber(address("2001:db8:0:1::1")));
        assert_eq!(subscriber(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    }
}
