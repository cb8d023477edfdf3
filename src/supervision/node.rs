//! What is known of one actor of the tree, and the picture of it that people get.
//!
//! **Owns** the status, the last exit and the vital signs, which outlive incarnations. A snapshot reads them directly
//! and never through an actor, so a tree that is stuck can still be looked at.
//! **Fails** never.
//! **Limits**: one exit is remembered.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use ractor::ActorRef;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::exit::Exit;
use super::machine::{ChildKey, Status};
use super::mailbox::{Absence, AnySlot};
use super::path::ActorPath;
use super::supervisor::SupervisorMessage;
use super::vitals::Vitals;

/// Whether an actor works or supervises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It handles messages.
    Worker,
    /// It starts, watches and stops others.
    Supervisor,
}

/// How full a worker's mailbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxFill {
    /// Messages in it now, the one being handled included.
    pub depth: usize,
    /// The most that were ever in it at once.
    pub high_water: usize,
    /// Its bound; none while no incarnation is there.
    pub capacity: Option<usize>,
}

/// One actor as it was at the moment of the snapshot, with all below it.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where it stands.
    pub path: ActorPath,
    /// Its name among its siblings.
    pub id: String,
    /// Worker or supervisor.
    pub kind: Kind,
    /// What it is doing.
    pub status: Status,
    /// It has been told to leave its messages lying.
    pub paused: bool,
    /// Why it is disabled, where it is.
    pub disabled_because: Option<String>,
    /// How often it was started again.
    pub restarts: u32,
    /// How its last incarnation ended.
    pub last_exit: Option<Exit>,
    /// A worker's mailbox.
    pub mailbox: Option<MailboxFill>,
    /// Messages that it has handled in all its incarnations.
    pub handled: u64,
    /// How many of them ended in an error or a panic.
    pub failures: u64,
    /// For how long it was at them, in all.
    pub busy: Duration,
    /// For how long it has been handling its present message.
    pub in_flight_for: Option<Duration>,
    /// How long ago it last took up a message or reported progress.
    pub since_progress: Option<Duration>,
    /// It is busy, and has reported no progress for longer than its spec allows.
    pub stuck: bool,
    /// For how long its present incarnation has been up.
    pub uptime: Option<Duration>,
    /// Those that it supervises, in their declared order.
    pub children: Vec<Node>,
}

impl Node {
    /// The actor at `path`, here or below.
    pub fn find(&self, path: &str) -> Option<&Node> {
        if self.path.as_str() == path {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(path))
    }
}

/// What all actors of one tree share.
pub(super) struct Shared {
    pub(super) epoch: Instant,
    pub(super) changes: watch::Sender<u64>,
    pub(super) overran: Mutex<Vec<ActorPath>>,
}

impl Shared {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            epoch: Instant::now(),
            changes: watch::Sender::new(0),
            overran: Mutex::new(Vec::new()),
        })
    }

    pub(super) fn changed(&self) {
        self.changes.send_modify(|version| *version = version.wrapping_add(1));
    }
}

/// The parts of a node that are given when it is made.
pub(super) struct NodeParts {
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) key: ChildKey,
    pub(super) slot: Option<Arc<dyn AnySlot>>,
    pub(super) stuck_after: Option<Duration>,
    pub(super) disabled_because: Option<String>,
}

struct State {
    status: Status,
    starts: u32,
    last_exit: Option<Exit>,
    up_since: Option<Instant>,
}

/// The shared state behind a [`Node`].
pub(super) struct NodeCell {
    pub(super) parts: NodeParts,
    pub(super) path: ActorPath,
    pub(super) parent: Weak<NodeCell>,
    pub(super) shared: Arc<Shared>,
    pub(super) vitals: Vitals,
    /// One incarnation at a time: the next one's start waits until the one before has been dropped.
    pub(super) seat: Arc<Semaphore>,
    key: AtomicU32,
    state: Mutex<State>,
    children: RwLock<Vec<Arc<NodeCell>>>,
    supervisor: Mutex<Option<ActorRef<SupervisorMessage>>>,
}

impl NodeCell {
    pub(super) fn new(parts: NodeParts, parent: Option<&Arc<Self>>, shared: Arc<Shared>) -> Arc<Self> {
        let path = match parent {
            None => ActorPath::root(&parts.id),
            Some(parent) => parent.path.child(&parts.id, parent.parent.upgrade().is_none()),
        };
        if let Some(slot) = &parts.slot {
            slot.bind(path.clone());
        }
        let disabled = parts.disabled_because.is_some();
        let status = if disabled { Status::Disabled } else { Status::Stopped };
        Arc::new(Self {
            key: AtomicU32::new(parts.key.0),
            path,
            parent: parent.map(Arc::downgrade).unwrap_or_default(),
            vitals: Vitals::new(shared.epoch),
            shared,
            seat: Arc::new(Semaphore::new(1)),
            state: Mutex::new(State { status, starts: 0, last_exit: None, up_since: None }),
            children: RwLock::default(),
            supervisor: Mutex::new(None),
            parts,
        })
    }

    pub(super) fn key(&self) -> ChildKey {
        ChildKey(self.key.load(Ordering::Relaxed))
    }

    pub(super) fn children(&self) -> Vec<Arc<NodeCell>> {
        self.children.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_children(&self, children: Vec<Arc<NodeCell>>) {
        *self.children.write().unwrap_or_else(PoisonError::into_inner) = children;
    }

    pub(super) fn add_child(&self, key: ChildKey, child: Arc<NodeCell>) {
        child.key.store(key.0, Ordering::Relaxed);
        self.children.write().unwrap_or_else(PoisonError::into_inner).push(child);
        self.shared.changed();
    }

    pub(super) fn forget_child(&self, key: ChildKey) {
        let mut children = self.children.write().unwrap_or_else(PoisonError::into_inner);
        children.retain(|child| child.key() != key);
        drop(children);
        self.shared.changed();
    }

    pub(super) fn find(self: &Arc<Self>, path: &str) -> Option<Arc<NodeCell>> {
        if self.path.as_str() == path {
            return Some(self.clone());
        }
        self.children().iter().find_map(|child| child.find(path))
    }

    pub(super) fn supervisor(&self) -> Option<ActorRef<SupervisorMessage>> {
        self.supervisor.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_supervisor(&self, supervisor: Option<ActorRef<SupervisorMessage>>) {
        *self.supervisor.lock().unwrap_or_else(PoisonError::into_inner) = supervisor;
    }

    pub(super) fn status(&self) -> Status {
        self.state().status
    }

    pub(super) fn note_start(&self) {
        let mut state = self.state();
        state.starts = state.starts.saturating_add(1);
    }

    pub(super) fn note_exit(&self, exit: Exit) {
        self.vitals.idle();
        self.state().last_exit = Some(exit);
    }

    pub(super) fn last_reason(&self) -> String {
        let state = self.state();
        state.last_exit.as_ref().map_or_else(|| "no reason given".to_owned(), |exit| exit.reason.clone())
    }

    pub(super) fn set_status(&self, status: Status) {
        let mut state = self.state();
        state.status = status;
        state.up_since = match status {
            Status::Running => state.up_since.or_else(|| Some(Instant::now())),
            Status::Stopping => state.up_since,
            _ => None,
        };
        drop(state);
        if let Some(slot) = &self.parts.slot {
            match status {
                Status::Stopped | Status::Disabled => slot.explain(Absence::Stopped),
                Status::Starting | Status::BackingOff | Status::Melted => {
                    slot.explain(Absence::Restarting);
                }
                Status::Running | Status::Stopping => {}
            }
        }
        self.shared.changed();
    }

    /// Says of all below that they do not run, because who looked after them is gone.
    pub(super) fn mark_below_stopped(&self) {
        for child in self.children() {
            if child.status() != Status::Disabled {
                child.vitals.idle();
                child.set_status(Status::Stopped);
            }
            child.mark_below_stopped();
        }
    }

    pub(super) fn set_paused(&self, paused: bool) {
        self.vitals.set_paused(paused);
        self.shared.changed();
        for child in self.children() {
            child.set_paused(paused);
        }
    }

    pub(super) fn snapshot(&self) -> Node {
        let now = Instant::now();
        let in_flight_for = self.vitals.in_flight_for(now);
        let since_progress = self.vitals.since_progress(now);
        let patience = self.parts.stuck_after;
        let (handled, busy) = self.vitals.handled();
        let state = self.state();
        Node {
            path: self.path.clone(),
            id: self.parts.id.clone(),
            kind: self.parts.kind,
            status: state.status,
            paused: self.vitals.is_paused(),
            disabled_because: self.parts.disabled_because.clone(),
            restarts: state.starts.saturating_sub(1),
            last_exit: state.last_exit.clone(),
            mailbox: self.parts.slot.as_ref().map(|slot| MailboxFill {
                depth: slot.depth(),
                high_water: slot.high_water(),
                capacity: slot.capacity(),
            }),
            handled,
            failures: self.vitals.failures(),
            busy,
            stuck: in_flight_for.is_some() && patience.is_some() && since_progress > patience,
            in_flight_for,
            since_progress,
            uptime: state.up_since.map(|since| now.saturating_duration_since(since)),
            children: self.children().iter().map(|child| child.snapshot()).collect(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each write is a plain assignment, so a poisoned state is still a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
