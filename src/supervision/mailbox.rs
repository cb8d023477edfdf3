//! The slot of a worker: what stays while incarnations come and go.
//!
//! **Owns** the pointer to the running incarnation and the bound of its mailbox. ractor's own mailboxes are
//! unbounded, so a place is taken before a message is sent and given back when it has been handled. Places belong to
//! the incarnation: when it ends they end with it, and with the messages that were queued behind it.
//! **Fails** with a typed absence while nobody runs.
//! **Limits**: `capacity` messages, the one being handled included.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use ractor::ActorRef;
use tokio::sync::{oneshot, watch};
use tracing::Span;

use super::path::ActorPath;
use super::places::Places;

/// A message on its way, with the span of its sender.
pub(super) struct Envelope<M> {
    pub(super) message: M,
    pub(super) sender: Span,
    /// Told when the actor begins with it, if its sender waits for that.
    pub(super) begun: Option<oneshot::Sender<()>>,
}

/// Why a slot has nobody in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absence {
    /// Somebody will come: it starts, backs off or is parked.
    Restarting,
    /// Nobody is about to come.
    Stopped,
}

/// One life of a worker, as senders see it.
pub(super) struct Incarnation<M: Send + 'static> {
    pub(super) generation: u64,
    pub(super) actor: ActorRef<Envelope<M>>,
    pub(super) places: Places,
}

pub(super) enum Occupant<M: Send + 'static> {
    Nobody(Absence),
    Incarnation(Arc<Incarnation<M>>),
}

/// The slot that a worker's [`Address`](super::Address) points to.
pub(super) struct Slot<M: Send + 'static> {
    pub(super) path: OnceLock<ActorPath>,
    occupant: watch::Sender<Occupant<M>>,
    high_water: AtomicUsize,
}

impl<M: Send + 'static> Slot<M> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            path: OnceLock::new(),
            occupant: watch::Sender::new(Occupant::Nobody(Absence::Restarting)),
            high_water: AtomicUsize::new(0),
        })
    }

    pub(super) fn occupant(&self) -> watch::Ref<'_, Occupant<M>> {
        self.occupant.borrow()
    }

    pub(super) fn changes(&self) -> watch::Receiver<Occupant<M>> {
        self.occupant.subscribe()
    }

    /// Lets senders in to a new incarnation.
    pub(super) fn occupy(
        &self,
        generation: u64,
        actor: ActorRef<Envelope<M>>,
        capacity: usize,
    ) -> Arc<Incarnation<M>> {
        let incarnation = Arc::new(Incarnation { generation, actor, places: Places::new(capacity) });
        self.occupant.send_replace(Occupant::Incarnation(incarnation.clone()));
        incarnation
    }

    /// Remembers how full the mailbox has been; called by who has just taken a place.
    pub(super) fn note_depth(&self, depth: usize) {
        // A plain load first: the mark seldom moves, and a write on every message would be felt.
        if depth > self.high_water.load(Ordering::Relaxed) {
            self.high_water.fetch_max(depth, Ordering::Relaxed);
        }
    }
}

/// A slot whose message type is forgotten.
pub(super) trait AnySlot: Send + Sync {
    fn bind(&self, path: ActorPath);
    /// Turns senders away from this generation and wakes those who wait for a place in it.
    fn vacate(&self, generation: u64, absence: Absence);
    /// Changes the reason for which nobody is here.
    fn explain(&self, absence: Absence);
    fn depth(&self) -> usize;
    fn high_water(&self) -> usize;
    fn capacity(&self) -> Option<usize>;
}

impl<M: Send + 'static> AnySlot for Slot<M> {
    fn bind(&self, path: ActorPath) {
        // A second tree over the same spec is refused before it comes here.
        let _ = self.path.set(path);
    }

    fn vacate(&self, generation: u64, absence: Absence) {
        self.occupant.send_if_modified(|occupant| match occupant {
            Occupant::Incarnation(incarnation) if incarnation.generation == generation => {
                incarnation.places.close();
                *occupant = Occupant::Nobody(absence);
                true
            }
            _ => false,
        });
    }

    fn explain(&self, absence: Absence) {
        self.occupant.send_if_modified(|occupant| match occupant {
            Occupant::Nobody(before) if *before != absence => {
                *before = absence;
                true
            }
            _ => false,
        });
    }

    fn depth(&self) -> usize {
        match &*self.occupant.borrow() {
            Occupant::Incarnation(incarnation) => incarnation.places.taken(),
            Occupant::Nobody(_) => 0,
        }
    }

    fn high_water(&self) -> usize {
        self.high_water.load(Ordering::Relaxed)
    }

    fn capacity(&self) -> Option<usize> {
        match &*self.occupant.borrow() {
            Occupant::Incarnation(incarnation) => Some(incarnation.places.capacity()),
            Occupant::Nobody(_) => None,
        }
    }
}
