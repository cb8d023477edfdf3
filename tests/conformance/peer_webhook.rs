//! Webhooks of a whole house, judged by the reference library of Standard Webhooks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bursar::proto::boleto::v1 as boleto;
use bursar::proto::notification::v1::endpoint::Destination;
use bursar::proto::notification::v1::notification_service_client::NotificationServiceClient;
use bursar::proto::notification::v1::{
    CreateEndpointRequest, CreateEndpointResponse, Endpoint, RotateEndpointSecretRequest, WebhookDestination,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::peers::{PATIENCE, Verdict, judge};
use crate::small_house::{SmallHouse, a_boleto};

/// Keys of 24 bytes, as anybody could make them up.
const NEW_KEY: &[u8; 24] = b"the new key of this test";
const OLD_KEY: &[u8; 24] = b"the old key of this test";
const OTHER_KEY: &[u8; 24] = b"the key of somebody else";

/// A key as it is handed to an owner.
fn secret(key: &[u8]) -> String {
    format!("whsec_{}", STANDARD.encode(key))
}

/// One request as it came.
struct Hook {
    headers: BTreeMap<String, String>,
    body: String,
}

/// An owner's own server. It is away for the first request, and as long as it is told to be; it takes every other.
struct Receiver {
    url: String,
    hooks: mpsc::UnboundedReceiver<Hook>,
    away: Arc<AtomicBool>,
}

#[derive(Clone)]
struct Desk {
    hooks: mpsc::UnboundedSender<Hook>,
    asked: Arc<AtomicU64>,
    away: Arc<AtomicBool>,
}

async fn take(State(desk): State<Desk>, headers: HeaderMap, body: String) -> StatusCode {
    let text = |value: &axum::http::HeaderValue| value.to_str().expect("visible text").to_owned();
    let headers = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    desk.hooks.send(Hook { headers, body }).expect("the test listens");
    match desk.asked.fetch_add(1, Ordering::SeqCst) {
        0 => StatusCode::INTERNAL_SERVER_ERROR,
        _ if desk.away.load(Ordering::SeqCst) => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::NO_CONTENT,
    }
}

impl Receiver {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/hooks", listener.local_addr().expect("an address"));
        let (sender, hooks) = mpsc::unbounded_channel();
        let away = Arc::new(AtomicBool::new(false));
        let desk = Desk { hooks: sender, asked: Arc::default(), away: away.clone() };
        let router = Router::new().route("/hooks", post(take)).with_state(desk);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, hooks, away }
    }

    /// The next request with so many signatures.
    async fn next_signed(&mut self, signatures: usize) -> Hook {
        loop {
            let hook = self.next().await;
            if hook.headers["webhook-signature"].split(' ').count() == signatures {
                return hook;
            }
        }
    }

    async fn next(&mut self) -> Hook {
        let hook = tokio::time::timeout(PATIENCE, self.hooks.recv()).await;
        hook.expect("a webhook comes in time").expect("the receiver lives")
    }
}

impl Hook {
    async fn judged(&self, secret: &str, body: &str) -> Verdict {
        let input = json!({"secret": secret, "headers": self.headers, "body": body});
        judge("webhook_verify.py", &[], &input.to_string()).await
    }

    async fn verifies(&self, key: &[u8]) -> bool {
        self.verifies_by(&secret(key)).await
    }

    async fn verifies_by(&self, secret: &str) -> bool {
        let verdict = self.judged(secret, &self.body).await;
        match verdict.code {
            Some(0) => true,
            Some(1) => false,
            _ => panic!("the judge could not judge: {verdict:?}"),
        }
    }
}

async fn subscribe(house: &SmallHouse, url: &str, secrets: Vec<String>) -> CreateEndpointResponse {
    let destination =
        Destination::Webhook(WebhookDestination { url: url.to_owned(), secrets, ..Default::default() });
    let endpoint =
        Endpoint { destination: Some(destination), event_types: vec!["*".to_owned()], ..Endpoint::default() };
    let request = CreateEndpointRequest { endpoint: Some(endpoint) };
    NotificationServiceClient::new(house.channel.clone())
        .create_endpoint(request)
        .await
        .expect("a subscription")
        .into_inner()
}

/// Has a new secret made, and returns it.
async fn rotate(house: &SmallHouse, id: &str, overlap_s: i64) -> String {
    let request = RotateEndpointSecretRequest {
        id: id.to_owned(),
        overlap: Some(prost_types::Duration { seconds: overlap_s, nanos: 0 }),
        reason: "its time has come".to_owned(),
    };
    let answer = NotificationServiceClient::new(house.channel.clone()).rotate_endpoint_secret(request).await;
    answer.expect("another secret").into_inner().secret
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reference_library_verifies_what_an_owner_is_sent() {
    let mut receiver = Receiver::open().await;
    let house = SmallHouse::furnished(&[]).await;
    let reference = house.outside.folder.secret("hook", &secret(NEW_KEY));
    subscribe(&house, &receiver.url, vec![reference]).await;
    let made = house.creates(a_boleto()).await;
    assert_eq!(made.status(), boleto::BoletoStatus::Registered);

    let refused = receiver.next().await;
    let hook = receiver.next().await;
    for hook in [&refused, &hook] {
        assert!(hook.verifies(NEW_KEY).await, "the owner's own secret");
        assert!(!hook.verifies(OTHER_KEY).await, "somebody else's secret");
    }
    let body: Value = serde_json::from_str(&hook.body).expect("JSON");
    assert_eq!((&body["boleto_id"], &body["status"]), (&json!(made.id), &json!("registered")));
    assert_eq!((&body["reference_id"], &body["version"]), (&json!("pedido 7"), &json!(made.version)));
    assert_eq!(body["event_id"], hook.headers["webhook-id"]);
    assert_eq!((&hook.headers["webhook-id"], &hook.body), (&refused.headers["webhook-id"], &refused.body));

    let tampered = hook.body.replace("registered", "refused");
    assert_ne!(tampered, hook.body);
    assert_eq!(hook.judged(&secret(NEW_KEY), &tampered).await.code, Some(1), "another body");
    let stamp: i64 = hook.headers["webhook-timestamp"].parse().expect("seconds");
    let mut later = Hook { headers: hook.headers.clone(), body: hook.body.clone() };
    later.headers.insert("webhook-timestamp".to_owned(), (stamp + 1).to_string());
    assert!(!later.verifies(NEW_KEY).await, "another time");
    let mut renamed = Hook { headers: hook.headers.clone(), body: hook.body };
    renamed.headers.insert("webhook-id".to_owned(), made.id);
    assert!(!renamed.verifies(NEW_KEY).await, "another id");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn either_secret_verifies_while_one_is_being_rotated() {
    let mut receiver = Receiver::open().await;
    let house = SmallHouse::furnished(&[]).await;
    let folder = &house.outside.folder;
    let secrets = vec![folder.secret("new", &secret(NEW_KEY)), folder.secret("old", &secret(OLD_KEY))];
    subscribe(&house, &receiver.url, secrets).await;
    house.creates(a_boleto()).await;
    let hook = receiver.next().await;
    assert!(hook.verifies(NEW_KEY).await, "the new secret");
    assert!(hook.verifies(OLD_KEY).await, "the old secret");
    assert!(!hook.verifies(OTHER_KEY).await, "somebody else's secret");
    receiver.next().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_service_made_verifies_and_is_rotated_while_messages_are_on_their_way() {
    let mut receiver = Receiver::open().await;
    let house = SmallHouse::furnished(&[("notification.retry_cap", "100ms")]).await;
    let made = subscribe(&house, &receiver.url, vec![]).await;
    let id = made.endpoint.expect("an endpoint").id;
    receiver.away.store(true, Ordering::SeqCst);
    house.creates(a_boleto()).await;
    let before = receiver.next_signed(1).await;
    assert!(before.verifies_by(&made.secret).await, "the secret that was shown");

    let second = rotate(&house, &id, 3_600).await;
    let during = receiver.next_signed(2).await;
    assert!(during.verifies_by(&second).await, "the new secret");
    assert!(during.verifies_by(&made.secret).await, "the one before");
    assert_eq!((&during.headers["webhook-id"], &during.body), (&before.headers["webhook-id"], &before.body));

    let third = rotate(&house, &id, 0).await;
    let after = receiver.next_signed(1).await;
    assert!(after.verifies_by(&third).await, "the newest secret");
    for gone in [&second, &made.secret] {
        assert!(!after.verifies_by(gone).await, "one whose time is over");
    }
    receiver.away.store(false, Ordering::SeqCst);
    house.close().await;
}
