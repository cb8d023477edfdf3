//! What both databases must do with pauses: hold back exactly, from the moment that the pause was answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bursar::domain::ids::{RunnerId, TenantId, WorkId};
use bursar::domain::work::{NewWork, WorkState, kind};
use bursar::store::Store;
use bursar::store::work::{ClaimRequest, end_of_prefix};
use bursar::store::work_steer::WorkFilter;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::on_both_databases;
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{now, runner};

on_both_databases!(
    nothing_is_claimed_once_a_pause_was_answered,
    a_prefix_holds_back_what_is_below_it_and_nothing_else,
);

const QUEUE: &str = "registration/banco_do_brasil/1";

fn work_in(queue: &str) -> NewWork {
    NewWork {
        id: WorkId(Uuid::now_v7()),
        tenant_id: TenantId::default(),
        kind: kind::BOLETO_REGISTER,
        queue: queue.to_owned(),
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

fn claim_from(prefix: &str, runner_id: RunnerId, limit: i64) -> ClaimRequest {
    ClaimRequest {
        runner_id,
        kind: kind::BOLETO_REGISTER,
        queue_from: prefix.to_owned(),
        queue_until: end_of_prefix(prefix),
        free_per_queue: limit,
        busy: vec![],
        tenants_full: vec![],
        limit,
    }
}

async fn insert(store: &Store, queue: &str, rows: usize) {
    let work: Vec<NewWork> = (0..rows).map(|_| work_in(queue)).collect();
    for slice in work.chunks(64) {
        store.insert_work_alone(slice).await.expect("inserted");
    }
}

async fn running(store: &Store) -> usize {
    let filter = WorkFilter { states: vec![WorkState::Running], ..WorkFilter::default() };
    store.list_work(&filter, None, 10_000).await.expect("work").len()
}

async fn nothing_is_claimed_once_a_pause_was_answered(kind: Kind) {
    const ROUNDS: usize = 20;
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let runner = runner(&store).await;
    for _ in 0..ROUNDS {
        insert(&store, QUEUE, 64).await;
        let paused = Arc::new(AtomicBool::new(false));
        let mut claiming = JoinSet::new();
        for _ in 0..3 {
            let (store, paused) = (store.clone(), paused.clone());
            claiming.spawn(async move {
                loop {
                    // Looked at before the claim: what begins after the answer must come back empty.
                    let late = paused.load(Ordering::SeqCst);
                    let claims =
                        store.claim(&claim_from("registration/", runner, 1)).await.expect("an answer");
                    if late {
                        return claims.len();
                    }
                }
            });
        }
        store.pause_queue(QUEUE, "for the test", now()).await.expect("paused");
        // A claim that was under way when the answer came may tell of it only now; its row was taken before.
        let taken = running(&store).await;
        paused.store(true, Ordering::SeqCst);
        let late: usize = claiming.join_all().await.into_iter().sum();
        assert_eq!((late, running(&store).await), (0, taken));
        assert!(store.resume_queue(QUEUE, "").await.expect("resumed"));
    }
    store.close().await.expect("closed");
}

async fn a_prefix_holds_back_what_is_below_it_and_nothing_else(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let runner = runner(&store).await;
    insert(&store, "registration/a/1", 2).await;
    insert(&store, "registration/ab/1", 3).await;
    store.pause_queue("registration/a/", "for the test", now()).await.expect("paused");
    let claims = store.claim(&claim_from("registration/", runner, 10)).await.expect("an answer");
    assert!(claims.len() == 3 && claims.iter().all(|claim| claim.queue == "registration/ab/1"));

    let views = store.queues(10, None, now()).await.expect("queues");
    let shown: Vec<(&str, i64, i64, bool)> = views
        .iter()
        .map(|view| (view.name.as_str(), view.available, view.running, view.pause.is_some()))
        .collect();
    let whole = [
        ("registration/a/", 0, 0, true),
        ("registration/a/1", 2, 0, true),
        ("registration/ab/1", 0, 3, false),
    ];
    assert_eq!(shown, whole);
    let rest = store.queues(1, Some("registration/a/"), now()).await.expect("queues");
    assert_eq!(rest, views[1..2]);
    assert!(store.resume_queue("registration/a/", "").await.expect("resumed"));
    assert!(!store.resume_queue("registration/a/", "").await.expect("it was not paused"));
    assert_eq!(store.claim(&claim_from("registration/", runner, 10)).await.expect("an answer").len(), 2);
    store.close().await.expect("closed");
}
