//! Whose tokens were looked up and found to hold.
//!
//! **Owns** the entries. **Fails** never: what is not here is looked up. **Limits**: as many entries as it is told; when they are full,
//! the one that was used longest ago goes. One that nobody has used for as long as it is trusted goes too.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use uuid::Uuid;

use crate::caller::Caller;
use crate::domain::token::{SecretHash, TokenPrefix};

/// Uses of a token are written down so often at most.
const USES_EVERY: Duration = Duration::from_secs(60);
/// And so many at a time.
const USES_MAX: usize = 64;

/// The hash of a whole token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenKey(pub [u8; 32]);

/// Of use to nobody, and shown to nobody all the same.
impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(***)")
    }
}

/// A token that was found to hold.
#[derive(Debug)]
pub struct Entry {
    pub token_id: Uuid,
    pub caller: Arc<Caller>,
    pub prefix: TokenPrefix,
    pub hash: SecretHash,
    pub key: TokenKey,
    pub expires_at: DateTime<Utc>,
    /// How many revocations there had been when it was looked up, and when that was.
    revision: i64,
    seen_at: Instant,
    last_used_us: AtomicI64,
    has_news: AtomicBool,
    written_at: Mutex<Option<Instant>>,
}

impl Entry {
    pub fn new(
        token_id: Uuid,
        caller: Arc<Caller>,
        prefix: TokenPrefix,
        hash: SecretHash,
        key: TokenKey,
        expires_at: DateTime<Utc>,
    ) -> Self {
        Self {
            token_id,
            caller,
            prefix,
            hash,
            key,
            expires_at,
            revision: 0,
            seen_at: Instant::now(),
            last_used_us: AtomicI64::new(0),
            has_news: AtomicBool::new(false),
            written_at: Mutex::new(None),
        }
    }

    pub fn seen(mut self, revision: i64, at: Instant) -> Self {
        (self.revision, self.seen_at) = (revision, at);
        self
    }

    /// Notes a use.
    pub fn used(&self, now: DateTime<Utc>) {
        self.last_used_us.store(now.timestamp_micros(), Ordering::Relaxed);
        self.has_news.store(true, Ordering::Relaxed);
    }
}

/// Who is known.
pub struct Known {
    max: usize,
    trust: Duration,
    inner: Mutex<Inner>,
}

struct Inner {
    entries: HashMap<TokenKey, Arc<Entry>>,
    /// The revocations that were counted last, and when that was asked.
    confirmed: Option<(i64, Instant)>,
}

impl Known {
    pub fn new(max: usize, trust: Duration) -> Self {
        Self { max, trust, inner: Mutex::new(Inner { entries: HashMap::new(), confirmed: None }) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry of a token, if it may still be trusted.
    pub fn get(&self, key: &TokenKey, now: Instant, by_the_store: DateTime<Utc>) -> Option<Arc<Entry>> {
        let inner = self.lock();
        let entry = inner.entries.get(key)?;
        let confirmed = match inner.confirmed {
            Some((revision, _)) if revision > entry.revision => return None,
            Some((_, at)) => entry.seen_at.max(at),
            None => entry.seen_at,
        };
        let holds = by_the_store < entry.expires_at && now.duration_since(confirmed) < self.trust;
        holds.then(|| entry.clone())
    }

    /// Keeps what was looked up just now.
    pub fn keep(&self, entry: Entry) -> Arc<Entry> {
        let entry = Arc::new(entry);
        let mut inner = self.lock();
        if let Some(before) = inner.entries.get(&entry.key) {
            // When uses of it were written last is as true as before.
            let written_at = *before.written_at.lock().unwrap_or_else(PoisonError::into_inner);
            *entry.written_at.lock().unwrap_or_else(PoisonError::into_inner) = written_at;
        } else if inner.entries.len() >= self.max {
            let oldest =
                inner.entries.values().min_by_key(|entry| entry.last_used_us.load(Ordering::Relaxed));
            if let Some(oldest) = oldest.map(|entry| entry.key) {
                inner.entries.remove(&oldest);
            }
        }
        inner.entries.insert(entry.key, entry.clone());
        entry
    }

    pub fn forget(&self, key: &TokenKey) {
        self.lock().entries.remove(key);
    }

    pub fn is_empty(&self) -> bool {
        self.lock().entries.is_empty()
    }

    /// Takes a count of the revocations over; true when it has grown, so that everybody has to be looked up again.
    pub fn confirm(&self, revision: i64, asked_at: Instant) -> bool {
        let mut inner = self.lock();
        let has_grown = inner.entries.values().any(|entry| entry.revision < revision)
            || inner.confirmed.is_some_and(|(before, _)| before < revision);
        inner.confirmed = Some((revision, asked_at));
        has_grown
    }

    /// The uses that are to be written down now; whoever was not here for long is forgotten by the way.
    pub fn take_uses(&self, now: Instant) -> Vec<(Uuid, DateTime<Utc>)> {
        let mut inner = self.lock();
        let mut uses = Vec::new();
        inner.entries.retain(|_, entry| {
            let mut written_at = entry.written_at.lock().unwrap_or_else(PoisonError::into_inner);
            let is_due = written_at.is_none_or(|at| now.duration_since(at) >= USES_EVERY);
            if is_due && uses.len() < USES_MAX && entry.has_news.swap(false, Ordering::Relaxed) {
                *written_at = Some(now);
                let at = DateTime::from_timestamp_micros(entry.last_used_us.load(Ordering::Relaxed));
                uses.extend(at.map(|at| (entry.token_id, at)));
            }
            // A use that was just written keeps it: the next one must not be written a moment later.
            entry.has_news.load(Ordering::Relaxed) || !is_due || *written_at == Some(now)
        });
        uses
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access::Scopes;
    use crate::domain::ids::TenantId;

    const TRUST: Duration = Duration::from_secs(30);

    fn entry(number: u8, revision: i64, at: Instant) -> Entry {
        let caller =
            Caller { tenant_id: TenantId::default(), name: "token:x".to_owned(), scopes: Scopes::default() };
        let prefix = TokenPrefix::parse("0123456789ab").unwrap();
        let expires_at = DateTime::from_timestamp(1_000, 0).unwrap();
        Entry::new(
            Uuid::now_v7(),
            Arc::new(caller),
            prefix,
            SecretHash([number; 32]),
            TokenKey([number; 32]),
            expires_at,
        )
        .seen(revision, at)
    }

    fn second(number: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(number, 0).unwrap()
    }

    #[test]
    fn a_token_is_trusted_until_it_ends_is_revoked_or_nobody_could_look() {
        let (known, began) = (Known::new(2, TRUST), Instant::now());
        let key = known.keep(entry(1, 4, began)).key;
        assert!(known.get(&key, began, second(999)).is_some());
        assert!(known.get(&key, began, second(1_000)).is_none(), "it has ended");
        assert!(known.get(&key, began + TRUST, second(1)).is_none(), "nobody has looked for too long");
        assert!(!known.confirm(4, began + TRUST));
        assert!(known.get(&key, began + TRUST, second(1)).is_some(), "nothing was revoked");
        assert!(known.confirm(5, began + TRUST));
        assert!(known.get(&key, began + TRUST, second(1)).is_none(), "something was");
        known.keep(entry(1, 5, began + TRUST));
        assert!(known.get(&key, began + TRUST, second(1)).is_some(), "it was not this one");
    }

    #[test]
    fn the_one_that_was_used_longest_ago_makes_room() {
        let (known, began) = (Known::new(2, TRUST), Instant::now());
        let first = known.keep(entry(1, 0, began));
        let other = known.keep(entry(2, 0, began));
        first.used(second(20));
        other.used(second(10));
        known.keep(entry(3, 0, began));
        assert!(known.get(&first.key, began, second(30)).is_some());
        assert!(known.get(&other.key, began, second(30)).is_none());
    }

    #[test]
    fn uses_are_written_once_a_minute_and_who_stays_away_is_forgotten() {
        let (known, began) = (Known::new(2, TRUST), Instant::now());
        let entry = known.keep(entry(1, 0, began));
        entry.used(second(7));
        assert_eq!(known.take_uses(began), [(entry.token_id, second(7))]);
        entry.used(second(9));
        assert_eq!(known.take_uses(began + USES_EVERY / 2), []);
        assert_eq!(known.take_uses(began + USES_EVERY), [(entry.token_id, second(9))]);
        assert_eq!(known.take_uses(began + USES_EVERY * 2), []);
        assert!(known.is_empty());
    }
}
