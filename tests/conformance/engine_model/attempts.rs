//! The protocol's steps of one process with one row: claim, look, mark, ask, end, give back.
//!
//! **Owns** nothing. **Fails** as the steps do. Only asking and deciding need a lease that is trusted; what goes to the
//! store is checked there.

use super::protocol::{Action, Fan, Rule, Violation};
use super::state::{Beat, GAP_MAX, Phase, Request, Slot, Stage, State};

impl Fan<'_> {
    /// Claims, and rows made as this process's own. The store alone says whether the process lives.
    pub fn claims(&mut self, process: usize, row: usize) {
        let me = self.from.processes[process];
        let may = self.from.is_alive(me.identity) || !self.protocol.keeps(Rule::ClaimNeedsTheLiving);
        if !me.up || !may || me.slots[row].stage != Stage::Empty {
            return;
        }
        let take = move |to: &mut State, stage: Stage| {
            let claimed = &mut to.rows[row];
            claimed.phase = Phase::Running { by: me.identity };
            claimed.fence += 1;
            (claimed.seen_unheld, claimed.claimed) = (false, 0);
            let slot = &mut to.processes[process].slots[row];
            (slot.stage, slot.identity, slot.fence, slot.gap) = (stage, me.identity, claimed.fence, 0);
        };
        let lost = move |to: &mut State| to.processes[process].slots[row] = Slot::EMPTY;
        match self.from.rows[row].phase {
            Phase::Available => {
                self.step(Action::Claim(process, row), 0, |to| {
                    take(to, Stage::Answering { fresh: false });
                    Ok(())
                });
                self.step(Action::ClaimAnswerLost(process, row), 1, |to| {
                    take(to, Stage::Empty);
                    lost(to);
                    Ok(())
                });
            }
            Phase::Absent => {
                let mut make = |action, mishaps, stage: Stage| {
                    self.step(action, mishaps, |to| {
                        take(to, stage);
                        to.rows[row].sent = Some(0);
                        if stage == Stage::Empty {
                            lost(to);
                        }
                        Ok(())
                    });
                };
                make(Action::MakeAsOnesOwn(process, row), 0, Stage::Answering { fresh: true });
                // The commit happened and its answer is lost: the caller drops a guard over what may be there.
                let dropped = Stage::Returning { unmark: true };
                make(Action::MakeAsOnesOwnCommitUnknown(process, row), 1, dropped);
                // The same, and the commit took place after that guard had found nothing.
                make(Action::MakeAsOnesOwnAnswerLost(process, row), 1, Stage::Empty);
            }
            _ => {}
        }
    }

    /// From the claim's answer to the bytes that leave.
    pub fn attempt(&mut self, process: usize, row: usize) {
        let slot = self.from.processes[process].slots[row];
        let trusts = self.from.trusts(process, row) || !self.protocol.keeps(Rule::SelfFence);
        match slot.stage {
            Stage::Answering { fresh } => {
                let stage = if fresh { Stage::Fresh } else { Stage::Held };
                self.enter_stage(Action::TakeInHand(process, row), 0, process, row, stage);
            }
            Stage::Fresh => {
                self.enter_stage(Action::BeginFresh(process, row), 0, process, row, Stage::Marked)
            }
            Stage::Held if trusts => self.look(process, row),
            Stage::Clear => {
                if self.protocol.keeps(Rule::MarkBeforeTheEffect) {
                    self.mark(Action::Mark(process, row), 0, process, row, Stage::Marked);
                    let dropped = Stage::Returning { unmark: false };
                    self.mark(Action::MarkAnswerLost(process, row), 1, process, row, dropped);
                } else {
                    self.enter_stage(Action::Mark(process, row), 0, process, row, Stage::Marked);
                }
            }
            Stage::Marked if trusts && slot.gap <= GAP_MAX => {
                let alive = self.from.is_alive(slot.identity);
                let Some(free) = self.from.rows[row].requests.iter().position(Option::is_none) else {
                    return;
                };
                self.step(Action::Send(process, row), 0, |to| {
                    to.rows[row].requests[free] = Some(Request { fence: slot.fence, age: 0 });
                    let slot = &mut to.processes[process].slots[row];
                    (slot.stage, slot.gap) = (Stage::Asking, 0);
                    if alive { Ok(()) } else { Err(Violation::AskedInTheNameOfTheDead) }
                });
            }
            _ => {}
        }
    }

    /// Asks the outside party whether it has it, where bytes may have left before.
    fn look(&mut self, process: usize, row: usize) {
        let now = self.from.rows[row];
        let looks = self.protocol.keeps(Rule::LookBeforeAskingAgain);
        let settle_after = self.protocol.settle_after();
        let held = self.from.holds(process, row);
        match now.sent {
            Some(_) if looks && now.effects > 0 => {
                self.enter_stage(Action::Look(process, row), 0, process, row, Stage::Answered);
            }
            Some(age) if looks && age < settle_after => self.step(Action::Look(process, row), 0, |to| {
                to.processes[process].slots[row] = Slot::EMPTY;
                if held {
                    to.rows[row].phase = Phase::Waiting;
                }
                Ok(())
            }),
            _ => self.enter_stage(Action::Look(process, row), 0, process, row, Stage::Clear),
        }
    }

    fn mark(&mut self, action: Action, mishaps: u8, process: usize, row: usize, then: Stage) {
        let held = self.from.holds(process, row);
        self.step(action, mishaps, |to| {
            let slot = &mut to.processes[process].slots[row];
            if held {
                (slot.stage, slot.gap) = (then, 0);
                to.rows[row].sent = Some(0);
            } else {
                *slot = Slot::EMPTY;
            }
            Ok(())
        });
    }

    /// The ack, and what follows where its answer is lost.
    pub fn endings(&mut self, process: usize, row: usize) {
        let slot = self.from.processes[process].slots[row];
        let (held, would) =
            (self.from.holds(process, row), self.protocol.ack_would_succeed(&self.from, process, row));
        let end = |to: &mut State| {
            if would {
                to.rows[row].phase = Phase::Done { by_fence: slot.fence };
                if !held {
                    return Err(Violation::AckOfAStaleFence);
                }
            }
            Ok(())
        };
        let settled = |to: &mut State| to.processes[process].slots[row] = Slot::EMPTY;
        let unsure = |to: &mut State| to.processes[process].slots[row].stage = Stage::Unsure;
        match slot.stage {
            Stage::Answered => {
                self.step(Action::Ack(process, row), 0, |to| {
                    settled(to);
                    end(to)
                });
                self.step(Action::AckCommitUnknownHappened(process, row), 1, |to| {
                    unsure(to);
                    end(to)
                });
                self.step(Action::AckCommitUnknownDidNot(process, row), 1, |to| {
                    unsure(to);
                    Ok(())
                });
            }
            Stage::Unsure => {
                let written = self.from.rows[row].phase == Phase::Done { by_fence: slot.fence };
                let doubts = self.protocol.keeps(Rule::DoubtAnUnknownCommit);
                let rereads = self.protocol.keeps(Rule::RereadAfterAnUnknownCommit);
                self.step(Action::Reread(process, row), 0, |to| {
                    settled(to);
                    match (would, written) {
                        _ if !doubts && !written => Err(Violation::CalledDoneButNotWrittenDown),
                        (false, true) if !rereads => Err(Violation::WrittenDownButCalledLost),
                        _ => end(to),
                    }
                });
            }
            _ => {}
        }
    }

    /// Guards that are dropped, and rows that nobody has in hand.
    pub fn returns(&mut self, process: usize, row: usize) {
        let me = self.from.processes[process];
        let slot = me.slots[row];
        if slot.acts() {
            // Whoever is told that it is dead drops what it has; anybody else does so by mishap: a panic, a lapse.
            let told = slot.identity != me.identity || me.beat == Beat::Refused;
            let in_time = !slot.hurries() || slot.gap <= GAP_MAX;
            let unmark = slot.fence == 1 && matches!(slot.stage, Stage::Fresh | Stage::Held);
            let stage = Stage::Returning { unmark };
            self.enter_stage(
                Action::DropGuard(process, row),
                u8::from(!told && in_time),
                process,
                row,
                stage,
            );
        }
        if let Stage::Returning { unmark } = slot.stage {
            let held = self.from.holds(process, row);
            let mut give = |action, mishaps, known: bool| {
                self.step(action, mishaps, |to| {
                    if held {
                        to.rows[row].phase = Phase::Available;
                        if unmark {
                            to.rows[row].sent = None;
                        }
                    }
                    if known {
                        to.processes[process].slots[row] = Slot::EMPTY;
                    }
                    Ok(())
                });
            };
            give(Action::GiveBack(process, row), 0, true);
            give(Action::GiveBackAnswerLost(process, row), 1, false);
        }
        self.unheld(process, row);
    }

    /// Found at two looks running, what runs under this process and is in nobody's hand goes back. That an answer is on
    /// its way for so long is a mishap.
    fn unheld(&mut self, process: usize, row: usize) {
        let me = self.from.processes[process];
        let (slot, now) = (me.slots[row], self.from.rows[row]);
        let ours = now.phase == Phase::Running { by: me.identity } && me.up && me.trusts;
        let in_hand = slot.has_in_hand() && (slot.identity, slot.fence) == (me.identity, now.fence);
        if !ours || in_hand || !self.protocol.keeps(Rule::ReturnWhatNobodyHolds) {
            return;
        }
        if now.seen_unheld {
            let late = slot.stage != Stage::Empty && slot.fence == now.fence;
            self.step(Action::PutBackUnheld(process, row), u8::from(late), |to| {
                to.rows[row].phase = Phase::Available;
                to.rows[row].seen_unheld = false;
                Ok(())
            });
        } else {
            self.step(Action::LookForUnheld(process, row), 0, |to| {
                to.rows[row].seen_unheld = true;
                Ok(())
            });
        }
    }

    fn enter_stage(&mut self, action: Action, mishaps: u8, process: usize, row: usize, stage: Stage) {
        self.step(action, mishaps, |to| {
            let slot = &mut to.processes[process].slots[row];
            slot.stage = stage;
            if !slot.hurries() {
                slot.gap = 0;
            }
            Ok(())
        });
    }
}
