//! An operator sees to it that owners are told where they are: moves an endpoint, narrows what it hears, switches it off and
//! on, and finds out whether it takes anything.

use bursar::proto::boleto::v1::BankAccount;
use bursar::proto::notification::v1::delivery_attempt::Outcome;
use bursar::proto::notification::v1::endpoint::Destination;
use bursar::proto::notification::v1::{
    CreateEndpointRequest, DeliveryAttempt, DisableEndpointRequest, EnableEndpointRequest, Endpoint,
    EventFilter, RecoverDeliveriesRequest, SqsDestination, TestEndpointRequest, UpdateEndpointRequest,
    WebhookDestination,
};
use bursar::sandbox::{Behaviour, Party};
use bursar::store::pool;
use prost_types::FieldMask;
use sea_orm::ConnectionTrait;
use serde_json::Value;
use tonic::{Code, Status};

use crate::support::house::{House, Opened, Operator, Refusal as _, a_boleto, an_account, eventually};

async fn updates(operator: &Operator, endpoint: Endpoint, paths: &[&str]) -> Result<Endpoint, Status> {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    let request = UpdateEndpointRequest {
        endpoint: Some(endpoint),
        update_mask: Some(FieldMask { paths }),
        ..UpdateEndpointRequest::default()
    };
    let answer = operator.endpoints.clone().update_endpoint(request).await?;
    Ok(answer.into_inner().endpoint.expect("an endpoint in the answer"))
}

async fn switches_off(operator: &Operator, id: &str, request_id: &str) -> Result<Endpoint, Status> {
    let request = DisableEndpointRequest {
        id: id.to_owned(),
        reason: "it is being moved".to_owned(),
        request_id: request_id.to_owned(),
    };
    let answer = operator.endpoints.clone().disable_endpoint(request).await?;
    Ok(answer.into_inner().endpoint.expect("an endpoint in the answer"))
}

async fn switches_on(operator: &Operator, id: &str) -> Result<Endpoint, Status> {
    let request = EnableEndpointRequest {
        id: id.to_owned(),
        reason: "it is back".to_owned(),
        request_id: String::new(),
    };
    let answer = operator.endpoints.clone().enable_endpoint(request).await?;
    Ok(answer.into_inner().endpoint.expect("an endpoint in the answer"))
}

async fn tests(operator: &Operator, id: &str) -> Result<DeliveryAttempt, Status> {
    let answer = operator
        .endpoints
        .clone()
        .test_endpoint(TestEndpointRequest { id: id.to_owned(), ..Default::default() })
        .await?;
    Ok(answer.into_inner().attempt.expect("an attempt in the answer"))
}

fn at(url: &str) -> Option<Destination> {
    Some(Destination::Webhook(WebhookDestination { url: url.to_owned(), ..WebhookDestination::default() }))
}

fn named(endpoint: &Endpoint, destination: Option<Destination>) -> Endpoint {
    Endpoint { id: endpoint.id.clone(), destination, ..Endpoint::default() }
}

/// What of this type has arrived at webhooks.
fn arrived(house: &Opened, event_type: &str) -> Vec<Value> {
    let bodies = house.world().messages().into_iter().map(|message| message.body);
    let bodies = bodies.filter_map(|body| serde_json::from_str::<Value>(&body).ok());
    bodies.filter(|body| body["event_type"] == event_type).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_goes_to_the_new_place() {
    let house = House::new().with("breaker.failures_max", "1000").open().await;
    let operator = house.operator();
    let endpoint = operator.subscribes_webhook(&["*"]).await;
    let Some(Destination::Webhook(right)) = endpoint.destination.clone() else { panic!("{endpoint:?}") };
    // Nobody listens there: what is sent waits and is tried again.
    let nowhere =
        updates(&operator, named(&endpoint, at("http://127.0.0.1:9/hooks/nobody")), &["destination"]).await;
    let nowhere = nowhere.expect("moved");
    assert_ne!(nowhere.etag, endpoint.etag);
    assert_eq!(nowhere.event_types, endpoint.event_types);
    let boleto = house.shop().creates(a_boleto().told_to_subscribers()).await;
    eventually("one try failed", async || operator.endpoint(&endpoint.id).await.failing_since).await;
    assert!(house.owner().heard(&boleto.id).is_empty());

    let stale = Endpoint { etag: endpoint.etag.clone(), ..named(&endpoint, at(&right.url)) };
    let status = updates(&operator, stale, &["destination"]).await.expect_err("read before it was moved");
    assert_eq!((status.code(), status.reason().as_str()), (Code::Aborted, "VERSION_CHANGED"));
    let fresh =
        Endpoint { etag: operator.endpoint(&endpoint.id).await.etag, ..named(&endpoint, at(&right.url)) };
    let back = updates(&operator, fresh, &["destination"]).await.expect("moved back");
    let Some(Destination::Webhook(webhook)) = &back.destination else { panic!("{back:?}") };
    assert_eq!(webhook.secrets, right.secrets, "its secrets are its own");
    house.owner().hears(&boleto.id, 1).await;
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_wrong_with_a_change_is_said_at_once() {
    let house = House::new().open().await;
    let operator = house.operator();
    let endpoint = operator.subscribes_webhook(&["boleto.registered"]).await;
    let queue = Destination::Sqs(SqsDestination { queue_url: house.world().addresses().queue_url.clone() });
    let wrong = Endpoint {
        event_types: vec!["boleto.registered".to_owned(), "boleto.invented".to_owned()],
        filters: vec![EventFilter { attribute: "payer".to_owned(), values: vec![] }],
        etag: "old".to_owned(),
        ..named(&endpoint, Some(queue))
    };
    let status = updates(&operator, wrong, &[]).await.expect_err("all wrong");
    assert_eq!(
        status.fields(),
        ["endpoint.destination", "endpoint.etag", "endpoint.event_types[1]", "endpoint.filters[0].attribute"]
    );
    let status = updates(&operator, named(&endpoint, None), &["disabled"]).await.expect_err("no such path");
    assert_eq!(status.fields(), ["update_mask"]);
    assert_eq!(operator.endpoint(&endpoint.id).await, endpoint, "nothing was changed");

    let other = operator.subscribes_webhook(&["boleto.paid"]).await;
    let same = Endpoint { event_types: vec!["boleto.registered".to_owned()], ..named(&other, None) };
    let status = updates(&operator, same, &["event_types"]).await.expect_err("that is the first one");
    assert_eq!((status.code(), status.reason().as_str()), (Code::AlreadyExists, "ENDPOINT_TAKEN"));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_is_switched_off_and_on_and_told_what_it_missed() {
    let house = House::new().with("breaker.failures_max", "1000").open().await;
    let operator = house.operator();
    let endpoint = operator.subscribes_webhook(&["boleto.*"]).await;
    house.script().always(Party::Webhook, Behaviour::status(500));
    let boleto = house.shop().creates(a_boleto()).await;
    eventually("one try failed", async || operator.endpoint(&endpoint.id).await.failing_since).await;
    let off = switches_off(&operator, &endpoint.id, "r-1").await.expect("off");
    assert!(off.disabled && off.disabled_reason == "it is being moved");
    assert_eq!(switches_off(&operator, &endpoint.id, "r-1").await.expect("the same request"), off);
    assert_eq!(switches_off(&operator, &endpoint.id, "").await.expect("it is so already"), off);
    // What waited becomes a dead letter when its turn comes; what happens from now on is not even written down.
    house.operator().sees_all_work_done().await;
    let unheard = house.shop().creates(a_boleto()).await;
    house.owner().hears(&unheard.id, 1).await;
    house.operator().sees_all_work_done().await;

    house.script().clear(Party::Webhook);
    let on = switches_on(&operator, &endpoint.id).await.expect("on");
    assert!(!on.disabled && on.disabled_reason.is_empty() && on.failing_since.is_none());
    let request = RecoverDeliveriesRequest {
        endpoint_id: endpoint.id.clone(),
        since: boleto.create_time,
        reason: "it is back".to_owned(),
        request_id: String::new(),
    };
    let recovered =
        operator.endpoints.clone().recover_deliveries(request).await.expect("recovered").into_inner();
    assert_eq!(recovered.recovered, 1);
    house.owner().hears(&boleto.id, 2).await;
    house.operator().sees_all_work_done().await;
    let heard: Vec<String> = house.owner().heard(&unheard.id).into_iter().map(|told| told.channel).collect();
    assert_eq!(heard, ["sqs"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_tells_what_an_endpoint_takes_even_when_it_is_off() {
    let house = House::new().open().await;
    let operator = house.operator();
    let endpoint = operator.subscribes_webhook(&["boleto.*"]).await;
    switches_off(&operator, &endpoint.id, "").await.expect("off");
    let attempt = tests(&operator, &endpoint.id).await.expect("tested");
    assert_eq!(
        (attempt.outcome(), attempt.event_type.as_str()),
        (Outcome::Accepted, "endpoint.test"),
        "{attempt:?}"
    );
    let heard = arrived(&house, "endpoint.test");
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0]["event_id"], attempt.event_id.as_str());
    assert_eq!(heard[0]["data"]["endpoint_id"], endpoint.id.as_str());

    for (behaviour, outcome) in [
        (Behaviour::status(500), Outcome::Unavailable),
        (Behaviour::status(410), Outcome::Gone),
        (Behaviour::accept_then_drop(), Outcome::Unknown),
    ] {
        house.script().webhook(behaviour);
        let attempt = tests(&operator, &endpoint.id).await.expect("tested");
        assert_eq!(attempt.outcome(), outcome, "{attempt:?}");
        assert!(!attempt.answer.is_empty());
    }
    assert!(house.operator().work(&[]).await.is_empty(), "a test leaves nothing to be done");
    let status =
        tests(&operator, "00000000-0000-7000-8000-000000000000").await.expect_err("no such endpoint");
    assert_eq!(status.reason(), "ENDPOINT_NOT_FOUND");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_lets_one_account_through() {
    let house = House::new().open().await;
    let operator = house.operator();
    let other = BankAccount { external_id: "other".to_owned(), is_default: false, ..an_account() };
    let other = operator.opens(other).await.expect("a bank account");
    let endpoint = operator.subscribes_webhook(&["boleto.*"]).await;
    let only = EventFilter { attribute: "bank_account_id".to_owned(), values: vec![other.id.to_uppercase()] };
    let narrowed = Endpoint { filters: vec![only], ..named(&endpoint, None) };
    let narrowed = updates(&operator, narrowed, &["filters"]).await.expect("narrowed");
    assert_eq!(narrowed.filters[0].values, std::slice::from_ref(&other.id), "as the events have it");
    let unheard = house.shop().creates(a_boleto()).await;
    let heard = a_boleto().with(|request| request.bank_account_id.clone_from(&other.id));
    let heard = house.shop().creates(heard).await;
    house.owner().hears(&heard.id, 2).await;
    house.owner().hears(&unheard.id, 1).await;
    house.operator().sees_all_work_done().await;
    assert_eq!(house.owner().heard(&unheard.id).len(), 1, "its own queue alone");

    let again = Endpoint { id: String::new(), etag: String::new(), ..narrowed };
    let request = CreateEndpointRequest { endpoint: Some(again) };
    let again = operator.endpoints.clone().create_endpoint(request).await.expect("the same one").into_inner();
    assert_eq!(again.endpoint.expect("an endpoint").id, endpoint.id);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_another_tenants_is_not_there() {
    let house = House::new().open().await;
    let operator = house.operator();
    let endpoint = operator.subscribes_webhook(&["boleto.*"]).await;
    let connection = pool::connect(house.database_url()).await.expect("the database");
    connection.execute_unprepared("update endpoint set tenant_id = 'another'").await.expect("given away");
    connection.close().await.expect("the database lets go");
    let id = endpoint.id.as_str();
    for status in [
        updates(&operator, named(&endpoint, at("http://127.0.0.1:9/")), &["destination"]).await.map(|_| ()),
        switches_off(&operator, id, "").await.map(|_| ()),
        switches_on(&operator, id).await.map(|_| ()),
        tests(&operator, id).await.map(|_| ()),
    ] {
        let status = status.expect_err("not there");
        assert_eq!((status.code(), status.reason().as_str()), (Code::NotFound, "ENDPOINT_NOT_FOUND"));
    }
    assert_eq!(house.script().asked(Party::Webhook), 0);
    house.close().await;
}
