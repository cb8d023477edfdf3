//! What operators ask of single children: restart, stop, start, remove; and children that come later.
//!
//! **Owns** nothing of its own. **Fails** with a [`Refusal`] by ticket; every ticket is settled once.
//! **Limits**: a newer wish replaces an older one that contradicts it.

use super::child::{Child, Goal, Phase, Waiter};
use super::{ChildKey, ChildPolicy, Command, Machine, Mode};
use crate::supervision::strategy::Strategy;

/// Names one operation for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::supervision) struct Ticket(pub(in crate::supervision) u64);

/// What is wished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::supervision) enum Operation {
    /// End it gracefully if it runs, forgive its failures, start it.
    Restart,
    /// End it gracefully and keep it down, with what depends on it.
    Stop,
    /// Forgive its failures and start it unless it runs.
    Start,
    /// Stop it and forget it.
    Remove,
}

/// Why a wish was not fulfilled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::supervision) enum Refusal {
    /// It is not configured.
    Disabled,
    /// It failed while it was being started.
    Failed,
    /// It ended normally and is not restarted.
    Finished,
    /// A sibling that it depends on is stopped or failing.
    Held,
    /// A newer wish contradicted it.
    Superseded,
    /// The supervisor is going down.
    Closing,
    /// There is no such child.
    Unknown,
    /// The supervisor has as many children as it may have.
    TooMany,
}

impl Machine {
    /// Takes one more child in, which stays down until a `Start` is asked for it.
    pub(in crate::supervision) fn add(&mut self, policy: ChildPolicy) -> Result<ChildKey, Refusal> {
        if !matches!(self.mode, Mode::Opening | Mode::Running) {
            return Err(Refusal::Closing);
        }
        if self.children.len() >= self.policy.children_max {
            return Err(Refusal::TooMany);
        }
        let key = self.insert(policy);
        if let Some(child) = self.child_mut(key)
            && child.goal == Goal::Up
        {
            child.goal = Goal::Finished;
            child.provisional = true;
        }
        Ok(key)
    }

    pub(super) fn control(
        &mut self,
        key: ChildKey,
        operation: Operation,
        ticket: Ticket,
        out: &mut Vec<Command>,
    ) {
        let refuse = |refusal| Command::Settle { ticket, result: Err(refusal) };
        if !matches!(self.mode, Mode::Opening | Mode::Running) {
            return out.push(refuse(Refusal::Closing));
        }
        let Some(index) = self.index(key) else { return out.push(refuse(Refusal::Unknown)) };
        let child = &mut self.children[index];
        match (child.goal, operation) {
            (Goal::Removed, _) => return out.push(refuse(Refusal::Unknown)),
            (Goal::Disabled, Operation::Restart | Operation::Start) => {
                return out.push(refuse(Refusal::Disabled));
            }
            // What has ended for good holds nobody back, and stopping it must not begin to.
            (Goal::Disabled | Goal::Finished, Operation::Stop) => {
                return out.push(Command::Settle { ticket, result: Ok(()) });
            }
            _ => {}
        }
        match operation {
            Operation::Restart => child.want_up(ticket, true, out),
            Operation::Start => child.want_up(ticket, false, out),
            Operation::Stop => child.want_down(Goal::Stopped, ticket, out),
            Operation::Remove => child.want_down(Goal::Removed, ticket, out),
        }
        if operation != Operation::Start {
            self.flush_dependants(index);
        }
    }

    /// Answers all whose wish is fulfilled, and those whose wish cannot be fulfilled for now.
    pub(super) fn settle_waiters(&mut self, out: &mut Vec<Command>) {
        let closing = !matches!(self.mode, Mode::Opening | Mode::Running);
        let held: Vec<bool> = (0..self.children.len()).map(|index| self.is_held_by_sibling(index)).collect();
        for (child, held) in self.children.iter_mut().zip(held) {
            let (up, down) = (child.is_up() && !child.flush, child.phase == Phase::Down);
            let generation = child.generation;
            child.waiters.retain(|waiter| {
                let result = match waiter.up {
                    Some(wanted) if up && generation >= wanted => Ok(()),
                    None if down => Ok(()),
                    Some(_) if closing => Err(Refusal::Closing),
                    Some(_) if held && down => Err(Refusal::Held),
                    _ => return true,
                };
                out.push(Command::Settle { ticket: waiter.ticket, result });
                false
            });
        }
    }

    /// Whether a sibling that is down, and not about to come up, keeps this one down.
    fn is_held_by_sibling(&self, index: usize) -> bool {
        let blocks = |child: &Child| {
            let parked = child.wants_start() && child.parked.is_some();
            parked || (child.goal == Goal::Stopped && child.phase == Phase::Down)
        };
        match self.policy.strategy {
            Strategy::OneForOne => false,
            Strategy::RestForOne => self.children[..index].iter().any(blocks),
            Strategy::OneForAll => {
                let others = self.children.iter().enumerate().filter(|(other, _)| *other != index);
                others.map(|(_, child)| child).any(blocks)
            }
        }
    }
}

impl Child {
    fn want_up(&mut self, ticket: Ticket, anew: bool, out: &mut Vec<Command>) {
        self.supersede(|waiter| waiter.up.is_none(), out);
        self.goal = Goal::Up;
        self.pardon();
        if anew && self.is_live() {
            self.flush = true;
        }
        let goes_on = self.is_live() && !self.flush;
        let wanted = if goes_on { self.generation } else { self.generation + 1 };
        self.waiters.push(Waiter { ticket, up: Some(wanted) });
    }

    fn want_down(&mut self, goal: Goal, ticket: Ticket, out: &mut Vec<Command>) {
        self.supersede(|waiter| waiter.up.is_some(), out);
        self.goal = goal;
        self.pardon();
        self.waiters.push(Waiter { ticket, up: None });
    }

    fn supersede(&mut self, contradicts: impl Fn(&Waiter) -> bool, out: &mut Vec<Command>) {
        self.waiters.retain(|waiter| {
            let gone = contradicts(waiter);
            if gone {
                let result = Err(Refusal::Superseded);
                out.push(Command::Settle { ticket: waiter.ticket, result });
            }
            !gone
        });
    }
}
