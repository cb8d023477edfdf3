//! The gate between the server, which is up first, and the house, which is ready later.
//!
//! **Owns** the handles once they are there. **Fails** with `UNAVAILABLE` until then, while draining, and while the store
//! is away for calls that would change something.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::config::LimitsConfig;
use super::status::ApiError;
use crate::caller;
use crate::domain::ids::TenantId;
use crate::messages::House;
use crate::messages::house::Readiness;
use crate::store::StoreError;
use crate::supervision::Tree;

/// What every service stands on; clones are the same gate.
#[derive(Clone)]
pub struct Gate {
    inner: Arc<Inner>,
}

struct Inner {
    house: OnceLock<Arc<House>>,
    tree: OnceLock<Tree>,
    readiness: Readiness,
    /// A reload may change them.
    limits: RwLock<LimitsConfig>,
    inline_deadline: Duration,
    started: Instant,
}

impl Gate {
    /// A closed gate.
    pub fn new(readiness: Readiness, limits: LimitsConfig, inline_deadline: Duration) -> Self {
        let inner = Inner {
            house: OnceLock::new(),
            tree: OnceLock::new(),
            readiness,
            limits: RwLock::new(limits),
            inline_deadline,
            started: Instant::now(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Shows the tree to the control service.
    pub fn set_tree(&self, tree: Tree) {
        // Set once by whoever starts the tree; a second time would be the same tree.
        let _ = self.inner.tree.set(tree);
    }

    /// Lets calls in.
    pub fn open(&self, house: Arc<House>) {
        let _ = self.inner.house.set(house);
        self.inner.readiness.announce();
    }

    /// Whether calls are taken, and if not, why.
    pub(super) fn ready(&self) -> Result<(), String> {
        let Some(house) = self.inner.house.get() else { return Err("starting".to_owned()) };
        self.inner.readiness.get()?;
        // The lease is kept by writing: without one the store reads at best.
        house.lease.holder().map(|_| ()).ok_or_else(|| "the store takes no writes".to_owned())
    }

    /// The house, for calls that only read.
    pub(super) fn house(&self) -> Result<&Arc<House>, ApiError> {
        self.inner.house.get().ok_or_else(|| ApiError::NotReady("starting".to_owned()))
    }

    /// The house, for calls that change something: refused while draining.
    pub(super) fn house_for_change(&self) -> Result<&Arc<House>, ApiError> {
        if self.inner.readiness.is_draining() {
            return Err(ApiError::Draining);
        }
        let house = self.house()?;
        self.ready().map_err(|why| ApiError::Store(StoreError::Unavailable(why)))?;
        Ok(house)
    }

    pub(super) fn tree(&self) -> Result<&Tree, ApiError> {
        self.inner.tree.get().ok_or_else(|| ApiError::NotReady("starting".to_owned()))
    }

    /// Whose rows a call is about: its caller's. Where nobody knows who asks, nothing is anybody's.
    pub(super) fn tenant(&self) -> Result<TenantId, ApiError> {
        let caller =
            caller::current().ok_or_else(|| ApiError::Internal("a call without a caller".to_owned()))?;
        Ok(caller.tenant_id.clone())
    }

    pub(super) fn readiness(&self) -> &Readiness {
        &self.inner.readiness
    }

    /// Answers by these from here on.
    pub fn set_limits(&self, limits: LimitsConfig) {
        *self.inner.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    pub(super) fn limits(&self) -> LimitsConfig {
        *self.inner.limits.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn inline_deadline(&self) -> Duration {
        self.inner.inline_deadline
    }

    pub(super) fn uptime(&self) -> Duration {
        self.inner.started.elapsed()
    }

    /// Rows of a page, as asked for and as allowed.
    pub(super) fn page_size(&self, asked: i32) -> Result<u64, ApiError> {
        let limits = self.limits();
        match u32::try_from(asked) {
            Err(_) => Err(ApiError::field("page_size", "must not be negative")),
            Ok(0) => Ok(u64::from(limits.page_size_default)),
            Ok(asked) => Ok(u64::from(asked.min(limits.page_size_max))),
        }
    }
}
