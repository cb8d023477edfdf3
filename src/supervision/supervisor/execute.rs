//! Does what the machine says: starts, stops and tells.
//!
//! **Owns** nothing of its own. **Fails** when the machine ends the supervisor abnormally.
//! **Limits**: a start has its timeout; a stop has its shutdown time, at the end of which it becomes a kill.

use std::future::Future;
use std::sync::{Arc, PoisonError};

use ractor::actor::actor_cell::ActorStatus;
use ractor::concurrency::JoinHandle;
use ractor::{ActorCell, ActorProcessingErr, ActorRef, SpawnErr};
use tokio::time::{Duration, sleep, timeout};

use super::{
    Above, Chore, Known, KnownSpec, Live, Supervisor, SupervisorArguments, SupervisorMessage, SupervisorState,
};
use crate::supervision::child_spec::{Body, ChildSpec};
use crate::supervision::exit::{Exit, ExitClass, Failure};
use crate::supervision::machine::{ChildKey, Command, Outcome, Status};
use crate::supervision::mailbox::Absence;
use crate::supervision::node::NodeCell;
use crate::supervision::strategy::Shutdown;
use crate::supervision::tree::Ended;
use crate::supervision::worker::{Birth, Spawned};

impl SupervisorState {
    pub(super) fn execute(&mut self, command: Command) -> Result<(), ActorProcessingErr> {
        match command {
            Command::Start { key, generation } => self.start(key, generation),
            Command::Stop { key, generation, starting } => self.stop(key, generation, starting),
            Command::Show { key, status } => self.show(key, status),
            Command::Settle { ticket, result } => {
                if let Some(reply) = self.replies.remove(&ticket) {
                    // Who asked may have hung up; the wish is fulfilled all the same.
                    let _ = reply.send(result);
                }
            }
            Command::Forget { key } => {
                self.known.remove(&key);
                self.node.forget_child(key);
            }
            Command::Ready => self.ready(),
            Command::Finish(outcome) => return self.finish(outcome),
        }
        Ok(())
    }

    fn start(&mut self, key: ChildKey, generation: u64) {
        let Some(known) = self.known.get(&key) else { return };
        known.node.note_start();
        let spawned = spawn(&self.myself, spec_of(&self.spec, known), &known.node, key, generation);
        match spawned {
            Ok((Spawned { cell, start }, supervisor)) => {
                let limit = supervisor.is_none().then_some(spec_of(&self.spec, known).start_timeout);
                let (myself, watched) = (self.myself.clone(), cell.clone());
                let chore = tokio::spawn(async move {
                    if let Some(exit) = watch_start(watched, start, limit).await {
                        // A supervisor that has ended does not mourn.
                        let _ = myself.cast(SupervisorMessage::StartFailed { key, generation, exit });
                    }
                });
                let start = Some(Chore(chore.abort_handle()));
                self.ids.insert(cell.get_id(), (key, generation));
                self.live.insert(key, Live { generation, cell, supervisor, _start: start, stop: None });
            }
            Err(error) => {
                let exit = Exit::from_error(ExitClass::StartFailed, &error);
                // To ourselves, because the machine is in the midst of a step.
                let _ = self.myself.cast(SupervisorMessage::StartFailed { key, generation, exit });
            }
        }
    }

    fn stop(&mut self, key: ChildKey, generation: u64, starting: bool) {
        let Some(known) = self.known.get(&key) else { return };
        let Some(live) = self.live.get_mut(&key).filter(|live| live.generation == generation) else {
            // It has just ended by itself, and the report of that is in our mailbox.
            return;
        };
        // A paused worker would wait for ever with its stop before it.
        known.node.set_paused(false);
        if let Some(slot) = &known.node.parts.slot {
            slot.vacate(generation, Absence::Restarting);
        }
        let shutdown = spec_of(&self.spec, known).shutdown;
        let cell = live.cell.clone();
        // What has not begun to run has nothing to put away.
        let unready = starting && cell.get_status() < ActorStatus::Running;
        if shutdown == Shutdown::Brutal || (unready && live.supervisor.is_none()) {
            return cell.kill();
        }
        let chore = match live.supervisor.clone() {
            Some(supervisor) => {
                // One that has ended is past being told.
                let _ = supervisor.cast(SupervisorMessage::Close);
                spawn_chore(stop_supervisor(cell, known.node.clone(), shutdown))
            }
            None => spawn_chore(stop_worker(cell, known.node.clone(), shutdown)),
        };
        live.stop = Some(chore);
    }

    fn show(&mut self, key: ChildKey, status: Status) {
        let Some(known) = self.known.get(&key) else { return };
        if status == Status::Melted {
            tracing::error!(actor.path = %known.node.path, "actor parked after too many failures");
        }
        known.node.set_status(status);
    }

    fn ready(&mut self) {
        match &mut self.above {
            Above::Root { ready, .. } => {
                self.node.set_status(Status::Running);
                if ready.take().is_some_and(|ready| ready.send(()).is_err()) {
                    // Who started the tree has given up on it, so nobody else could close it.
                    let _ = self.myself.cast(SupervisorMessage::Close);
                }
            }
            Above::Parent { supervisor, key, generation } => {
                let (key, generation) = (*key, *generation);
                // A parent that is gone has taken us with it.
                let _ = supervisor.cast(SupervisorMessage::Ready { key, generation });
            }
        }
    }

    fn finish(&mut self, outcome: Outcome) -> Result<(), ActorProcessingErr> {
        let exit = match outcome {
            Outcome::Closed => Exit::new(ExitClass::Normal, "shut down"),
            Outcome::AutoShutdown => Exit::new(ExitClass::Normal, "its significant children are done"),
            Outcome::StartFailed(key) => {
                Exit::new(ExitClass::StartFailed, format!("could not start {}", self.story(key)))
            }
            Outcome::Meltdown(key) => {
                Exit::new(ExitClass::Error, format!("too many failures, last of {}", self.story(key)))
            }
        };
        let abnormal = exit.class.is_abnormal();
        if let Above::Root { ended, .. } = &self.above {
            self.node.note_exit(exit.clone());
            self.node.set_status(if abnormal { Status::Melted } else { Status::Stopped });
            let reason = exit.reason.clone();
            ended.send_replace(Some(if abnormal { Ended::Melted { reason } } else { Ended::Closed }));
        }
        if abnormal {
            return Err(Box::new(Failure(exit)));
        }
        self.myself.stop(None);
        Ok(())
    }

    fn story(&self, key: ChildKey) -> String {
        self.known
            .get(&key)
            .map_or_else(String::new, |known| format!("{}: {}", known.node.path, known.node.last_reason()))
    }
}

fn spec_of<'a>(
    spec: &'a crate::supervision::supervisor_spec::SupervisorSpec,
    known: &'a Known,
) -> &'a ChildSpec {
    match &known.spec {
        KnownSpec::Declared(index) => &spec.children[*index],
        KnownSpec::Added(spec) => spec,
    }
}

type SpawnedChild = (Spawned, Option<ActorRef<SupervisorMessage>>);

fn spawn(
    myself: &ActorRef<SupervisorMessage>,
    spec: &ChildSpec,
    node: &Arc<NodeCell>,
    key: ChildKey,
    generation: u64,
) -> Result<SpawnedChild, SpawnErr> {
    match &spec.body {
        Body::Worker(worker) => {
            let birth = Birth { node: node.clone(), generation, capacity: spec.mailbox_capacity };
            Ok((worker.spawn(birth, myself.get_cell())?, None))
        }
        Body::Supervisor(below) => {
            let above = Above::Parent { supervisor: myself.clone(), key, generation };
            let arguments = SupervisorArguments { spec: below.clone(), node: node.clone(), above };
            let (child, start) =
                ractor::ActorRuntime::spawn_linked_instant(None, Supervisor, arguments, myself.get_cell())?;
            Ok((Spawned { cell: child.get_cell(), start }, Some(child)))
        }
        Body::Disabled(reason) => Err(SpawnErr::StartupFailed(reason.as_str().into())),
    }
}

/// Waits for the start to be over; the exit if it failed.
async fn watch_start(
    cell: ActorCell,
    mut start: JoinHandle<Result<JoinHandle<()>, SpawnErr>>,
    limit: Option<Duration>,
) -> Option<Exit> {
    let mut overdue = None;
    let result = match limit {
        None => start.await,
        Some(limit) => match timeout(limit, &mut start).await {
            Ok(result) => result,
            Err(_) => {
                cell.kill();
                overdue = Some(format!("not ready within {limit:?}"));
                // Its end is awaited, so that it is not there twice.
                start.await
            }
        },
    };
    let class = ExitClass::StartFailed;
    match (result, overdue) {
        (Ok(Ok(_)), _) => None,
        (_, Some(reason)) => Some(Exit::new(class, reason)),
        (Ok(Err(SpawnErr::StartupFailed(error))), None) => Some(Failure::exit_of(error, class)),
        (Ok(Err(error)), None) => Some(Exit::from_error(class, &error)),
        (Err(error), None) => Some(Exit::from_error(class, &error)),
    }
}

fn spawn_chore(chore: impl Future<Output = ()> + Send + 'static) -> Chore {
    Chore(tokio::spawn(chore).abort_handle())
}

/// Drain, stop, kill. The chore is aborted as soon as the worker has ended.
async fn stop_worker(cell: ActorCell, node: Arc<NodeCell>, shutdown: Shutdown) {
    // One that has ended needs no draining.
    let _ = cell.drain();
    if let Shutdown::Timeout(limit) = shutdown {
        sleep(limit / 2).await;
        cell.stop(None);
        sleep(limit - limit / 2).await;
        overrun(&cell, &node);
    }
}

async fn stop_supervisor(cell: ActorCell, node: Arc<NodeCell>, shutdown: Shutdown) {
    if let Shutdown::Timeout(limit) = shutdown {
        sleep(limit).await;
        overrun(&cell, &node);
    }
}

fn overrun(cell: &ActorCell, node: &NodeCell) {
    tracing::warn!(actor.path = %node.path, "actor overran its shutdown time and is killed");
    let mut overran = node.shared.overran.lock().unwrap_or_else(PoisonError::into_inner);
    overran.push(node.path.clone());
    drop(overran);
    cell.kill();
}
