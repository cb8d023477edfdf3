//! Wakes whoever may find work in a queue. A hint is no promise: the row is the queue, and polling stands behind.
//!
//! **Owns** one signal a listener; signals to a listener that is still busy become one.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Notify;

/// A prefix of queues and who is to be woken.
type Listener = (String, Arc<Notify>);

/// The board on which hints are posted; clones are the same board.
#[derive(Clone, Default)]
pub struct Hints {
    listeners: Arc<RwLock<Vec<Listener>>>,
}

impl Hints {
    /// A signal for hints about queues whose names begin with `prefix`. A second call for a prefix gives the same one, so
    /// that a worker that is started again listens where the one before it did.
    pub fn listen(&self, prefix: &str) -> Arc<Notify> {
        let mut listeners = self.listeners.write().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, signal)) = listeners.iter().find(|(known, _)| known == prefix) {
            return signal.clone();
        }
        let signal = Arc::new(Notify::new());
        listeners.push((prefix.to_owned(), signal.clone()));
        signal
    }

    /// There may be work in `queue`, or in any queue below it if it is itself a prefix.
    pub fn there_is_work(&self, queue: &str) {
        let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner);
        for (prefix, signal) in listeners.iter() {
            if queue.starts_with(prefix.as_str()) || prefix.starts_with(queue) {
                signal.notify_one();
            }
        }
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
}
