//! What the store should hold, as plainly as it can be said: a list of rows, a list of processes, a clock.
//!
//! **Owns** nothing but its lists. **Fails** never: every verb has an answer. It knows of no SQL, no groups and no indexes;
//! where it and a database disagree, one of them is wrong.

use bursar::domain::ids::{RunnerId, WorkId};
use bursar::domain::work::WorkState;
use bursar::store::work_steer::Steered;

/// What the store writes when a process was buried with the row in hand.
pub const BEREFT: &str = "the process that had it died";

/// A row that lives or has ended. Times are seconds of the case's own clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub id: WorkId,
    pub queue: usize,
    pub priority: i64,
    pub key: Option<u8>,
    pub state: WorkState,
    pub attempt: i64,
    pub fence: i64,
    pub runner: Option<RunnerId>,
    pub run_at: i64,
    pub sent_at: Option<i64>,
    pub error: Option<String>,
    /// The numbers of the attempts that did not complete it.
    pub failed: Vec<i64>,
    pub ended_at: Option<i64>,
}

/// A process, and the beats that were answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub id: RunnerId,
    pub beat: i64,
    pub alive: bool,
}

/// A claim that was handed out; the row may have moved on since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    pub row: usize,
    pub runner: RunnerId,
    pub fence: i64,
}

#[derive(Debug, Default)]
pub struct Oracle {
    pub now: i64,
    pub rows: Vec<Row>,
    pub processes: Vec<Process>,
    pub tickets: Vec<Ticket>,
}

impl Oracle {
    fn position(&self, id: WorkId) -> Option<usize> {
        self.rows.iter().position(|row| row.id == id)
    }

    fn lives_with(&self, key: Option<u8>) -> bool {
        key.is_some() && self.rows.iter().any(|row| row.key == key && !row.state.has_ended())
    }

    /// Whether the row was new: its key was free.
    pub fn insert(&mut self, row: Row) -> bool {
        let is_new = !self.lives_with(row.key);
        if is_new {
            self.rows.push(row);
        }
        is_new
    }

    /// Claims up to `free` rows a queue, by priority, time and id. Returns the positions of their tickets.
    pub fn claim(&mut self, runner: usize, free: usize) -> Vec<usize> {
        let process = self.processes[runner].clone();
        let mut claimed = Vec::new();
        for queue in 0..2 {
            let mut due: Vec<usize> = (0..self.rows.len())
                .filter(|at| self.rows[*at].state == WorkState::Available && self.rows[*at].queue == queue)
                .collect();
            due.sort_by_key(|at| {
                let row = &self.rows[*at];
                (row.priority, row.run_at, row.id)
            });
            due.truncate(if process.alive { free } else { 0 });
            for at in due {
                let row = &mut self.rows[at];
                row.state = WorkState::Running;
                row.runner = Some(process.id);
                row.fence += 1;
                row.attempt += 1;
                claimed.push(self.tickets.len());
                self.tickets.push(Ticket { row: at, runner: process.id, fence: row.fence });
            }
        }
        claimed
    }

    /// The row of a ticket, if it is still held under it.
    pub fn held(&mut self, ticket: usize) -> Option<&mut Row> {
        let ticket = self.tickets[ticket].clone();
        let row = &mut self.rows[ticket.row];
        let held =
            row.state == WorkState::Running && row.runner == Some(ticket.runner) && row.fence == ticket.fence;
        held.then_some(row)
    }

    /// Ends the rows still held under these tickets, and returns them.
    pub fn end(&mut self, tickets: &[usize], state: WorkState, error: Option<&str>) -> Vec<WorkId> {
        let now = self.now;
        let mut ended = Vec::new();
        for ticket in tickets {
            let Some(row) = self.held(*ticket) else { continue };
            (row.state, row.ended_at) = (state, Some(now));
            if let Some(error) = error {
                row.failed.push(row.attempt);
                row.error = Some(error.to_owned());
            }
            ended.push(row.id);
        }
        ended
    }

    /// Buries a process if it lives, and returns how many rows came back.
    pub fn bury(&mut self, runner: usize) -> Option<u64> {
        let now = self.now;
        let process = &mut self.processes[runner];
        if !std::mem::replace(&mut process.alive, false) {
            return None;
        }
        let mut returned = 0;
        for row in &mut self.rows {
            if row.state == WorkState::Running && row.runner == Some(process.id) {
                (row.state, row.run_at, row.runner) = (WorkState::Available, now, None);
                row.failed.push(row.attempt);
                row.error = Some(BEREFT.to_owned());
                returned += 1;
            }
        }
        Some(returned)
    }

    pub fn cancel(&mut self, id: WorkId, reason: &str) -> Steered {
        let now = self.now;
        let Some(at) = self.position(id) else { return Steered::NotFound };
        let row = &mut self.rows[at];
        match row.state {
            WorkState::Running => Steered::Running,
            ended if ended.has_ended() => Steered::Ended(ended),
            _ => {
                (row.state, row.ended_at, row.error) =
                    (WorkState::Cancelled, Some(now), Some(reason.to_owned()));
                Steered::Done
            }
        }
    }

    /// Makes waiting work due, and a dead letter live again with its attempts restored.
    pub fn retry(&mut self, id: WorkId, reason: &str) -> Steered {
        let now = self.now;
        let Some(at) = self.position(id) else { return Steered::NotFound };
        let key_is_taken = self.lives_with(self.rows[at].key);
        let row = &mut self.rows[at];
        match row.state {
            WorkState::Running => return Steered::Running,
            WorkState::Discarded if key_is_taken => return Steered::Superseded,
            WorkState::Discarded => {
                // Nobody knows what its attempts have sent, so the next one looks first.
                (row.priority, row.attempt, row.sent_at) = (0, 0, Some(now));
                (row.runner, row.ended_at) = (None, None);
            }
            ended if ended.has_ended() => return Steered::Ended(ended),
            _ => {}
        }
        (row.state, row.run_at, row.error) = (WorkState::Available, now, Some(reason.to_owned()));
        Steered::Done
    }

    /// Makes due what has become due, and returns the queues in which that was.
    pub fn promote(&mut self) -> Vec<usize> {
        let mut queues = Vec::new();
        for row in &mut self.rows {
            let waits = matches!(row.state, WorkState::Scheduled | WorkState::Retryable);
            if waits && row.run_at <= self.now {
                row.state = WorkState::Available;
                queues.push(row.queue);
            }
        }
        queues.sort_unstable();
        queues.dedup();
        queues
    }

    /// What no order of steps may break, whatever the database says.
    pub fn is_sound(&self) -> bool {
        self.rows.iter().all(|row| {
            let alive = self.processes.iter().filter(|process| process.alive).map(|process| process.id);
            let held_by_the_living = row.runner.is_some_and(|runner| alive.clone().any(|id| id == runner));
            let twins =
                self.rows.iter().filter(|other| other.key == row.key && !other.state.has_ended()).count();
            (row.state != WorkState::Running || held_by_the_living)
                && (row.key.is_none() || twins <= 1)
                && row.attempt >= 0
                && row.attempt <= row.fence
        })
    }
}
