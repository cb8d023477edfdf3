//! How processes that share a PostgreSQL wake each other. Nothing is polled within these tests: every interval is an
//! hour, so that what wakes a process can only be the word of another.

use std::sync::Arc;
use std::time::Duration;

use bursar::config::{Config, Sources};
use bursar::domain::ids::WorkId;
use bursar::store::Store;
use bursar::store::pool;
use bursar::store::work::{ClaimRequest, end_of_prefix};
use bursar::supervision::{ChildSpec, Strategy, SupervisorSpec, Tree};
use bursar::work::bell::Bell;
use bursar::work::leader::{Leader, Office, Offices};
use bursar::work::lease::{LeaseKeeper, Load};
use bursar::work::reaper::Reaper;
use bursar::work::{Held, Hints, Lease, WorkConfig};
use futures_util::FutureExt as _;
use sea_orm::ConnectionTrait as _;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{bank_account, draft, now, runner};

/// How long a test waits for something that should take a moment.
pub const PATIENCE: Duration = Duration::from_secs(20);
const HOUR: Duration = Duration::from_secs(3_600);
/// The least time between two rings.
const PAUSE: Duration = Duration::from_millis(50);

/// Settings under which nothing happens by the clock.
pub fn quiet() -> WorkConfig {
    let config = Config::load(&Sources::default()).unwrap_or_else(|errors| panic!("{errors}"));
    WorkConfig {
        poll_interval: HOUR,
        heartbeat_interval: HOUR,
        fence_after: 2 * HOUR,
        reap_after: 3 * HOUR,
        ..config.work
    }
}

/// As much of a process as wakes and is woken.
struct Process {
    store: Store,
    hints: Hints,
    office: Office,
    tree: Tree,
}

impl Process {
    /// Opens one and waits until it hears.
    async fn open(database: &TestDatabase) -> Self {
        let store = database.open().await;
        let (config, hints) = (quiet(), Hints::default());
        let lease = Lease::new(&config);
        let offices = Offices::new(lease.clone());
        let office = offices.office("clerk");
        // That the bell listens now is an upheaval, and as long as there is nobody else, the only one.
        let upheaval = hints.listen_for_upheavals();
        let keeper = LeaseKeeper::spec(store.clone(), lease, hints.clone(), Load::default(), &config);
        let spec = SupervisorSpec::new("house", Strategy::RestForOne).child(Bell::spec(
            store.clone(),
            hints.clone(),
            &config,
        ));
        let root = SupervisorSpec::new("root", Strategy::OneForOne).child(ChildSpec::supervisor(spec));
        let tree = Tree::start(root).await.expect("a tree");
        wait_for(&upheaval).await;
        tree.add("house", keeper).await.expect("a keeper");
        tree.add("house", Leader::spec(store.clone(), offices, &hints, &config)).await.expect("a leader");
        Self { store, hints, office, tree }
    }

    async fn close(self) {
        assert!(self.tree.shutdown(PATIENCE).await.in_time);
        self.store.close().await.expect("closed");
    }
}

async fn wait_for(signal: &Arc<Notify>) {
    timeout(PATIENCE, signal.notified()).await.expect("a word from another process");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_inserts_wakes_another_that_claims_it() {
    let database = TestDatabase::furnished(Kind::PostgreSql).await;
    let (one, other) = (Process::open(&database).await, Process::open(&database).await);
    let heard = other.hints.listen("registration/");
    let work = draft(&bank_account("3128557")).work;
    one.store.insert_work_alone(std::slice::from_ref(&work)).await.expect("inserted");
    one.hints.there_is_work(&work.queue);
    wait_for(&heard).await;
    let request = ClaimRequest {
        runner_id: runner(&other.store).await,
        kind: work.kind,
        queue_from: "registration/".to_owned(),
        queue_until: end_of_prefix("registration/"),
        free_per_queue: 10,
        busy: vec![],
        tenants_full: vec![],
        limit: 10,
    };
    let claimed: Vec<WorkId> =
        other.store.claim(&request).await.expect("claims").iter().map(|claim| claim.id).collect();
    assert_eq!(claimed, [work.id]);
    one.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_is_not_woken_by_its_own_word_nor_rings_what_it_heard() {
    let database = TestDatabase::furnished(Kind::PostgreSql).await;
    let (one, other) = (Process::open(&database).await, Process::open(&database).await);
    let mut ear = other.store.listen().await.expect("an ear");
    let (mine, theirs) = (one.hints.listen("mine/"), one.hints.listen("theirs/"));
    let theirs_there = other.hints.listen("mine/");
    one.hints.there_is_work("mine/1");
    mine.notified().await;
    wait_for(&theirs_there).await;
    // Words are heard in the order in which they were said, so that this one shows that the one before did nothing.
    other.hints.there_is_work("theirs/1");
    wait_for(&theirs).await;
    assert!(mine.notified().now_or_never().is_none(), "woken by its own word");
    one.hints.there_is_work("last");
    let mut names = Vec::new();
    while names.last().is_none_or(|name| name != "last") {
        let word = timeout(PATIENCE, ear.hear()).await.expect("a word").expect("a line");
        if word.name != "?" {
            names.push(word.name);
        }
    }
    assert_eq!(names, ["mine/1", "theirs/1", "last"], "each rung by one process alone");
    one.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_hints_are_a_few_words() {
    let database = TestDatabase::furnished(Kind::PostgreSql).await;
    let process = Process::open(&database).await;
    let mut ear = process.store.listen().await.expect("an ear");
    let began = Instant::now();
    for _ in 0..1_000 {
        process.hints.there_is_work("delivery/sqs/1");
        tokio::task::yield_now().await;
    }
    process.hints.there_is_work("last");
    let mut words = 0_u128;
    loop {
        let word = timeout(PATIENCE, ear.hear()).await.expect("a word").expect("a line");
        match word.name.as_str() {
            "last" => break,
            "?" => {}
            name => {
                assert_eq!(name, "delivery/sqs/1");
                words += 1;
            }
        }
    }
    // The first at once, and then one a pause; the last of them may come with the word that ends this.
    let most = began.elapsed().as_millis() / PAUSE.as_millis() + 2;
    assert!((1..=most).contains(&words), "{words} words where {most} were to be expected");
    process.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_is_followed_in_office_at_once() {
    let database = TestDatabase::furnished(Kind::PostgreSql).await;
    let first = Process::open(&database).await;
    assert_eq!(timeout(PATIENCE, first.office.taken()).await.expect("an office"), 1);
    let second = Process::open(&database).await;
    assert_eq!(second.office.holds(), None);
    first.close().await;
    // Its next heartbeat is an hour away: only the word of who left can have told it.
    assert_eq!(timeout(PATIENCE, second.office.taken()).await.expect("the office"), 2);
    second.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_is_found_when_it_becomes_due_and_not_at_the_next_look() {
    for kind in [Kind::Sqlite, Kind::PostgreSql] {
        let database = TestDatabase::furnished(kind).await;
        let store = database.open().await;
        let mut work = draft(&bank_account("3128557")).work;
        work.run_at = now() + Duration::from_millis(300);
        store.insert_work_alone(std::slice::from_ref(&work)).await.expect("inserted");
        let (config, hints) = (quiet(), Hints::default());
        let heard = hints.listen(&work.queue);
        let reaper =
            Reaper::spec(store.clone(), Lease::new(&config), hints.clone(), Held::default(), &config);
        let tree = Tree::start(SupervisorSpec::new("root", Strategy::OneForOne).child(reaper));
        let tree = tree.await.expect("a tree");
        // Where starting took until it was due, the first look has found it; otherwise only the alarm can.
        wait_for(&heard).await;
        assert!(now() >= work.run_at, "found before it was due");
        assert!(tree.shutdown(PATIENCE).await.in_time);
        store.close().await.expect("closed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_cut_everything_is_looked_at_and_words_are_heard_again() {
    let database = TestDatabase::furnished(Kind::PostgreSql).await;
    let (one, other) = (Process::open(&database).await, Process::open(&database).await);
    let heard = other.hints.listen("delivery/");
    let operator = pool::connect(&database.url).await.expect("a connection");
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'bursar listening'";
    operator.execute_unprepared(cut).await.expect("cut");
    operator.close().await.expect("closed");
    // It cannot know what was said meanwhile, so it looks everywhere.
    wait_for(&heard).await;
    one.hints.there_is_work("delivery/sqs/1");
    wait_for(&heard).await;
    one.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_too_long_for_a_word_is_said_as_everything() {
    let database = TestDatabase::furnished(Kind::PostgreSql).await;
    let store = database.open().await;
    let mut ear = store.listen().await.expect("an ear");
    let speaker = Uuid::now_v7();
    store.say(speaker, &["x".repeat(10_000), "short".to_owned()]).await.expect("said");
    for name in ["", "short"] {
        let word = timeout(PATIENCE, ear.hear()).await.expect("a word").expect("a line");
        assert_eq!((word.from, word.name.as_str()), (speaker, name));
    }
    store.close().await.expect("closed");
}
