//! What is read when transfers are worked on, beside many that nobody works on: PostgreSQL keeps the plan that it made for a
//! statement when the tables were empty, and must not read them by it later.
//!
//! The server's own counts are the judge; a session writes them down when it ends, so the store is closed first.

use std::time::Duration;

use bursar::domain::ids::{TenantId, TransferId};
use bursar::domain::work::kind;
use bursar::store::pool;
use bursar::store::transfer_analysis::{KeptAnswer, TransferSettled};
use bursar::store::transfer_steer::{Again, TransferDecision, TransferSteered};
use bytes::Bytes;
use chrono::DateTime;
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, Statement};
use uuid::Uuid;

use crate::support::database::Kind;
use crate::support::drafts::now;
use crate::transfer_scene::{Scene, failed, queue, scored};

/// Transfers that have ended, each with its run, its answer, the vendor's words, its event and its row of ended work.
const BYSTANDERS: i64 = 50_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn working_on_a_transfer_reads_what_is_its_own_whatever_the_plan_was_made_for() {
    let scene = Scene::set(Kind::PostgreSql).await;
    // One and no more: whoever else is connected is the store.
    let alone = ConnectOptions::new(&scene.database.url).max_connections(1).to_owned();
    let server = pool::connect(alone).await.expect("a second connection");
    live(&scene, 0).await;
    server.execute_unprepared("analyze").await.expect("known as all but empty");
    live(&scene, 1).await;
    fill(&server).await;
    for round in 2..=8 {
        live(&scene, round).await;
    }
    scene.store.close().await.expect("closed");
    let rows = read(&server).await;
    assert!(rows < BYSTANDERS, "{rows} rows were read");
}

/// One is done, given up the second time, and erased; what a vendor said is read and forgotten.
async fn live(scene: &Scene, round: usize) {
    let id = scene.has_done(&format!("-N{round}")).await;
    let again = Again { tells_owners: true, attempts_max: 9, priority: 0 };
    let steered = scene.store.reprocess_transfer(&decision(id), &again, &|_, _| Some(queue())).await;
    assert_eq!(steered.expect("a store"), TransferSteered::Done);
    let claim = scene.claims(kind::TRANSFER_ANALYSE).await.remove(0);
    scene.begins(&claim).await.expect("a run");
    let raw = (Uuid::now_v7(), Bytes::from_static(b"words"));
    let kept = KeptAnswer { raw_answer_id: Some(raw.0), ..scored(0, 62) };
    assert!(scene.keeps(&claim, 2, vec![kept], vec![raw.clone()]).await);
    assert_eq!(scene.begins(&claim).await.expect("the same run").answers.len(), 1);
    assert_eq!(scene.store.raw_answers(&TenantId::default(), &[raw.0]).await.expect("bodies").len(), 1);
    let long_ago = DateTime::UNIX_EPOCH;
    assert_eq!(scene.store.forget_raw_answers(long_ago, 1_000).await.expect("a store"), 0);
    assert_eq!(scene.settles(&claim, failed("gave_up: away")).await, TransferSettled::Done);
    let steered = scene.store.erase_transfer(&decision(id)).await;
    assert_eq!(steered.expect("a store"), TransferSteered::Done);
}

fn decision(id: TransferId) -> TransferDecision {
    TransferDecision {
        id: Uuid::now_v7(),
        tenant_id: TenantId::default(),
        transfer_id: id,
        request: None,
        reason: "a bad day".to_owned(),
        traceparent: None,
        now: now(),
    }
}

async fn fill(server: &DatabaseConnection) {
    let insert = format!(
        "with t as (insert into transfer (id, tenant_id, feed, transfer_key, state, run, claims, tells_owners, version,
                created_at_us, updated_at_us)
             select gen_random_uuid(), 'default', 'feed', 'many ' || number, 'done', 1, 1, 1, 3, 0, 0
             from generate_series(1, {BYSTANDERS}) as number returning id),
         u as (insert into transfer_run (transfer_id, number, tenant_id, analyzer, has_fillers, tells_owners, started_at_us)
             select id, 1, 'default', 'nemesysco_ra7', 0, 1, 0 from t),
         a as (insert into recorded_answer (transfer_id, run, position, tenant_id, outcome, attempt, ended_at_us)
             select id, 1, 0, 'default', 'no_speech', 1, 0 from t),
         w as (insert into raw_answer (id, tenant_id, transfer_id, body, body_bytes, created_at_us)
             select gen_random_uuid(), 'default', id, '', 0, 1 from t),
         e as (insert into transfer_event (id, tenant_id, transfer_id, version, event_type, state, occurred_at_us)
             select gen_random_uuid(), 'default', id, 3, 'transfer.done', 'done', 0 from t)
         insert into work_archive (id, tenant_id, kind, queue, state, attempt, attempts_max, fence, unique_key, subject_id,
             payload, created_at_us, ended_at_us)
         select gen_random_uuid(), 'default', 'transfer.analyse', 'analysis/a/default/-', 'completed', 1, 1, 1,
             'transfer:' || id, id, '{{}}', 0, 0 from t"
    );
    server.execute_unprepared(&insert).await.expect("filled");
}

/// Rows of the tables read in any way, once the sessions of the store have written it down. The server's own look at what was
/// filled in is none of theirs.
async fn read(server: &DatabaseConnection) -> i64 {
    let text = "select (select sum(t.seq_tup_read)::bigint from pg_stat_user_tables t where t.relname = any(n.names))
            + (select sum(i.idx_tup_read)::bigint from pg_stat_user_indexes i where i.relname = any(n.names)) as read,
            (select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
                and backend_type = 'client backend') as others
         from (select array['transfer', 'transfer_run', 'recorded_answer', 'raw_answer', 'transfer_event', 'work_archive']
                 ::name[] as names) n";
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
    tokio::time::timeout(Duration::from_secs(30), look).await.expect("the store's sessions end")
}
