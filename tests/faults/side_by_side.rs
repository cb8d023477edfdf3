//! An upgrade, seen from the process that is still of the release before: a newer release has migrated the database and
//! put work of a new kind into a queue that we serve.
//!
//! What both know goes on, made by either and under the newer schema; what only the newer one knows is left alone.
//!
//! **Limits**: the newer release is played by SQL, within what `min_binary` promises: columns that may be absent, tables
//! and indexes of its own.

use bursar::sandbox::{Behaviour, Party, Times};
use bursar::store::pool;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend};

use crate::database::Kind;
use crate::judge::{self, count};
use crate::process::{PATIENCE, eventually};
use crate::shop::{self, Shop};
use crate::stage::{House, Stage};

const BOLETOS: usize = 10;
const NEW_KIND: &str = "boleto.protest";
/// What grows a column.
const GROWING: [&str; 9] = [
    "runner",
    "work",
    "work_archive",
    "bank_account",
    "boleto",
    "boleto_event",
    "endpoint",
    "delivery",
    "request_key",
];

/// Migrates as the next release would.
async fn migrate(newer: &DatabaseConnection) {
    let mut steps: Vec<String> = GROWING
        .iter()
        .map(|table| format!("alter table {table} add column of_the_next_release text"))
        .collect();
    steps.extend([
        "create table protest (id text primary key, boleto_id text)".to_owned(),
        "create index boleto_of_the_next_release on boleto (of_the_next_release)".to_owned(),
        "insert into schema_step (version, applied_at) values ('m9999_of_the_next_release', 1800000000)"
            .to_owned(),
        "update schema_meta set version = version + 1".to_owned(),
    ]);
    for step in steps {
        newer.execute_unprepared(&step).await.unwrap_or_else(|error| panic!("{step}: {error}"));
    }
}

/// Writes into the rows what only the next release writes, whatever state they are in.
async fn write_as_newer(newer: &DatabaseConnection) {
    for table in GROWING {
        let text = format!("update {table} set of_the_next_release = 'x'");
        newer.execute_unprepared(&text).await.expect("rows of the next release");
    }
}

/// Puts work of the new kind where the registrar of our boletos looks first.
async fn insert_new_kind(newer: &DatabaseConnection) {
    let backend = newer.get_database_backend();
    for _ in 0..BOLETOS {
        let copied = format!(
            "insert into work (id, tenant_id, kind, queue, priority, run_at_us, state, attempt, attempts_max, fence,
                 subject_id, payload, created_at_us, of_the_next_release)
             select {id}, tenant_id, '{NEW_KIND}', queue, -1, 0, 'available', 0, 40, 0, subject_id, '{{\"days\":5}}',
                 created_at_us, 'x'
             from work_archive where kind = 'boleto.register' limit 1",
            id = match backend {
                DbBackend::Postgres => format!("'{}'::uuid", uuid::Uuid::now_v7()),
                _ => format!("x'{}'", uuid::Uuid::now_v7().simple()),
            },
        );
        newer.execute_unprepared(&copied).await.expect("work of a new kind");
    }
}

/// How much of the new kind lies there just as it was put.
async fn untouched(newer: &DatabaseConnection) -> i64 {
    let question = format!(
        "select count(*) as n from work where kind = '{NEW_KIND}' and state = 'available' and attempt = 0 and fence = 0
             and runner_id is null and of_the_next_release = 'x' and last_error is null"
    );
    count(newer, &question).await
}

async fn make(shop: &Shop, house: &House, numbers: std::ops::Range<usize>) {
    let channel = house.channel().await.expect("a house that listens");
    futures_util::future::join_all(numbers.map(|number| {
        let channel = &channel;
        async move { shop.create(channel, number).await.expect("a boleto") }
    }))
    .await;
}

async fn opened(stage: &Stage) -> House {
    // Nobody is missed within this test, on however busy a machine.
    let house =
        stage.house_with(&["store.timeout=10s", "work.fence_after=30s", "work.reap_after=1h"], &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    house
}

/// The last part: all that we know is done, the new kind is untouched and seen, and the newer release takes it.
async fn ours_is_done_and_theirs_left_alone(
    stage: &Stage,
    newer: DatabaseConnection,
    house: House,
    made: usize,
) {
    judge::owners_told(stage, made).await;
    let channel = house.channel().await.expect("a house that listens");
    let theirs = eventually("the end of all work that we know", async || {
        let left = shop::work(&channel).await.expect("a list of work");
        left.iter().all(|work| work.kind == NEW_KIND).then_some(left)
    })
    .await;
    assert_eq!(theirs.len(), BOLETOS, "{theirs:?}");
    assert_eq!(untouched(&newer).await, BOLETOS as i64, "work of a kind that we do not know was touched");
    newer.execute_unprepared(&format!("delete from work where kind = '{NEW_KIND}'")).await.expect("theirs");
    newer.close().await.expect("the database lets go");
    judge::all_is_well(stage, house, made).await;
}

/// The database is migrated under a running process, and another of the same old release starts on the newer schema.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_processes_work_on_while_a_newer_release_moves_in() {
    let stage = Stage::open(Kind::PostgreSql).await;
    let shop = Shop::of(&stage);
    let first = opened(&stage).await;
    shop.furnish(&first.channel().await.expect("a house that listens")).await.expect("a bank account");
    make(&shop, &first, 0..BOLETOS).await;
    judge::owners_told(&stage, BOLETOS).await;
    // Some work is in hand and some waits while the schema grows.
    stage.world.script().add(Party::BankRegister, Behaviour::Hold, Times::Count(3));
    make(&shop, &first, BOLETOS..2 * BOLETOS).await;
    stage.world.wait_for_held(3, PATIENCE).await.expect("calls that the bank holds");

    let newer = pool::connect(&stage.database_url).await.expect("the database");
    migrate(&newer).await;
    write_as_newer(&newer).await;
    insert_new_kind(&newer).await;
    stage.world.script().release();
    make(&shop, &first, 2 * BOLETOS..3 * BOLETOS).await;
    let second = opened(&stage).await;
    make(&shop, &second, 3 * BOLETOS..4 * BOLETOS).await;
    make(&shop, &first, 4 * BOLETOS..5 * BOLETOS).await;
    judge::owners_told(&stage, 5 * BOLETOS).await;
    write_as_newer(&newer).await;
    first.close().await;
    ours_is_done_and_theirs_left_alone(&stage, newer, second, 5 * BOLETOS).await;
    stage.close().await;
}

/// A newer release was tried on the embedded store, and the old one starts again on what it left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_release_starts_again_on_what_a_newer_one_left() {
    let stage = Stage::open(Kind::Sqlite).await;
    let shop = Shop::of(&stage);
    let house = opened(&stage).await;
    shop.furnish(&house.channel().await.expect("a house that listens")).await.expect("a bank account");
    make(&shop, &house, 0..BOLETOS).await;
    judge::owners_told(&stage, BOLETOS).await;
    stage.world.script().always(Party::BankRegister, Behaviour::status(503));
    make(&shop, &house, BOLETOS..2 * BOLETOS).await;
    house.close().await;
    stage.world.script().clear_all();

    let newer = pool::connect(&stage.database_url).await.expect("the database");
    migrate(&newer).await;
    write_as_newer(&newer).await;
    insert_new_kind(&newer).await;
    let house = opened(&stage).await;
    make(&shop, &house, 2 * BOLETOS..3 * BOLETOS).await;
    ours_is_done_and_theirs_left_alone(&stage, newer, house, 3 * BOLETOS).await;
    stage.close().await;
}
