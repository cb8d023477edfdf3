//! Supervision as OTP means it: actors that are started in order, watched, restarted by policy and stopped in order.
//!
//! A [`Tree`] is declared with [`SupervisorSpec`] and [`ChildSpec`] and started as a whole. Workers implement
//! [`Actor`] and are reached through an [`Address`], which stays the same over all their incarnations.
//!
//! **Owns** the tree: which actors run, how often they failed, what they said when they ended. What it decides is
//! decided by a pure state machine (`machine`), what it does is done by thin shells around ractor actors
//! (`supervisor`, `worker`), and what it knows lies in shared nodes (`node`), readable without asking an actor.
//! **Fails** as its policies say: a failure stays with its child, its group or its supervisor, and a root that has
//! melted down is seen by [`Tree::ended`].
//! **Limits**: every mailbox, start, stop and restart rate has a bound in its spec.

mod address;
mod backoff;
mod child_spec;
mod exit;
mod intensity;
mod machine;
mod mailbox;
mod node;
mod panic;
mod path;
mod places;
mod strategy;
mod supervisor;
mod supervisor_spec;
mod tree;
mod vitals;
mod worker;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

pub use address::{Address, CallError, Reply, SendError};
pub use backoff::Backoff;
pub use child_spec::{ChildSpec, MAILBOX_CAPACITY_DEFAULT, SHUTDOWN_DEFAULT, START_TIMEOUT_DEFAULT};
pub use exit::{Exit, ExitClass, REASON_CHARS_MAX};
pub use intensity::Intensity;
pub use machine::Status;
pub use node::{Kind, MailboxFill, Node};
pub use path::ActorPath;
pub use strategy::{AutoShutdown, OnMeltdown, Restart, Shutdown, Strategy};
pub use supervisor_spec::{CHILDREN_MAX_DEFAULT, SpecError, SupervisorSpec};
pub use tree::{ControlError, Ended, ShutdownReport, Tree, TreeError};

/// A supervised worker: one message at a time, and gone after its first error.
pub trait Actor: Send + Sized + 'static {
    /// What it is told.
    type Message: Send + 'static;

    /// Handles one message. An error ends this incarnation, so expected trouble is not an error but a state.
    fn handle(&mut self, message: Self::Message) -> impl Future<Output = Result<(), ActorError>> + Send;

    /// Runs at every graceful end, within the spec's shutdown time; not after an error, a panic or a kill.
    fn stopping(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// The name of a message in traces; it must not tell anything about anybody.
    fn describe(message: &Self::Message) -> &'static str {
        let _ = message;
        let name = std::any::type_name::<Self::Message>();
        name.rsplit("::").next().unwrap_or(name)
    }
}

/// Any error that ends an actor; its text is shown to operators, so it must be fit to be seen.
#[derive(Debug)]
pub struct ActorError(Box<dyn Error + Send + Sync>);

impl fmt::Display for ActorError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for ActorError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// What a start function is told about the incarnation that it makes.
pub struct Context<M: Send + 'static> {
    /// Where the actor stands in the tree.
    pub path: ActorPath,
    /// Its own address, already open.
    pub myself: Address<M>,
    node: Arc<node::NodeCell>,
    cell: ractor::ActorCell,
}

impl<M: Send + 'static> Context<M> {
    /// Says that the actor gets on, for one whose messages take long.
    pub fn progress(&self) {
        self.node.vitals.progress();
    }

    /// Ends this incarnation normally after the present message; what is queued behind it is dropped.
    pub fn stop(&self) {
        self.cell.stop(None);
    }
}

impl<M: Send + 'static> Clone for Context<M> {
    fn clone(&self) -> Self {
        Self {
            path: self.path.clone(),
            myself: self.myself.clone(),
            node: self.node.clone(),
            cell: self.cell.clone(),
        }
    }
}
