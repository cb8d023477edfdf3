//! A receiver has failed for days, or says that it is gone. Nothing more is sent to it, its owner hears so by another way, and once
//! it is mended and enabled again it is told of what happens from then on.

use bursar::proto::notification::v1::endpoint::Destination;
use bursar::proto::notification::v1::{
    CreateEndpointRequest, EnableEndpointRequest, Endpoint, SqsDestination,
};
use bursar::sandbox::{Behaviour, Party};
use bursar::store::pool;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::Value;

use crate::support::house::{House, Opened, PATIENCE, a_boleto, eventually};

/// Has a queue told of endpoints that are disabled.
async fn a_queue_hears_of_endpoints(house: &Opened) {
    let queue_url = house.world().addresses().queue_url.clone();
    let endpoint = Endpoint {
        destination: Some(Destination::Sqs(SqsDestination { queue_url })),
        event_types: vec!["endpoint.disabled".to_owned()],
        ..Endpoint::default()
    };
    let request = CreateEndpointRequest { endpoint: Some(endpoint) };
    house.operator().endpoints.clone().create_endpoint(request).await.expect("a subscription");
}

/// What the queue was told about an endpoint.
fn told_of(house: &Opened, endpoint_id: &str) -> Vec<Value> {
    let messages = house.world().messages().into_iter().filter(|message| message.channel == "sqs");
    let bodies = messages.map(|message| serde_json::from_str::<Value>(&message.body).expect("JSON"));
    bodies.filter(|body| body["data"]["endpoint_id"] == endpoint_id).collect()
}

async fn is_disabled(house: &Opened, id: &str) -> Endpoint {
    eventually("the endpoint is disabled", async || {
        let endpoint = house.operator().endpoint(id).await;
        endpoint.disabled.then_some(endpoint)
    })
    .await
}

async fn enables(house: &Opened, id: &str) {
    let request = EnableEndpointRequest {
        id: id.to_owned(),
        reason: "it was mended".to_owned(),
        request_id: String::new(),
    };
    house.operator().endpoints.clone().enable_endpoint(request).await.expect("enabled");
    let endpoint = house.operator().endpoint(id).await;
    assert!(!endpoint.disabled && endpoint.failing_since.is_none(), "{endpoint:?}");
}

/// Makes the endpoint one that has failed for longer.
async fn has_failed_for(house: &Opened, days: i64) {
    let database = pool::connect(house.database_url()).await.expect("the database");
    let change =
        "update endpoint set failing_since_us = failing_since_us - $1 where failing_since_us is not null";
    let values = [(days * 24 * 3_600 * 1_000_000).into()];
    let statement = Statement::from_sql_and_values(database.get_database_backend(), change, values);
    assert_eq!(database.execute_raw(statement).await.expect("a change").rows_affected(), 1);
    database.close().await.expect("the database lets go");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_five_days_its_owner_hears_by_another_way() {
    let house = House::new().open().await;
    let endpoint = house.operator().subscribes_webhook(&["boleto.*"]).await;
    a_queue_hears_of_endpoints(&house).await;
    house.script().always(Party::Webhook, Behaviour::status(500));
    let lost = house.shop().creates(a_boleto().told_to_subscribers()).await;
    eventually("it is known since when it fails", async || {
        house.operator().endpoint(&endpoint.id).await.failing_since.map(|_| ())
    })
    .await;
    // Four days are borne.
    has_failed_for(&house, 4).await;
    let asked = house.script().asked(Party::Webhook);
    house.world().wait_for_asked(Party::Webhook, asked + 2, PATIENCE).await.expect("it is asked on");
    assert!(!house.operator().endpoint(&endpoint.id).await.disabled);
    assert!(told_of(&house, &endpoint.id).is_empty());

    has_failed_for(&house, 1).await;
    let disabled = is_disabled(&house, &endpoint.id).await;
    assert!(disabled.disabled_reason.contains("5days"), "{}", disabled.disabled_reason);
    let told = eventually("the owner hears of it", async || told_of(&house, &endpoint.id).pop()).await;
    assert_eq!(told["event_type"], "endpoint.disabled");
    assert_eq!(told["data"]["channel"], "webhook");
    assert!(told["data"]["failing_since"].is_string(), "{told}");
    house.operator().sees_all_work_done().await;

    house.script().clear(Party::Webhook);
    enables(&house, &endpoint.id).await;
    let heard = house.shop().creates(a_boleto().told_to_subscribers()).await;
    house.owner().hears(&heard.id, 1).await;
    house.operator().sees_all_work_done().await;
    assert!(house.owner().heard(&lost.id).is_empty(), "what was given up is for somebody to recover");
    assert_eq!(told_of(&house, &endpoint.id).len(), 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_says_that_it_is_gone_is_disabled_each_time() {
    let house = House::new().open().await;
    let endpoint = house.operator().subscribes_webhook(&["boleto.*"]).await;
    a_queue_hears_of_endpoints(&house).await;
    for times in 1..=2 {
        house.script().webhook(Behaviour::status(410));
        house.shop().creates(a_boleto().told_to_subscribers()).await;
        is_disabled(&house, &endpoint.id).await;
        let told = eventually("the owner hears of it", async || {
            let told = told_of(&house, &endpoint.id);
            (told.len() == times).then_some(told)
        })
        .await;
        let versions: Vec<_> = told.iter().map(|told| told["version"].as_i64()).collect();
        assert!(versions.is_sorted() && versions.iter().all(Option::is_some), "{versions:?}");
        assert_eq!(house.script().asked(Party::Webhook), times as u64);
        enables(&house, &endpoint.id).await;
    }
    let boleto = house.shop().creates(a_boleto().told_to_subscribers()).await;
    house.owner().hears(&boleto.id, 1).await;
    house.operator().sees_all_work_done().await;
    house.close().await;
}
