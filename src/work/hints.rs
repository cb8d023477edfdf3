//! Wakes whoever may find work in a queue. A hint is no promise: the row is the queue, and polling stands behind.
//!
//! **Owns** one signal a listener; signals to a listener that is still busy become one. What is said here is also kept
//! for the other processes, once somebody carries it there. **Limits**: at most [`OUTWARD_MAX`] names wait for that; more
//! become one hint about everything.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::Notify;

/// Names kept for other processes at most.
const OUTWARD_MAX: usize = 64;

/// A prefix of queues and who is to be woken.
type Listener = (String, Arc<Notify>);

/// The board on which hints are posted; clones are the same board.
#[derive(Clone, Default)]
pub struct Hints {
    board: Arc<Board>,
}

#[derive(Default)]
struct Board {
    listeners: RwLock<Vec<Listener>>,
    upheaval: Arc<Notify>,
    /// What other processes are to be told; nothing is kept while nobody tells them.
    outward: Mutex<Option<BTreeSet<String>>>,
    posted: Arc<Notify>,
}

impl Hints {
    /// A signal for hints about queues whose names begin with `prefix`. A second call for a prefix gives the same one, so
    /// that a worker that is started again listens where the one before it did.
    pub fn listen(&self, prefix: &str) -> Arc<Notify> {
        let mut listeners = self.board.listeners.write().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, signal)) = listeners.iter().find(|(known, _)| known == prefix) {
            return signal.clone();
        }
        let signal = Arc::new(Notify::new());
        listeners.push((prefix.to_owned(), signal.clone()));
        signal
    }

    /// The signal for hints that name no queue: a process has left, or hints may have been missed. One listener hears it.
    pub fn listen_for_upheavals(&self) -> Arc<Notify> {
        self.board.upheaval.clone()
    }

    /// There may be work in `queue`, or in any queue below it if it is itself a prefix; the empty name is all of them.
    /// Other processes are told too.
    pub fn there_is_work(&self, queue: &str) {
        self.there_is_work_here(queue);
        self.there_is_work_elsewhere(queue);
    }

    /// The same for other processes alone: there is no place free for it here.
    pub fn there_is_work_elsewhere(&self, queue: &str) {
        if let Some(outward) = &mut *self.board.outward.lock().unwrap_or_else(PoisonError::into_inner) {
            if outward.contains(queue) {
                return;
            }
            if outward.len() == OUTWARD_MAX {
                outward.clear();
                outward.insert(String::new());
            } else {
                outward.insert(queue.to_owned());
            }
            self.board.posted.notify_one();
        }
    }

    /// The same for this process alone: another one has said so.
    pub fn there_is_work_here(&self, queue: &str) {
        let listeners = self.board.listeners.read().unwrap_or_else(PoisonError::into_inner);
        for (prefix, signal) in listeners.iter() {
            if queue.starts_with(prefix.as_str()) || prefix.starts_with(queue) {
                signal.notify_one();
            }
        }
        if queue.is_empty() {
            self.board.upheaval.notify_one();
        }
    }

    /// Keeps hints for other processes from here on. The signal is for whoever takes them there.
    pub fn keep_for_others(&self) -> Arc<Notify> {
        self.board.outward.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default();
        self.board.posted.clone()
    }

    /// Takes what other processes are to be told. The empty name says all there is to say.
    pub fn take_for_others(&self) -> Vec<String> {
        let mut outward = self.board.outward.lock().unwrap_or_else(PoisonError::into_inner);
        let names = outward.as_mut().map(std::mem::take).unwrap_or_default();
        if names.contains("") { vec![String::new()] } else { names.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hint_reaches_those_it_concerns_and_keeps_until_they_look() {
        let hints = Hints::default();
        let sqs = hints.listen("delivery/sqs/");
        let webhook = hints.listen("delivery/webhook/");
        hints.there_is_work("delivery/sqs/1");
        sqs.notified().await;
        hints.there_is_work("delivery/");
        sqs.notified().await;
        webhook.notified().await;
        hints.there_is_work("registration/x/1");
        let nothing = tokio::time::timeout(std::time::Duration::from_millis(1), webhook.notified()).await;
        assert!(nothing.is_err());
    }

    #[tokio::test]
    async fn what_is_said_here_is_kept_for_others_once_each_and_what_others_said_is_not() {
        let hints = Hints::default();
        hints.there_is_work("a/");
        let posted = hints.keep_for_others();
        assert!(hints.take_for_others().is_empty(), "nobody carried it when it was said");
        hints.there_is_work_here("b/");
        for queue in ["a/", "c/", "a/"] {
            hints.there_is_work(queue);
        }
        posted.notified().await;
        assert_eq!(hints.take_for_others(), ["a/", "c/"]);
        assert!(hints.take_for_others().is_empty());
        hints.there_is_work("a/");
        hints.there_is_work("");
        assert_eq!(hints.take_for_others(), [""], "everything is all there is to say");
    }

    #[tokio::test]
    async fn too_many_names_become_everything() {
        let hints = Hints::default();
        hints.keep_for_others();
        for number in 0..=OUTWARD_MAX {
            hints.there_is_work(&format!("delivery/sqs/{number}"));
        }
        assert_eq!(hints.take_for_others(), [""]);
        hints.there_is_work("");
        hints.listen_for_upheavals().notified().await;
    }
}
