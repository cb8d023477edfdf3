//! An owner has no secret to give: the service makes one, shows it once and keeps it sealed. Later the owner wants another, and the
//! one before signs beside it for a while. Whoever looks into the database sees neither.

use bursar::proto::notification::v1::endpoint::Destination;
use bursar::proto::notification::v1::{
    CreateEndpointRequest, CreateEndpointResponse, Endpoint, GetEndpointRequest, KeptSecret,
    RotateEndpointSecretRequest, RotateEndpointSecretResponse, SqsDestination, UpdateEndpointRequest,
    WebhookDestination,
};
use bursar::store::pool;
use sea_orm::{ConnectionTrait, Statement};
use tonic::{Code, Status};

use crate::support::house::{House, Opened, Operator, Refusal as _};

const URL: &str = "http://127.0.0.1:9/hooks/shop";

async fn creates(operator: &Operator, secrets: &[&str]) -> Result<CreateEndpointResponse, Status> {
    let secrets = secrets.iter().map(|&text| text.to_owned()).collect();
    let webhook = WebhookDestination { url: URL.to_owned(), secrets, ..WebhookDestination::default() };
    let endpoint = Endpoint {
        destination: Some(Destination::Webhook(webhook)),
        event_types: vec!["*".to_owned()],
        ..Endpoint::default()
    };
    let request = CreateEndpointRequest { endpoint: Some(endpoint) };
    Ok(operator.endpoints.clone().create_endpoint(request).await?.into_inner())
}

async fn rotates(
    operator: &Operator,
    id: &str,
    overlap_s: Option<i64>,
) -> Result<RotateEndpointSecretResponse, Status> {
    let request = RotateEndpointSecretRequest {
        id: id.to_owned(),
        overlap: overlap_s.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
        reason: "somebody left the company".to_owned(),
    };
    Ok(operator.endpoints.clone().rotate_endpoint_secret(request).await?.into_inner())
}

fn webhook(endpoint: Option<Endpoint>) -> WebhookDestination {
    match endpoint.and_then(|endpoint| endpoint.destination) {
        Some(Destination::Webhook(webhook)) => webhook,
        other => panic!("no webhook: {other:?}"),
    }
}

fn going(kept: &[KeptSecret]) -> Vec<bool> {
    kept.iter().map(|secret| secret.expire_time.is_some()).collect()
}

async fn texts(house: &Opened, find: &str) -> Vec<String> {
    let database = pool::connect(house.database_url()).await.expect("the database");
    let statement = Statement::from_string(database.get_database_backend(), find);
    let rows = database.query_all_raw(statement).await.expect("rows");
    database.close().await.expect("the database lets go");
    rows.iter().map(|row| row.try_get("", "text").expect("a text")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_makes_a_secret_and_another_and_shows_each_once() {
    let house = House::new().open().await;
    let operator = house.operator();
    let made = creates(&operator, &[]).await.expect("an endpoint with a secret");
    let endpoint = made.endpoint.clone().expect("an endpoint");
    assert!(made.secret.starts_with("whsec_") && made.secret.len() > 40);
    let shown = webhook(made.endpoint);
    assert_eq!((shown.secrets.len(), going(&shown.kept_secrets)), (0, vec![false]));

    let rotated = rotates(&operator, &endpoint.id, None).await.expect("another secret");
    assert!(rotated.secret.starts_with("whsec_") && rotated.secret != made.secret);
    assert_eq!(going(&webhook(rotated.endpoint.clone()).kept_secrets), [false, true]);
    let etag = rotated.endpoint.expect("an endpoint").etag;
    assert_ne!(etag, endpoint.etag);

    // What was read is given back, and takes no secret away; nor does the same request made once more.
    let known = operator.endpoint(&endpoint.id).await;
    let update = UpdateEndpointRequest { endpoint: Some(known), ..UpdateEndpointRequest::default() };
    let updated = operator.endpoints.clone().update_endpoint(update).await.expect("nothing to change");
    assert_eq!(going(&webhook(updated.into_inner().endpoint).kept_secrets), [false, true]);
    let again = creates(&operator, &[]).await.expect("the same endpoint");
    assert_eq!(again.endpoint.as_ref().map(|again| &again.id), Some(&endpoint.id));
    assert_eq!(going(&webhook(again.endpoint).kept_secrets), [false, true, true]);

    let at_once = rotates(&operator, &endpoint.id, Some(0)).await.expect("another secret, at once");
    assert_eq!(going(&webhook(at_once.endpoint).kept_secrets), [false]);

    let stored = texts(&house, "select destination as text from endpoint").await.concat();
    let audit = texts(
        &house,
        "select method || ' ' || reason || ' ' || before || ' ' || after as text from audit \
        where method = 'RotateEndpointSecret' order by at_us",
    )
    .await;
    assert_eq!(audit.len(), 2, "{audit:?}");
    assert!(audit[0].contains("somebody left the company"), "{audit:?}");
    assert!(audit[0].contains(r#""secrets":1"#) && audit[0].contains(r#""secrets":2"#), "{audit:?}");
    for secret in [&made.secret, &rotated.secret, &again.secret, &at_once.secret] {
        let value = secret.trim_start_matches("whsec_");
        assert!(!stored.contains(value) && !audit.concat().contains(value));
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_of_the_operator_s_keeping_makes_room_too() {
    let house = House::new().open().await;
    let operator = house.operator();
    let reference = operator.webhook_secret().to_owned();
    let made = creates(&operator, &[&reference]).await.expect("an endpoint");
    assert!(made.secret.is_empty(), "nothing was made");
    let id = made.endpoint.expect("an endpoint").id;
    let during = webhook(rotates(&operator, &id, Some(3_600)).await.expect("a secret").endpoint);
    assert_eq!((during.secrets, going(&during.kept_secrets)), (vec![reference], vec![false]));
    let after = webhook(rotates(&operator, &id, Some(0)).await.expect("a secret").endpoint);
    assert_eq!((after.secrets.len(), going(&after.kept_secrets)), (0, vec![false]));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_rotated_says_why() {
    let house = House::new().open().await;
    let operator = house.operator();
    let id = creates(&operator, &[]).await.expect("an endpoint").endpoint.expect("an endpoint").id;
    let too_long = rotates(&operator, &id, Some(31 * 24 * 3_600)).await.expect_err("too long");
    assert_eq!(too_long.fields(), ["overlap"]);
    assert_eq!(rotates(&operator, &id, Some(-1)).await.expect_err("backwards").fields(), ["overlap"]);
    let bare = RotateEndpointSecretRequest::default();
    let bare = operator.endpoints.clone().rotate_endpoint_secret(bare).await.expect_err("an empty request");
    assert_eq!(bare.fields(), ["id", "reason"]);
    let nobody = "00000000-0000-7000-8000-000000000000";
    assert_eq!(rotates(&operator, nobody, None).await.expect_err("nobody").code(), Code::NotFound);
    let queue_url = house.world().addresses().queue_url.clone();
    let queue = Endpoint {
        destination: Some(Destination::Sqs(SqsDestination { queue_url })),
        event_types: vec!["*".to_owned()],
        ..Endpoint::default()
    };
    let request = CreateEndpointRequest { endpoint: Some(queue) };
    let queue = operator.endpoints.clone().create_endpoint(request).await.expect("a queue").into_inner();
    let queue = queue.endpoint.expect("an endpoint").id;
    assert_eq!(rotates(&operator, &queue, None).await.expect_err("a queue").fields(), ["id"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_nothing_is_kept_and_it_is_said_what_is_missing() {
    let house = House::new().with("secrets.key", "").open().await;
    let operator = house.operator();
    let refused = creates(&operator, &[]).await.expect_err("no key");
    assert_eq!(refused.fields(), ["endpoint.webhook.secrets"]);
    assert!(refused.message().contains("secrets.key"), "{refused:?}");
    let reference = operator.webhook_secret().to_owned();
    let id = creates(&operator, &[&reference]).await.expect("an endpoint").endpoint.expect("an endpoint").id;
    let refused = rotates(&operator, &id, None).await.expect_err("no key");
    assert_eq!((refused.code(), refused.reason().as_str()), (Code::FailedPrecondition, "SECRETS_NOT_KEPT"));
    let known = operator.endpoints.clone().get_endpoint(GetEndpointRequest { id }).await.expect("it");
    assert_eq!(webhook(known.into_inner().endpoint).secrets, [reference]);
    house.close().await;
}
