//! What both databases must do with what owners are owed: announce in the change's own transaction, send in order.

use bursar::domain::boleto::status::Status;
use bursar::domain::event::SubjectKind;
use bursar::domain::ids::{BoletoId, EndpointId, EventId, RunnerId, TenantId};
use bursar::domain::work::{Claim, WorkState, kind};
use bursar::store::Store;
use bursar::store::boleto::Notify;
use bursar::store::boleto_settle::{Change, Settlement};
use bursar::store::delivery::{DeliveryChange, DeliverySettlement, DueDelivery, EventContent};
use bursar::store::endpoint::{EndpointEnd, StoredEndpoint};
use bursar::store::work::{ClaimRequest, end_of_prefix};
use bursar::store::work_steer::WorkFilter;
use uuid::Uuid;

use crate::on_both_databases;
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{bank_account, draft, now, runner};

on_both_databases!(
    the_owners_queue_and_the_subscriptions_are_told_and_nobody_else,
    an_endpoint_is_one_row_however_many_ask_for_it,
    a_delivery_ends_once_and_keeps_its_answer,
    a_failed_delivery_waits_and_a_hopeless_one_is_a_dead_letter,
);

pub fn endpoint(target: &str, event_types: &[&str]) -> StoredEndpoint {
    let event_types = event_types.iter().map(|&name| name.to_owned()).collect();
    let made = StoredEndpoint::new(TenantId::default(), "sqs", "{}".to_owned(), target.to_owned(), now());
    StoredEndpoint { event_types, ..made }
}

pub fn claim_of(prefix: &str, kind: &'static str, runner_id: RunnerId) -> ClaimRequest {
    let (queue_from, queue_until) = (prefix.to_owned(), end_of_prefix(prefix));
    ClaimRequest {
        runner_id,
        queue_from,
        queue_until,
        free_per_queue: 100,
        busy: vec![],
        tenants_full: vec![],
        kind,
        limit: 100,
    }
}

/// A boleto that was registered, with its owner's queue.
pub async fn a_registered_boleto(store: &Store, runner: RunnerId, notify: Notify) -> BoletoId {
    let account = bank_account("3128557");
    store.create_bank_account(&account, 1, None).await.expect("an account");
    let mut draft = draft(&account);
    draft.notify = notify;
    draft.reference_id = Some("pedido 7".to_owned());
    store.create_boletos(std::slice::from_ref(&draft)).await.remove(0).expect("made");
    let claim = store
        .claim(&claim_of("registration/", kind::BOLETO_REGISTER, runner))
        .await
        .expect("claims")
        .remove(0);
    let settlement = Settlement {
        claim,
        event_id: EventId(Uuid::now_v7()),
        change: Change::Decided { status: Status::Registered, response: None, given: Box::default() },
        delivery_attempts_max: 30,
        now: now(),
    };
    store.settle_registrations(&[settlement]).await.remove(0).expect("settled");
    draft.id
}

pub async fn deliveries(store: &Store, runner: RunnerId) -> Vec<Claim> {
    store.claim(&claim_of("delivery/", kind::NOTIFICATION_DELIVER, runner)).await.expect("claims")
}

async fn the_owners_queue_and_the_subscriptions_are_told_and_nobody_else(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let runner = runner(&store).await;
    let own = store.ensure_endpoint(&endpoint("queue", &[])).await.expect("an endpoint");
    let all = store.ensure_endpoint(&endpoint("hook-all", &["*"])).await.expect("an endpoint");
    let some = endpoint("hook-some", &["boleto.registered", "boleto.paid"]);
    let some = store.ensure_endpoint(&some).await.expect("an endpoint");
    store.ensure_endpoint(&endpoint("hook-other", &["boleto.refused"])).await.expect("an endpoint");
    let off = store.ensure_endpoint(&endpoint("hook-off", &["*"])).await.expect("an endpoint");
    let end =
        EndpointEnd { endpoint_id: off.id, reason: "gone".to_owned(), delivery_attempts_max: 30, now: now() };
    assert!(store.disable_endpoint(&end).await.expect("disabled"));

    let id = a_registered_boleto(&store, runner, Notify::Owner(Some(own.id))).await;
    let claims = deliveries(&store, runner).await;
    let due: Vec<DueDelivery> =
        store.due_deliveries(&claims).await.expect("deliveries").into_iter().flatten().collect();
    let (due, of_endpoints): (Vec<_>, Vec<_>) =
        due.into_iter().partition(|delivery| delivery.subject_kind == SubjectKind::Boleto);
    let heard: Vec<_> =
        of_endpoints.iter().map(|delivery| (delivery.endpoint_id, delivery.subject_id)).collect();
    assert_eq!(heard, [(all.id, off.id.0)], "of another endpoint's end hears who wants everything");
    assert_eq!(of_endpoints[0].events[0].event_type, "endpoint.disabled");
    let mut told: Vec<EndpointId> = due.iter().map(|delivery| delivery.endpoint_id).collect();
    told.sort();
    assert_eq!(told, [own.id, all.id, some.id]);
    for delivery in &due {
        assert_eq!((delivery.wanted_version, delivery.disabled), (2, false));
        assert_eq!(delivery.subject_id, id.0);
        assert_eq!(delivery.events.len(), 1);
        let event = &delivery.events[0];
        assert_eq!((event.event_type.as_str(), event.version), ("boleto.registered", 2));
        let told = EventContent::Boleto {
            status: "registered".to_owned(),
            reference_id: Some("pedido 7".to_owned()),
        };
        assert_eq!(event.content, told);
    }
    assert!(store.has_subscription(&TenantId::default()).await.expect("an answer"));

    a_registered_boleto(&store, runner, Notify::Nobody).await;
    assert!(deliveries(&store, runner).await.is_empty(), "who opted out is told nothing");
}

async fn an_endpoint_is_one_row_however_many_ask_for_it(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let mut askers = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let store = store.clone();
        askers.spawn(
            async move { store.ensure_endpoint(&endpoint("queue", &[])).await.expect("an endpoint").id },
        );
    }
    let mut ids = askers.join_all().await;
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let listed = store.endpoints(&TenantId::default(), None, 10).await.expect("a list");
    assert_eq!(listed.iter().map(|endpoint| endpoint.id).collect::<Vec<_>>(), ids);
    assert_eq!(store.endpoint(ids[0]).await.expect("a store"), Some(listed[0].clone()));
}

fn settled(claim: &Claim, endpoint_id: EndpointId, change: DeliveryChange) -> DeliverySettlement {
    let sent_version = if matches!(change, DeliveryChange::Delivered) { 2 } else { 0 };
    let answer = "204".to_owned();
    DeliverySettlement {
        claim: claim.clone(),
        endpoint_id,
        sent_version,
        wanted_version: 2,
        answer,
        resend: None,
        attempts: vec![],
        change,
        now: now(),
    }
}

pub async fn events_left(store: &Store, claim: &Claim) -> usize {
    let due = store.due_deliveries(std::slice::from_ref(claim)).await.expect("deliveries");
    due[0].as_ref().expect("a delivery").events.len()
}

async fn a_delivery_ends_once_and_keeps_its_answer(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let runner = runner(&store).await;
    let own = store.ensure_endpoint(&endpoint("queue", &[])).await.expect("an endpoint");
    a_registered_boleto(&store, runner, Notify::Owner(Some(own.id))).await;
    let claim = deliveries(&store, runner).await.remove(0);
    let item = settled(&claim, own.id, DeliveryChange::Delivered);
    let results = store.settle_deliveries(std::slice::from_ref(&item)).await;
    assert!(matches!(results[0], Ok(true)));
    assert!(matches!(store.settle_deliveries(&[item]).await[0], Ok(false)), "its lease is over");
    assert!(store.list_work(&WorkFilter::default(), None, 10).await.expect("a list").is_empty());
    assert_eq!(events_left(&store, &claim).await, 0, "sent is sent");
}

async fn a_failed_delivery_waits_and_a_hopeless_one_is_a_dead_letter(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let runner = runner(&store).await;
    let own = store.ensure_endpoint(&endpoint("queue", &[])).await.expect("an endpoint");
    a_registered_boleto(&store, runner, Notify::Owner(Some(own.id))).await;
    let claim = deliveries(&store, runner).await.remove(0);
    let later = DeliveryChange::Later { run_at: now(), state: WorkState::Retryable, attempt_counts: true };
    store.settle_deliveries(&[settled(&claim, own.id, later)]).await.remove(0).expect("settled");
    store.promote_due(now()).await.expect("promoted");
    let again = deliveries(&store, runner).await.remove(0);
    assert_eq!((again.id, again.attempt), (claim.id, 2));
    assert_eq!(events_left(&store, &again).await, 1);
    let hopeless = settled(&again, own.id, DeliveryChange::GivenUp);
    store.settle_deliveries(&[hopeless]).await.remove(0).expect("settled");
    let view = store.work(claim.id).await.expect("a store").expect("a dead letter");
    assert_eq!(view.state, WorkState::Discarded);
}
