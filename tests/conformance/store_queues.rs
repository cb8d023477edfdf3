//! What both databases must do about queues: nothing is claimed from one that is paused, no kind that is not known, nothing
//! of a tenant that has enough in hand; and a row keeps what became of its attempts.

use bursar::domain::ids::{RunnerId, TenantId, WorkId};
use bursar::domain::work::{Claim, NewWork, WorkState, kind};
use bursar::store::Store;
use bursar::store::boleto::{Created, Notify};
use bursar::store::work::{ClaimRequest, Ending, PutBack, end_of_prefix};
use uuid::Uuid;

use crate::on_both_databases;
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{bank_account, draft, now, runner};

on_both_databases!(
    nothing_is_claimed_from_a_paused_queue,
    what_is_made_for_a_paused_queue_is_not_taken_at_once,
    a_kind_that_is_not_known_is_left_alone,
    a_tenant_with_enough_in_hand_leaves_room_for_others,
    smaller_priorities_go_first,
    a_row_keeps_what_became_of_its_attempts,
);

const PREFIX: &str = "delivery/sqs/";

fn item(queue: &str, kind: &'static str, tenant: &str, priority: i64) -> NewWork {
    NewWork {
        id: WorkId(Uuid::now_v7()),
        tenant_id: TenantId::parse(tenant).expect("a name"),
        kind,
        queue: format!("{PREFIX}{queue}"),
        priority,
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

fn delivery(queue: &str) -> NewWork {
    item(queue, kind::NOTIFICATION_DELIVER, "default", 0)
}

fn claim_all(runner_id: RunnerId) -> ClaimRequest {
    ClaimRequest {
        runner_id,
        kind: kind::NOTIFICATION_DELIVER,
        queue_from: PREFIX.to_owned(),
        queue_until: end_of_prefix(PREFIX),
        free_per_queue: 100,
        busy: vec![],
        tenants_full: vec![],
        limit: 100,
    }
}

async fn open(kind: Kind, items: &[NewWork]) -> (TestDatabase, Store, RunnerId) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let inserted = store.insert_work_alone(items).await.expect("inserted");
    assert_eq!(inserted.len(), items.len());
    let runner = runner(&store).await;
    (database, store, runner)
}

async fn claimed(store: &Store, request: &ClaimRequest) -> Vec<WorkId> {
    store.claim(request).await.expect("claims").iter().map(|claim: &Claim| claim.id).collect()
}

async fn nothing_is_claimed_from_a_paused_queue(kind: Kind) {
    let items = [delivery("a"), delivery("b")];
    let (_database, store, runner) = open(kind, &items).await;
    store.pause_queue(&items[0].queue, "the owner asked", now()).await.expect("paused");
    assert_eq!(claimed(&store, &claim_all(runner)).await, [items[1].id]);
    assert!(store.resume_queue(&items[0].queue, "").await.expect("resumed"));
    store.pause_queue("delivery/", "all of them", now()).await.expect("paused");
    assert!(claimed(&store, &claim_all(runner)).await.is_empty(), "a prefix covers what is below it");
    assert!(store.resume_queue("delivery/", "").await.expect("resumed"));
    store.pause_queue("delivery/sqs", "no prefix without a slash", now()).await.expect("paused");
    assert_eq!(claimed(&store, &claim_all(runner)).await, [items[0].id]);
}

async fn what_is_made_for_a_paused_queue_is_not_taken_at_once(kind: Kind) {
    let (_database, store, runner) = open(kind, &[]).await;
    let (paused, other) = (bank_account("3128557"), bank_account("2222222"));
    for (account, sequence) in [(&paused, 1), (&other, 1)] {
        store.create_bank_account(account, sequence, None).await.expect("an account");
    }
    let mut drafts = [draft(&paused), draft(&other)];
    for draft in &mut drafts {
        draft.notify = Notify::Nobody;
        (draft.work.claimed_by, draft.work.sent_at) = (Some(runner), Some(now()));
    }
    store.pause_queue(&drafts[0].work.queue, "maintenance", now()).await.expect("paused");
    let mut taken = Vec::new();
    for created in store.create_boletos(&drafts).await {
        let Created::New { claim, .. } = created.expect("made") else { panic!("both are new") };
        taken.push(claim.map(|claim| claim.id));
    }
    assert_eq!(taken, [None, Some(drafts[1].work.id)]);
    let waiting = store.work(drafts[0].work.id).await.expect("an answer").expect("a row");
    assert_eq!((waiting.state, waiting.attempt, waiting.runner_id), (WorkState::Available, 0, None));
}

async fn a_kind_that_is_not_known_is_left_alone(kind: Kind) {
    let items = [item("a", "notification.by_pigeon", "default", 0), delivery("a")];
    let (_database, store, runner) = open(kind, &items).await;
    assert_eq!(claimed(&store, &claim_all(runner)).await, [items[1].id]);
}

async fn a_tenant_with_enough_in_hand_leaves_room_for_others(kind: Kind) {
    let busy = item("a", kind::NOTIFICATION_DELIVER, "busy", 0);
    let quiet = item("a", kind::NOTIFICATION_DELIVER, "quiet", 0);
    let (_database, store, runner) = open(kind, &[busy.clone(), quiet.clone()]).await;
    let request = ClaimRequest { tenants_full: vec![busy.tenant_id.clone()], ..claim_all(runner) };
    assert_eq!(claimed(&store, &request).await, [quiet.id]);
    assert_eq!(claimed(&store, &claim_all(runner)).await, [busy.id]);
}

async fn smaller_priorities_go_first(kind: Kind) {
    let items: Vec<NewWork> =
        [3, 1, 2].map(|priority| item("a", kind::NOTIFICATION_DELIVER, "default", priority)).into();
    let (_database, store, runner) = open(kind, &items).await;
    let request = ClaimRequest { limit: 1, ..claim_all(runner) };
    for index in [1, 2, 0] {
        assert_eq!(claimed(&store, &request).await, [items[index].id]);
    }
}

/// Of three attempts, as in W3C Trace Context.
const SPANS: [&str; 3] = [
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b8-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b9-00",
];

async fn a_row_keeps_what_became_of_its_attempts(kind: Kind) {
    let (_database, store, runner) = open(kind, &[delivery("a")]).await;
    let mut earlier = None;
    for (error, span) in [("first \"no\"", SPANS[0]), ("second\nno", SPANS[1])] {
        let claim = store.claim(&claim_all(runner)).await.expect("claims").remove(0);
        assert_eq!((claim.span, claim.earlier_span), (None, earlier));
        earlier = Some(span.to_owned());
        let back = PutBack {
            id: claim.id,
            runner_id: runner,
            fence: claim.fence,
            span: Some(span.to_owned()),
            state: WorkState::Available,
            run_at: now(),
            error: Some(error.to_owned()),
            attempt_counts: true,
            nothing_was_sent: false,
        };
        assert_eq!(store.put_back_alone(&[back]).await.expect("an answer").len(), 1);
    }
    let mut claim = store.claim(&claim_all(runner)).await.expect("claims").remove(0);
    assert_eq!(claim.earlier_span, earlier);
    claim.span = Some(SPANS[2].to_owned());
    let ending = Ending::of(&claim, WorkState::Discarded, Some("third no".to_owned()));
    assert_eq!(store.end_alone(&[ending], now()).await.expect("an answer").len(), 1);
    let dead = store.work(claim.id).await.expect("an answer").expect("a row");
    let told: Vec<(i64, &str)> =
        dead.attempts.iter().map(|attempt| (attempt.attempt, attempt.error.as_str())).collect();
    assert_eq!(told, [(1, "first \"no\""), (2, "second\nno"), (3, "third no")]);
    assert!(dead.attempts.iter().all(|attempt| attempt.runner_id == runner));
    let spans: Vec<&str> = dead.attempts.iter().filter_map(|attempt| attempt.span.as_deref()).collect();
    assert_eq!(spans, SPANS);
}
