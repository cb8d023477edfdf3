//! The actors as metrics: which of them run, how much they handle, how often they were started again.
//!
//! **Owns** nothing. **Fails** never. **Limits**: an actor is called by its path, which is the program's and its configuration's.

use std::collections::BTreeMap;

use crate::metrics::Reading;
use crate::supervision::{Kind, Node, Status};

/// Readings of a tree.
pub(super) fn readings(root: &Node) -> Vec<Reading> {
    let mut actors = Actors::default();
    actors.walk(root);
    actors.told()
}

struct Actors {
    up: Reading,
    state: Reading,
    restarts: Reading,
    stuck: Reading,
    handled: Reading,
    failures: Reading,
    busy: Reading,
    mailbox: Reading,
    by_status: BTreeMap<&'static str, f64>,
}

impl Default for Actors {
    fn default() -> Self {
        Self {
            up: Reading::gauge(
                "bursar_actor_up",
                "Whether the actor serves; those that are not configured are left out.",
            ),
            state: Reading::gauge("bursar_actor_status", "What the actor is doing; always 1."),
            restarts: Reading::counter("bursar_actor_restarts", "How often it was started again."),
            stuck: Reading::gauge(
                "bursar_actor_stuck",
                "Whether it is at one message for longer than it may be.",
            ),
            handled: Reading::counter("bursar_actor_messages", "Messages that it has handled."),
            failures: Reading::counter(
                "bursar_actor_failures",
                "Messages that ended in an error or a panic, and its incarnation with them.",
            ),
            busy: Reading::counter("bursar_actor_busy_seconds", "For how long it was at them."),
            mailbox: Reading::gauge("bursar_actor_mailbox_messages", "Messages in its mailbox."),
            by_status: BTreeMap::new(),
        }
    }
}

impl Actors {
    fn walk(&mut self, node: &Node) {
        self.put(node);
        node.children.iter().for_each(|child| self.walk(child));
    }

    fn put(&mut self, node: &Node) {
        let actor = [("actor", node.path.as_str())];
        let flag = |is: bool| f64::from(u8::from(is));
        *self.by_status.entry(node.status.as_str()).or_default() += 1.0;
        if node.status == Status::Disabled {
            return;
        }
        self.up.put(actor, flag(node.status == Status::Running));
        self.state.put([("actor", node.path.as_str()), ("status", node.status.as_str())], 1.0);
        self.restarts.put(actor, f64::from(node.restarts));
        if node.kind == Kind::Supervisor {
            return;
        }
        self.stuck.put(actor, flag(node.stuck));
        self.handled.put(actor, node.handled as f64);
        self.failures.put(actor, node.failures as f64);
        self.busy.put(actor, node.busy.as_secs_f64());
        if let Some(mailbox) = node.mailbox {
            self.mailbox.put(actor, mailbox.depth as f64);
        }
    }

    fn told(self) -> Vec<Reading> {
        let Self { up, state, restarts, stuck, handled, failures, busy, mailbox, by_status } = self;
        let mut actors = Reading::gauge("bursar_actors", "Actors by what they are doing.");
        for (status, count) in by_status {
            actors.put([("status", status)], count);
        }
        vec![actors, up, state, restarts, stuck, handled, failures, busy, mailbox]
    }
}
