//! The engine's verbs in random orders, on both databases, against an oracle that knows no SQL.
//!
//! Rows with unique keys, priorities and times to come are inserted, claimed, marked, ended, put back, cancelled, revived
//! and promoted, under processes that enter, beat, are buried and leave, over a store that is closed and opened again.
//! Claims that have been lost are used as well. Each answer is compared, and at the end everything that is stored.
//!
//! **Owns** a database a test, and in it a queue prefix a case. **Fails** with the fewest steps that differ, and with the
//! seed; `BURSAR_TEST_SEED` repeats it. **Limits**: `CASES` of at most `STEPS_MAX` steps; one step at a time, for who goes
//! first among several at once is what the other tests look at.

mod oracle;
mod steps;

use bursar::domain::work::{Claim, WorkState};
use bursar::store::Store;
use bursar::store::work_steer::{WorkFilter, WorkView};
use chrono::{DateTime, Duration, Utc};
use oracle::Oracle;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use steps::{Step, any_step, trouble};
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::on_both_databases;
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::now;

const CASES: u32 = 40;
const STEPS_MAX: usize = 50;
/// Tries to make a failing case smaller.
const SHRINKS_MAX: u32 = 300;

on_both_databases!(every_order_of_steps_leaves_what_the_oracle_says);

type Outcome = Result<(), TestCaseError>;
/// Where the store stands between two cases, if the one before has left one open.
type Place = tokio::sync::Mutex<Option<Store>>;

/// One case: what should be stored, and the claims that the store has handed out, one for each of the oracle's tickets.
struct Case {
    kind: Kind,
    /// What the names of this case's queues begin with.
    prefix: String,
    begin: DateTime<Utc>,
    oracle: Oracle,
    claims: Vec<Claim>,
}

async fn every_order_of_steps_leaves_what_the_oracle_says(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = Place::new(None);
    let seed = match std::env::var("BURSAR_TEST_SEED") {
        Ok(seed) => Uuid::parse_str(&seed).expect("BURSAR_TEST_SEED is a seed that a failure has named"),
        Err(_) => Uuid::new_v4(),
    };
    let config = Config {
        cases: CASES,
        max_shrink_iters: SHRINKS_MAX,
        failure_persistence: None,
        ..Config::default()
    };
    let bytes = [*seed.as_bytes(), *seed.as_bytes()].concat();
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let steps = prop::collection::vec(any_step(), 1..STEPS_MAX);
    // The steps wait for the database, and proptest for the steps.
    let outcome = tokio::task::block_in_place(|| {
        runner.run(&steps, |steps| Handle::current().block_on(run(kind, &database, &store, &steps)))
    });
    if let Err(error) = outcome {
        panic!("BURSAR_TEST_SEED={seed}: {error}");
    }
}

async fn run(kind: Kind, database: &TestDatabase, place: &Place, steps: &[Step]) -> Outcome {
    let mut place = place.lock().await;
    let mut store = match place.take() {
        Some(store) => store,
        None => database.open().await,
    };
    let prefix = format!("machine/{}/", Uuid::now_v7());
    let mut case = Case { kind, prefix, begin: now(), oracle: Oracle::default(), claims: vec![] };
    case.enter(&store).await?;
    for step in steps {
        if let Step::Reopen = step {
            store.close().await.map_err(trouble)?;
            // Its lock goes with it.
            drop(store);
            store = database.open().await;
        } else {
            case.take(&store, step).await?;
        }
    }
    case.compare(&store).await?;
    case.clear(&store).await?;
    *place = Some(store);
    Ok(())
}

impl Case {
    fn queue(&self, index: usize) -> String {
        format!("{}{index}", self.prefix)
    }

    fn at(&self, seconds: i64) -> DateTime<Utc> {
        self.begin + Duration::seconds(seconds)
    }

    fn seconds(&self, at: DateTime<Utc>) -> i64 {
        (at - self.begin).num_seconds()
    }

    /// Everything of this case that is stored, once each, and as the oracle has it.
    async fn compare(&self, store: &Store) -> Outcome {
        let mut found = Vec::new();
        for queue in 0..2 {
            let filter = WorkFilter {
                states: WorkState::ALL.to_vec(),
                queue: Some(self.queue(queue)),
                ..WorkFilter::default()
            };
            let views = store.list_work(&filter, None, 1000).await.map_err(trouble)?;
            found.extend(views.iter().map(|view| self.seen(view)));
        }
        found.sort_by_key(|seen| seen.0);
        let mut expected: Vec<Seen> = self.oracle.rows.iter().map(|row| self.expected(row)).collect();
        expected.sort_by_key(|seen| seen.0);
        prop_assert_eq!(found, expected);
        let living = store.living_runners().await.map_err(trouble)?;
        for process in &self.oracle.processes {
            let beat = living.iter().find(|living| living.id == process.id).map(|living| living.beat);
            prop_assert_eq!(beat, process.alive.then_some(process.beat));
        }
        Ok(())
    }

    /// Leaves nothing alive for the next case to meet.
    async fn clear(&mut self, store: &Store) -> Outcome {
        for index in 0..self.oracle.processes.len() {
            let returned = self.oracle.bury(index);
            let at = self.at(self.oracle.now);
            let left = store.leave_runner(self.oracle.processes[index].id, at).await.map_err(trouble)?;
            prop_assert_eq!(left.buried.then_some(left.rows_returned), returned);
        }
        for row in 0..self.oracle.rows.len() {
            self.take(store, &Step::Cancel(row)).await?;
        }
        self.compare(store).await
    }

    fn expected(&self, row: &oracle::Row) -> Seen {
        Seen(
            row.id.0,
            row.state,
            row.attempt,
            row.runner.filter(|_| row.state != WorkState::Cancelled).map(|runner| runner.0),
            // An ended row has no time to come.
            row.ended_at.is_none().then_some(row.run_at),
            row.ended_at,
            row.error.clone(),
            row.failed.clone(),
        )
    }

    fn seen(&self, view: &WorkView) -> Seen {
        Seen(
            view.id.0,
            view.state,
            view.attempt,
            view.runner_id.map(|runner| runner.0),
            view.run_at.map(|at| self.seconds(at)),
            view.ended_at.map(|at| self.seconds(at)),
            view.last_error.clone(),
            view.attempts.iter().map(|attempt| attempt.attempt).collect(),
        )
    }
}

/// Id, state, attempts, holder, time to come, end, last error and the numbers of the attempts that failed.
#[derive(Debug, PartialEq, Eq)]
struct Seen(Uuid, WorkState, i64, Option<Uuid>, Option<i64>, Option<i64>, Option<String>, Vec<i64>);
