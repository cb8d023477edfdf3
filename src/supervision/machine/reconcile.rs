//! Compares what is with what should be, and takes the next steps in the declared order.
//!
//! **Owns** nothing of its own. **Fails** never.
//! **Limits**: within a group one child at a time is stopped, and one at a time started.

use std::time::Duration;

use super::child::{Child, Goal, Hold, Phase};
use super::{Command, Machine, Mode, Outcome, Status};
use crate::supervision::strategy::{OnMeltdown, Strategy};

impl Machine {
    pub(super) fn reconcile(&mut self, now: Duration, out: &mut Vec<Command>) {
        match self.mode {
            Mode::Finished => return,
            Mode::Closing(outcome) => self.wind_down(outcome, out),
            Mode::Opening | Mode::Running => {
                self.stop_what_must(out);
                self.start_what_may(now, out);
            }
        }
        // Tickets first: who waited for a removal is told before the child is forgotten.
        self.settle_waiters(out);
        self.show(out);
        self.forget_removed(out);
        if self.mode == Mode::Opening && self.is_settled(now) {
            self.mode = Mode::Running;
            out.push(Command::Ready);
        }
        if let Mode::Closing(outcome) = self.mode
            && self.children.iter().all(|child| child.phase == Phase::Down)
        {
            self.mode = Mode::Finished;
            out.push(Command::Finish(outcome));
        }
    }

    /// Stops all in reverse, each after the end of the one before.
    fn wind_down(&mut self, _outcome: Outcome, out: &mut Vec<Command>) {
        let last = self.children.iter_mut().rev().find(|child| child.phase != Phase::Down);
        if let Some(child) = last.filter(|child| child.is_live()) {
            child.stop(out);
        }
    }

    fn stop_what_must(&mut self, out: &mut Vec<Command>) {
        let grouped = self.is_grouped();
        for child in self.children.iter_mut().rev() {
            if child.needs_stop() {
                child.stop(out);
            }
            if grouped && child.phase == Phase::Stopping {
                return;
            }
        }
    }

    fn start_what_may(&mut self, now: Duration, out: &mut Vec<Command>) {
        match self.policy.strategy {
            Strategy::OneForOne => self.start_each(now, out),
            Strategy::RestForOne | Strategy::OneForAll => self.start_group(now, out),
        }
    }

    fn start_each(&mut self, now: Duration, out: &mut Vec<Command>) {
        let opening = self.mode == Mode::Opening;
        let mut starting = self.children.iter().any(|child| child.phase == Phase::Starting);
        for child in &mut self.children {
            if !child.wants_start() {
                continue;
            }
            child.begin_hold(now);
            // The first start of all is in order, one after the other.
            let its_turn = !(opening && starting);
            if its_turn && !child.is_held(now) {
                child.start(out);
                starting = true;
            }
        }
    }

    fn start_group(&mut self, now: Duration, out: &mut Vec<Command>) {
        // Ends come first, then the backoff, then the starts.
        let at_rest = |child: &Child| child.phase != Phase::Stopping && !child.needs_stop();
        if !self.children.iter().all(at_rest) {
            return;
        }
        for child in self.children.iter_mut().filter(|child| child.wants_start()) {
            child.begin_hold(now);
        }
        let blocks =
            |child: &Child| child.goal == Goal::Stopped || (child.wants_start() && child.is_held(now));
        if self.policy.strategy == Strategy::OneForAll && self.children.iter().any(blocks) {
            return;
        }
        for child in &mut self.children {
            if child.phase == Phase::Starting || blocks(child) {
                return;
            }
            if child.wants_start() {
                return child.start(out);
            }
        }
    }

    fn forget_removed(&mut self, out: &mut Vec<Command>) {
        self.children.retain(|child| {
            let gone = child.goal == Goal::Removed && child.phase == Phase::Down;
            if gone {
                out.push(Command::Forget { key: child.key });
            }
            !gone
        });
    }

    fn show(&mut self, out: &mut Vec<Command>) {
        for index in 0..self.children.len() {
            let status = self.status(index);
            let child = &mut self.children[index];
            if child.shown != Some(status) {
                child.shown = Some(status);
                out.push(Command::Show { key: child.key, status });
            }
        }
    }

    fn status(&self, index: usize) -> Status {
        let child = &self.children[index];
        match (child.phase, child.goal) {
            (Phase::Starting, _) => Status::Starting,
            (Phase::Up { .. }, _) => Status::Running,
            (Phase::Stopping, _) => Status::Stopping,
            (Phase::Down, Goal::Disabled) => Status::Disabled,
            (Phase::Down, Goal::Stopped | Goal::Finished | Goal::Removed) => Status::Stopped,
            (Phase::Down, Goal::Up) if matches!(self.mode, Mode::Closing(_) | Mode::Finished) => {
                Status::Stopped
            }
            (Phase::Down, Goal::Up) if child.parked.is_some() => Status::Melted,
            // Its backoff may be over: as long as a sibling is kept down, nobody is about to start this one.
            (Phase::Down, Goal::Up) if self.siblings_before(index).iter().any(is_kept_down) => {
                Status::Stopped
            }
            (Phase::Down, Goal::Up) if child.hold != Hold::Free => Status::BackingOff,
            (Phase::Down, Goal::Up) => self.status_in_turn(index),
        }
    }

    /// The status of one that waits for its turn: for a sibling that backs off, or that starts.
    fn status_in_turn(&self, index: usize) -> Status {
        let backs_off = |child: &Child| child.wants_start() && child.hold != Hold::Free;
        if self.siblings_before(index).iter().any(backs_off) { Status::BackingOff } else { Status::Starting }
    }

    /// Those without whom this one is not started.
    fn siblings_before(&self, index: usize) -> &[Child] {
        match self.policy.strategy {
            Strategy::OneForOne => &[],
            Strategy::RestForOne => &self.children[..index],
            Strategy::OneForAll => &self.children[..],
        }
    }

    /// Whether the first start is over: all are up, or what is not is being looked after.
    fn is_settled(&self, now: Duration) -> bool {
        let moving =
            |child: &Child| matches!(child.phase, Phase::Starting | Phase::Stopping) || child.needs_stop();
        if self.children.iter().any(moving) {
            return false;
        }
        let mut down = self.children.iter().filter(|child| child.wants_start()).peekable();
        if down.peek().is_none() {
            return true;
        }
        // What is startable has just been started, so those left are held themselves or behind one that is held.
        let parks = matches!(self.policy.on_meltdown, OnMeltdown::Park { .. });
        let stopped = self.children.iter().any(|child| child.goal == Goal::Stopped);
        stopped || (parks && down.any(|child| child.is_held(now)))
    }
}

fn is_kept_down(child: &Child) -> bool {
    child.goal == Goal::Stopped
}

impl Child {
    fn start(&mut self, out: &mut Vec<Command>) {
        self.phase = Phase::Starting;
        self.generation += 1;
        self.hold = Hold::Free;
        out.push(Command::Start { key: self.key, generation: self.generation });
    }

    fn stop(&mut self, out: &mut Vec<Command>) {
        let starting = self.phase == Phase::Starting;
        self.phase = Phase::Stopping;
        out.push(Command::Stop { key: self.key, generation: self.generation, starting });
    }
}
