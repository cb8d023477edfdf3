//! A probe that fails on command, a journal of what happened, and a way to wait for a tree.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use crate::supervision::{
    Actor, ActorError, Address, Backoff, ChildSpec, Context, Node, Reply, Status, Tree,
};

/// What happened, in order.
#[derive(Clone, Default)]
pub struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    pub fn note(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    pub fn count(&self, line: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|noted| *noted == line).count()
    }
}

/// What a probe can be told.
pub enum ProbeMessage {
    /// Write this into the journal.
    Note(&'static str),
    /// Answer with the number of this incarnation.
    Ask(Reply<usize>),
    /// Let the question go.
    Drop(Reply<usize>),
    /// End with an error.
    Fail,
    /// End with a panic.
    Panic,
    /// End as if killed from outside.
    Kill,
    /// Answer with what can kill this incarnation.
    Cell(Reply<ractor::ActorCell>),
    /// End normally.
    Stop,
    /// Be busy until told otherwise, after having said so.
    Wait { begun: Arc<Notify>, go_on: Arc<Notify> },
    /// Never be done with this message.
    Hang,
}

pub struct Probe {
    id: &'static str,
    incarnation: usize,
    journal: Journal,
    context: Context<ProbeMessage>,
}

impl Actor for Probe {
    type Message = ProbeMessage;

    async fn handle(&mut self, message: ProbeMessage) -> Result<(), ActorError> {
        match message {
            ProbeMessage::Note(line) => self.journal.note(line),
            ProbeMessage::Ask(reply) => drop(reply.send(self.incarnation)),
            ProbeMessage::Drop(reply) => drop(reply),
            ProbeMessage::Fail => return Err("told to fail".into()),
            ProbeMessage::Panic => panic!("told to panic"),
            ProbeMessage::Kill => {
                self.context.cell.kill();
                pending::<()>().await;
            }
            ProbeMessage::Cell(reply) => drop(reply.send(self.context.cell.clone())),
            ProbeMessage::Stop => self.context.stop(),
            ProbeMessage::Wait { begun, go_on } => {
                begun.notify_one();
                go_on.notified().await;
            }
            ProbeMessage::Hang => pending::<()>().await,
        }
        Ok(())
    }

    async fn stopping(&mut self) {
        self.journal.note(format!("stopping {}", self.id));
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.journal.note(format!("gone {}", self.id));
    }
}

/// A probe whose starts go as `script` says, by the number of the start from one on.
pub fn scripted(
    id: &'static str,
    journal: &Journal,
    script: impl Fn(usize) -> Start + Send + Sync + 'static,
) -> (Address<ProbeMessage>, ChildSpec) {
    let (journal, starts) = (journal.clone(), Arc::new(Mutex::new(0)));
    let (address, spec) = ChildSpec::worker(id, move |context| {
        let incarnation = {
            let mut starts = starts.lock().unwrap();
            *starts += 1;
            *starts
        };
        let (journal, start) = (journal.clone(), script(incarnation));
        async move {
            match start {
                Start::Well => {}
                Start::Slowly(delay) => tokio::time::sleep(delay).await,
                Start::Badly => return Err("told not to start".into()),
                Start::Never => pending::<()>().await,
                Start::InPanic => panic!("told to panic at the start"),
            }
            journal.note(format!("start {id}"));
            Ok(Probe { id, incarnation, journal, context })
        }
    });
    (address, spec.backoff(Backoff::NONE))
}

pub enum Start {
    Well,
    Slowly(Duration),
    Badly,
    Never,
    InPanic,
}

/// A probe that always starts well and restarts at once.
pub fn probe(id: &'static str, journal: &Journal) -> (Address<ProbeMessage>, ChildSpec) {
    scripted(id, journal, |_| Start::Well)
}

/// A backoff of always the same length.
pub fn constant(wait: Duration) -> Backoff {
    Backoff { base: wait, factor: 1.0, cap: wait, jitter: 0.0, ..Backoff::default() }
}

/// Waits for a change after which the tree is as wished.
pub async fn until(tree: &Tree, wished: impl Fn(&Node) -> bool) {
    let mut changes = tree.changes();
    while !wished(&tree.snapshot()) {
        // On a paused clock this ends at once when nothing is left that could still happen.
        let change = tokio::time::timeout(A_YEAR, changes.changed()).await;
        change.expect("the tree has come to rest otherwise").unwrap();
    }
}

const A_YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Waits until the actor at `path` has this status.
pub async fn until_status(tree: &Tree, path: &str, status: Status) {
    until(tree, |root| at(root, path).status == status).await;
}

/// Waits until the actor at `path` runs and was restarted so often.
pub async fn until_restarted(tree: &Tree, path: &str, restarts: u32) {
    until(tree, |root| {
        let node = at(root, path);
        node.status == Status::Running && node.restarts == restarts
    })
    .await;
}

pub fn at<'a>(root: &'a Node, path: &str) -> &'a Node {
    root.find(path).unwrap()
}

pub fn status(tree: &Tree, path: &str) -> Status {
    at(&tree.snapshot(), path).status
}

/// The number of the incarnation that answers.
pub async fn ask(address: &Address<ProbeMessage>) -> usize {
    address.call(ProbeMessage::Ask, Duration::from_secs(3_600)).await.unwrap()
}

pub const LONG: Duration = Duration::from_secs(3_600);
