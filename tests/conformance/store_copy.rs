//! What `bursar store copy` owes: everything arrives, or nothing does and it says why.

mod filled;

use std::process::{Command, Output};

use bursar::domain::work::{WorkState, kind};
use bursar::store::boleto_watch::ChangeCursor;
use bursar::store::connect::OpenError;
use bursar::store::copy::{Copied, CopyError, Side, copy};
use bursar::store::pool;
use bursar::store::work::ClaimRequest;
use sea_orm::{ConnectionTrait, DatabaseConnection};

use self::filled::{Dump, dump, fill, order_of_events, tables};
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{bank_account, draft, now, runner};

async fn connect(database: &TestDatabase) -> DatabaseConnection {
    pool::connect(database.url.as_str()).await.expect("the same database, past the store")
}

/// A database with its schema and nothing else, closed.
async fn grown(kind: Kind) -> TestDatabase {
    let database = TestDatabase::create(kind).await;
    database.open().await.close().await.expect("closed");
    database
}

async fn run(database: &TestDatabase, text: &str) {
    let connection = connect(database).await;
    connection.execute_unprepared(text).await.unwrap_or_else(|error| panic!("{error} in {text}"));
    connection.close().await.expect("it lets go");
}

async fn moved(from: &TestDatabase, to: &TestDatabase) -> Result<Copied, CopyError> {
    copy(&from.config(), &to.config(), now()).await
}

/// What a database holds; one without a schema holds nothing.
async fn held(database: &TestDatabase) -> Dump {
    let connection = connect(database).await;
    let held = dump(&connection).await;
    connection.close().await.expect("it lets go");
    held
}

async fn everything_arrives(from: Kind, to: Kind) {
    let source = grown(from).await;
    let connection = connect(&source).await;
    fill(&connection).await;
    let (names, sent, order) =
        (tables(&connection).await, dump(&connection).await, order_of_events(&connection).await);
    connection.close().await.expect("it lets go");
    // One way the target has its schema already, the other way it is as new as can be.
    let target = if to == Kind::Sqlite { grown(to).await } else { TestDatabase::create(to).await };
    let copied = moved(&source, &target).await.expect("a move");

    let told: Vec<&str> = copied.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(told, names, "every table of the schema is told of");
    let connection = connect(&target).await;
    let arrived = dump(&connection).await;
    for (table, rows) in &sent {
        assert!(rows.len() > 256, "{table} is larger than a page");
        let told = copied.tables.iter().find(|copied| copied.name == *table).expect("told of");
        assert_eq!(told.rows, rows.len() as u64, "{table}");
        assert!(arrived[table] == *rows, "{table} arrived otherwise than it was");
    }
    assert_eq!(arrived.len(), sent.len());
    assert!(order_of_events(&connection).await == order, "events arrived in another order");
    connection.close().await.expect("it lets go");
    let store = target.open().await;
    assert_eq!(copied.store_id, store.store_id());
    let origin = source.open().await;
    assert_ne!(copied.store_id, origin.store_id());
    assert_eq!((copied.store_id.len(), origin.store_id().len()), (32, 32));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_arrives_on_postgresql() {
    everything_arrives(Kind::Sqlite, Kind::PostgreSql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_arrives_on_sqlite() {
    everything_arrives(Kind::PostgreSql, Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_arrives_on_another_postgresql() {
    everything_arrives(Kind::PostgreSql, Kind::PostgreSql).await;
}

async fn life_goes_on_behind_the_last_event(from: Kind, to: Kind) {
    let source = TestDatabase::create(from).await;
    let store = source.open().await;
    let account = bank_account("3128557");
    store.create_bank_account(&account, 1, None).await.expect("an account");
    let before: Vec<_> = (0..3).map(|_| draft(&account)).collect();
    store.create_boletos(&before).await;
    store.close().await.expect("closed");
    drop(store);

    let target = TestDatabase::create(to).await;
    moved(&source, &target).await.expect("a move");
    let store = target.open().await;
    let head = store.change_head().await.expect("a head");
    let after: Vec<_> = (0..2).map(|_| draft(&account)).collect();
    for made in store.create_boletos(&after).await {
        made.expect("a boleto after the move");
    }
    let tenant = &account.tenant_id;
    // Another test's transaction on the same server holds the stream back for a moment.
    let seen = loop {
        let beginning = ChangeCursor::default();
        let seen = store.changes_after(tenant, None, beginning, 100).await.expect("changes");
        assert!(seen.len() >= before.len(), "what was moved is never held back");
        if seen.len() == before.len() + after.len() {
            break seen;
        }
    };
    let expected: Vec<_> = before.iter().chain(&after).map(|draft| draft.id).collect();
    assert_eq!(seen.iter().map(|change| change.boleto_id).collect::<Vec<_>>(), expected);
    assert!(seen.windows(2).all(|pair| pair[0].cursor < pair[1].cursor));
    let fresh = store.changes_after(tenant, None, head, 100).await.expect("changes");
    assert!(fresh.iter().all(|change| !before.iter().any(|draft| draft.id == change.boleto_id)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn life_goes_on_behind_the_last_event_on_postgresql() {
    life_goes_on_behind_the_last_event(Kind::Sqlite, Kind::PostgreSql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn life_goes_on_behind_the_last_event_on_sqlite() {
    life_goes_on_behind_the_last_event(Kind::PostgreSql, Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_in_the_hands_of_a_dead_process_may_be_claimed_again() {
    let source = TestDatabase::create(Kind::Sqlite).await;
    let store = source.open().await;
    let account = bank_account("3128557");
    store.create_bank_account(&account, 1, None).await.expect("an account");
    let dead = runner(&store).await;
    let wanted = draft(&account);
    store.create_boletos(std::slice::from_ref(&wanted)).await;
    let request = |runner_id| ClaimRequest {
        runner_id,
        kind: kind::BOLETO_REGISTER,
        queue_from: "registration/".to_owned(),
        queue_until: "registration0".to_owned(),
        free_per_queue: 1,
        busy: vec![],
        tenants_full: vec![],
        limit: 1,
    };
    let claimed = store.claim(&request(dead)).await.expect("a claim");
    store.close().await.expect("closed");
    drop(store);

    let target = TestDatabase::create(Kind::PostgreSql).await;
    let copied = moved(&source, &target).await.expect("a move");
    assert_eq!((copied.runners_buried, copied.work_returned), (1, 1));
    let store = target.open().await;
    assert!(store.living_runners().await.expect("runners").is_empty());
    let listed = store.list_work(&Default::default(), None, 10).await.expect("work");
    assert_eq!(listed[0].state, WorkState::Available);
    let heir = runner(&store).await;
    let again = store.claim(&request(heir)).await.expect("a claim");
    assert_eq!((again[0].id, again[0].fence), (wanted.work.id, claimed[0].fence + 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_holds_rows_is_left_as_it_was() {
    let (source, target) = (grown(Kind::Sqlite).await, grown(Kind::PostgreSql).await);
    run(&target, "insert into queue_pause (name, reason, paused_at_us) values ('a', 'b', 1)").await;
    let before = held(&target).await;
    match moved(&source, &target).await {
        Err(CopyError::NotEmpty(table)) => assert_eq!(table, "queue_pause"),
        other => panic!("{other:?}"),
    }
    assert!(held(&target).await == before);
    // A second tenant is no row of the migrations' either.
    run(&target, "delete from queue_pause; insert into tenant (id, created_at_us) values ('b', 1)").await;
    assert!(matches!(moved(&source, &target).await, Err(CopyError::NotEmpty(table)) if table == "tenant"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_somebody_serves_from_is_refused() {
    let (file, server) =
        (TestDatabase::create(Kind::Sqlite).await, TestDatabase::create(Kind::PostgreSql).await);
    let serving = file.open().await;
    match moved(&file, &server).await {
        Err(CopyError::Open { side: Side::Source, error: OpenError::InUse(_) }) => {}
        other => panic!("{other:?}"),
    }
    serving.close().await.expect("closed");
    drop(serving);
    let serving = server.open().await;
    let alive = runner(&serving).await;
    let refused = moved(&server, &file).await;
    assert!(matches!(refused, Err(CopyError::InUse(1))), "{refused:?}");
    serving.leave_runner(alive, now()).await.expect("a clean stop");
    moved(&server, &file).await.expect("a move once nobody lives there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_schema_version_on_either_side_is_refused_and_left_alone() {
    let (older, target) = (grown(Kind::Sqlite).await, TestDatabase::create(Kind::PostgreSql).await);
    run(&older, "update schema_meta set version = 1").await;
    match moved(&older, &target).await {
        Err(CopyError::VersionsDiffer { side: Side::Source, found: 1 }) => {}
        other => panic!("{other:?}"),
    }
    let connection = connect(&target).await;
    assert!(tables(&connection).await.is_empty(), "nothing was begun at the target");
    connection.close().await.expect("it lets go");
    let source = grown(Kind::Sqlite).await;
    let newer = grown(Kind::PostgreSql).await;
    run(&newer, "update schema_meta set version = version + 1").await;
    let refused = moved(&source, &newer).await;
    assert!(matches!(refused, Err(CopyError::VersionsDiffer { side: Side::Target, .. })), "{refused:?}");
    let nothing = moved(&TestDatabase::create(Kind::PostgreSql).await, &source).await;
    assert!(matches!(nothing, Err(CopyError::NotAStore)), "{nothing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_on_one_side_only_is_refused() {
    let (source, target) = (grown(Kind::Sqlite).await, grown(Kind::PostgreSql).await);
    run(&source, "create table somebodys (id text primary key)").await;
    let refused = moved(&source, &target).await;
    assert!(
        matches!(&refused, Err(CopyError::SchemasDiffer(why)) if why.contains("somebodys")),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_cannot_arrive_keeps_all_others_away() {
    let (source, target) = (grown(Kind::Sqlite).await, TestDatabase::create(Kind::PostgreSql).await);
    let connection = connect(&source).await;
    fill(&connection).await;
    // PostgreSQL takes no such character; tables before this one in the alphabet have arrived by then.
    connection.execute_unprepared("update work set payload = 'a' || char(0)").await.expect("a row");
    connection.close().await.expect("it lets go");
    match moved(&source, &target).await {
        Err(CopyError::Store { doing, .. }) => assert_eq!(doing, "copying table work"),
        other => panic!("{other:?}"),
    }
    let rows: usize = held(&target).await.values().map(Vec::len).sum();
    assert_eq!(rows, 1, "nothing but the first tenant");
    run(&source, "update work set payload = 'a'").await;
    moved(&source, &target).await.expect("a move once it is mended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_altered_or_lost_on_its_way_is_found_and_nothing_is_kept() {
    for does in ["new.reason = 'another'; return new;", "return null;"] {
        let (source, target) = (grown(Kind::Sqlite).await, grown(Kind::PostgreSql).await);
        run(&source, "insert into queue_pause (name, reason, paused_at_us) values ('a', 'b', 1)").await;
        run(
            &target,
            &format!(
                "create function meddle() returns trigger language plpgsql as 'begin {} end';
                 create trigger meddle before insert on queue_pause for each row execute function meddle()",
                does.replace('\'', "''")
            ),
        )
        .await;
        match moved(&source, &target).await {
            Err(CopyError::Altered { table, sent: 1, .. }) => assert_eq!(table, "queue_pause"),
            other => panic!("{other:?}"),
        }
        let rows: usize = held(&target).await.values().map(Vec::len).sum();
        assert_eq!(rows, 1, "nothing but the first tenant");
    }
}

fn bursar(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_bursar")).args(arguments).output().expect("the program runs");
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_ends_with_the_codes_of_the_others_and_never_says_a_password() {
    let (source, target) = (grown(Kind::Sqlite).await, TestDatabase::create(Kind::PostgreSql).await);
    let secret = "not-to-be-said";
    let with_password = target.url.replacen("://postgres@", &format!("://postgres:{secret}@"), 1);
    let nobody_there = format!("postgres://postgres:{secret}@127.0.0.1:1/bursar");
    let no_port = format!("postgres://postgres:{secret}@127.0.0.1:{secret}/bursar");
    let mysql = format!("mysql://{secret}@127.0.0.1/bursar");
    let missing = format!("{}.missing", source.url);
    let table = [
        (source.url.as_str(), nobody_there.as_str(), 6),
        (&source.url, &no_port, 3),
        (&source.url, &mysql, 3),
        (secret, &target.url, 3),
        (&source.url, &missing, 3),
        (&missing, &target.url, 4),
        (&target.url, &missing, 5),
        (&source.url, &with_password, 0),
    ];
    for (from, to, expected) in table {
        let (code, said) =
            bursar(&["store", "copy", "--from", from, "--to", to, "--timeout", "5s", "--json"]);
        assert!(!said.contains(secret), "{said}");
        assert_eq!(code, Some(expected), "{from} {to}: {said}");
    }
    run(&target, "insert into queue_pause (name, reason, paused_at_us) values ('a', 'b', 1)").await;
    let (code, said) = bursar(&["store", "copy", "--from", &source.url, "--to", &with_password]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("queue_pause") && !said.contains(secret), "{said}");
}
