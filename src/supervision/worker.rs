//! The shell of a worker: a ractor actor around an [`Actor`].
//!
//! **Owns** the actor while it lives, and its node's seat, so that two incarnations never live at once.
//! **Fails** by ending: an error and a panic of the actor become a [`Failure`] that tells the supervisor all it needs.
//! **Limits**: one message at a time; the message's place in the mailbox is given back when it has been handled.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use ractor::concurrency::JoinHandle;
use ractor::{ActorCell, ActorProcessingErr, ActorRef, SpawnErr};
use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument;

use super::exit::{Exit, ExitClass, Failure};
use super::mailbox::{Absence, AnySlot, Envelope, Incarnation, Slot};
use super::node::NodeCell;
use super::panic::caught;
use super::{Actor, ActorError, Address, Context};
use crate::telemetry;

/// What a start by ractor leaves in our hands.
pub(super) struct Spawned {
    pub(super) cell: ActorCell,
    pub(super) start: JoinHandle<Result<JoinHandle<()>, SpawnErr>>,
}

/// What an incarnation is told about itself.
pub(super) struct Birth {
    pub(super) node: Arc<NodeCell>,
    pub(super) generation: u64,
    pub(super) capacity: usize,
}

/// A way of making workers whose type is forgotten.
pub(super) trait AnyWorker: Send + Sync {
    fn slot(&self) -> Arc<dyn AnySlot>;
    fn spawn(&self, birth: Birth, supervisor: ActorCell) -> Result<Spawned, SpawnErr>;
}

type Starting<A> = Pin<Box<dyn Future<Output = Result<A, ActorError>> + Send>>;
type Start<A> = Arc<dyn Fn(Context<<A as Actor>::Message>) -> Starting<A> + Send + Sync>;

/// The slot and the start function of one worker.
pub(super) struct Recipe<A: Actor> {
    slot: Arc<Slot<A::Message>>,
    start: Start<A>,
}

impl<A: Actor> Recipe<A> {
    pub(super) fn new<F, S>(slot: Arc<Slot<A::Message>>, start: S) -> Self
    where
        F: Future<Output = Result<A, ActorError>> + Send + 'static,
        S: Fn(Context<A::Message>) -> F + Send + Sync + 'static,
    {
        Self { slot, start: Arc::new(move |context| Box::pin(start(context))) }
    }
}

impl<A: Actor> AnyWorker for Recipe<A> {
    fn slot(&self) -> Arc<dyn AnySlot> {
        self.slot.clone()
    }

    fn spawn(&self, birth: Birth, supervisor: ActorCell) -> Result<Spawned, SpawnErr> {
        let arguments = Arguments { slot: self.slot.clone(), start: self.start.clone(), birth };
        let worker = Worker(PhantomData::<fn() -> A>);
        // A name would go into a registry of the whole process, which nothing of ours reads.
        let (actor, start) = ractor::ActorRuntime::spawn_linked_instant(None, worker, arguments, supervisor)?;
        Ok(Spawned { cell: actor.get_cell(), start })
    }
}

struct Worker<A>(PhantomData<fn() -> A>);

struct Arguments<A: Actor> {
    slot: Arc<Slot<A::Message>>,
    start: Start<A>,
    birth: Birth,
}

/// An incarnation. Fields are dropped in this order: the actor first, its seat last.
struct Desk<A: Actor> {
    actor: A,
    tenancy: Tenancy<A::Message>,
}

/// The right to receive messages and to be the only incarnation; given up when dropped.
struct Tenancy<M: Send + 'static> {
    incarnation: Arc<Incarnation<M>>,
    slot: Arc<Slot<M>>,
    node: Arc<NodeCell>,
    _seat: OwnedSemaphorePermit,
}

impl<M: Send + 'static> Tenancy<M> {
    fn give_up(&self) {
        self.slot.vacate(self.incarnation.generation, Absence::Restarting);
    }
}

impl<M: Send + 'static> Drop for Tenancy<M> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl<A: Actor> ractor::Actor for Worker<A> {
    type Msg = Envelope<A::Message>;
    type State = Desk<A>;
    type Arguments = Arguments<A>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        Arguments { slot, start, birth }: Arguments<A>,
    ) -> Result<Desk<A>, ActorProcessingErr> {
        let Birth { node, generation, capacity } = birth;
        let seat = node.seat.clone().acquire_owned().await?;
        // Open before the start function runs, so that an actor can send itself its first message.
        let incarnation = slot.occupy(generation, myself.clone(), capacity);
        let tenancy = Tenancy { incarnation, slot: slot.clone(), node: node.clone(), _seat: seat };
        let context =
            Context { path: node.path.clone(), myself: Address::new(slot), node, cell: myself.get_cell() };
        match caught(async { start(context).await }).await {
            Ok(Ok(actor)) => Ok(Desk { actor, tenancy }),
            Ok(Err(error)) => fail(Exit::from_error(ExitClass::StartFailed, error.0.as_ref())),
            Err(report) => fail(Exit::from_panic(ExitClass::StartFailed, report)),
        }
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        Envelope { message, sender, begun }: Self::Msg,
        Desk { actor, tenancy }: &mut Desk<A>,
    ) -> Result<(), ActorProcessingErr> {
        let node = &tenancy.node;
        node.vitals.resumed().await;
        node.vitals.busy();
        if let Some(begun) = begun {
            // Whoever waited for it may have given up.
            let _ = begun.send(());
        }
        let span = tracing::info_span!(
            parent: &sender,
            "actor.handle",
            actor.path = %node.path,
            message = A::describe(&message),
        );
        // The new span knows its parent; holding the sender's any longer would only delay its export.
        drop(sender);
        let handled = span.clone();
        let outcome = caught(async { actor.handle(message).instrument(handled).await }).await;
        node.vitals.done();
        tenancy.incarnation.places.give_back();
        let exit = match outcome {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => Exit::from_error(ExitClass::Error, error.0.as_ref()),
            Err(report) => Exit::from_panic(ExitClass::Panic, report),
        };
        node.vitals.failed();
        span.in_scope(|| telemetry::note_failure(exit.class.as_str()));
        // Senders are turned away at once, not only when the supervisor has heard of it.
        tenancy.give_up();
        fail(exit)
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<Self::Msg>,
        Desk { actor, tenancy }: &mut Desk<A>,
    ) -> Result<(), ActorProcessingErr> {
        tenancy.give_up();
        match caught(async { actor.stopping().await }).await {
            Ok(()) => Ok(()),
            Err(report) => fail(Exit::from_panic(ExitClass::Panic, report)),
        }
    }
}

fn fail<T>(exit: Exit) -> Result<T, ActorProcessingErr> {
    Err(Box::new(Failure(exit)))
}
