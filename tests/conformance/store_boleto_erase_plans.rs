//! What it costs a boleto that it may be erased one day: nothing at its steps, and little at the look for what is old.
//!
//! The server's own counts are the judge; a session writes them down when it ends, so the store is closed first.

use bursar::domain::ids::TenantId;
use bursar::store::boleto::Notify;
use bursar::store::boleto_erase_aged::AgedBoletos;
use bursar::store::pool;
use sea_orm::{ConnectOptions, ConnectionTrait, Statement};

use crate::store_deliveries::a_registered_boleto;
use crate::store_delivery_plans::written_down;
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{now, runner};

const BYSTANDERS: i64 = 20_000;
const LOOKED_AT: u32 = 100;

/// A change of a column that any index names costs an entry in every index of the table, in those with a condition too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_registered_changes_no_column_of_an_index() {
    let database = TestDatabase::furnished(Kind::PostgreSql).await;
    let store = database.open().await;
    let alone = ConnectOptions::new(&database.url).max_connections(1).to_owned();
    let server = pool::connect(alone).await.expect("a second connection");
    let runner = runner(&store).await;
    a_registered_boleto(&store, runner, Notify::Nobody).await;
    store.close().await.expect("closed");
    written_down(&server, "boleto").await;
    let text = "select n_tup_upd as changed, n_tup_hot_upd as changed_in_place from pg_stat_user_tables
        where relname = 'boleto'";
    let statement = Statement::from_string(server.get_database_backend(), text);
    let row = server.query_one_raw(statement).await.expect("an answer").expect("a row");
    let (changed, in_place): (i64, i64) = (
        row.try_get("", "changed").expect("a number"),
        row.try_get("", "changed_in_place").expect("a number"),
    );
    assert!(changed > 0);
    assert_eq!(in_place, changed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_for_what_is_old_reads_what_it_looks_at() {
    let database = TestDatabase::furnished(Kind::PostgreSql).await;
    let store = database.open().await;
    let alone = ConnectOptions::new(&database.url).max_connections(1).to_owned();
    let server = pool::connect(alone).await.expect("a second connection");
    let mut slice = AgedBoletos {
        tenant_id: TenantId::default(),
        ended_before: now(),
        after: None,
        limit: LOOKED_AT,
        now: now(),
    };
    // Its plan is made while there is nothing to be found.
    assert_eq!(store.erase_aged_boletos(&slice).await.expect("no trouble").until, None);
    let fill = format!(
        "insert into boleto (tenant_id, id, bank_account_id, status, version, amount_cents, due_date, payer, notify, created_at_us,
            updated_at_us)
         select 'default', gen_random_uuid(), gen_random_uuid(), 'registered', 1, 1, '2020-01-01', '{{}}', 'nobody', 0, 0
         from generate_series(1, {BYSTANDERS})"
    );
    server.execute_unprepared(&fill).await.expect("a full table");
    for _ in 0..3 {
        let done = store.erase_aged_boletos(&slice).await.expect("no trouble");
        assert_eq!(done.erased, 0);
        slice.after = Some(done.until.expect("there are more"));
    }
    let tenant = store.boleto_tenant_behind("").await.expect("no trouble");
    assert_eq!(tenant, Some(TenantId::default()));
    store.close().await.expect("closed");
    let read = written_down(&server, "boleto").await;
    assert!(read < i64::from(10 * LOOKED_AT), "{read} rows were read");
}
