//! What a supervisor is told about one of its children.
//!
//! **Owns** the start function, which makes a new actor for every incarnation, and the slot that all of them share.
//! **Fails** never by itself; ids are checked when the tree is built.
//! **Limits**: each child has a mailbox bound, a start timeout and a shutdown time, all with a default.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::address::Address;
use super::backoff::Backoff;
use super::mailbox::Slot;
use super::strategy::{Restart, Shutdown};
use super::supervisor_spec::SupervisorSpec;
use super::worker::{AnyWorker, Recipe};
use super::{Actor, ActorError, Context};

/// A mailbox's bound unless the spec says otherwise.
pub const MAILBOX_CAPACITY_DEFAULT: usize = 1_024;
/// How long a start function may take unless the spec says otherwise.
pub const START_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// How long a worker may take to stop unless the spec says otherwise.
pub const SHUTDOWN_DEFAULT: Duration = Duration::from_secs(5);

/// A child: how it is made, and what is done when it ends.
pub struct ChildSpec {
    pub(super) id: String,
    pub(super) body: Body,
    pub(super) restart: Restart,
    pub(super) significant: bool,
    pub(super) shutdown: Shutdown,
    pub(super) backoff: Backoff,
    pub(super) start_timeout: Duration,
    pub(super) mailbox_capacity: usize,
    pub(super) stuck_after: Option<Duration>,
}

pub(super) enum Body {
    Worker(Arc<dyn AnyWorker>),
    Supervisor(Arc<SupervisorSpec>),
    Disabled(String),
}

impl ChildSpec {
    /// A worker, and the address that reaches all its incarnations.
    ///
    /// `start` makes the actor anew for every incarnation; returning means ready, which should mean constructed, not
    /// connected. It may already send to itself through the context.
    pub fn worker<A, F, S>(id: impl Into<String>, start: S) -> (Address<A::Message>, Self)
    where
        A: Actor,
        F: Future<Output = Result<A, ActorError>> + Send + 'static,
        S: Fn(Context<A::Message>) -> F + Send + Sync + 'static,
    {
        let slot = Slot::new();
        let recipe = Recipe::new(slot.clone(), start);
        let shutdown = Shutdown::Timeout(SHUTDOWN_DEFAULT);
        (Address::new(slot), Self::new(id.into(), Body::Worker(Arc::new(recipe)), shutdown))
    }

    /// A supervisor with all below it.
    pub fn supervisor(spec: SupervisorSpec) -> Self {
        let id = spec.id.clone();
        Self::new(id, Body::Supervisor(Arc::new(spec)), Shutdown::Infinity)
    }

    /// A worker that is not configured: it is shown, with the reason, and never started.
    pub fn disabled(id: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::new(id.into(), Body::Disabled(reason.into()), Shutdown::Brutal)
    }

    fn new(id: String, body: Body, shutdown: Shutdown) -> Self {
        Self {
            id,
            body,
            restart: Restart::Permanent,
            significant: false,
            shutdown,
            backoff: Backoff::default(),
            start_timeout: START_TIMEOUT_DEFAULT,
            mailbox_capacity: MAILBOX_CAPACITY_DEFAULT,
            stuck_after: None,
        }
    }

    /// When it is started again; permanent by default.
    pub fn restart(self, restart: Restart) -> Self {
        Self { restart, ..self }
    }

    /// Whether its end for good counts for its supervisor's auto-shutdown.
    pub fn significant(self, significant: bool) -> Self {
        Self { significant, ..self }
    }

    /// How it is stopped; five seconds for workers and without end for supervisors by default.
    pub fn shutdown(self, shutdown: Shutdown) -> Self {
        Self { shutdown, ..self }
    }

    /// How long it waits before it is started again.
    pub fn backoff(self, backoff: Backoff) -> Self {
        Self { backoff, ..self }
    }

    /// How long its start function may take. Supervisors have no such time, their children do.
    pub fn start_timeout(self, start_timeout: Duration) -> Self {
        Self { start_timeout, ..self }
    }

    /// How many messages may be in its mailbox, the one being handled included; at least one.
    pub fn mailbox(self, capacity: usize) -> Self {
        Self { mailbox_capacity: capacity, ..self }
    }

    /// After how long without progress on a message it is shown as stuck.
    pub fn stuck_after(self, patience: Duration) -> Self {
        Self { stuck_after: Some(patience), ..self }
    }
}
