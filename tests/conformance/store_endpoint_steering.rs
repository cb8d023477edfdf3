//! What both databases must do when people decide about endpoints: where they are, what they want, whether they are told.

use bursar::domain::event::EventFilter;
use bursar::domain::ids::{EndpointId, TenantId};
use bursar::store::boleto::Notify;
use bursar::store::endpoint_steer::{ByHand, EndpointChange, EndpointSteered};
use bursar::store::request_key::RequestKey;
use uuid::Uuid;

use crate::on_both_databases;
use crate::store_deliveries::{a_registered_boleto, deliveries, endpoint};
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{now, runner};

on_both_databases!(
    what_waits_goes_to_the_new_place,
    a_change_of_what_was_not_read_is_refused,
    an_endpoint_is_switched_off_and_on_once_each,
    who_wants_to_hear_of_other_subjects_is_another_endpoint,
);

fn by_hand(endpoint_id: EndpointId) -> ByHand {
    ByHand {
        id: Uuid::now_v7(),
        tenant_id: TenantId::default(),
        endpoint_id,
        request: None,
        reason: "moved".to_owned(),
        traceparent: None,
        delivery_attempts_max: 30,
        now: now(),
    }
}

fn moved(target: &str) -> EndpointChange {
    let destination = Some((format!("{{\"at\":\"{target}\"}}"), target.to_owned()));
    EndpointChange { destination, ..EndpointChange::default() }
}

fn rule(value: &str) -> EventFilter {
    EventFilter { attribute: "reference_id".to_owned(), values: vec![value.to_owned()] }
}

async fn what_waits_goes_to_the_new_place(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let runner = runner(&store).await;
    let old = store.ensure_endpoint(&endpoint("old", &["*"])).await.expect("an endpoint");
    store.note_endpoint_health(old.id, Some(now())).await.expect("noted");
    a_registered_boleto(&store, runner, Notify::Owner(None)).await;
    let claims = deliveries(&store, runner).await;
    let steered = store.update_endpoint(&by_hand(old.id), &moved("new")).await.expect("changed");
    assert_eq!(steered, EndpointSteered::Done);
    let due = store.due_deliveries(&claims).await.expect("deliveries").remove(0).expect("a delivery");
    assert_eq!((due.destination.as_str(), due.failing_since), ("{\"at\":\"new\"}", None));
    let found = store.endpoint(old.id).await.expect("a store").expect("an endpoint");
    assert_eq!((found.target.as_str(), found.version), ("new", old.version + 1));
    assert_eq!(found.event_types, old.event_types);
    let same = store.update_endpoint(&by_hand(old.id), &moved("new")).await.expect("an answer");
    assert_eq!(same, EndpointSteered::Already);
}

async fn a_change_of_what_was_not_read_is_refused(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let one = store.ensure_endpoint(&endpoint("one", &["*"])).await.expect("an endpoint");
    store.ensure_endpoint(&endpoint("other", &["*"])).await.expect("an endpoint");
    let key = RequestKey {
        tenant_id: TenantId::default(),
        method: "UpdateEndpoint",
        request_id: "r".to_owned(),
        body_hash: vec![1],
    };
    let hand = ByHand { request: Some(key.clone()), ..by_hand(one.id) };
    let change = EndpointChange { version: one.version, ..moved("elsewhere") };
    let answer = async |hand: &ByHand, change: &EndpointChange| {
        store.update_endpoint(hand, change).await.expect("an answer")
    };
    assert_eq!(answer(&hand, &change).await, EndpointSteered::Done);
    let again = ByHand { id: Uuid::now_v7(), ..hand.clone() };
    assert_eq!(answer(&again, &change).await, EndpointSteered::Before);
    let other_body = ByHand { request: Some(RequestKey { body_hash: vec![2], ..key }), ..again };
    assert_eq!(answer(&other_body, &change).await, EndpointSteered::OtherBody);
    let stale = answer(&by_hand(one.id), &change).await;
    assert_eq!(stale, EndpointSteered::VersionChanged { version: one.version + 1 });
    assert_eq!(answer(&by_hand(one.id), &moved("other")).await, EndpointSteered::Taken);
    let stranger = ByHand { tenant_id: TenantId::parse("another").expect("a tenant"), ..by_hand(one.id) };
    assert_eq!(answer(&stranger, &moved("theirs")).await, EndpointSteered::NotFound);
    let found = store.endpoint(one.id).await.expect("a store").expect("an endpoint");
    assert_eq!((found.target.as_str(), found.version), ("elsewhere", one.version + 1));
}

async fn an_endpoint_is_switched_off_and_on_once_each(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let runner = runner(&store).await;
    let one = store.ensure_endpoint(&endpoint("one", &["boleto.*"])).await.expect("an endpoint");
    let all = store.ensure_endpoint(&endpoint("all", &["*"])).await.expect("an endpoint");
    store.note_endpoint_health(one.id, Some(now())).await.expect("noted");
    assert_eq!(store.enable_endpoint(&by_hand(one.id)).await.expect("an answer"), EndpointSteered::Already);
    for expected in [EndpointSteered::Done, EndpointSteered::Already] {
        let steered = store.disable_endpoint_by_hand(&by_hand(one.id)).await.expect("an answer");
        assert_eq!(steered, expected);
    }
    let off = store.endpoint(one.id).await.expect("a store").expect("an endpoint");
    assert_eq!(off.disabled.as_deref(), Some("moved"));
    let claims = deliveries(&store, runner).await;
    let due = store.due_deliveries(&claims).await.expect("deliveries").remove(0).expect("a delivery");
    assert_eq!(
        (claims.len(), due.endpoint_id, due.subject_id),
        (1, all.id, one.id.0),
        "who else hears of it"
    );
    for expected in [EndpointSteered::Done, EndpointSteered::Already] {
        assert_eq!(store.enable_endpoint(&by_hand(one.id)).await.expect("an answer"), expected);
    }
    let on = store.endpoint(one.id).await.expect("a store").expect("an endpoint");
    assert_eq!((on.disabled, on.failing_since, on.version), (None, None, one.version + 2));
    let stranger = ByHand { tenant_id: TenantId::parse("another").expect("a tenant"), ..by_hand(one.id) };
    assert_eq!(
        store.disable_endpoint_by_hand(&stranger).await.expect("an answer"),
        EndpointSteered::NotFound
    );
}

async fn who_wants_to_hear_of_other_subjects_is_another_endpoint(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let runner = runner(&store).await;
    let mut wanted = endpoint("hook", &["*"]);
    wanted.filters = vec![rule("pedido 7")];
    let wanted = store.renew_endpoint(&wanted).await.expect("an endpoint");
    let mut unwanted = endpoint("hook", &["*"]);
    unwanted.filters = vec![rule("pedido 8")];
    let unwanted = store.renew_endpoint(&unwanted).await.expect("an endpoint");
    let plain = store.renew_endpoint(&endpoint("hook", &["*"])).await.expect("an endpoint");
    assert!(wanted.id != unwanted.id && plain.id != wanted.id && plain.id != unwanted.id);
    let mut again = endpoint("hook", &["*"]);
    again.filters = vec![rule("pedido 7")];
    assert_eq!(store.renew_endpoint(&again).await.expect("an endpoint").id, wanted.id);

    a_registered_boleto(&store, runner, Notify::Owner(None)).await;
    let claims = deliveries(&store, runner).await;
    let due = store.due_deliveries(&claims).await.expect("deliveries");
    let mut told: Vec<EndpointId> = due.into_iter().flatten().map(|due| due.endpoint_id).collect();
    told.sort();
    let mut expected = vec![wanted.id, plain.id];
    expected.sort();
    assert_eq!(told, expected);
    let widened = EndpointChange { filters: Some(vec![]), ..EndpointChange::default() };
    let taken = store.update_endpoint(&by_hand(wanted.id), &widened).await.expect("an answer");
    assert_eq!(taken, EndpointSteered::Taken, "that is the plain one");
}
