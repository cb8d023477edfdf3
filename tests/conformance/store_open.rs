//! What both databases must do when the store is opened: grow the schema once, and respect a newer release's.

use bursar::domain::bank_account::BankAccount;
use bursar::domain::ids::TenantId;
use bursar::store::connect::OpenError;
use bursar::store::pool;
use bursar::store::{SCHEMA_VERSION, Store};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use tokio::task::JoinSet;

use crate::on_both_databases;
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::bank_account;

on_both_databases!(
    opening_again_changes_nothing,
    a_schema_that_needs_a_newer_release_is_left_alone,
    a_newer_schema_that_lets_us_in_is_used_as_it_stands,
);

async fn connect(database: &TestDatabase) -> DatabaseConnection {
    pool::connect(database.url.as_str()).await.expect("the same database, past the store")
}

/// Every row of the two tables that say how far the schema has grown.
async fn steps(connection: &DatabaseConnection) -> Vec<(String, i64)> {
    let backend = connection.get_database_backend();
    let text = "select version as step, applied_at as number from schema_step
        union all select 'version', version from schema_meta
        union all select 'min_binary', min_binary from schema_meta order by 1";
    let rows = connection.query_all_raw(Statement::from_string(backend, text)).await.expect("both tables");
    let row = |row: sea_orm::QueryResult| {
        (row.try_get("", "step").expect("text"), row.try_get("", "number").expect("a number"))
    };
    rows.into_iter().map(row).collect()
}

/// As a newer release would leave the schema behind.
async fn leave_behind(database: &TestDatabase, version: i32, min_binary: i32) -> Vec<(String, i64)> {
    let connection = connect(database).await;
    let text = format!("update schema_meta set version = {version}, min_binary = {min_binary}");
    connection.execute_unprepared(&text).await.expect("a schema of the future");
    let steps = steps(&connection).await;
    connection.close().await.expect("it lets go");
    steps
}

async fn kept(store: &Store) -> Vec<BankAccount> {
    store.bank_accounts(&TenantId::default(), None, 10).await.expect("a store")
}

async fn opening_again_changes_nothing(kind: Kind) {
    let database = TestDatabase::create(kind).await;
    let store = database.open().await;
    let account = bank_account("3128557");
    store.create_bank_account(&account, 1, None).await.expect("an account");
    store.close().await.expect("closed");
    drop(store);
    let connection = connect(&database).await;
    let before = steps(&connection).await;
    assert!(before.contains(&("version".to_owned(), i64::from(SCHEMA_VERSION))), "{before:?}");

    let store = database.open().await;
    assert_eq!(kept(&store).await, [account]);
    assert_eq!(steps(&connection).await, before);
}

async fn a_schema_that_needs_a_newer_release_is_left_alone(kind: Kind) {
    let database = TestDatabase::create(kind).await;
    database.open().await.close().await.expect("closed");
    let newer = SCHEMA_VERSION + 2;
    let before = leave_behind(&database, newer, newer).await;
    for _ in 0..2 {
        // The second time shows that the first left nothing locked.
        match Store::open(&database.config()).await {
            Err(OpenError::SchemaTooNew { found, ours, needed }) => {
                assert_eq!((found, needed), (i64::from(newer), i64::from(newer)));
                assert_eq!(ours, SCHEMA_VERSION);
            }
            Err(other) => panic!("another reason: {other}"),
            Ok(_) => panic!("opened a schema that is too new"),
        }
    }
    assert_eq!(steps(&connect(&database).await).await, before);
}

async fn a_newer_schema_that_lets_us_in_is_used_as_it_stands(kind: Kind) {
    let database = TestDatabase::create(kind).await;
    database.open().await.close().await.expect("closed");
    let connection = connect(&database).await;
    // A step of the future that this release does not know; migrating would stumble over it.
    let step = "insert into schema_step (version, applied_at) values ('m9999_the_future', 0)";
    connection.execute_unprepared(step).await.expect("a step of the future");
    let before = leave_behind(&database, SCHEMA_VERSION + 1, SCHEMA_VERSION).await;

    let store = database.open().await;
    let account = bank_account("3128557");
    store.create_bank_account(&account, 1, None).await.expect("an account");
    assert_eq!(kept(&store).await, [account]);
    assert_eq!(steps(&connection).await, before);
}

#[tokio::test]
async fn a_file_belongs_to_one_process_at_a_time() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    let store = database.open().await;
    match Store::open(&database.config()).await {
        Err(OpenError::InUse(path)) => assert!(database.url.ends_with(&path.display().to_string())),
        Err(other) => panic!("another reason: {other}"),
        Ok(_) => panic!("two stores on one file"),
    }
    store.ping().await.expect("the first goes on");
    store.close().await.expect("closed");
    drop(store);
    database.open().await.ping().await.expect("the file is free again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_start_together_grow_one_schema() {
    let database = TestDatabase::create(Kind::PostgreSql).await;
    let mut opening = JoinSet::new();
    for _ in 0..6 {
        let config = database.config();
        opening.spawn(async move { Store::open(&config).await.expect("a store") });
    }
    let stores = opening.join_all().await;
    let steps = steps(&connect(&database).await).await;
    let grown = steps.iter().filter(|(step, _)| step.starts_with('m') && step != "min_binary").count();
    assert_eq!(grown, usize::try_from(SCHEMA_VERSION).expect("a small number"), "{steps:?}");
    for store in stores {
        store.ping().await.expect("it works");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_not_waited_for() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    let path = database.url.trim_start_matches("sqlite:").trim_start_matches("//");
    std::fs::write(
        path,
        "a letter to nobody, and longer than a hundred bytes, as any page of a database is; ".repeat(9),
    )
    .expect("a file");
    let Err(OpenError::Store(error)) = Store::open(&database.config()).await else { panic!("it was opened") };
    assert!(!error.is_transient() && error.to_string().contains("not a database"), "{error}");
}

#[tokio::test]
async fn an_address_of_neither_database_is_refused_without_its_password() {
    let database = TestDatabase::create(Kind::Sqlite).await;
    let mut config = database.config();
    for url in [
        "mysql://shop:the-password@127.0.0.1/bursar",
        "postgres://shop:the-password@127.0.0.1:the-port/bursar",
    ] {
        config.url = url.to_owned();
        let refusal = Store::open(&config).await.err().expect("refused");
        assert!(matches!(refusal, OpenError::UnknownUrl(_) | OpenError::UnreadableUrl(_)), "{refusal}");
        assert!(!refusal.to_string().contains("the-password"), "{refusal}");
    }
}
