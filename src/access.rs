//! Who asks, and what they may do: tokens and certificates become callers, once for all faces of the house.
//!
//! A token is looked up when it is first presented and then known for a while. One count in the store grows with every revocation; it is
//! read every `access.check_interval` for as long as anybody is known, and whoever was known before it grew is looked up again. So a
//! revocation is felt in every process within a second, open streams included, at the price of one small read per interval.
//!
//! **Owns** who is known, in memory only: hashes of tokens, never the tokens. **Fails** closed, with [`Refusal`]: a token that cannot be
//! looked up because the store is away is not called wrong, and one that is known holds for `access.trust` and no longer.
//! **Limits**: `[access]`: tokens known at a time, failures of an address a minute; look-ups at a time ([`LOOK_UPS_MAX`]).

pub mod config;
pub mod descriptor;
mod failures;
mod known;
pub mod mint;
pub mod personal;
pub mod policy;
mod wire;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;
use tracing::{debug, warn};

use self::config::{AccessConfig, AccessMode};
use self::failures::Failures;
use self::known::{Entry, Known, TokenKey};
use crate::caller::Caller;
use crate::domain::access::Scopes;
use crate::domain::ids::TenantId;
use crate::domain::token::{ApiToken, SecretHash, TokenPrefix};
use crate::store::{Store, StoreError};

/// Look-ups at a time; whoever tries tokens takes no more of the store than that.
const LOOK_UPS_MAX: usize = 8;
/// As the audit names who asks where everybody may.
const LOCAL: &str = "local";

/// Why a caller is not let in.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// They did not show who they are. It is not said what was wrong with what they showed.
    NotAuthenticated,
    /// Their address has been wrong too often.
    TooManyFailures,
    /// The store could not be asked.
    Store(StoreError),
}

/// What a caller shows.
#[derive(Debug, Clone, Default)]
pub struct Presented<'a> {
    /// `authorization`, as it came.
    pub authorization: Option<&'a str>,
    /// The names in the certificate that the connection was made with; empty without one.
    pub certificate_names: &'a [String],
    pub address: Option<IpAddr>,
}

/// A caller who was let in.
#[derive(Debug, Clone)]
pub struct Admitted {
    pub caller: Arc<Caller>,
    /// By which token; none where no token was asked for.
    token: Option<Arc<Entry>>,
}

/// The door; clones are the same.
#[derive(Clone)]
pub struct Access {
    inner: Arc<Inner>,
}

struct Inner {
    config: AccessConfig,
    local: Arc<Caller>,
    known: Known,
    failures: Failures,
    look_ups: Semaphore,
    /// Somebody has changed a token in this process.
    changed: Notify,
    /// Grows when whoever is let in has to be looked at again.
    again: watch::Sender<u64>,
    /// Open streams of callers with tokens.
    watched: AtomicUsize,
}

impl Access {
    pub fn new(config: &AccessConfig) -> Self {
        let local = Caller { tenant_id: TenantId::default(), name: LOCAL.to_owned(), scopes: Scopes::all() };
        let inner = Inner {
            config: config.clone(),
            local: Arc::new(local),
            known: Known::new(config.tokens_known_max as usize, config.trust),
            failures: Failures::new(config.failures_per_minute_max),
            look_ups: Semaphore::new(LOOK_UPS_MAX),
            changed: Notify::new(),
            again: watch::Sender::new(0),
            watched: AtomicUsize::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// From here on an address that has shown so many wrong tokens in a minute has to wait.
    pub fn set_failures_max(&self, per_minute_max: u32) {
        self.inner.failures.set_per_minute_max(per_minute_max);
    }

    pub fn config(&self) -> &AccessConfig {
        &self.inner.config
    }

    /// Whether everybody may do everything.
    pub fn is_open(&self) -> bool {
        self.inner.config.mode == AccessMode::Open
    }

    /// The one who asks where everybody may; none where callers are told apart.
    pub fn everybody(&self) -> Option<Admitted> {
        self.is_open().then(|| Admitted { caller: self.inner.local.clone(), token: None })
    }

    /// Finds out who asks.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn admit(&self, store: &Store, presented: Presented<'_>) -> Result<Admitted, Refusal> {
        if let Some(everybody) = self.everybody() {
            return Ok(everybody);
        }
        let Some(authorization) = presented.authorization else {
            return self.by_certificate(presented.certificate_names).ok_or(Refusal::NotAuthenticated);
        };
        let Some(token) = bearer(authorization).and_then(ApiToken::parse) else {
            self.inner.failures.note(presented.address, Instant::now());
            return Err(Refusal::NotAuthenticated);
        };
        let key = TokenKey(Sha256::digest(token.reveal()).into());
        if let Some(entry) = self.inner.known.get(&key, Instant::now(), store.now()) {
            entry.used(store.now());
            return Ok(Admitted { caller: entry.caller.clone(), token: Some(entry) });
        }
        if self.inner.failures.are_too_many(presented.address, Instant::now()) {
            return Err(Refusal::TooManyFailures);
        }
        let result = self.look_up(store, key, token.prefix(), token.hash()).await;
        if matches!(result, Err(Refusal::NotAuthenticated)) {
            self.inner.failures.note(presented.address, Instant::now());
        }
        let entry = result?;
        entry.used(store.now());
        Ok(Admitted { caller: entry.caller.clone(), token: Some(entry) })
    }

    /// The caller for whom one of these names stands in the configuration.
    fn by_certificate(&self, names: &[String]) -> Option<Admitted> {
        let principals = &self.inner.config.certificates;
        let (name, principal) = names.iter().find_map(|name| Some((name, principals.get(name)?)))?;
        let caller = Caller {
            tenant_id: principal.tenant.clone(),
            name: format!("certificate:{name}"),
            scopes: principal.scopes.0,
        };
        Some(Admitted { caller: Arc::new(caller), token: None })
    }

    async fn look_up(
        &self,
        store: &Store,
        key: TokenKey,
        prefix: &TokenPrefix,
        hash: SecretHash,
    ) -> Result<Arc<Entry>, Refusal> {
        // The semaphore is never closed.
        let _place = self.inner.look_ups.acquire().await;
        let asked_at = Instant::now();
        let found = store.find_api_token(prefix).await.map_err(Refusal::Store)?;
        let token = found.token.filter(|token| token.secret_hash.is(&hash) && token.holds(store.now()));
        let Some(token) = token else {
            self.inner.known.forget(&key);
            return Err(Refusal::NotAuthenticated);
        };
        let caller = Caller {
            tenant_id: token.tenant_id,
            name: format!("token:{}", token.prefix),
            scopes: token.scopes,
        };
        let entry = Entry::new(token.id, Arc::new(caller), prefix.clone(), hash, key, token.expires_at)
            .seen(found.revision, asked_at);
        Ok(self.inner.known.keep(entry))
    }

    /// Says that a token was changed in this process, so that nobody has to wait for the next look.
    pub fn tokens_changed(&self) {
        self.inner.changed.notify_one();
    }

    /// Ends when a caller who was let in may stay no longer, and says why. Never for one without a token.
    pub async fn until_refused(&self, store: &Store, admitted: &Admitted) -> Refusal {
        let Some(mut entry) = admitted.token.clone() else { return std::future::pending().await };
        let _watched = Watched::new(&self.inner);
        let mut again = self.inner.again.subscribe();
        loop {
            let (now, by_the_store) = (Instant::now(), store.now());
            let Some(entry_now) = self.inner.known.get(&entry.key, now, by_the_store) else {
                match self.look_up(store, entry.key, &entry.prefix, entry.hash).await {
                    Ok(found) => entry = found,
                    Err(refusal) => return refusal,
                }
                continue;
            };
            entry = entry_now;
            let left = (entry.expires_at - by_the_store).to_std().unwrap_or_default();
            // Until its end, until somebody says that tokens have changed, or until it would have to be trusted for too long.
            tokio::select! {
                _ = again.changed() => {}
                () = tokio::time::sleep(left.min(self.inner.config.trust)) => {}
            }
        }
    }

    /// Looks for revocations, and writes down who was here, for ever; not at all where everybody may. Before there is a store nobody
    /// is known.
    pub async fn follow(&self, store: impl Fn() -> Option<Store>) {
        if self.is_open() {
            return;
        }
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.inner.config.check_interval) => {}
                () = self.inner.changed.notified() => {}
            }
            let watched = self.inner.watched.load(Ordering::Relaxed);
            let Some(store) = store().filter(|_| watched > 0 || !self.inner.known.is_empty()) else {
                continue;
            };
            let asked_at = Instant::now();
            match store.access_revision().await {
                Ok(revision) => {
                    if self.inner.known.confirm(revision, asked_at) {
                        self.inner.again.send_modify(|times| *times += 1);
                    }
                }
                Err(error) => debug!(%error, "revocations not looked for"),
            }
            self.write_uses(&store).await;
        }
    }

    /// When tokens were used last is told to people only; no call waits for it.
    async fn write_uses(&self, store: &Store) {
        let uses: Vec<(uuid::Uuid, DateTime<Utc>)> = self.inner.known.take_uses(Instant::now());
        if let Err(error) = store.note_token_uses(&uses).await {
            warn!(%error, "last use of tokens not written down");
        }
    }
}

/// One stream of a caller with a token.
struct Watched<'a>(&'a Inner);

impl<'a> Watched<'a> {
    fn new(inner: &'a Inner) -> Self {
        inner.watched.fetch_add(1, Ordering::Relaxed);
        Self(inner)
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.0.watched.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What stands behind `Bearer`, which is written in any letters (RFC 9110 §11.1).
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_is_told_from_other_schemes() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bEARER  abc"), Some("abc"));
        for other in ["abc", "Basic abc", "Bearer", ""] {
            assert_eq!(bearer(other), None, "{other}");
        }
    }
}
