//! This process's lease: who it is, and whether it still is.
//!
//! A process beats its row every `heartbeat_interval`. Others bury it when its counter has stood still for `reap_after`;
//! so that it is never surprised in the middle of a call, it fences itself earlier: `fence_after` past the *sending* of
//! its last successful beat its claims are cancelled and nothing new is taken. Dead is final: a beat that finds the row
//! buried ends the identity, and the process enters again under a new one.
//!
//! **Owns** the identity. **Fails** never: a store that is away means no beat, and then no lease.
//! **Limits**: `[work]`; the order of the three times is checked when the configuration is read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::Utc;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use super::config::WorkConfig;
use super::guard::Held;
use super::hints::Hints;
use super::ticker::Ticker;
use crate::domain::ids::RunnerId;
use crate::store::runner::RunnerLoad;
use crate::store::{Store, StoreError};
use crate::supervision::{Actor, ActorError, ChildSpec, Context};

/// How often between two beats it is seen whether one is due. After an outage the lease is held again so much sooner.
const TICKS_PER_BEAT: u32 = 5;

/// The lease as everybody in the process sees it; clones are the same lease.
#[derive(Clone)]
pub struct Lease {
    state: Arc<Mutex<State>>,
    identity: watch::Sender<Option<RunnerId>>,
    fence_after: Duration,
}

struct State {
    id: Option<RunnerId>,
    /// When the last beat that was answered was sent.
    beat_sent: Instant,
}

impl Lease {
    /// A lease that nobody holds yet.
    pub fn new(config: &WorkConfig) -> Self {
        let state = State { id: None, beat_sent: Instant::now() };
        let (identity, _) = watch::channel(None);
        Self { state: Arc::new(Mutex::new(state)), identity, fence_after: config.fence_after }
    }

    /// The identity under which claims may be made now, if there is one.
    pub fn holder(&self) -> Option<RunnerId> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.id.filter(|_| state.beat_sent.elapsed() < self.fence_after)
    }

    /// How long ago the last beat was sent that was answered; since the lease was made where there was none.
    pub fn beat_age(&self) -> Duration {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).beat_sent.elapsed()
    }

    /// Waits until `id` may not act any more.
    pub async fn lost(&self, id: RunnerId) {
        let mut identity = self.identity.subscribe();
        loop {
            let (holds, deadline) = {
                let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                (state.id == Some(id), state.beat_sent + self.fence_after)
            };
            if !holds || Instant::now() >= deadline {
                return;
            }
            // The deadline moves on with each beat, so whoever wakes looks again.
            let _ = tokio::time::timeout_at(deadline, identity.changed()).await;
        }
    }

    /// Notes an answered beat of `id`, sent at `sent`.
    fn renew(&self, id: RunnerId, sent: Instant) {
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.id = Some(id);
            state.beat_sent = sent;
        }
        self.identity.send_if_modified(|known| {
            let is_new = *known != Some(id);
            *known = Some(id);
            is_new
        });
    }

    fn give_up(&self) -> Option<RunnerId> {
        let id = self.state.lock().unwrap_or_else(PoisonError::into_inner).id.take();
        self.identity.send_replace(None);
        id
    }
}

/// What a process shows of its work with each beat; clones show the same.
#[derive(Clone, Default)]
pub struct Load {
    pub held: Held,
    /// Rows that could be in hand at most, in all.
    pub places: Arc<AtomicU64>,
}

impl Load {
    /// What `held` holds, of so many places.
    pub fn new(held: Held, places: u64) -> Self {
        Self { held, places: Arc::new(AtomicU64::new(places)) }
    }

    fn now(&self) -> RunnerLoad {
        RunnerLoad {
            seen_at: Utc::now(),
            in_hand: self.held.count(),
            places: self.places.load(Ordering::Relaxed),
        }
    }
}

/// What the keeper is told.
pub enum LeaseKeeperMessage {
    /// Time for a beat.
    Beat,
}

/// Keeps the lease: enters the process, beats, enters again after a death.
pub struct LeaseKeeper {
    store: Store,
    lease: Lease,
    hints: Hints,
    load: Load,
    name: String,
    interval: Duration,
    _ticker: Ticker,
}

impl LeaseKeeper {
    /// The keeper as a child of the foundation. Ready when the process has been entered.
    pub fn spec(store: Store, lease: Lease, hints: Hints, load: Load, config: &WorkConfig) -> ChildSpec {
        let interval = config.heartbeat_interval;
        let (_, spec) = ChildSpec::worker("runner", move |context: Context<LeaseKeeperMessage>| {
            let (store, lease, hints, load) = (store.clone(), lease.clone(), hints.clone(), load.clone());
            async move {
                let ticks = interval / TICKS_PER_BEAT;
                let ticker = Ticker::start(context.myself, ticks, None, || LeaseKeeperMessage::Beat);
                let name = process_name();
                let keeper = Self { store, lease, hints, load, name, interval, _ticker: ticker };
                // An incarnation before this one may have left an identity, which is as good as new.
                if keeper.lease.holder().is_none() {
                    keeper.enter().await.map_err(ActorError::from)?;
                }
                Ok(keeper)
            }
        });
        spec
    }

    async fn enter(&self) -> Result<(), StoreError> {
        let id = RunnerId(Uuid::now_v7());
        let sent = Instant::now();
        self.store.enter_runner(id, &self.name, self.store.now()).await?;
        self.lease.renew(id, sent);
        info!(runner_id = %id, "process entered");
        // Whoever looked while there was no lease has found nothing that it could take.
        self.hints.there_is_work_here("");
        Ok(())
    }

    /// Whether the last answered beat is long enough ago; one that was not answered is sent again at the next tick.
    fn is_due(&self) -> bool {
        let state = self.lease.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.id.is_none() || state.beat_sent.elapsed() + self.interval / TICKS_PER_BEAT >= self.interval
    }

    async fn beat(&self) -> Result<(), StoreError> {
        let Some(id) = self.identity() else { return self.enter().await };
        let sent = Instant::now();
        if self.store.beat_runner(id, self.load.now()).await? {
            self.lease.renew(id, sent);
            return Ok(());
        }
        warn!(runner_id = %id, "this process was held for dead; entering again under a new identity");
        self.lease.give_up();
        self.enter().await
    }

    /// The identity, fenced or not: one that has fenced itself goes on beating until it is told that it is dead.
    fn identity(&self) -> Option<RunnerId> {
        self.lease.state.lock().unwrap_or_else(PoisonError::into_inner).id
    }
}

impl Actor for LeaseKeeper {
    type Message = LeaseKeeperMessage;

    async fn handle(&mut self, message: LeaseKeeperMessage) -> Result<(), ActorError> {
        match message {
            LeaseKeeperMessage::Beat => {
                if self.is_due()
                    && let Err(error) = self.beat().await
                {
                    warn!(%error, "heartbeat not answered");
                }
            }
        }
        Ok(())
    }

    async fn stopping(&mut self) {
        // Claims have been settled or returned by now; peers need not wait for a counter to stand still.
        let Some(id) = self.lease.give_up() else { return };
        match self.store.leave_runner(id, self.store.now()).await {
            // Its offices are vacant, and what it still had in hand may be claimed.
            Ok(_) => self.hints.there_is_work(""),
            Err(error) => warn!(%error, "lease not released; it will be missed instead"),
        }
    }
}

fn process_name() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "localhost".to_owned());
    format!("{host}:{}", std::process::id())
}
