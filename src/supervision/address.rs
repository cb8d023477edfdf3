//! How to reach a worker through all its incarnations.
//!
//! **Owns** a share of the worker's slot, which outlives every incarnation; it exists before the tree is started, so
//! that actors can be given each other's addresses.
//! **Fails** with a typed error when there is no place or nobody: the row is the queue, so a message may be given up.
//! **Limits**: the mailbox's capacity; every wait but those of [`Address::send`] and
//! [`Address::hand_over`] has a deadline.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout_at};
use tracing::Span;

use super::mailbox::{Absence, AnySlot, Envelope, Incarnation, Occupant, Slot};
use super::path::ActorPath;
use super::places::NoPlace;

/// The answer to a call; who asked may have hung up, so the result of sending is often ignored.
pub type Reply<T> = oneshot::Sender<T>;

/// Why a message did not get into a mailbox, cut by what the sender does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Its mailbox is full: slow down, or leave it to the row.
    #[error("mailbox is full")]
    Full,
    /// It is between two incarnations, or parked: it will look at the rows when it is back.
    #[error("actor is restarting")]
    Restarting,
    /// It does not run and is not about to.
    #[error("actor is stopped")]
    Stopped,
}

/// Why a question was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The question was not delivered; nothing has been done.
    #[error("question not delivered: {0}")]
    NotSent(#[from] SendError),
    /// The question was delivered and the time ran out; it may still be handled.
    #[error("no answer in time")]
    TimedOut,
    /// The actor ended, or let the question go, without an answer.
    #[error("question was dropped without an answer")]
    Dropped,
}

/// A stable reference to a worker.
pub struct Address<M: Send + 'static> {
    slot: Arc<Slot<M>>,
}

impl<M: Send + 'static> Address<M> {
    pub(super) fn new(slot: Arc<Slot<M>>) -> Self {
        Self { slot }
    }

    /// Where the worker stands; none before its tree is started.
    pub fn path(&self) -> Option<&ActorPath> {
        self.slot.path.get()
    }

    /// Messages in the mailbox, the one being handled included.
    pub fn depth(&self) -> usize {
        self.slot.depth()
    }

    /// The most messages that were in the mailbox at once, over all incarnations.
    pub fn high_water(&self) -> usize {
        self.slot.high_water()
    }

    /// Sends if there is a place now.
    pub fn try_send(&self, message: M) -> Result<(), SendError> {
        self.attempt(message).map_err(|(error, _)| error)
    }

    /// Waits for a place, but not for a restart.
    pub async fn send(&self, message: M) -> Result<(), SendError> {
        let incarnation = self.incarnation()?;
        let depth = incarnation.places.take().await?;
        self.deliver(&incarnation, depth, message, None).map_err(|_| SendError::Restarting)
    }

    /// Waits for a place and then until the actor begins with the message, but not for a restart: one that ends before
    /// it has begun is told as [`SendError::Restarting`].
    pub async fn hand_over(&self, message: M) -> Result<(), SendError> {
        let incarnation = self.incarnation()?;
        let depth = incarnation.places.take().await?;
        let (begun, begins) = oneshot::channel();
        self.deliver(&incarnation, depth, message, Some(begun)).map_err(|_| SendError::Restarting)?;
        begins.await.map_err(|_| SendError::Restarting)
    }

    /// Waits for a place, and for a restart under way, for at most `limit`.
    pub async fn send_timeout(&self, message: M, limit: Duration) -> Result<(), SendError> {
        self.send_until(message, deadline(limit)).await
    }

    /// Asks a question and waits for its answer; `limit` bounds both ways together.
    pub async fn call<T>(
        &self,
        question: impl FnOnce(Reply<T>) -> M,
        limit: Duration,
    ) -> Result<T, CallError> {
        let deadline = deadline(limit);
        let (reply, answer) = oneshot::channel();
        self.send_until(question(reply), deadline).await?;
        match timeout_at(deadline, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(CallError::Dropped),
            Err(_) => Err(CallError::TimedOut),
        }
    }

    async fn send_until(&self, message: M, deadline: Instant) -> Result<(), SendError> {
        let mut message = match self.attempt(message) {
            Ok(()) => return Ok(()),
            Err((SendError::Stopped, _)) => return Err(SendError::Stopped),
            Err((_, message)) => message,
        };
        loop {
            let mut changes = self.slot.changes();
            let incarnation = match &*changes.borrow_and_update() {
                Occupant::Incarnation(incarnation) => Some(incarnation.clone()),
                Occupant::Nobody(Absence::Restarting) => None,
                Occupant::Nobody(Absence::Stopped) => return Err(SendError::Stopped),
            };
            if let Some(incarnation) = incarnation {
                let place = timeout_at(deadline, incarnation.places.take()).await;
                if let Ok(depth) = place.map_err(|_| SendError::Full)? {
                    match self.deliver(&incarnation, depth, message, None) {
                        Ok(()) => return Ok(()),
                        Err(back) => message = back,
                    }
                }
            }
            // Nobody is there, or it has just ended under our hands and the slot is about to say so.
            wait_for_change(&mut changes, deadline).await?;
        }
    }

    /// The incarnation that runs now.
    fn incarnation(&self) -> Result<Arc<Incarnation<M>>, SendError> {
        match &*self.slot.occupant() {
            Occupant::Nobody(absence) => Err((*absence).into()),
            Occupant::Incarnation(incarnation) => Ok(incarnation.clone()),
        }
    }

    /// Sends if that can be done at once, else gives the message back.
    fn attempt(&self, message: M) -> Result<(), (SendError, M)> {
        match &*self.slot.occupant() {
            Occupant::Nobody(absence) => Err(((*absence).into(), message)),
            Occupant::Incarnation(incarnation) => match incarnation.places.try_take() {
                Err(no_place) => Err((no_place.into(), message)),
                Ok(depth) => {
                    let sent = self.deliver(incarnation, depth, message, None);
                    sent.map_err(|message| (SendError::Restarting, message))
                }
            },
        }
    }

    /// Sends to an incarnation in which a place has been taken; gives the message back if it has just ended.
    fn deliver(
        &self,
        incarnation: &Incarnation<M>,
        depth: usize,
        message: M,
        begun: Option<oneshot::Sender<()>>,
    ) -> Result<(), M> {
        self.slot.note_depth(depth);
        let envelope = Envelope { message, sender: Span::current(), begun };
        match incarnation.actor.send_message(envelope) {
            Ok(()) => Ok(()),
            Err(ractor::MessagingErr::SendErr(envelope)) => Err(envelope.message),
            // The reference carries the message's type, and a closed channel gives the message back.
            Err(other) => unreachable!("ractor refused a typed local message: {other}"),
        }
    }
}

/// The moment `limit` from now, or one that nobody lives to see.
fn deadline(limit: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(limit).unwrap_or_else(|| now + Duration::from_secs(60 * 60 * 24 * 365))
}

async fn wait_for_change<M: Send + 'static>(
    changes: &mut watch::Receiver<Occupant<M>>,
    deadline: Instant,
) -> Result<(), SendError> {
    match timeout_at(deadline, changes.changed()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(SendError::Stopped),
        Err(_) => Err(SendError::Restarting),
    }
}

impl From<Absence> for SendError {
    fn from(absence: Absence) -> Self {
        match absence {
            Absence::Restarting => Self::Restarting,
            Absence::Stopped => Self::Stopped,
        }
    }
}

impl From<NoPlace> for SendError {
    fn from(no_place: NoPlace) -> Self {
        match no_place {
            NoPlace::Full => Self::Full,
            // The mailbox closes with its incarnation, just before the slot is vacated.
            NoPlace::Closed => Self::Restarting,
        }
    }
}

impl<M: Send + 'static> Clone for Address<M> {
    fn clone(&self) -> Self {
        Self { slot: self.slot.clone() }
    }
}

impl<M: Send + 'static> fmt::Debug for Address<M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path().map_or("(not in a tree)", ActorPath::as_str);
        formatter.debug_tuple("Address").field(&path).finish()
    }
}
