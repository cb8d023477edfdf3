//! Claims that go on from where they were: what they may pass over for a while, and what they must meet all the same.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bursar::domain::ids::{RunnerId, TenantId, WorkId};
use bursar::domain::work::{NewWork, RetryPolicy, WorkState, kind};
use bursar::store::Store;
use bursar::store::pool;
use bursar::store::work::{ClaimRequest, Ending, Lane, Skimmed, end_of_prefix};
use bursar::supervision::{Strategy, SupervisorSpec, Tree};
use bursar::work::ahead::{Reach, Turn};
use bursar::work::breaker::BreakerConfig;
use bursar::work::config::QueueLimit;
use bursar::work::lease::{LeaseKeeper, Load};
use bursar::work::tenants::Tenants;
use bursar::work::{Claimer, Held, Hints, Lease, Limits, Places, Returns};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseConnection, IsolationLevel, Statement, TransactionTrait};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::on_both_databases;
use crate::store_notify::{PATIENCE, quiet};
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{now, runner};

on_both_databases!(
    lanes_are_served_by_priority_within_the_places_of_their_queue,
    what_lies_behind_a_mark_is_claimed_once_from_the_beginning,
    a_row_behind_the_mark_is_met_while_looks_are_dear,
    a_more_urgent_row_goes_first_while_looks_are_dear,
    a_resumed_queue_is_served_while_looks_are_dear,
    what_goes_back_is_claimed_again_while_looks_are_dear,
);

const PREFIX: &str = "registration/";
const QUEUE: &str = "registration/banco_do_brasil/1";

fn work(priority: i64, run_at: DateTime<Utc>) -> NewWork {
    NewWork {
        id: WorkId(Uuid::now_v7()),
        tenant_id: TenantId::default(),
        kind: kind::BOLETO_REGISTER,
        queue: QUEUE.to_owned(),
        priority,
        run_at,
        attempts_max: 5,
        unique_key: None,
        subject_id: Uuid::now_v7(),
        payload: "{}".to_owned(),
        traceparent: None,
        claimed_by: None,
        sent_at: None,
        created_at: now(),
    }
}

async fn insert(store: &Store, work: &[NewWork]) -> Vec<WorkId> {
    assert_eq!(store.insert_work_alone(work).await.expect("inserted").len(), work.len());
    work.iter().map(|work| work.id).collect()
}

fn request(runner_id: RunnerId, limit: i64) -> ClaimRequest {
    ClaimRequest {
        runner_id,
        kind: kind::BOLETO_REGISTER,
        queue_from: PREFIX.to_owned(),
        queue_until: end_of_prefix(PREFIX),
        free_per_queue: 1_000,
        busy: vec![],
        tenants_full: vec![],
        limit,
    }
}

fn ids(skimmed: &Skimmed) -> Vec<WorkId> {
    let mut ids: Vec<WorkId> = skimmed.claims.iter().map(|claim| claim.id).collect();
    ids.sort();
    ids
}

async fn lanes_are_served_by_priority_within_the_places_of_their_queue(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let runner = runner(&store).await;
    let rows: Vec<NewWork> = [2, 0, 1, 0, 2].iter().map(|priority| work(*priority, now())).collect();
    let rows = insert(&store, &rows).await;
    let from_the_first = |priority| Lane {
        queue: QUEUE.to_owned(),
        priority,
        run_at: DateTime::UNIX_EPOCH,
        id: WorkId(Uuid::nil()),
    };
    let lanes = [from_the_first(0), from_the_first(1), from_the_first(2)];
    let few = ClaimRequest { busy: vec![(QUEUE.to_owned(), 3)], ..request(runner, 10) };
    let skimmed = store.skim(&few, Some(&lanes)).await.expect("claims");
    assert_eq!(ids(&skimmed), [rows[1], rows[2], rows[3]]);
    let reached: Vec<(i64, WorkId)> = skimmed.reached.iter().map(|lane| (lane.priority, lane.id)).collect();
    assert_eq!(reached, [(0, rows[3]), (1, rows[2])], "the last of each lane");
    let full = ClaimRequest { tenants_full: vec![TenantId::default()], ..request(runner, 10) };
    assert!(store.skim(&full, Some(&lanes)).await.expect("an answer").claims.is_empty());
    let last = store.skim(&request(runner, 1), Some(&lanes)).await.expect("claims");
    assert_eq!(ids(&last), [rows[0]]);
    store.close().await.expect("closed");
}

async fn what_lies_behind_a_mark_is_claimed_once_from_the_beginning(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let runner = runner(&store).await;
    insert(&store, &[work(0, now()), work(0, now())]).await;
    let first = store.skim(&request(runner, 10), None).await.expect("claims");
    assert_eq!((first.claims.len(), first.reached.len()), (2, 1));
    let behind = insert(&store, &[work(0, now() - Duration::from_secs(3_600))]).await;
    let ahead = insert(&store, &[work(0, now() + Duration::ZERO)]).await;
    let from_the_mark = store.skim(&request(runner, 10), Some(&first.reached)).await.expect("claims");
    let the_rest = store.skim(&request(runner, 10), None).await.expect("claims");
    match kind {
        Kind::PostgreSql => {
            assert_eq!((ids(&from_the_mark), ids(&the_rest)), (ahead, behind));
        }
        // It looks from the beginning whatever it is given.
        Kind::Sqlite => {
            let mut both = [behind, ahead].concat();
            both.sort();
            assert_eq!((ids(&from_the_mark), ids(&the_rest)), (both, vec![]));
        }
    }
    store.close().await.expect("closed");
}

/// A process that claims.
struct Process {
    _database: TestDatabase,
    store: Store,
    claimer: Claimer,
    tree: Tree,
}

impl Process {
    async fn open(kind: Kind) -> Self {
        let database = TestDatabase::furnished(kind).await;
        let (store, config, hints) = (database.open().await, quiet(), Hints::default());
        let (lease, held) = (Lease::new(&config), Held::default());
        let load = Load { held: held.clone(), places: Arc::new(AtomicU64::new(100)) };
        let keeper = LeaseKeeper::spec(store.clone(), lease.clone(), hints.clone(), load, &config);
        let spec = SupervisorSpec::new("house", Strategy::OneForOne).child(keeper);
        let tree = Tree::start(spec).await.expect("a lease");
        let second = Duration::from_secs(1);
        let breaker = BreakerConfig { failures_max: 2, wait_base: second, wait_cap: second };
        let limits = Limits::uniform(QueueLimit { in_flight_max: 100, rate_per_minute: 0 }, 100, breaker);
        let policy = RetryPolicy { base: second, cap: second };
        let claimer = Claimer {
            store: store.clone(),
            lease,
            returns: Returns::open(store.clone(), hints, held, policy),
            places: Places::new(limits, Tenants::default(), Arc::new(Notify::new())),
            kind: kind::BOLETO_REGISTER,
            queue_prefix: PREFIX.to_owned(),
            batch: 1,
            turn: Turn::default(),
        };
        let process = Self { _database: database, store, claimer, tree };
        // A row before everything else, so that the lane is known.
        let known = process.inserts(0, now()).await;
        assert_eq!(process.claims().await, known);
        process
    }

    async fn inserts(&self, priority: i64, run_at: DateTime<Utc>) -> WorkId {
        insert(&self.store, &[work(priority, run_at)]).await[0]
    }

    /// Has looks from the beginning found dear, so that the next one is some time away.
    fn finds_looks_dear(&self) {
        let now = Instant::now();
        for _ in 0..2 {
            self.claimer.turn.looked(Reach::Everything, 0, now, Duration::from_millis(60));
            self.claimer.turn.looked(Reach::Ahead, 0, now, Duration::ZERO);
        }
        assert!(!self.claimer.turn.may_look_at_everything(now));
    }

    /// Claims until there is a row, and ends it.
    async fn claims(&self) -> WorkId {
        let claimed = async {
            loop {
                if let Some((guard, _place)) = self.claimer.claim().await.expect("an answer").pop() {
                    return guard.settled();
                }
                tokio::task::yield_now().await;
            }
        };
        let claim = timeout(PATIENCE, claimed).await.expect("a row");
        let ending = Ending::of(&claim, WorkState::Completed, None);
        assert_eq!(self.store.end_alone(&[ending], now()).await.expect("ended").len(), 1);
        claim.id
    }

    async fn close(self) {
        self.tree.shutdown(PATIENCE).await;
        self.store.close().await.expect("closed");
    }
}

async fn a_row_behind_the_mark_is_met_while_looks_are_dear(kind: Kind) {
    let process = Process::open(kind).await;
    process.finds_looks_dear();
    let behind = process.inserts(0, now() - Duration::from_secs(3_600)).await;
    assert_eq!(process.claims().await, behind);
    let other = process.inserts(7, now()).await;
    process.finds_looks_dear();
    assert_eq!(process.claims().await, other, "a lane that was not known");
    process.close().await;
}

async fn a_more_urgent_row_goes_first_while_looks_are_dear(kind: Kind) {
    let process = Process::open(kind).await;
    let known = process.inserts(5, now()).await;
    assert_eq!(process.claims().await, known);
    process.finds_looks_dear();
    let later = process.inserts(5, now()).await;
    let first = process.inserts(0, now()).await;
    assert_eq!((process.claims().await, process.claims().await), (first, later));
    process.close().await;
}

async fn a_resumed_queue_is_served_while_looks_are_dear(kind: Kind) {
    let process = Process::open(kind).await;
    process.store.pause_queue(QUEUE, "for the test", now()).await.expect("paused");
    process.finds_looks_dear();
    let held_back = process.inserts(0, now()).await;
    assert!(process.claimer.claim().await.expect("an answer").is_empty());
    assert!(process.store.resume_queue(QUEUE, "").await.expect("resumed"));
    assert_eq!(process.claims().await, held_back);
    process.close().await;
}

async fn what_goes_back_is_claimed_again_while_looks_are_dear(kind: Kind) {
    let process = Process::open(kind).await;
    let row = process.inserts(0, now()).await;
    process.finds_looks_dear();
    let claimed = process.claimer.claim().await.expect("an answer");
    assert_eq!(claimed.iter().map(|(guard, _)| guard.claim().id).collect::<Vec<_>>(), [row]);
    // Unstarted, it goes back at once.
    drop(claimed);
    assert_eq!(process.claims().await, row);
    process.close().await;
}

/// Rows of a round beside the transaction, and rounds.
const SLICE: usize = 100;
const ROUNDS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_ahead_do_not_read_what_a_long_transaction_keeps() {
    let database = TestDatabase::furnished(Kind::PostgreSql).await;
    let store = database.open().await;
    let runner = runner(&store).await;
    let server = pool::connect(&database.url).await.expect("a second connection");
    let reader =
        server.begin_with_config(Some(IsolationLevel::RepeatableRead), None).await.expect("a transaction");
    reader.execute_unprepared("select count(*) from work").await.expect("its snapshot is taken");
    let mut lanes = None;
    for _ in 0..ROUNDS {
        let rows: Vec<NewWork> = (0..SLICE).map(|_| work(0, now())).collect();
        insert(&store, &rows).await;
        let skimmed = store.skim(&request(runner, 1_000), lanes.as_deref()).await.expect("claims");
        let ended = skimmed.claims.iter().map(|claim| Ending::of(claim, WorkState::Completed, None));
        assert_eq!(store.end_alone(&ended.collect::<Vec<_>>(), now()).await.expect("ended").len(), SLICE);
        lanes = Some(skimmed.reached);
    }
    reader.rollback().await.expect("it lasted");
    store.close().await.expect("closed");
    let read = timeout(PATIENCE, entries_read(&server)).await.expect("the sessions have ended");
    let rows = i64::try_from(SLICE * ROUNDS).expect("a small number");
    assert!(read < 2 * rows, "{read} entries were read for {rows} rows");
}

/// Entries of the index of due rows that were read, once a session has written down that all rows were deleted.
async fn entries_read(server: &DatabaseConnection) -> i64 {
    let text = "select t.n_tup_del as deleted, i.idx_tup_read as read from pg_stat_user_tables t
        join pg_stat_user_indexes i using (relid) where i.indexrelname = 'work_available'";
    loop {
        let statement = Statement::from_string(server.get_database_backend(), text);
        let row = server.query_one_raw(statement).await.expect("an answer").expect("a row");
        let deleted: i64 = row.try_get("", "deleted").expect("a number");
        let read: i64 = row.try_get("", "read").expect("a number");
        if deleted == i64::try_from(SLICE * ROUNDS).expect("a small number") && read > 0 {
            return read;
        }
        tokio::task::yield_now().await;
    }
}
