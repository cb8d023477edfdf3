//! One step on the store and on the oracle, and the comparison of their answers.
//!
//! **Owns** nothing. **Fails** with what differs, and then the whole case is shrunk.

use std::collections::HashSet;

use bursar::domain::ids::{RunnerId, TenantId, WorkId};
use bursar::domain::work::{Claim, NewWork, WorkState, kind};
use bursar::store::Store;
use bursar::store::runner::{Burial, RunnerBeat, RunnerLoad};
use bursar::store::work::{ClaimRequest, Ending, PutBack, end_of_prefix};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use uuid::Uuid;

use super::oracle::{Process, Row};
use super::{Case, Outcome};
use crate::support::database::Kind;

/// What may happen. Numbers choose among what is there at that moment.
#[derive(Debug, Clone)]
pub enum Step {
    Insert(Vec<NewRow>),
    Claim {
        runner: usize,
        free: usize,
    },
    MarkSent(Vec<usize>),
    End {
        claims: Vec<usize>,
        dead_letter: bool,
    },
    PutBack {
        claim: usize,
        state: WorkState,
        wait: i64,
        counts: bool,
        unsent: bool,
    },
    Cancel(usize),
    Retry(usize),
    Promote {
        after: i64,
    },
    Enter,
    Beat(usize),
    /// Buried as seen so many beats ago.
    Bury {
        runner: usize,
        behind: i64,
    },
    Leave(usize),
    Reopen,
}

#[derive(Debug, Clone)]
pub struct NewRow {
    pub queue: usize,
    pub priority: i64,
    pub key: Option<u8>,
    pub wait: i64,
}

/// Steps in the proportions in which they meet each other.
pub fn any_step() -> impl Strategy<Value = Step> {
    let wish = 0..64_usize;
    let waits = prop_oneof![3 => Just(0_i64), 1 => 1..30_i64];
    let new_row = (0..2_usize, 0..3_i64, prop::option::of(0..4_u8), waits.clone())
        .prop_map(|(queue, priority, key, wait)| NewRow { queue, priority, key, wait });
    let returned = prop_oneof![
        (Just(WorkState::Available), Just(0_i64), Just(false)),
        (Just(WorkState::Scheduled), 1..30_i64, Just(false)),
        (Just(WorkState::Retryable), 0..30_i64, Just(true)),
    ];
    prop_oneof![
        8 => prop::collection::vec(new_row, 1..4).prop_map(Step::Insert),
        10 => (wish.clone(), 1..4_usize).prop_map(|(runner, free)| Step::Claim { runner, free }),
        3 => prop::collection::vec(wish.clone(), 1..3).prop_map(Step::MarkSent),
        6 => (prop::collection::vec(wish.clone(), 1..4), any::<bool>())
            .prop_map(|(claims, dead_letter)| Step::End { claims, dead_letter }),
        6 => (wish.clone(), returned, any::<bool>()).prop_map(|(claim, (state, wait, counts), unsent)| {
            Step::PutBack { claim, state, wait, counts, unsent }
        }),
        3 => wish.clone().prop_map(Step::Cancel),
        4 => wish.clone().prop_map(Step::Retry),
        4 => (0..40_i64).prop_map(|after| Step::Promote { after }),
        2 => Just(Step::Enter),
        2 => wish.clone().prop_map(Step::Beat),
        2 => (wish.clone(), 0..2_i64).prop_map(|(runner, behind)| Step::Bury { runner, behind }),
        1 => wish.prop_map(Step::Leave),
        1 => Just(Step::Reopen),
    ]
}

/// The chosen ones of so many, each once.
fn choose(wishes: &[usize], of: usize) -> Vec<usize> {
    let mut chosen: Vec<usize> = wishes.iter().filter_map(|wish| wish.checked_rem(of)).collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

fn set(ids: impl IntoIterator<Item = WorkId>) -> HashSet<WorkId> {
    ids.into_iter().collect()
}

pub fn trouble(error: impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(format!("the store said: {error}"))
}

impl Case {
    pub async fn take(&mut self, store: &Store, step: &Step) -> Outcome {
        match step {
            Step::Insert(rows) => self.insert(store, rows).await?,
            Step::Claim { runner, free } => self.claim(store, *runner, *free).await?,
            Step::MarkSent(claims) => self.mark_sent(store, claims).await?,
            Step::End { claims, dead_letter } => self.end(store, claims, *dead_letter).await?,
            Step::PutBack { .. } if self.claims.is_empty() => {}
            Step::PutBack { claim, state, wait, counts, unsent } => {
                let claim = claim % self.claims.len();
                self.put_back(store, claim, (*state, *wait), *counts, *unsent).await?;
            }
            Step::Cancel(row) => {
                let id = self.some_id(*row);
                let answer = store.cancel_work(id, "cancelled", self.at(self.oracle.now)).await;
                prop_assert_eq!(answer.map_err(trouble)?, self.oracle.cancel(id, "cancelled"));
            }
            Step::Retry(row) => {
                let id = self.some_id(*row);
                let answer = store.retry_work(id, "asked for", self.at(self.oracle.now)).await;
                prop_assert_eq!(answer.map_err(trouble)?, self.oracle.retry(id, "asked for"));
            }
            Step::Promote { after } => {
                self.oracle.now += after;
                let queues = store.promote_due(self.at(self.oracle.now)).await.map_err(trouble)?;
                let mut ours: Vec<String> =
                    queues.into_iter().filter(|queue| queue.starts_with(&self.prefix)).collect();
                ours.sort();
                let expected: Vec<String> =
                    self.oracle.promote().into_iter().map(|queue| self.queue(queue)).collect();
                prop_assert_eq!(ours, expected);
            }
            Step::Enter => self.enter(store).await?,
            Step::Beat(_) | Step::Bury { .. } | Step::Leave(_) => self.process(store, step).await?,
            Step::Reopen => return Err(TestCaseError::fail("opened again by who owns the store")),
        }
        prop_assert!(self.oracle.is_sound(), "the oracle itself went wrong: {:?}", self.oracle);
        Ok(())
    }

    /// A row that is there, or now and then one that is not.
    fn some_id(&self, wish: usize) -> WorkId {
        self.oracle.rows.get(wish % (self.oracle.rows.len() + 1)).map_or(WorkId(Uuid::nil()), |row| row.id)
    }

    async fn insert(&mut self, store: &Store, rows: &[NewRow]) -> Outcome {
        let now = self.oracle.now;
        let work = |row: &NewRow| NewWork {
            id: WorkId(Uuid::now_v7()),
            tenant_id: TenantId::default(),
            kind: kind::BOLETO_REGISTER,
            queue: self.queue(row.queue),
            priority: row.priority,
            run_at: self.at(now + row.wait),
            attempts_max: 5,
            unique_key: row.key.map(|key| format!("{}{key}", self.prefix)),
            subject_id: Uuid::now_v7(),
            payload: "{}".to_owned(),
            traceparent: None,
            claimed_by: None,
            sent_at: None,
            created_at: self.at(now),
        };
        let items: Vec<NewWork> = rows.iter().map(work).collect();
        let inserted = store.insert_work_alone(&items).await.map_err(trouble)?;
        let mut expected = HashSet::new();
        for (item, row) in items.iter().zip(rows) {
            let state = if row.wait == 0 { WorkState::Available } else { WorkState::Scheduled };
            let row = Row {
                id: item.id,
                queue: row.queue,
                priority: row.priority,
                key: row.key,
                state,
                attempt: 0,
                fence: 0,
                runner: None,
                run_at: now + row.wait,
                sent_at: None,
                error: None,
                failed: vec![],
                ended_at: None,
            };
            if self.oracle.insert(row) {
                expected.insert(item.id);
            }
        }
        prop_assert_eq!(inserted, expected);
        Ok(())
    }

    async fn claim(&mut self, store: &Store, runner: usize, free: usize) -> Outcome {
        let runner = runner % self.oracle.processes.len();
        let request = ClaimRequest {
            runner_id: self.oracle.processes[runner].id,
            kind: kind::BOLETO_REGISTER,
            queue_from: self.prefix.clone(),
            queue_until: end_of_prefix(&self.prefix),
            free_per_queue: free as i64,
            busy: vec![],
            tenants_full: vec![],
            limit: 1000,
        };
        let mut claims = store.claim(&request).await.map_err(trouble)?;
        let tickets = self.oracle.claim(runner, free);
        claims.sort_by_key(|claim| claim.id);
        let mut expected: Vec<_> = tickets.iter().map(|ticket| self.expected_claim(*ticket)).collect();
        expected.sort_by_key(|seen| seen.0);
        let seen: Vec<_> = claims.iter().map(|claim| self.seen_claim(claim)).collect();
        prop_assert_eq!(seen, expected);
        for ticket in tickets {
            let id = self.oracle.rows[self.oracle.tickets[ticket].row].id;
            self.claims.extend(claims.iter().find(|claim| claim.id == id).cloned());
        }
        prop_assert_eq!(self.claims.len(), self.oracle.tickets.len());
        Ok(())
    }

    fn expected_claim(&self, ticket: usize) -> ClaimSeen {
        let ticket = &self.oracle.tickets[ticket];
        let row = &self.oracle.rows[ticket.row];
        (row.id, row.attempt, ticket.fence, ticket.runner, row.sent_at, row.error.clone())
    }

    fn seen_claim(&self, claim: &Claim) -> ClaimSeen {
        let sent_at = claim.sent_at.map(|at| self.seconds(at));
        (claim.id, claim.attempt, claim.fence, claim.runner_id, sent_at, claim.last_error.clone())
    }

    async fn mark_sent(&mut self, store: &Store, claims: &[usize]) -> Outcome {
        let chosen = choose(claims, self.claims.len());
        let now = self.oracle.now;
        let marked: Vec<&Claim> = chosen.iter().map(|at| &self.claims[*at]).collect();
        let held = store.mark_sent(&marked, self.at(now)).await.map_err(trouble)?;
        let mut expected = HashSet::new();
        for ticket in chosen {
            if let Some(row) = self.oracle.held(ticket) {
                row.sent_at = Some(now);
                expected.insert(row.id);
            }
        }
        prop_assert_eq!(held, expected);
        Ok(())
    }

    async fn end(&mut self, store: &Store, claims: &[usize], dead_letter: bool) -> Outcome {
        let chosen = choose(claims, self.claims.len());
        let (state, error) = match dead_letter {
            true => (WorkState::Discarded, Some("given up")),
            false => (WorkState::Completed, None),
        };
        let ending = |at: &usize| Ending::of(&self.claims[*at], state, error.map(str::to_owned));
        let endings: Vec<Ending> = chosen.iter().map(ending).collect();
        let ended = store.end_alone(&endings, self.at(self.oracle.now)).await.map_err(trouble)?;
        prop_assert_eq!(ended, set(self.oracle.end(&chosen, state, error)));
        Ok(())
    }

    async fn put_back(
        &mut self,
        store: &Store,
        at: usize,
        (state, wait): (WorkState, i64),
        counts: bool,
        unsent: bool,
    ) -> Outcome {
        let (now, claim) = (self.oracle.now, &self.claims[at]);
        let error = counts.then(|| "not yet".to_owned());
        let item = PutBack {
            id: claim.id,
            runner_id: claim.runner_id,
            fence: claim.fence,
            span: claim.span.clone(),
            state,
            run_at: self.at(now + wait),
            error: error.clone(),
            attempt_counts: counts,
            nothing_was_sent: unsent,
        };
        let returned = store.put_back_alone(&[item]).await.map_err(trouble)?;
        let mut expected = HashSet::new();
        if let Some(row) = self.oracle.held(at) {
            if error.is_some() {
                row.failed.push(row.attempt);
                row.error = error;
            }
            (row.state, row.run_at, row.runner) = (state, now + wait, None);
            row.attempt -= i64::from(!counts);
            if unsent {
                row.sent_at = None;
            }
            expected.insert(row.id);
        }
        prop_assert_eq!(returned, expected);
        Ok(())
    }

    /// Enters a process. The file lock of an embedded store proves every earlier one dead.
    pub async fn enter(&mut self, store: &Store) -> Outcome {
        let id = RunnerId(Uuid::now_v7());
        store.enter_runner(id, "machine", self.at(self.oracle.now)).await.map_err(trouble)?;
        if self.kind == Kind::Sqlite {
            for earlier in 0..self.oracle.processes.len() {
                self.oracle.bury(earlier);
            }
        }
        self.oracle.processes.push(Process { id, beat: 0, alive: true });
        Ok(())
    }

    async fn process(&mut self, store: &Store, step: &Step) -> Outcome {
        let count = self.oracle.processes.len();
        let now = self.at(self.oracle.now);
        match step {
            Step::Beat(wish) => {
                let process = &mut self.oracle.processes[wish % count];
                let load = RunnerLoad { seen_at: now, in_hand: 0, places: 0 };
                let answered = store.beat_runner(process.id, load).await.map_err(trouble)?;
                prop_assert_eq!(answered, process.alive);
                process.beat += i64::from(answered);
            }
            Step::Bury { runner, behind } => {
                let process = self.oracle.processes[runner % count].clone();
                let seen = RunnerBeat { id: process.id, beat: process.beat - behind };
                let burial = store.bury_runner(&seen, now).await.map_err(trouble)?;
                let returned = if *behind == 0 { self.oracle.bury(runner % count) } else { None };
                prop_assert_eq!(burial, burial_of(returned));
            }
            Step::Leave(wish) => {
                let id = self.oracle.processes[wish % count].id;
                let burial = store.leave_runner(id, now).await.map_err(trouble)?;
                prop_assert_eq!(burial, burial_of(self.oracle.bury(wish % count)));
            }
            _ => {}
        }
        Ok(())
    }
}

type ClaimSeen = (WorkId, i64, i64, RunnerId, Option<i64>, Option<String>);

fn burial_of(returned: Option<u64>) -> Burial {
    Burial { buried: returned.is_some(), rows_returned: returned.unwrap_or(0) }
}
