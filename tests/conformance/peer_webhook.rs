//! Webhooks of a whole house, judged by the reference library of Standard Webhooks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bursar::proto::boleto::v1 as boleto;
use bursar::proto::notification::v1::endpoint::Destination;
use bursar::proto::notification::v1::endpoint_service_client::EndpointServiceClient;
use bursar::proto::notification::v1::{CreateEndpointRequest, Endpoint, WebhookDestination};
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

/// An owner's own server. It is away for the first request and takes every other.
struct Receiver {
    url: String,
    hooks: mpsc::UnboundedReceiver<Hook>,
}

#[derive(Clone)]
struct Desk {
    hooks: mpsc::UnboundedSender<Hook>,
    asked: Arc<AtomicU64>,
}

async fn take(State(desk): State<Desk>, headers: HeaderMap, body: String) -> StatusCode {
    let text = |value: &axum::http::HeaderValue| value.to_str().expect("visible text").to_owned();
    let headers = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    desk.hooks.send(Hook { headers, body }).expect("the test listens");
    match desk.asked.fetch_add(1, Ordering::SeqCst) {
        0 => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::NO_CONTENT,
    }
}

impl Receiver {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/hooks", listener.local_addr().expect("an address"));
        let (sender, hooks) = mpsc::unbounded_channel();
        let desk = Desk { hooks: sender, asked: Arc::default() };
        let router = Router::new().route("/hooks", post(take)).with_state(desk);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, hooks }
    }

    async fn next(&mut self) -> Hook {
        let hook = tokio::time::timeout(PATIENCE, self.hooks.recv()).await;
        hook.expect("a webhook comes in time").expect("the receiver lives")
    }
}

impl Hook {
    async fn judged(&self, key: &[u8], body: &str) -> Verdict {
        let input = json!({"secret": secret(key), "headers": self.headers, "body": body});
        judge("webhook_verify.py", &[], &input.to_string()).await
    }

    async fn verifies(&self, key: &[u8]) -> bool {
        let verdict = self.judged(key, &self.body).await;
        match verdict.code {
            Some(0) => true,
            Some(1) => false,
            _ => panic!("the judge could not judge: {verdict:?}"),
        }
    }
}

async fn subscribe(house: &SmallHouse, url: &str, secrets: Vec<String>) {
    let destination = Destination::Webhook(WebhookDestination { url: url.to_owned(), secrets });
    let endpoint =
        Endpoint { destination: Some(destination), event_types: vec!["*".to_owned()], ..Endpoint::default() };
    let request = CreateEndpointRequest { endpoint: Some(endpoint) };
    EndpointServiceClient::new(house.channel.clone()).create_endpoint(request).await.expect("a subscription");
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
    assert_eq!(hook.judged(NEW_KEY, &tampered).await.code, Some(1), "another body");
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
