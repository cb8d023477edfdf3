//! Who makes a boleto says who is to be told of its outcome: a queue, the tenant's subscriptions, or expressly nobody.

use bursar::proto::boleto::v1::BoletoStatus;
use bursar::proto::notification::v1::endpoint::Destination;
use bursar::proto::notification::v1::{CreateEndpointRequest, Endpoint, SqsDestination, WebhookDestination};
use bursar::sandbox::{Behaviour, EffectKind, Party};
use tonic::Code;

use crate::support::house::{House, Refusal as _, a_boleto};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_way_of_naming_an_owner_tells_just_that_owner() {
    let house = House::new().open().await;
    let shop = house.shop();
    let nobody_named = shop.tries(a_boleto().told_to_subscribers()).await.expect_err("nobody to tell");
    assert_eq!(nobody_named.fields(), ["queue_url"]);

    let to_nobody = shop.creates(a_boleto().told_to_nobody()).await;
    let to_queue = shop.creates(a_boleto()).await;
    house.owner().hears(&to_queue.id, 1).await;

    let subscription = house.operator().subscribes_webhook(&["*"]).await;
    let to_subscriber = shop.creates(a_boleto().told_to_subscribers()).await;
    let to_both = shop.creates(a_boleto()).await;
    let opted_out = shop.creates(a_boleto().told_to_nobody()).await;
    house.owner().hears(&to_subscriber.id, 1).await;
    house.owner().hears(&to_both.id, 2).await;
    house.operator().sees_all_work_done().await;

    let channels = |id: &str| {
        let mut channels: Vec<String> =
            house.owner().heard(id).into_iter().map(|told| told.channel).collect();
        channels.sort_unstable();
        channels
    };
    assert!(channels(&to_nobody.id).is_empty() && channels(&opted_out.id).is_empty());
    assert_eq!(channels(&to_queue.id), ["sqs"]);
    assert_eq!(channels(&to_subscriber.id), ["webhook"]);
    assert_eq!(channels(&to_both.id), ["sqs", "webhook"]);
    assert_eq!(
        house.operator().subscribes_webhook(&["*"]).await.id,
        subscription.id,
        "one row a destination"
    );
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_hears_only_what_it_wants() {
    let house = House::new().open().await;
    house.operator().subscribes_webhook(&["boleto.registered"]).await;
    house.script().bank_register(Behaviour::refuse("48"));
    let refused = house.shop().creates(a_boleto()).await;
    let registered = house.shop().creates(a_boleto()).await;
    assert_eq!(refused.status(), BoletoStatus::Refused);
    house.owner().hears(&registered.id, 2).await;
    house.operator().sees_all_work_done().await;
    let heard = house.owner().heard(&refused.id);
    assert_eq!(heard.iter().map(|told| told.channel.as_str()).collect::<Vec<_>>(), ["sqs"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_carry_what_their_channel_asks_for() {
    let house = House::new().open().await;
    house.operator().subscribes_webhook(&["*"]).await;
    let boleto = house.shop().creates(a_boleto()).await;
    let told = house.owner().hears(&boleto.id, 2).await;
    let of = |channel: &str| told.iter().find(|told| told.channel == channel).expect("a message");
    let webhook = of("webhook");
    // The receiver has checked the signature already: it takes no message without.
    assert_eq!(webhook.attributes["webhook-id"], webhook.text("event_id"));
    assert_eq!(webhook.attributes["content-type"], "application/json");
    assert!(!webhook.body.as_object().expect("an object").contains_key("reference_id"), "none was given");
    assert_eq!(of("sqs").body, webhook.body);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_that_may_not_be_reached_is_refused_when_it_is_named() {
    let house = House::new().open().await;
    let forbidden = [
        "http://queues.example/000000000000/owner",
        "https://127.0.0.1/000000000000/owner",
        "http://169.254.169.254/000000000000/owner",
        "http://[::1]/000000000000/owner",
        "http://user@127.0.0.1/000000000000/owner",
        "file:///etc/passwd",
    ];
    for queue_url in forbidden {
        let status = house.shop().tries(a_boleto().told_to_queue(queue_url)).await.expect_err(queue_url);
        assert_eq!((status.code(), status.fields()), (Code::InvalidArgument, vec!["queue_url".to_owned()]));
    }
    let mut endpoints = house.operator().endpoints;
    let mut tries = async |destination| {
        let endpoint = Endpoint {
            destination: Some(destination),
            event_types: vec!["*".to_owned()],
            ..Endpoint::default()
        };
        endpoints
            .create_endpoint(CreateEndpointRequest { endpoint: Some(endpoint) })
            .await
            .expect_err("forbidden")
    };
    let secrets = vec!["env:BURSAR_SECRET_WEBHOOK".to_owned()];
    let url = "http://hooks.example/owner".to_owned();
    let status = tries(Destination::Webhook(WebhookDestination { url, secrets, ..Default::default() })).await;
    assert_eq!(status.fields(), ["endpoint.webhook.url"]);
    let status = tries(Destination::Sqs(SqsDestination { queue_url: forbidden[0].to_owned() })).await;
    assert_eq!(status.fields(), ["endpoint.sqs.queue_url"]);
    let url = house.world().addresses().webhook_url.clone();
    let status = tries(Destination::Webhook(WebhookDestination {
        url: url.clone(),
        secrets: vec!["a-value".to_owned()],
        ..Default::default()
    }))
    .await;
    assert_eq!(status.fields(), ["endpoint.webhook.secrets[0]"]);
    let secrets = ["env:BURSAR_SECRET_WEBHOOK", "file:/dev/ptmx"].map(str::to_owned).into();
    let status = tries(Destination::Webhook(WebhookDestination { url, secrets, ..Default::default() })).await;
    assert_eq!(status.fields(), ["endpoint.webhook.secrets[1]"]);

    let empty = CreateEndpointRequest { endpoint: None };
    let status = house.operator().endpoints.create_endpoint(empty).await.expect_err("nothing in it");
    assert_eq!(status.fields(), ["endpoint.destination", "endpoint.event_types"]);
    let asked = house.world().script().asked(Party::Webhook) + house.world().script().asked(Party::Sqs);
    assert_eq!(asked, 0);
    assert!(house.world().effects().iter().all(|effect| effect.kind != EffectKind::OwnerSqs));
    house.close().await;
}
