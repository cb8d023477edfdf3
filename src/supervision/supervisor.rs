//! The shell of a supervisor: a ractor actor that feeds its machine and does what the machine says.
//!
//! **Owns** the machine and the cells of the children that live. It never blocks its own mailbox: starts and stops
//! run in tasks and in the children, and report back as messages.
//! **Fails** when its machine says so, with the story of the child that was too much; when it is killed, its
//! children are killed with it.
//! **Limits**: one timer at a time.

mod execute;

use std::collections::HashMap;
use std::sync::Arc;

use ractor::{ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;

use super::child_spec::ChildSpec;
use super::exit::{Exit, ExitClass, Failure};
use super::machine::{ChildKey, Event, Machine, Operation, Refusal, Status, Tick, Ticket};
use super::node::NodeCell;
use super::supervisor_spec::SupervisorSpec;
use super::tree::{Ended, build_node};

/// What a supervisor is told.
pub(super) enum SupervisorMessage {
    /// A child did not come up; ractor reports this to the spawner only.
    StartFailed { key: ChildKey, generation: u64, exit: Exit },
    /// A child supervisor has started all of its own.
    Ready { key: ChildKey, generation: u64 },
    /// The time has come that the machine waited for.
    Wake,
    /// An operator's wish for one child.
    Control { key: ChildKey, operation: Operation, reply: oneshot::Sender<Result<(), Refusal>> },
    /// One more child.
    Add { spec: Box<ChildSpec>, reply: oneshot::Sender<Result<(), AddRefusal>> },
    /// Stop everything, then yourself.
    Close,
}

/// Why a child could not be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AddRefusal {
    DuplicateId,
    Machine(Refusal),
}

/// Who hears that a supervisor is ready, and how it ended.
pub(super) enum Above {
    Root { ready: Option<oneshot::Sender<()>>, ended: watch::Sender<Option<Ended>> },
    Parent { supervisor: ActorRef<SupervisorMessage>, key: ChildKey, generation: u64 },
}

pub(super) struct SupervisorArguments {
    pub(super) spec: Arc<SupervisorSpec>,
    pub(super) node: Arc<NodeCell>,
    pub(super) above: Above,
}

/// Aborts its task when dropped.
struct Chore(AbortHandle);

impl Drop for Chore {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A child that is starting, up or stopping.
struct Live {
    generation: u64,
    cell: ActorCell,
    supervisor: Option<ActorRef<SupervisorMessage>>,
    /// Watches over the start.
    _start: Option<Chore>,
    /// Drives the stop on, once it has begun.
    stop: Option<Chore>,
}

/// A child that the supervisor knows of.
struct Known {
    spec: KnownSpec,
    node: Arc<NodeCell>,
}

/// Children declared with the tree are read where they were declared; added ones belong to this incarnation.
enum KnownSpec {
    Declared(usize),
    Added(Box<ChildSpec>),
}

pub(super) struct SupervisorState {
    spec: Arc<SupervisorSpec>,
    node: Arc<NodeCell>,
    above: Above,
    machine: Machine,
    known: HashMap<ChildKey, Known>,
    live: HashMap<ChildKey, Live>,
    ids: HashMap<ActorId, (ChildKey, u64)>,
    replies: HashMap<Ticket, oneshot::Sender<Result<(), Refusal>>>,
    tickets_given: u64,
    timer: Option<(std::time::Duration, Chore)>,
    myself: ActorRef<SupervisorMessage>,
}

/// The ractor actor; everything is in its state.
pub(super) struct Supervisor;

impl ractor::Actor for Supervisor {
    type Msg = SupervisorMessage;
    type State = SupervisorState;
    type Arguments = SupervisorArguments;

    async fn pre_start(
        &self,
        myself: ActorRef<SupervisorMessage>,
        SupervisorArguments { spec, node, above }: SupervisorArguments,
    ) -> Result<SupervisorState, ActorProcessingErr> {
        // Nodes of declared children are made once and kept, so that their history survives this incarnation.
        let declared = node.children().into_iter().take(spec.children.len()).collect::<Vec<_>>();
        node.set_children(declared.clone());
        node.set_supervisor(Some(myself.clone()));
        let machine = Machine::new(spec.policy(), spec.children.iter().map(ChildSpec::policy));
        let known = declared
            .into_iter()
            .enumerate()
            .map(|(index, node)| (node.key(), Known { spec: KnownSpec::Declared(index), node }));
        Ok(SupervisorState {
            known: known.collect(),
            spec,
            node,
            above,
            machine,
            live: HashMap::new(),
            ids: HashMap::new(),
            replies: HashMap::new(),
            tickets_given: 0,
            timer: None,
            myself,
        })
    }

    async fn post_start(
        &self,
        _myself: ActorRef<SupervisorMessage>,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        state.drive(Event::Open)
    }

    async fn handle(
        &self,
        _myself: ActorRef<SupervisorMessage>,
        message: SupervisorMessage,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SupervisorMessage::StartFailed { key, generation, exit } => {
                state.child_ended(key, generation, exit)
            }
            SupervisorMessage::Ready { key, generation } => state.drive(Event::Started { key, generation }),
            SupervisorMessage::Wake => {
                state.timer = None;
                state.drive(Event::Wake)
            }
            SupervisorMessage::Control { key, operation, reply } => state.control(key, operation, reply),
            SupervisorMessage::Add { spec, reply } => {
                state.add(spec, reply);
                Ok(())
            }
            SupervisorMessage::Close => state.drive(Event::Close),
        }
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<SupervisorMessage>,
        event: SupervisionEvent,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        let Some(id) = event.actor_id() else { return Ok(()) };
        let Some((key, generation)) = state.ids.get(&id).copied() else { return Ok(()) };
        match event {
            SupervisionEvent::ActorStarted(_) => state.child_started(key, generation),
            SupervisionEvent::ActorTerminated(_, last_state, reason) => {
                // The last state holds the seat that the next incarnation waits for.
                drop(last_state);
                let exit = match reason.as_deref() {
                    Some("killed") => Exit::new(ExitClass::Killed, "killed"),
                    Some("actor_task_cancelled") => Exit::new(ExitClass::Cancelled, "cancelled"),
                    Some("Drained") => Exit::new(ExitClass::Normal, "drained"),
                    _ => Exit::new(ExitClass::Normal, "stopped"),
                };
                state.child_ended(key, generation, exit)
            }
            SupervisionEvent::ActorFailed(_, error) => {
                state.child_ended(key, generation, Failure::exit_of(error, ExitClass::Error))
            }
            SupervisionEvent::ProcessGroupChanged(_) => Ok(()),
        }
    }
}

impl SupervisorState {
    fn child_started(&mut self, key: ChildKey, generation: u64) -> Result<(), ActorProcessingErr> {
        let live = self.live.get(&key).filter(|live| live.generation == generation);
        match live {
            // A supervisor is ready when it says so, not when its shell runs.
            Some(live) if live.supervisor.is_none() => self.drive(Event::Started { key, generation }),
            _ => Ok(()),
        }
    }

    fn child_ended(&mut self, key: ChildKey, generation: u64, exit: Exit) -> Result<(), ActorProcessingErr> {
        let class = exit.class;
        if let Some(live) = self.live.remove(&key) {
            if live.generation == generation {
                self.ids.remove(&live.cell.get_id());
                if let Some(known) = self.known.get(&key) {
                    self.note_exit(&known.node, exit);
                }
            } else {
                self.live.insert(key, live);
            }
        }
        self.drive(Event::Ended { key, generation, class })
    }

    fn note_exit(&self, node: &NodeCell, exit: Exit) {
        let path = &node.path;
        if exit.class.is_abnormal() && node.status() != Status::Stopping {
            tracing::warn!(
                actor.path = %path,
                class = ?exit.class,
                reason = %exit.reason,
                location = exit.location.as_deref(),
                "actor failed"
            );
        } else {
            tracing::debug!(actor.path = %path, class = ?exit.class, "actor ended");
        }
        node.note_exit(exit);
    }

    fn control(
        &mut self,
        key: ChildKey,
        operation: Operation,
        reply: oneshot::Sender<Result<(), Refusal>>,
    ) -> Result<(), ActorProcessingErr> {
        self.tickets_given += 1;
        let ticket = Ticket(self.tickets_given);
        self.replies.insert(ticket, reply);
        self.drive(Event::Control { key, operation, ticket })
    }

    fn add(&mut self, spec: Box<ChildSpec>, reply: oneshot::Sender<Result<(), AddRefusal>>) {
        let taken = self.known.values().any(|known| known.node.parts.id == spec.id);
        let result = if taken {
            Err(AddRefusal::DuplicateId)
        } else {
            self.machine.add(spec.policy()).map_err(AddRefusal::Machine).map(|key| {
                let node = build_node(&spec, key, Some(&self.node), self.node.shared.clone());
                self.node.add_child(key, node.clone());
                self.known.insert(key, Known { spec: KnownSpec::Added(spec), node });
            })
        };
        // Who asked may have hung up; the child stays down until somebody starts it.
        let _ = reply.send(result);
    }

    /// Feeds the machine and does what it says.
    fn drive(&mut self, event: Event) -> Result<(), ActorProcessingErr> {
        let now = self.node.shared.epoch.elapsed();
        let commands = self.machine.step(Tick { now, roll: rand::random() }, event);
        for command in commands {
            self.execute(command)?;
        }
        self.set_timer(self.machine.next_wake(now));
        Ok(())
    }

    fn set_timer(&mut self, wake: Option<std::time::Duration>) {
        if self.timer.as_ref().map(|(at, _)| *at) == wake {
            return;
        }
        self.timer = wake.map(|at| {
            let myself = self.myself.clone();
            let wait = at.saturating_sub(self.node.shared.epoch.elapsed());
            let task = tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                // A supervisor that has ended needs no waking.
                let _ = myself.cast(SupervisorMessage::Wake);
            });
            (at, Chore(task.abort_handle()))
        });
    }
}

impl Drop for SupervisorState {
    fn drop(&mut self) {
        // Only one that was killed or has panicked has any left; ractor kills those that are linked, and those that
        // are still starting are not linked yet.
        for live in self.live.values() {
            live.cell.kill();
        }
        let mine = |cell: ActorRef<SupervisorMessage>| cell.get_id() == self.myself.get_id();
        if self.node.supervisor().is_some_and(mine) {
            self.node.set_supervisor(None);
            self.node.mark_below_stopped();
        }
    }
}
