//! What the machine knows of one child.
//!
//! **Owns** the child's goal, phase and failures. **Fails** never. **Limits**: none of its own.

use std::time::Duration;

use super::Status;
use super::control::Ticket;
use crate::supervision::backoff::Backoff;
use crate::supervision::intensity::Window;
use crate::supervision::strategy::Restart;

/// Names a child within its supervisor, for as long as the supervisor lives; never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::supervision) struct ChildKey(pub(in crate::supervision) u32);

/// What the machine has to know of a child's spec.
#[derive(Debug, Clone)]
pub(in crate::supervision) struct ChildPolicy {
    pub(in crate::supervision) restart: Restart,
    pub(in crate::supervision) significant: bool,
    pub(in crate::supervision) backoff: Backoff,
    pub(in crate::supervision) disabled: bool,
}

/// What should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// It should run.
    Up,
    /// An operator wants it down, and it holds back what depends on it.
    Stopped,
    /// It has done its work and is not restarted; nothing waits for it.
    Finished,
    /// It never runs.
    Disabled,
    /// It is to be forgotten as soon as it is down.
    Removed,
}

/// What is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Down,
    Starting,
    Up { since: Duration },
    Stopping,
}

/// What keeps a child that is down from being started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    Free,
    /// A backoff that begins when its group is at rest.
    Delay(Duration),
    Until(Duration),
}

/// Somebody who waits for an operation to be through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiter {
    pub(super) ticket: Ticket,
    /// The generation that has to be up; none for one who waits for the end.
    pub(super) up: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Child {
    pub(super) key: ChildKey,
    pub(super) policy: ChildPolicy,
    pub(super) goal: Goal,
    pub(super) phase: Phase,
    /// Counts incarnations; the current one, or the last.
    pub(super) generation: u64,
    /// It has to end before it, or its group, starts again.
    pub(super) flush: bool,
    pub(super) hold: Hold,
    /// Failures in a row, for the backoff.
    pub(super) failures: u32,
    pub(super) window: Window,
    /// While parked or on probation: how often it was parked before.
    pub(super) parked: Option<u32>,
    /// Added while the supervisor runs, and never up so far: its first failure removes it.
    pub(super) provisional: bool,
    pub(super) waiters: Vec<Waiter>,
    pub(super) shown: Option<Status>,
}

impl Child {
    pub(super) fn new(key: ChildKey, policy: ChildPolicy) -> Self {
        let goal = if policy.disabled { Goal::Disabled } else { Goal::Up };
        Self {
            key,
            policy,
            goal,
            phase: Phase::Down,
            generation: 0,
            flush: false,
            hold: Hold::Free,
            failures: 0,
            window: Window::default(),
            parked: None,
            provisional: false,
            waiters: Vec::new(),
            shown: None,
        }
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Up { .. })
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up { .. })
    }

    /// It lives and should not.
    pub(super) fn needs_stop(&self) -> bool {
        self.is_live() && (self.flush || self.goal != Goal::Up)
    }

    pub(super) fn wants_start(&self) -> bool {
        self.phase == Phase::Down && self.goal == Goal::Up
    }

    pub(super) fn not_before(&self) -> Option<Duration> {
        match self.hold {
            Hold::Until(moment) => Some(moment),
            Hold::Free | Hold::Delay(_) => None,
        }
    }

    pub(super) fn is_held(&self, now: Duration) -> bool {
        match self.hold {
            Hold::Free => false,
            Hold::Delay(_) => true,
            Hold::Until(moment) => moment > now,
        }
    }

    /// Starts the clock of a backoff whose group has come to rest.
    pub(super) fn begin_hold(&mut self, now: Duration) {
        if let Hold::Delay(delay) = self.hold {
            self.hold = Hold::Until(now.saturating_add(delay));
        }
    }

    /// Forgets all failures, as an operator may.
    pub(super) fn pardon(&mut self) {
        self.hold = Hold::Free;
        self.failures = 0;
        self.parked = None;
        self.window.clear();
    }
}
