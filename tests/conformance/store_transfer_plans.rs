//! What is read of a store that holds many transfers, by whoever takes records in and by whoever looks for a few of them.
//!
//! The server's own counts are the judge; a session writes them down when it ends, so the store is closed first.

use std::time::Duration;

use bursar::domain::ids::TenantId;
use bursar::domain::transfer::TransferState;
use bursar::store::Store;
use bursar::store::pool;
use bursar::store::transfer_list::TransferFilter;
use bursar::store::transfer_offer::{Offer, Offered};
use chrono::DateTime;
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, Statement};

use crate::store_transfers::{key, offer, offered, skipped};
use crate::support::database::{Kind, TestDatabase};

/// Transfers that are done and nobody's business, and as many that were skipped.
const BYSTANDERS: i64 = 50_000;
/// Transfers of every kind that somebody looks for.
const FEW: i64 = 20;
/// What a look-up may read: the rows that it finds, each a few times over.
const READ_MAX: i64 = 2_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_of_many_transfers_goes_by_what_is_asked_for() {
    let database = TestDatabase::furnished(Kind::PostgreSql).await;
    let server = alone(&database).await;
    database.open().await.close().await.expect("closed");
    fill(&server).await;
    server.execute_unprepared("analyze transfer").await.expect("known as full");
    let none = TransferFilter::default;
    let text = |text: &str| Some(text.to_owned());
    let at = |us: i64| DateTime::from_timestamp_micros(us);
    let filters = [
        none(),
        TransferFilter { state: Some(TransferState::Failed), ..none() },
        TransferFilter { state: Some(TransferState::Failed), company_key: text("few"), ..none() },
        TransferFilter { reason: text("gave_up"), ..none() },
        TransferFilter { alias_key: text("few"), ..none() },
        TransferFilter { person_key: text("few"), ..none() },
        TransferFilter { person_key: text("few"), analyzer: text("nobody"), ..none() },
        TransferFilter { company_key: text("few"), ..none() },
        TransferFilter { recorded_from: at(BYSTANDERS + 1), ..none() },
        TransferFilter { recorded_from: at(100), recorded_until: at(100 + FEW), ..none() },
        TransferFilter { recorded_from: at(BYSTANDERS + 1), feed: text("recordings"), ..none() },
    ];
    for filter in filters {
        let before = read(&server).await;
        let store = database.open().await;
        let page = store.transfers(&TenantId::default(), &filter, None, FEW).await.expect("a page");
        let expected = if filter.analyzer.is_some() { 0 } else { FEW };
        assert_eq!(i64::try_from(page.len()).expect("few"), expected, "{filter:?}");
        store.close().await.expect("closed");
        let rows = read(&server).await - before;
        assert!(rows < READ_MAX, "{rows} rows were read for {filter:?}");
    }
    let before = read(&server).await;
    let store = database.open().await;
    let open = store.open_transfers(&TenantId::default(), "recordings").await.expect("a count");
    assert_eq!(open.open, FEW);
    let one_of_few = key(&format!("few {}", BYSTANDERS + 1));
    let by_key = store.transfer_by_key(&TenantId::default(), "recordings", &one_of_few).await;
    assert!(by_key.expect("a store").is_some());
    store.close().await.expect("closed");
    let rows = read(&server).await - before;
    assert!(rows < READ_MAX, "{rows} rows were read");
}

/// PostgreSQL keeps the plan that it made for a statement when the table was empty; it must not read the table by it later. Nobody
/// has told it since how full the table is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taking_records_in_reads_what_they_name_whatever_the_plan_was_made_for() {
    let database = TestDatabase::furnished(Kind::PostgreSql).await;
    let server = alone(&database).await;
    let store = database.open().await;
    take_in(&store, 0).await;
    take_in(&store, 1).await;
    fill(&server).await;
    for round in 2..=10 {
        take_in(&store, round).await;
    }
    store.close().await.expect("closed");
    let rows = read(&server).await;
    assert!(rows < BYSTANDERS, "{rows} rows were read");
}

/// New ones, the same again, and one that was skipped and is queued after all.
async fn take_in(store: &Store, round: usize) {
    let mut offers: Vec<Offer> = (0..9).map(|place| offer(&format!("-N{round}-{place}"))).collect();
    offers.push(skipped(&format!("-N{round}-9")));
    offered(store, &offers).await;
    let again: Vec<Offer> = (0..10).map(|place| offer(&format!("-N{round}-{place}"))).collect();
    let outcomes = offered(store, &again).await;
    assert!(matches!(outcomes[9], Offered::QueuedAfterAll { .. }), "{outcomes:?}");
}

async fn alone(database: &TestDatabase) -> DatabaseConnection {
    // One and no more: whoever else is connected is the store.
    let alone = ConnectOptions::new(&database.url).max_connections(1).to_owned();
    pool::connect(alone).await.expect("a second connection")
}

async fn fill(server: &DatabaseConnection) {
    let insert = |key: &str, state: &str, reason: &str, more: &str, from: i64, rows: i64| {
        format!(
            "insert into transfer (id, tenant_id, feed, transfer_key, state, reason, recorded_at_us, company_key, person_key,
                alias_key, run, claims, tells_owners, version, created_at_us, updated_at_us)
             select gen_random_uuid(), 'default', 'recordings', '{key} ' || number, '{state}', {reason}, number, {more}, 1, 1,
                1, 3, 0, 0 from generate_series({from}, {}) as number",
            from + rows - 1
        )
    };
    let others = "'company ' || number % 100, 'person ' || number % 10000, 'alias ' || number";
    let few = "'few', 'few', 'few'";
    for text in [
        insert("many", "done", "null", others, 1, BYSTANDERS),
        insert("old", "skipped", "null", others, 1, BYSTANDERS),
        insert("few", "failed", "'gave_up: the vendor is down'", few, BYSTANDERS + 1, FEW),
        insert("open", "queued", "null", "null, null, null", 0, FEW)
            .replace(", number, null", ", null, null"),
    ] {
        server.execute_unprepared(&text).await.unwrap_or_else(|error| panic!("{error} in {text}"));
    }
}

/// Rows of the table read in any way, once the sessions of the store have written it down.
async fn read(server: &DatabaseConnection) -> i64 {
    let text = "select t.seq_tup_read + sum(i.idx_tup_read)::bigint as read,
            (select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
                and backend_type = 'client backend') as others
         from pg_stat_user_tables t join pg_stat_user_indexes i using (relid)
         where t.relname = 'transfer' group by t.seq_tup_read";
    let look = async {
        loop {
            let statement = Statement::from_string(server.get_database_backend(), text);
            let row = server.query_one_raw(statement).await.expect("an answer").expect("a row");
            if row.try_get::<i64>("", "others").expect("a number") == 0 {
                return row.try_get::<i64>("", "read").expect("a number");
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), look).await.expect("the sessions have ended")
}
