//! Decides what one supervisor does next: events in, commands out.
//!
//! **Owns** the state of the supervisor's children and nothing else: no task, no clock, no chance (all passed in).
//! Most of it is level-triggered: an event only marks children, and [`reconcile`] compares what is with what should be.
//! So an event may come late, twice or not at all (a wake-up), and events of older generations are ignored.
//! **Fails** never; its outcome says how the supervisor ends.
//! **Limits**: `children_max` children.

mod child;
mod control;
mod failure;
mod reconcile;

pub(super) use child::{ChildKey, ChildPolicy};
pub(super) use control::{Operation, Refusal, Ticket};

use std::time::Duration;

use self::child::{Child, Goal, Phase};
use super::exit::ExitClass;
use super::intensity::{Intensity, Window};
use super::strategy::{AutoShutdown, OnMeltdown, Strategy};

/// What a supervisor does, as values.
#[derive(Debug, Clone)]
pub(super) struct Policy {
    pub(super) strategy: Strategy,
    pub(super) intensity: Intensity,
    pub(super) on_meltdown: OnMeltdown,
    pub(super) auto_shutdown: AutoShutdown,
    pub(super) children_max: usize,
}

/// The moment of an event, and a die thrown for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tick {
    /// Since any fixed moment.
    pub(super) now: Duration,
    /// From 0.0 up to 1.0.
    pub(super) roll: f64,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// The supervisor begins.
    Open,
    /// The child is ready.
    Started { key: ChildKey, generation: u64 },
    /// The child has ended, or could not be started.
    Ended { key: ChildKey, generation: u64, class: ExitClass },
    /// Time has passed.
    Wake,
    /// Somebody wants something done to a child.
    Control { key: ChildKey, operation: Operation, ticket: Ticket },
    /// The supervisor is to stop all children, then itself.
    Close,
}

/// What the shell is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// Start this incarnation and report `Started` or `Ended`.
    Start { key: ChildKey, generation: u64 },
    /// Stop this incarnation and report `Ended`. One that is still starting has nothing to drain.
    Stop { key: ChildKey, generation: u64, starting: bool },
    /// The child's status has changed.
    Show { key: ChildKey, status: Status },
    /// The operation is through.
    Settle { ticket: Ticket, result: Result<(), Refusal> },
    /// The child is gone for good.
    Forget { key: ChildKey },
    /// All children have been started once.
    Ready,
    /// Nothing runs any more, and the supervisor ends like this.
    Finish(Outcome),
}

/// How a supervisor ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// As wished.
    Closed,
    /// Its significant children are done.
    AutoShutdown,
    /// This child could not be started at first.
    StartFailed(ChildKey),
    /// This child's failure was one too many.
    Meltdown(ChildKey),
}

/// The status of a child, as people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// It is being started (a supervisor with all its children), or waits for its turn to be.
    Starting,
    /// It serves.
    Running,
    /// It failed, or one that it is restarted with did, and waits to be started again.
    BackingOff,
    /// It has been told to stop and has not ended yet.
    Stopping,
    /// It does not run, and nobody is about to start it.
    Stopped,
    /// It failed too often and is parked; tried again at long intervals.
    Melted,
    /// It is not configured, and never starts.
    Disabled,
}

impl Status {
    /// The name that people and other programs see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::BackingOff => "backing_off",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Melted => "melted",
            Self::Disabled => "disabled",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Opening,
    Running,
    Closing(Outcome),
    Finished,
}

/// The state of one supervisor.
#[derive(Debug)]
pub(super) struct Machine {
    policy: Policy,
    children: Vec<Child>,
    mode: Mode,
    window: Window,
    keys_given: u32,
}

impl Machine {
    /// A supervisor with these children, in their declared order; they get the keys 0, 1, 2 and so on.
    pub(super) fn new(policy: Policy, children: impl IntoIterator<Item = ChildPolicy>) -> Self {
        let mut machine = Self {
            policy,
            children: Vec::new(),
            mode: Mode::Opening,
            window: Window::default(),
            keys_given: 0,
        };
        for child in children {
            machine.insert(child);
        }
        machine
    }

    /// Takes in what happened and says what to do, in this order.
    pub(super) fn step(&mut self, tick: Tick, event: Event) -> Vec<Command> {
        let mut out = Vec::new();
        match event {
            Event::Open | Event::Wake => {}
            Event::Started { key, generation } => self.started(tick, key, generation),
            Event::Ended { key, generation, class } => {
                self.ended(tick, key, generation, class, &mut out);
            }
            Event::Control { key, operation, ticket } => {
                self.control(key, operation, ticket, &mut out);
            }
            Event::Close => self.close(Outcome::Closed),
        }
        self.reconcile(tick.now, &mut out);
        out
    }

    /// When after `now` the machine wants a wake-up, if nothing happens before.
    pub(super) fn next_wake(&self, now: Duration) -> Option<Duration> {
        if !matches!(self.mode, Mode::Opening | Mode::Running) {
            return None;
        }
        let waiting = self.children.iter().filter(|child| child.wants_start());
        waiting.filter_map(Child::not_before).filter(|moment| *moment > now).min()
    }

    fn insert(&mut self, policy: ChildPolicy) -> ChildKey {
        let key = ChildKey(self.keys_given);
        self.keys_given += 1;
        self.children.push(Child::new(key, policy));
        key
    }

    fn started(&mut self, tick: Tick, key: ChildKey, generation: u64) {
        if let Some(child) = self.child_mut(key)
            && child.generation == generation
            && child.phase == Phase::Starting
        {
            child.phase = Phase::Up { since: tick.now };
            child.provisional = false;
        }
    }

    fn close(&mut self, outcome: Outcome) {
        // The first reason stands: a shutdown that meets a meltdown under way changes nothing about it.
        if matches!(self.mode, Mode::Opening | Mode::Running) {
            self.mode = Mode::Closing(outcome);
        }
    }

    fn is_grouped(&self) -> bool {
        self.policy.strategy != Strategy::OneForOne
    }

    fn index(&self, key: ChildKey) -> Option<usize> {
        self.children.iter().position(|child| child.key == key)
    }

    fn child_mut(&mut self, key: ChildKey) -> Option<&mut Child> {
        self.children.iter_mut().find(|child| child.key == key)
    }

    /// Marks those that may not run on while the child at `index` is down.
    fn flush_dependants(&mut self, index: usize) {
        let first = match self.policy.strategy {
            Strategy::OneForOne => return,
            Strategy::RestForOne => index + 1,
            Strategy::OneForAll => 0,
        };
        for (other, child) in self.children.iter_mut().enumerate().skip(first) {
            if other != index && child.is_live() {
                child.flush = true;
            }
        }
    }

    fn shut_down_if_significant(&mut self) {
        let significant = |child: &&Child| child.policy.significant;
        let done = |child: &Child| child.goal == Goal::Finished;
        let mut significant = self.children.iter().filter(significant).peekable();
        let due = match self.policy.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => significant.any(done),
            AutoShutdown::AllSignificant => significant.peek().is_some() && significant.all(done),
        };
        if due {
            self.close(Outcome::AutoShutdown);
        }
    }
}
