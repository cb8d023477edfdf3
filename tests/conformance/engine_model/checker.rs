//! Walks through every state that the protocol can reach, breadth first, so that the shortest way to a fault is found.
//!
//! **Owns** the states seen. **Fails** by returning the [`Fault`] with the steps that lead to it. When no step goes wrong,
//! it walks back from the states in which all rows have ended: one from which that cannot be reached without a further
//! mishap has lost a row. **Limits**: `STATES_MAX`, above which the model is too large to be a test.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use super::protocol::{Action, Protocol, Violation};
use super::state::{Phase, State};

const STATES_MAX: usize = 3_000_000;

/// What was found wrong, and how it comes about.
pub struct Fault {
    pub violation: Violation,
    pub steps: Vec<Action>,
    pub last: State,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:?}, after {} steps:", self.violation, self.steps.len())?;
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(formatter, "{:>4}. {step:?}", number + 1)?;
        }
        write!(formatter, "{:?}", self.last)
    }
}

/// What was walked through.
#[derive(Debug, Clone, Copy)]
pub struct Walk {
    pub states: usize,
    pub steps: usize,
    /// States in which all rows have ended.
    pub ends: usize,
}

type Seen = HashMap<State, u32, BuildHasherDefault<Mixer>>;

/// Walks through all of it.
pub fn walk(protocol: &Protocol) -> Result<Walk, Box<Fault>> {
    let start = protocol.start();
    let mut seen = Seen::default();
    let mut states = vec![start];
    let mut came_by: Vec<(u32, Action)> = vec![(0, Action::Begin)];
    // Steps that are no mishap, as (to, from).
    let mut quiet: Vec<(u32, u32)> = Vec::new();
    let mut found = Vec::new();
    let mut steps = 0;
    seen.insert(start, 0);
    let mut next = 0;
    while next < states.len() {
        let (here, state) = (next as u32, states[next]);
        next += 1;
        protocol.steps(&state, &mut found);
        steps += found.len();
        for (action, outcome, to) in found.drain(..) {
            if let Err(violation) = outcome {
                let mut steps = trace(&came_by, here);
                steps.push(action);
                return Err(Box::new(Fault { violation, steps, last: to }));
            }
            let there = *seen.entry(to).or_insert_with(|| {
                states.push(to);
                came_by.push((here, action));
                (states.len() - 1) as u32
            });
            if to.mishaps == state.mishaps && there != here {
                quiet.push((there, here));
            }
        }
        assert!(states.len() < STATES_MAX, "the model has grown too large for a test");
    }
    let has_ended =
        |state: &State| state.rows[..protocol.rows].iter().all(|row| matches!(row.phase, Phase::Done { .. }));
    let ends: Vec<u32> = (0..states.len() as u32).filter(|at| has_ended(&states[*at as usize])).collect();
    let walk = Walk { states: states.len(), steps, ends: ends.len() };
    match first_without_an_end(states.len(), quiet, ends) {
        None => Ok(walk),
        Some(at) => {
            let (steps, last) = (trace(&came_by, at), states[at as usize]);
            Err(Box::new(Fault { violation: Violation::RowLost, steps, last }))
        }
    }
}

/// The earliest state from which no end can be reached.
fn first_without_an_end(states: usize, mut quiet: Vec<(u32, u32)>, ends: Vec<u32>) -> Option<u32> {
    quiet.sort_unstable();
    let mut reaches_an_end = vec![false; states];
    let mut open = ends;
    for end in &open {
        reaches_an_end[*end as usize] = true;
    }
    while let Some(to) = open.pop() {
        let first = quiet.partition_point(|(target, _)| *target < to);
        for (_, from) in quiet[first..].iter().take_while(|(target, _)| *target == to) {
            if !std::mem::replace(&mut reaches_an_end[*from as usize], true) {
                open.push(*from);
            }
        }
    }
    reaches_an_end.iter().position(|reaches| !reaches).map(|at| at as u32)
}

fn trace(came_by: &[(u32, Action)], end: u32) -> Vec<Action> {
    let mut steps = Vec::new();
    let mut at = end;
    while at != 0 {
        let (from, action) = came_by[at as usize];
        steps.push(action);
        at = from;
    }
    steps.reverse();
    steps
}

/// A hasher that is quick without optimisation; nobody attacks this table.
#[derive(Default)]
pub struct Mixer(u64);

impl Mixer {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        // The table looks at the highest bits and at the lowest.
        self.0 ^ (self.0 >> 29)
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.mix(u64::from(*byte));
        }
    }
    fn write_u8(&mut self, byte: u8) {
        self.mix(u64::from(byte));
    }
    fn write_usize(&mut self, word: usize) {
        self.mix(word as u64);
    }
    fn write_isize(&mut self, word: isize) {
        self.mix(word as u64);
    }
}
