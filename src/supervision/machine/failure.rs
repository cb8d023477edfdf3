//! What the end of a child means: a wish fulfilled, a failure to be counted, or one too many.
//!
//! **Owns** nothing of its own. **Fails** never.
//! **Limits**: failures of a group that is being stopped anyway coalesce into the restart under way.

use super::child::{Child, Goal, Hold, Phase};
use super::control::Refusal;
use super::{ChildKey, Command, Machine, Mode, Outcome, Tick};
use crate::supervision::backoff::Backoff;
use crate::supervision::exit::ExitClass;
use crate::supervision::strategy::{OnMeltdown, Restart};

impl Machine {
    pub(super) fn ended(
        &mut self,
        tick: Tick,
        key: ChildKey,
        generation: u64,
        class: ExitClass,
        out: &mut Vec<Command>,
    ) {
        let Some(index) = self.index(key) else { return };
        let child = &mut self.children[index];
        if child.generation != generation || child.phase == Phase::Down {
            return;
        }
        let phase = std::mem::replace(&mut child.phase, Phase::Down);
        let told = phase == Phase::Stopping;
        let coalesced = std::mem::take(&mut child.flush);
        if child.goal != Goal::Up {
            return;
        }
        if child.provisional && class.is_abnormal() {
            child.goal = Goal::Removed;
            child.refuse_waiters(Refusal::Failed, out);
            return;
        }
        let asked_for = child.waiters.iter().any(|waiter| waiter.up > Some(generation));
        if !asked_for && !restarts(child.policy.restart, class, told) {
            child.goal = Goal::Finished;
            child.refuse_waiters(Refusal::Finished, out);
            self.shut_down_if_significant();
            return;
        }
        if told || coalesced || !matches!(self.mode, Mode::Opening | Mode::Running) {
            return;
        }
        child.refuse_waiters(Refusal::Failed, out);
        self.failed(tick, index, phase);
    }

    /// Counts a failure, and holds the child back or closes the supervisor.
    fn failed(&mut self, tick: Tick, index: usize, phase: Phase) {
        let up_for = match phase {
            Phase::Up { since } => tick.now.saturating_sub(since),
            _ => std::time::Duration::ZERO,
        };
        let intensity = self.policy.intensity;
        let child = &mut self.children[index];
        match self.policy.on_meltdown {
            OnMeltdown::Escalate => {
                let key = child.key;
                if phase == Phase::Starting && self.mode == Mode::Opening {
                    return self.close(Outcome::StartFailed(key));
                }
                if self.window.note(tick.now, intensity) {
                    return self.close(Outcome::Meltdown(key));
                }
                child.back_off(up_for, tick.roll);
            }
            OnMeltdown::Park { retry } => {
                if child.parked.is_some() && up_for >= retry.reset_after {
                    child.pardon();
                }
                if let Some(times) = child.parked {
                    child.park(retry, times.saturating_add(1), tick.roll);
                } else if child.window.note(tick.now, intensity) {
                    child.window.clear();
                    child.park(retry, 0, tick.roll);
                } else {
                    child.back_off(up_for, tick.roll);
                }
            }
        }
        self.flush_dependants(index);
    }
}

impl Child {
    fn back_off(&mut self, up_for: std::time::Duration, roll: f64) {
        let backoff = self.policy.backoff;
        if up_for >= backoff.reset_after {
            self.failures = 0;
        }
        self.hold = Hold::Delay(backoff.delay(self.failures, roll));
        self.failures = self.failures.saturating_add(1);
    }

    fn park(&mut self, retry: Backoff, times: u32, roll: f64) {
        self.parked = Some(times);
        self.hold = Hold::Delay(retry.delay(times, roll));
    }

    fn refuse_waiters(&mut self, refusal: Refusal, out: &mut Vec<Command>) {
        let generation = self.generation;
        self.waiters.retain(|waiter| {
            // Who waits for a later incarnation, or for this very end, has nothing to complain of.
            let refused = waiter.up.is_some_and(|wanted| wanted <= generation);
            if refused {
                out.push(Command::Settle { ticket: waiter.ticket, result: Err(refusal) });
            }
            !refused
        });
    }
}

/// Whether a child that ended so is started again; one that was told to stop is, unless it never is.
fn restarts(restart: Restart, class: ExitClass, told: bool) -> bool {
    match restart {
        Restart::Permanent => true,
        Restart::Transient => told || class.is_abnormal(),
        Restart::Temporary => false,
    }
}
