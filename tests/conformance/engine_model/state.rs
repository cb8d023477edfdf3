//! What the model of the engine is made of: rows, processes, their leases, requests on their way to the outside party.
//!
//! **Owns** nothing. Ages are counted in ticks and stop where nothing changes any more, so that there are finitely many
//! states. **Limits**: three processes, two rows, six identities, two requests on their way a row.

/// A process is dead when its counter has stood still for two ticks; it trusts its lease for less than one.
pub const REAP_AFTER: u8 = 2;
/// A request arrives within one tick of leaving, or never.
pub const DELAY_MAX: u8 = 1;
/// Bytes leave within one tick of the mark that says so: the attempt's own deadline.
pub const GAP_MAX: u8 = 1;
/// "Not found" counts when whatever was sent under the mark must have arrived.
pub const SETTLE_AFTER: u8 = GAP_MAX + DELAY_MAX + 1;

/// Identities in use at a time; one that nothing refers to any more is given out again, as no state tells it from a new one.
pub const IDENTITIES: usize = 6;

/// Where a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    Absent,
    Available,
    /// Snoozed until what was sent must have arrived.
    Waiting,
    Running {
        by: u8,
    },
    /// Ended, with the fence that ended it.
    Done {
        by_fence: u8,
    },
}

/// A row of work, and what the outside party knows under its business key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Row {
    pub phase: Phase,
    pub fence: u8,
    /// Ticks since bytes were said to leave.
    pub sent: Option<u8>,
    /// Its process found it in nobody's hand at its last look.
    pub seen_unheld: bool,
    /// Ticks since it was claimed; counted only where rows are reaped by their age.
    pub claimed: u8,
    pub requests: [Option<Request>; 2],
    /// How often the outside party did it.
    pub effects: u8,
}

/// A request that has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Request {
    pub fence: u8,
    pub age: u8,
}

/// How far an attempt has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    Empty,
    /// Claimed, or made as its own, in the store; the answer is on its way.
    Answering {
        fresh: bool,
    },
    Held,
    /// Made as its own and marked from its making, but not begun.
    Fresh,
    /// Looked up, or never sent: it may be asked about.
    Clear,
    Marked,
    Asking,
    Answered,
    /// The answer to the commit that ended it was lost.
    Unsure,
    /// Dropped; the guard gives it back.
    Returning {
        unmark: bool,
    },
}

/// What a process has in hand of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot {
    pub stage: Stage,
    pub identity: u8,
    pub fence: u8,
    /// Ticks since the mark under which it is about to send.
    pub gap: u8,
}

impl Slot {
    pub const EMPTY: Self = Self { stage: Stage::Empty, identity: 0, fence: 0, gap: 0 };

    /// Whether this process counts the row among those that it has in hand.
    pub fn has_in_hand(&self) -> bool {
        !matches!(self.stage, Stage::Empty | Stage::Answering { .. })
    }

    /// Whether it still means to act on it.
    pub fn acts(&self) -> bool {
        self.has_in_hand() && !matches!(self.stage, Stage::Returning { .. })
    }

    /// Whether its time since the mark runs.
    pub fn hurries(&self) -> bool {
        matches!(self.stage, Stage::Answering { fresh: true } | Stage::Fresh | Stage::Marked)
    }
}

/// A heartbeat under way; `stale` once a tick has passed since it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Beat {
    None,
    Flying {
        stale: bool,
    },
    Landed {
        stale: bool,
    },
    /// It changed no row: this identity is dead.
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Process {
    pub up: bool,
    pub identity: u8,
    /// Whether it trusts its lease: no tick since its last answered beat was sent.
    pub trusts: bool,
    pub beat: Beat,
    pub slots: [Slot; 2],
}

/// A process as the store has it, with the ticks for which its counter has stood still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Runner {
    Alive { still: u8 },
    Dead,
}

/// The whole world at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    pub processes: [Process; 3],
    pub rows: [Row; 2],
    pub runners: [Runner; IDENTITIES],
    /// Mishaps that may still happen; a finite number of them makes a finite world.
    pub mishaps: u8,
}

impl State {
    /// Processes that have just entered, and no row yet.
    pub fn start(processes: usize, mishaps: u8) -> Self {
        let down =
            Process { up: false, identity: 0, trusts: false, beat: Beat::None, slots: [Slot::EMPTY; 2] };
        let row = Row {
            phase: Phase::Absent,
            fence: 0,
            sent: None,
            seen_unheld: false,
            claimed: 0,
            requests: [None; 2],
            effects: 0,
        };
        let mut state =
            Self { processes: [down; 3], rows: [row; 2], runners: [Runner::Dead; IDENTITIES], mishaps };
        for process in 0..processes {
            state.enter(process);
        }
        state
    }

    /// Enters a process under an identity that nobody remembers.
    pub fn enter(&mut self, process: usize) {
        let remembered = self.remembered();
        let is_new = |identity: &u8| !self.is_alive(*identity) && remembered & (1 << identity) == 0;
        let identity = (0..IDENTITIES as u8)
            .find(is_new)
            .expect("more identities than processes and mishaps leave behind");
        self.runners[usize::from(identity)] = Runner::Alive { still: 0 };
        let entered = &mut self.processes[process];
        (entered.up, entered.identity, entered.trusts) = (true, identity, true);
        entered.beat = Beat::None;
    }

    /// The identities that somebody has or acts under, as a set of bits.
    fn remembered(&self) -> u8 {
        let mut remembered = 0;
        for process in &self.processes {
            if process.up {
                remembered |= 1 << process.identity;
            }
            for slot in &process.slots {
                if slot.stage != Stage::Empty {
                    remembered |= 1 << slot.identity;
                }
            }
        }
        remembered
    }

    /// Forgets what makes no difference any more: who left nothing behind need not be buried, and a row that has ended and
    /// has nothing under way about it keeps no time.
    pub fn simplify(&mut self) {
        let mut needed = self.remembered();
        for (index, row) in self.rows.iter_mut().enumerate() {
            match row.phase {
                Phase::Running { by } => needed |= 1 << by,
                Phase::Done { .. } => {
                    row.seen_unheld = false;
                    if self.processes.iter().all(|process| process.slots[index].stage == Stage::Empty) {
                        row.sent = None;
                    }
                }
                _ => row.seen_unheld = false,
            }
        }
        for (identity, runner) in self.runners.iter_mut().enumerate() {
            if needed & (1 << identity) == 0 {
                *runner = Runner::Dead;
            }
        }
        for process in &mut self.processes {
            if !process.up {
                process.identity = 0;
            }
        }
    }

    /// Whether every row has ended and nothing about it is under way.
    pub fn is_over(&self, rows: usize) -> bool {
        let ended = |row: &Row| matches!(row.phase, Phase::Done { .. }) && row.requests == [None; 2];
        self.rows[..rows].iter().all(ended)
            && self.processes.iter().flat_map(|process| process.slots).all(|slot| slot.stage == Stage::Empty)
    }

    pub fn is_alive(&self, identity: u8) -> bool {
        matches!(self.runners[usize::from(identity)], Runner::Alive { .. })
    }

    /// Whether the row is held as this process believes.
    pub fn holds(&self, process: usize, row: usize) -> bool {
        let slot = self.processes[process].slots[row];
        self.rows[row].phase == Phase::Running { by: slot.identity } && self.rows[row].fence == slot.fence
    }

    /// Whether this process trusts the lease under which it has the row.
    pub fn trusts(&self, process: usize, row: usize) -> bool {
        let process = &self.processes[process];
        process.up && process.trusts && process.slots[row].identity == process.identity
    }

    /// Ends an identity and makes what ran under it available, in one transaction.
    pub fn bury(&mut self, identity: u8) {
        self.runners[usize::from(identity)] = Runner::Dead;
        for row in &mut self.rows {
            if row.phase == (Phase::Running { by: identity }) {
                row.phase = Phase::Available;
                row.seen_unheld = false;
            }
        }
    }
}
