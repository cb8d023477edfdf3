//! A whole tree: started, looked at, steered and shut down from outside.
//!
//! **Owns** the root supervisor's reference and the shared nodes. Reading asks no actor; steering asks the actor's
//! supervisor. Who steers is responsible for writing down who asked.
//! **Fails** with [`TreeError`] at the start, when everything that had started has been stopped again, and with
//! [`ControlError`] later.
//! **Limits**: a shutdown has one, after which everything is killed.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use ractor::ActorRef;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::child_spec::{Body, ChildSpec};
use super::machine::{ChildKey, Operation, Refusal, Status};
use super::node::{Kind, Node, NodeCell, NodeParts, Shared};
use super::path::ActorPath;
use super::supervisor::{Above, AddRefusal, Supervisor, SupervisorArguments, SupervisorMessage};
use super::supervisor_spec::{SpecError, SupervisorSpec};

/// Why a tree did not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// It cannot be built as declared.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A child could not be started; all that had been started has been stopped again.
    #[error("{reason}")]
    StartFailed {
        /// Which one, and what it said.
        reason: String,
    },
}

/// Why an operation on one actor was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// No actor has this path.
    #[error("no actor at {0:?}")]
    NotFound(String),
    /// The root is started and shut down as a tree.
    #[error("the root is not operated on")]
    Root,
    /// The actor at this path is no supervisor.
    #[error("{0} is not a supervisor")]
    NotASupervisor(ActorPath),
    /// It is not configured.
    #[error("actor is disabled: {0}")]
    Disabled(String),
    /// It failed while being started; its supervisor goes on by its policy.
    #[error("actor failed: {0}")]
    Failed(String),
    /// It ended normally before it could be called up, and its policy keeps it down.
    #[error("actor has ended")]
    Finished,
    /// A sibling that it depends on is stopped or parked; it will come up with that one.
    #[error("actor is held down by a sibling that it depends on")]
    Held,
    /// A newer operation contradicted this one.
    #[error("superseded by a newer operation")]
    Superseded,
    /// Its supervisor is going down or is not there.
    #[error("its supervisor is down")]
    SupervisorDown,
    /// The supervisor has as many children as it may have.
    #[error("supervisor has as many children as it may have")]
    TooMany,
    /// The child cannot be added as it is declared.
    #[error(transparent)]
    Spec(#[from] SpecError),
}

/// How a tree ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It was shut down, or its significant children were done.
    Closed,
    /// Its root could bear no more.
    Melted {
        /// Which child it was, and what it said.
        reason: String,
    },
    /// Its root was killed.
    Killed,
}

/// How a shutdown went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Those that were killed because they took longer than their shutdown time, in the order of it.
    pub overran: Vec<ActorPath>,
    /// Whether all ended within the limit of the whole.
    pub in_time: bool,
}

/// A running tree; clones are handles to the same one.
#[derive(Clone)]
pub struct Tree {
    root: ActorRef<SupervisorMessage>,
    pub(super) node: Arc<NodeCell>,
    ended: watch::Receiver<Option<Ended>>,
}

impl Tree {
    /// Starts the root and all below it in the declared order, each when the one before is ready.
    pub async fn start(spec: SupervisorSpec) -> Result<Self, TreeError> {
        spec.check()?;
        check_root_paths(&spec)?;
        super::panic::install();
        let spec = Arc::new(spec);
        let node = build_root(&spec);
        node.set_status(Status::Starting);
        node.note_start();
        let (ended_sender, ended) = watch::channel(None);
        let (ready_sender, ready) = oneshot::channel();
        let above = Above::Root { ready: Some(ready_sender), ended: ended_sender.clone() };
        let arguments = SupervisorArguments { spec, node: node.clone(), above };
        let (root, task) = ractor::Actor::spawn(None, Supervisor, arguments)
            .await
            .map_err(|error| TreeError::StartFailed { reason: error.to_string() })?;
        let tree = Self { root, node: node.clone(), ended };
        tokio::spawn(async move {
            // However the task of the root ends, it has ended.
            let _ = task.await;
            let killed = ended_sender.send_if_modified(|ended| {
                let unsaid = ended.is_none();
                if unsaid {
                    *ended = Some(Ended::Killed);
                }
                unsaid
            });
            if killed {
                node.set_status(Status::Stopped);
            }
        });
        match ready.await {
            Ok(()) => Ok(tree),
            Err(_) => match tree.ended().await {
                Ended::Closed => Ok(tree),
                Ended::Melted { reason } => Err(TreeError::StartFailed { reason }),
                Ended::Killed => Err(TreeError::StartFailed { reason: "root was killed".into() }),
            },
        }
    }

    /// The tree as it is now.
    pub fn snapshot(&self) -> Node {
        self.node.snapshot()
    }

    /// A number that grows with every change of a status, for those who wait without polling.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.node.shared.changes.subscribe()
    }

    /// Waits until the root has ended.
    pub async fn ended(&self) -> Ended {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(ended) => ended.clone().unwrap_or(Ended::Killed),
            // The sender goes only with the runtime.
            Err(_) => Ended::Killed,
        }
    }

    /// Ends the actor gracefully, with all below it and what depends on it, and starts it again, its failures
    /// forgiven. Resolves when it is up.
    pub async fn restart(&self, path: &str) -> Result<(), ControlError> {
        self.operate(path, Operation::Restart).await
    }

    /// Stops the actor, with all below it and what depends on it, and keeps it down. Resolves when it has ended.
    pub async fn stop(&self, path: &str) -> Result<(), ControlError> {
        self.operate(path, Operation::Stop).await
    }

    /// Starts an actor that was stopped, has ended, backs off or is parked. Resolves when it is up.
    pub async fn start_child(&self, path: &str) -> Result<(), ControlError> {
        self.operate(path, Operation::Start).await
    }

    /// Lets messages lie, for a worker or all workers below a supervisor, until [`Tree::resume`] or a stop.
    pub fn pause(&self, path: &str) -> Result<(), ControlError> {
        self.find(path).map(|node| node.set_paused(true))
    }

    /// Takes messages up again.
    pub fn resume(&self, path: &str) -> Result<(), ControlError> {
        self.find(path).map(|node| node.set_paused(false))
    }

    /// Adds a child to the supervisor at `path` and starts it. It is forgotten if it cannot be started, and when
    /// its supervisor is restarted.
    pub async fn add(&self, path: &str, spec: ChildSpec) -> Result<ActorPath, ControlError> {
        let node = self.find(path)?;
        if node.parts.kind != Kind::Supervisor {
            return Err(ControlError::NotASupervisor(node.path.clone()));
        }
        spec.check()?;
        let is_root = node.parent.upgrade().is_none();
        if is_root && spec.id == node.parts.id {
            return Err(SpecError::DuplicateId(spec.id).into());
        }
        let (id, child) = (spec.id.clone(), node.path.child(&spec.id, is_root));
        let disabled = matches!(spec.body, Body::Disabled(_));
        let supervisor = node.supervisor().ok_or(ControlError::SupervisorDown)?;
        let (reply, answer) = oneshot::channel();
        let message = SupervisorMessage::Add { spec: Box::new(spec), reply };
        supervisor.cast(message).map_err(|_| ControlError::SupervisorDown)?;
        match answer.await.map_err(|_| ControlError::SupervisorDown)? {
            Err(AddRefusal::DuplicateId) => return Err(SpecError::DuplicateId(id).into()),
            Err(AddRefusal::Machine(Refusal::TooMany)) => return Err(ControlError::TooMany),
            Err(AddRefusal::Machine(_)) => return Err(ControlError::SupervisorDown),
            Ok(()) if disabled => return Ok(child),
            Ok(()) => {}
        }
        self.operate(child.as_str(), Operation::Start).await?;
        Ok(child)
    }

    /// Stops an actor and forgets it.
    pub async fn remove(&self, path: &str) -> Result<(), ControlError> {
        self.operate(path, Operation::Remove).await
    }

    /// Stops all in reverse order. What has not ended within `limit` is killed.
    pub async fn shutdown(&self, limit: Duration) -> ShutdownReport {
        let shared = &self.node.shared;
        let before = shared.overran.lock().unwrap_or_else(PoisonError::into_inner).len();
        if self.ended.borrow().is_none() {
            self.node.set_status(Status::Stopping);
        }
        // A root that has ended by itself has nothing left to stop.
        let _ = self.root.cast(SupervisorMessage::Close);
        let in_time = timeout(limit, self.ended()).await.is_ok();
        if !in_time {
            self.root.kill();
            self.ended().await;
        }
        if self.node.status() == Status::Stopping {
            // It ended between our look at it and our word for it.
            self.node.set_status(Status::Stopped);
        }
        let overran = shared.overran.lock().unwrap_or_else(PoisonError::into_inner);
        ShutdownReport { overran: overran.iter().skip(before).cloned().collect(), in_time }
    }

    fn find(&self, path: &str) -> Result<Arc<NodeCell>, ControlError> {
        self.node.find(path).ok_or_else(|| ControlError::NotFound(path.to_owned()))
    }

    async fn operate(&self, path: &str, operation: Operation) -> Result<(), ControlError> {
        let node = self.find(path)?;
        let parent = node.parent.upgrade().ok_or(ControlError::Root)?;
        let supervisor = parent.supervisor().ok_or(ControlError::SupervisorDown)?;
        let (reply, answer) = oneshot::channel();
        let message = SupervisorMessage::Control { key: node.key(), operation, reply };
        supervisor.cast(message).map_err(|_| ControlError::SupervisorDown)?;
        let refusal = match answer.await.map_err(|_| ControlError::SupervisorDown)? {
            Ok(()) => return Ok(()),
            Err(refusal) => refusal,
        };
        Err(match refusal {
            Refusal::Disabled => {
                ControlError::Disabled(node.parts.disabled_because.clone().unwrap_or_default())
            }
            Refusal::Failed => ControlError::Failed(node.last_reason()),
            Refusal::Finished => ControlError::Finished,
            Refusal::Held => ControlError::Held,
            Refusal::Superseded => ControlError::Superseded,
            Refusal::Closing => ControlError::SupervisorDown,
            Refusal::Unknown => ControlError::NotFound(path.to_owned()),
            Refusal::TooMany => ControlError::TooMany,
        })
    }
}

/// Makes the shared state of one child and of all below it.
pub(super) fn build_node(
    spec: &ChildSpec,
    key: ChildKey,
    parent: Option<&Arc<NodeCell>>,
    shared: Arc<Shared>,
) -> Arc<NodeCell> {
    let mut parts = NodeParts {
        id: spec.id.clone(),
        kind: Kind::Worker,
        key,
        slot: None,
        stuck_after: spec.stuck_after,
        disabled_because: None,
    };
    match &spec.body {
        Body::Worker(worker) => {
            parts.slot = Some(worker.slot());
            NodeCell::new(parts, parent, shared)
        }
        Body::Disabled(reason) => {
            parts.disabled_because = Some(reason.clone());
            NodeCell::new(parts, parent, shared)
        }
        Body::Supervisor(below) => {
            parts.kind = Kind::Supervisor;
            let node = NodeCell::new(parts, parent, shared);
            fill(&node, below);
            node
        }
    }
}

fn build_root(spec: &SupervisorSpec) -> Arc<NodeCell> {
    let parts = NodeParts {
        id: spec.id.clone(),
        kind: Kind::Supervisor,
        key: ChildKey(0),
        slot: None,
        stuck_after: None,
        disabled_because: None,
    };
    let node = NodeCell::new(parts, None, Shared::new());
    fill(&node, spec);
    node
}

fn fill(node: &Arc<NodeCell>, spec: &SupervisorSpec) {
    // The machine gives its keys in the same order.
    let keys = (0u32..).map(ChildKey);
    let children = spec.children.iter().zip(keys);
    let children = children.map(|(child, key)| build_node(child, key, Some(node), node.shared.clone()));
    node.set_children(children.collect());
}

/// The root's own path stands beside its children's, so none of them may have its name.
fn check_root_paths(spec: &SupervisorSpec) -> Result<(), SpecError> {
    let ids: HashSet<&str> = spec.children.iter().map(|child| child.id.as_str()).collect();
    if ids.contains(spec.id.as_str()) {
        return Err(SpecError::DuplicateId(spec.id.clone()));
    }
    Ok(())
}
