//! The engine's protocol as steps between states: what processes, the store and the outside party may do next.
//!
//! A statement of the store's is one step; its answer travels in another, and may be lost. A process that stands still is
//! one that takes no step while time passes. Each rule can be left out, to show that the checker would see it.
//!
//! **Owns** nothing. **Fails** with the [`Violation`] that a step commits. **Limits**: one attempt a process and row, and
//! as many mishaps as the state allows. A commit whose answer is lost has happened or not by the time it is asked about:
//! who asks waits for the row's lock.

use super::state::{
    Beat, DELAY_MAX, GAP_MAX, IDENTITIES, Phase, REAP_AFTER, Request, Runner, SETTLE_AFTER, Slot, Stage,
    State,
};

/// What must never happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    TwoHoldersWhoseAckWouldSucceed,
    AckOfAStaleFence,
    BeatOfTheDead,
    TrustInALeaseThatIsBuried,
    WorkTakenFromWhoTrustsItsLease,
    AskedInTheNameOfTheDead,
    RunsUnderTheDead,
    DoneTwice,
    EndedWithoutItsEffect,
    WrittenDownButCalledLost,
    CalledDoneButNotWrittenDown,
    /// From here the row cannot end any more without a further mishap.
    RowLost,
}

/// A rule that can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    FenceInTheAck,
    ReapByHeartbeatNotByAge,
    SelfFence,
    LeaseFromTheSendingOfTheBeat,
    DeadIsFinal,
    ClaimNeedsTheLiving,
    MarkBeforeTheEffect,
    LookBeforeAskingAgain,
    SettleCountsTheAttemptsTime,
    RereadAfterAnUnknownCommit,
    DoubtAnUnknownCommit,
    ReturnWhatNobodyHolds,
}

/// A step: by which process, on which row or identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Begin,
    Tick,
    Insert(usize),
    MakeAsOnesOwn(usize, usize),
    MakeAsOnesOwnCommitUnknown(usize, usize),
    MakeAsOnesOwnAnswerLost(usize, usize),
    Claim(usize, usize),
    ClaimAnswerLost(usize, usize),
    TakeInHand(usize, usize),
    BeginFresh(usize, usize),
    Look(usize, usize),
    Mark(usize, usize),
    MarkAnswerLost(usize, usize),
    Send(usize, usize),
    Arrive(usize),
    ArriveAnswerLost(usize),
    NeverArrive(usize),
    Ack(usize, usize),
    AckCommitUnknownHappened(usize, usize),
    AckCommitUnknownDidNot(usize, usize),
    Reread(usize, usize),
    DropGuard(usize, usize),
    GiveBack(usize, usize),
    GiveBackAnswerLost(usize, usize),
    LookForUnheld(usize, usize),
    PutBackUnheld(usize, usize),
    Promote(usize),
    Beat(usize),
    SendBeat(usize),
    LandBeat(usize),
    AnswerBeat(usize),
    LoseBeat(usize),
    EnterAgain(usize),
    Bury(u8),
    ReapByAge(usize),
    Crash(usize),
    Leave(usize),
    Restart(usize),
}

type Outcome = Result<(), Violation>;
pub type Steps = Vec<(Action, Outcome, State)>;

/// The protocol over so many processes and rows.
#[derive(Debug, Clone, Copy)]
pub struct Protocol {
    pub processes: usize,
    pub rows: usize,
    /// So many processes have heartbeats that travel; the others' arrive and are answered in one step.
    pub slow_beats: usize,
    pub mishaps: u8,
    pub without: Option<Rule>,
}

/// Collects the steps from one state.
pub struct Fan<'a> {
    pub protocol: &'a Protocol,
    pub from: State,
    steps: &'a mut Steps,
}

impl Protocol {
    pub fn start(&self) -> State {
        State::start(self.processes, self.mishaps)
    }

    pub fn keeps(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }

    pub fn settle_after(&self) -> u8 {
        if self.keeps(Rule::SettleCountsTheAttemptsTime) { SETTLE_AFTER } else { DELAY_MAX + 1 }
    }

    /// Every step that can be taken from `from`.
    pub fn steps(&self, from: &State, steps: &mut Steps) {
        let mut fan = Fan { protocol: self, from: *from, steps };
        if from.is_over(self.rows) {
            return;
        }
        if from.rows[..self.rows].iter().all(|row| row.phase == Phase::Absent) {
            // Nothing that happens before the first row is made makes a difference to it.
            for row in 0..self.rows {
                fan.outside(row);
                (0..self.processes).for_each(|process| fan.claims(process, row));
            }
            return;
        }
        fan.time();
        for process in 0..self.processes {
            fan.lease(process);
            for row in 0..self.rows {
                fan.claims(process, row);
                fan.attempt(process, row);
                fan.endings(process, row);
                fan.returns(process, row);
            }
        }
        for identity in 0..IDENTITIES as u8 {
            fan.burial(identity);
        }
        for row in 0..self.rows {
            fan.outside(row);
        }
    }

    /// What holds at every moment.
    fn check(&self, state: &State) -> Outcome {
        for process in &state.processes[..self.processes] {
            if process.up && process.trusts && !state.is_alive(process.identity) {
                return Err(Violation::TrustInALeaseThatIsBuried);
            }
        }
        for row in 0..self.rows {
            let holders = (0..self.processes)
                .filter(|process| state.processes[*process].slots[row].acts())
                .filter(|process| self.ack_would_succeed(state, *process, row));
            if holders.count() > 1 {
                return Err(Violation::TwoHoldersWhoseAckWouldSucceed);
            }
            match (state.rows[row].phase, state.rows[row].effects) {
                (Phase::Running { by }, _) if !state.is_alive(by) => return Err(Violation::RunsUnderTheDead),
                (_, 2..) => return Err(Violation::DoneTwice),
                (Phase::Done { .. }, 0) => return Err(Violation::EndedWithoutItsEffect),
                _ => {}
            }
        }
        Ok(())
    }

    pub fn ack_would_succeed(&self, state: &State, process: usize, row: usize) -> bool {
        match self.keeps(Rule::FenceInTheAck) {
            true => state.holds(process, row),
            false => matches!(state.rows[row].phase, Phase::Running { .. }),
        }
    }
}

impl Fan<'_> {
    /// Adds a step that costs so many mishaps, if that many are left.
    pub fn step(&mut self, action: Action, mishaps: u8, change: impl FnOnce(&mut State) -> Outcome) {
        let mut to = self.from;
        let Some(left) = to.mishaps.checked_sub(mishaps) else { return };
        to.mishaps = left;
        let outcome = change(&mut to).and_then(|()| self.protocol.check(&to));
        to.simplify();
        self.steps.push((action, outcome, to));
    }

    /// A tick passes, unless something must arrive before. That an attempt outlives its deadline is a mishap.
    fn time(&mut self) {
        let overdue = |request: &Request| request.age >= DELAY_MAX;
        if self.from.rows.iter().any(|row| row.requests.iter().flatten().any(overdue)) {
            return;
        }
        let slots = self.from.processes.iter().flat_map(|process| process.slots);
        let late = u8::from(slots.into_iter().any(|slot| slot.hurries() && slot.gap == GAP_MAX));
        let by_age = !self.protocol.keeps(Rule::ReapByHeartbeatNotByAge);
        self.step(Action::Tick, late, |to| {
            for process in &mut to.processes {
                process.trusts = false;
                process.beat = match process.beat {
                    Beat::Flying { .. } => Beat::Flying { stale: true },
                    Beat::Landed { .. } => Beat::Landed { stale: true },
                    other => other,
                };
                for slot in process.slots.iter_mut().filter(|slot| slot.hurries()) {
                    slot.gap = (slot.gap + 1).min(GAP_MAX + 1);
                }
            }
            for row in &mut to.rows {
                row.sent = row.sent.map(|age| (age + 1).min(SETTLE_AFTER));
                row.requests.iter_mut().flatten().for_each(|request| request.age += 1);
                if by_age && matches!(row.phase, Phase::Running { .. }) {
                    row.claimed = (row.claimed + 1).min(REAP_AFTER);
                }
            }
            for runner in &mut to.runners {
                if let Runner::Alive { still } = runner {
                    *still = (*still + 1).min(REAP_AFTER);
                }
            }
            Ok(())
        });
    }

    fn lease(&mut self, process: usize) {
        let me = self.from.processes[process];
        if !me.up {
            self.step(Action::Restart(process), 0, |to| {
                to.enter(process);
                Ok(())
            });
            return;
        }
        self.beat(process);
        self.step(Action::Crash(process), 1, |to| {
            let me = &mut to.processes[process];
            (me.up, me.trusts, me.beat, me.slots) = (false, false, Beat::None, [Slot::EMPTY; 2]);
            Ok(())
        });
        if me.slots.iter().all(|slot| slot.stage == Stage::Empty) {
            self.step(Action::Leave(process), 1, |to| {
                to.bury(me.identity);
                let me = &mut to.processes[process];
                (me.up, me.trusts, me.beat) = (false, false, Beat::None);
                Ok(())
            });
        }
    }

    /// A beat on its way there and back. It renews the lease from the moment at which it was sent.
    fn beat(&mut self, process: usize) {
        let me = self.from.processes[process];
        let dead_is_final = self.protocol.keeps(Rule::DeadIsFinal);
        let from_sending = self.protocol.keeps(Rule::LeaseFromTheSendingOfTheBeat);
        match me.beat {
            Beat::None if process >= self.protocol.slow_beats => self.step(Action::Beat(process), 0, |to| {
                if to.is_alive(me.identity) {
                    to.runners[usize::from(me.identity)] = Runner::Alive { still: 0 };
                    to.processes[process].trusts = true;
                } else {
                    to.processes[process].beat = Beat::Refused;
                }
                Ok(())
            }),
            Beat::None => self.step(Action::SendBeat(process), 0, |to| {
                to.processes[process].beat = Beat::Flying { stale: false };
                Ok(())
            }),
            Beat::Flying { stale } => {
                self.step(Action::LandBeat(process), 0, |to| {
                    let runner = &mut to.runners[usize::from(me.identity)];
                    let was_dead = *runner == Runner::Dead;
                    let refused = was_dead && dead_is_final;
                    if !refused {
                        *runner = Runner::Alive { still: 0 };
                    }
                    to.processes[process].beat = if refused { Beat::Refused } else { Beat::Landed { stale } };
                    if was_dead && !refused { Err(Violation::BeatOfTheDead) } else { Ok(()) }
                });
            }
            Beat::Landed { stale } => self.step(Action::AnswerBeat(process), 0, |to| {
                let me = &mut to.processes[process];
                me.beat = Beat::None;
                me.trusts |= !stale || !from_sending;
                Ok(())
            }),
            Beat::Refused => self.step(Action::EnterAgain(process), 0, |to| {
                to.enter(process);
                Ok(())
            }),
        }
        if matches!(me.beat, Beat::Flying { stale: true } | Beat::Landed { stale: true }) {
            self.step(Action::LoseBeat(process), 0, |to| {
                to.processes[process].beat = Beat::None;
                Ok(())
            });
        }
    }

    /// Any other process may bury one whose counter stands still. That one which runs comes to that is a mishap.
    fn burial(&mut self, identity: u8) {
        let is_still = self.from.runners[usize::from(identity)] == (Runner::Alive { still: REAP_AFTER });
        let mut observers = self.from.processes.iter();
        if is_still && observers.any(|process| process.up && process.identity != identity) {
            let runs = self.from.processes.iter().any(|process| process.up && process.identity == identity);
            let taken = (0..self.protocol.rows).any(|row| {
                self.from.rows[row].phase == Phase::Running { by: identity } && self.is_trusted(row)
            });
            self.step(Action::Bury(identity), u8::from(runs), |to| {
                to.bury(identity);
                if taken { Err(Violation::WorkTakenFromWhoTrustsItsLease) } else { Ok(()) }
            });
        }
    }

    /// Whether somebody has the row in hand under a lease that it trusts.
    fn is_trusted(&self, row: usize) -> bool {
        (0..self.protocol.processes).any(|process| {
            self.from.processes[process].slots[row].acts()
                && self.from.holds(process, row)
                && self.from.trusts(process, row)
        })
    }

    /// What happens to a row without any process that has it in hand.
    fn outside(&mut self, row: usize) {
        let now = self.from.rows[row];
        match now.phase {
            Phase::Absent => self.step(Action::Insert(row), 0, |to| {
                to.rows[row].phase = Phase::Available;
                Ok(())
            }),
            Phase::Waiting if now.sent.is_none_or(|age| age >= self.protocol.settle_after()) => {
                self.step(Action::Promote(row), 0, |to| {
                    to.rows[row].phase = Phase::Available;
                    Ok(())
                });
            }
            Phase::Running { .. }
                if !self.protocol.keeps(Rule::ReapByHeartbeatNotByAge) && now.claimed >= REAP_AFTER =>
            {
                let taken = self.is_trusted(row);
                self.step(Action::ReapByAge(row), 0, |to| {
                    to.rows[row].phase = Phase::Available;
                    if taken { Err(Violation::WorkTakenFromWhoTrustsItsLease) } else { Ok(()) }
                });
            }
            _ => {}
        }
        for (index, request) in now.requests.iter().enumerate() {
            let Some(request) = request else { continue };
            let asks = |process: &usize| {
                let slot = self.from.processes[*process].slots[row];
                slot.stage == Stage::Asking && slot.fence == request.fence
            };
            let asker = (0..self.protocol.processes).find(asks);
            let unanswered = Stage::Returning { unmark: false };
            let mut arrive = |action, mishaps, effects: u8, then: Stage| {
                self.step(action, mishaps, |to| {
                    to.rows[row].requests[index] = None;
                    to.rows[row].requests.sort_by_key(Option::is_none);
                    to.rows[row].effects += effects;
                    if let Some(asker) = asker {
                        to.processes[asker].slots[row].stage = then;
                    }
                    Ok(())
                });
            };
            arrive(Action::Arrive(row), 0, 1, Stage::Answered);
            if asker.is_some() {
                arrive(Action::ArriveAnswerLost(row), 1, 1, unanswered);
            }
            arrive(Action::NeverArrive(row), 1, 0, unanswered);
        }
    }
}
