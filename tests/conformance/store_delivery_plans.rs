//! What is read of a store that holds many deliveries, by whoever lists, recovers and cancels a few of them.
//!
//! The server's own counts are the judge; a session writes them down when it ends, so the store is closed first.

use std::time::Duration;

use bursar::domain::ids::{EndpointId, TenantId};
use bursar::store::Store;
use bursar::store::boleto::Notify;
use bursar::store::delivery::{DeliveryChange, DeliverySettlement};
use bursar::store::delivery_list::{DeliveriesOf, DeliveryFilter, DeliveryState, LOOKED_AT_MAX};
use bursar::store::delivery_steer::DeliverySteered;
use bursar::store::endpoint_steer::ByHand;
use bursar::store::pool;
use chrono::DateTime;
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, Statement};
use uuid::Uuid;

use crate::store_deliveries::{a_registered_boleto, deliveries, endpoint};
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{now, runner};

/// Deliveries of the one endpoint that were taken long ago, and dead letters of others.
const BYSTANDERS: i64 = 100_000;
const GIVEN_UP: i64 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_of_many_deliveries_goes_by_what_is_asked_for() {
    let database = TestDatabase::furnished(Kind::PostgreSql).await;
    let store = database.open().await;
    // One and no more: whoever else is connected is the store.
    let alone = ConnectOptions::new(&database.url).max_connections(1).to_owned();
    let server = pool::connect(alone).await.expect("a second connection");
    let own = store.ensure_endpoint(&endpoint("queue", &[])).await.expect("an endpoint");
    let asked_before = subjects(&store, own.id, None).await;
    assert!(asked_before.is_empty());
    fill(&server, own.id).await;

    let newest = subjects(&store, own.id, None).await;
    assert_eq!(newest.len(), 50);
    let given_up = subjects(&store, own.id, Some(DeliveryState::GivenUp)).await;
    assert_eq!(i64::try_from(given_up.len()).expect("a small number"), GIVEN_UP);
    let hand = by_hand(own.id);
    let cancelled = store.cancel_delivery(&hand, given_up[0]).await.expect("cancelled");
    assert_eq!(cancelled, DeliverySteered::Done(1));
    let resent = store.resend_delivery(&by_hand(own.id), given_up[1], None).await.expect("resent");
    assert_eq!(resent, DeliverySteered::Done(1));
    let recovered =
        store.recover_deliveries(&by_hand(own.id), DateTime::UNIX_EPOCH).await.expect("recovered");
    assert_eq!(recovered, DeliverySteered::Done(u64::try_from(GIVEN_UP - 2).expect("a small number")));
    // Nothing of this state among the newest: looked for among so many, and then the caller is asked to go on.
    assert!(subjects(&store, own.id, Some(DeliveryState::Cancelled)).await.len() == 1);
    store.close().await.expect("closed");

    let read = written_down(&server, "delivery").await;
    assert!(read < LOOKED_AT_MAX, "{read} deliveries were read");
    let letters = written_down(&server, "work_archive").await;
    assert!(letters < LOOKED_AT_MAX, "{letters} ended rows were read");
}

/// A change of a column that any index names costs an entry in every index of the table, in those with a condition too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_changes_no_column_of_an_index() {
    let database = TestDatabase::furnished(Kind::PostgreSql).await;
    let store = database.open().await;
    let alone = ConnectOptions::new(&database.url).max_connections(1).to_owned();
    let server = pool::connect(alone).await.expect("a second connection");
    let runner = runner(&store).await;
    let own = store.ensure_endpoint(&endpoint("queue", &[])).await.expect("an endpoint");
    a_registered_boleto(&store, runner, Notify::Owner(Some(own.id))).await;
    let claim = deliveries(&store, runner).await.remove(0);
    let taken = DeliverySettlement {
        claim,
        endpoint_id: own.id,
        sent_version: 2,
        wanted_version: 2,
        answer: "accepted".to_owned(),
        resend: None,
        attempts: vec![],
        change: DeliveryChange::Delivered,
        now: now(),
    };
    assert!(matches!(store.settle_deliveries(&[taken]).await[0], Ok(true)));
    store.close().await.expect("closed");
    written_down(&server, "delivery").await;
    let text = "select n_tup_upd as changed, n_tup_hot_upd as changed_in_place from pg_stat_user_tables
        where relname = 'delivery'";
    let statement = Statement::from_string(server.get_database_backend(), text);
    let row = server.query_one_raw(statement).await.expect("an answer").expect("a row");
    let counts: (i64, i64) = (
        row.try_get("", "changed").expect("a number"),
        row.try_get("", "changed_in_place").expect("a number"),
    );
    assert_eq!(counts, (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_without_an_index_is_looked_for_among_so_many() {
    for kind in [Kind::PostgreSql, Kind::Sqlite] {
        let database = TestDatabase::furnished(kind).await;
        let store = database.open().await;
        let server = pool::connect(&database.url).await.expect("a second connection");
        let own = store.ensure_endpoint(&endpoint("queue", &[])).await.expect("an endpoint");
        let subjects = 2 * LOOKED_AT_MAX + 5;
        let insert = "insert into delivery (tenant_id, endpoint_id, subject_id, subject_kind, wanted_version, sent_version,
               state, attempts, updated_at_us)
             with recursive n(number) as (select 1 union all select number + 1 from n where number < $2)
             select 'default', $1, id, 'boleto', 2, 2, 'delivered', 1, 0 from";
        let ids = match kind {
            Kind::PostgreSql => " (select gen_random_uuid() as id from n) as made",
            Kind::Sqlite => " (select randomblob(16) as id from n) as made",
        };
        let values = [own.id.0.into(), subjects.into()];
        let sql = format!("{insert}{ids}");
        let fill = Statement::from_sql_and_values(server.get_database_backend(), &sql, values);
        server.execute_raw(fill).await.expect("a full table");
        let filter =
            DeliveryFilter { of: DeliveriesOf::Endpoint(own.id), state: Some(DeliveryState::Pending) };
        let (mut pages, mut before) = (0, None);
        loop {
            let page = store.deliveries(&TenantId::default(), filter, before, 50).await.expect("a page");
            assert!(page.deliveries.is_empty());
            pages += 1;
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(pages, 3, "{kind:?}");
    }
}

/// The subjects of the first page.
async fn subjects(store: &Store, id: EndpointId, state: Option<DeliveryState>) -> Vec<Uuid> {
    let filter = DeliveryFilter { of: DeliveriesOf::Endpoint(id), state };
    let page = store.deliveries(&TenantId::default(), filter, None, 50).await.expect("a page");
    page.deliveries.iter().map(|delivery| delivery.subject_id).collect()
}

fn by_hand(endpoint_id: EndpointId) -> ByHand {
    ByHand {
        id: Uuid::now_v7(),
        tenant_id: TenantId::default(),
        endpoint_id,
        request: None,
        reason: "asked for".to_owned(),
        traceparent: None,
        delivery_attempts_max: 30,
        now: now(),
    }
}

async fn fill(server: &DatabaseConnection, id: EndpointId) {
    let deliveries = format!(
        "insert into delivery (tenant_id, endpoint_id, subject_id, subject_kind, wanted_version, sent_version, state,
            attempts, updated_at_us, stopped_at_us)
         select 'default', '{id}', gen_random_uuid(), 'boleto', 2, 2,
            case when number <= {GIVEN_UP} then 'given_up' else 'delivered' end, 1, number,
            case when number <= {GIVEN_UP} then number end
         from generate_series(1, {BYSTANDERS}) as number"
    );
    server.execute_unprepared(&deliveries).await.expect("many deliveries");
    let letters = format!(
        "insert into work_archive (id, tenant_id, kind, queue, state, attempt, attempts_max, fence, unique_key, subject_id,
            payload, created_at_us, ended_at_us)
         select gen_random_uuid(), 'default', 'other', 'other/queue', 'discarded', 1, 1, 1, 'other:' || number,
            gen_random_uuid(), '{{}}', 0, 0
         from generate_series(1, {BYSTANDERS}) as number"
    );
    server.execute_unprepared(&letters).await.expect("many dead letters");
    server.execute_unprepared("analyze delivery; analyze work_archive").await.expect("known as full");
}

/// Rows of a table read in any way, once the sessions of the store have written it down.
pub async fn written_down(server: &DatabaseConnection, table: &str) -> i64 {
    let text = format!(
        "select t.seq_tup_read + sum(i.idx_tup_read)::bigint as read,
            (select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
                and backend_type = 'client backend') as others
         from pg_stat_user_tables t join pg_stat_user_indexes i using (relid)
         where t.relname = '{table}' group by t.seq_tup_read"
    );
    let look = async {
        loop {
            let statement = Statement::from_string(server.get_database_backend(), text.clone());
            let row = server.query_one_raw(statement).await.expect("an answer").expect("a row");
            let others: i64 = row.try_get("", "others").expect("a number");
            if others == 0 {
                return row.try_get::<i64>("", "read").expect("a number");
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), look).await.expect("the sessions have ended")
}
