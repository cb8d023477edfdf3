//! PostgreSQL keeps the plan that it made for a statement when the table was empty. It must not read the table by it later:
//! what a verb reads goes by its slice.
//!
//! The server's own counts are the judge; a session writes them down when it ends, so the store is closed first.

use std::time::Duration;

use bursar::domain::ids::{RunnerId, TenantId, WorkId};
use bursar::domain::work::{Claim, NewWork, WorkState, kind};
use bursar::store::Store;
use bursar::store::pool;
use bursar::store::work::{ClaimRequest, Ending, PutBack, end_of_prefix};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use uuid::Uuid;

use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{now, runner};

const PREFIX: &str = "delivery/sqs/";
/// Rows that lie in the table and are nobody's business.
const BYSTANDERS: i64 = 20_000;
const ROUNDS: usize = 10;
/// Rows of a round, half of which end and half of which go back.
const SLICE: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_suited_an_empty_table_does_not_read_a_full_one() {
    let database = TestDatabase::furnished(Kind::PostgreSql).await;
    let store = database.open().await;
    let server = pool::connect(&database.url).await.expect("a second connection");
    let runner = runner(&store).await;
    for _ in 0..ROUNDS {
        round(&store, runner).await;
    }
    server.execute_unprepared("analyze work").await.expect("an empty table, known as such");
    round(&store, runner).await;
    let fill = format!(
        "insert into work (id, tenant_id, kind, queue, priority, run_at_us, state, attempt, attempts_max, fence,
            subject_id, payload, created_at_us)
         select gen_random_uuid(), 'default', 'other', 'other/queue', 0, 0, 'available', 0, 1, 0,
            gen_random_uuid(), '', 0 from generate_series(1, {BYSTANDERS})"
    );
    server.execute_unprepared(&fill).await.expect("a full table");
    for _ in 0..ROUNDS {
        round(&store, runner).await;
    }
    store.close().await.expect("closed");

    let ours = (2 * ROUNDS + 1) * SLICE;
    let written_down = async {
        loop {
            let (deleted, read) = counts(&server).await;
            if deleted == i64::try_from(ours).expect("a small number") {
                return read;
            }
            tokio::task::yield_now().await;
        }
    };
    let read = tokio::time::timeout(Duration::from_secs(20), written_down).await;
    let read = read.expect("the session has ended");
    assert!(read < BYSTANDERS, "{read} rows were read for {ours} of ours");
}

/// Inserts, claims, marks, ends one half and puts the other back, as due and as waiting, and promotes.
async fn round(store: &Store, runner: RunnerId) {
    let items: Vec<NewWork> = (0..SLICE).map(|_| item()).collect();
    assert_eq!(store.insert_work_alone(&items).await.expect("inserted").len(), SLICE);
    let request = ClaimRequest {
        runner_id: runner,
        kind: kind::NOTIFICATION_DELIVER,
        queue_from: PREFIX.to_owned(),
        queue_until: end_of_prefix(PREFIX),
        free_per_queue: 100,
        busy: vec![],
        tenants_full: vec![],
        limit: i64::try_from(SLICE).expect("a small number"),
    };
    let claims = store.claim(&request).await.expect("claims");
    assert_eq!(claims.len(), SLICE);
    let all: Vec<&Claim> = claims.iter().collect();
    assert_eq!(store.mark_sent(&all, now()).await.expect("marked").len(), SLICE);
    let (first, second) = claims.split_at(SLICE / 2);
    let back: Vec<PutBack> = second.iter().map(waiting).collect();
    assert_eq!(store.put_back_alone(&back).await.expect("put back").len(), second.len());
    end(store, first).await;
    store.promote_due(now()).await.expect("promoted");
    let again = store.claim(&request).await.expect("claims");
    assert_eq!(again.len(), second.len());
    end(store, &again).await;
}

async fn end(store: &Store, claims: &[Claim]) {
    let endings: Vec<Ending> =
        claims.iter().map(|claim| Ending::of(claim, WorkState::Completed, None)).collect();
    assert_eq!(store.end_alone(&endings, now()).await.expect("ended").len(), claims.len());
}

fn waiting(claim: &Claim) -> PutBack {
    PutBack {
        id: claim.id,
        runner_id: claim.runner_id,
        fence: claim.fence,
        span: claim.span.clone(),
        state: WorkState::Retryable,
        run_at: now() - Duration::from_secs(1),
        error: Some("later".to_owned()),
        attempt_counts: true,
        nothing_was_sent: false,
    }
}

fn item() -> NewWork {
    NewWork {
        id: WorkId(Uuid::now_v7()),
        tenant_id: TenantId::default(),
        kind: kind::NOTIFICATION_DELIVER,
        queue: format!("{PREFIX}a"),
        priority: 0,
        run_at: now(),
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

/// Rows of `work` deleted, and read in any way, as far as sessions have written it down.
async fn counts(server: &DatabaseConnection) -> (i64, i64) {
    let text = "select t.n_tup_del as deleted, t.seq_tup_read + sum(i.idx_tup_read)::bigint as read
        from pg_stat_user_tables t join pg_stat_user_indexes i using (relid)
        where t.relname = 'work' group by t.n_tup_del, t.seq_tup_read";
    let statement = Statement::from_string(server.get_database_backend(), text);
    let row = server.query_one_raw(statement).await.expect("an answer").expect("a row");
    (row.try_get("", "deleted").expect("a number"), row.try_get("", "read").expect("a number"))
}
