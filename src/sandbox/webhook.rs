//! A webhook receiver that checks signatures as the Standard Webhooks specification says.
//!
//! **Owns** its secret.
//! **Fails** a message with 401 when its signature, id or timestamp does not hold, 503 when the ledger is broken.
//! **Limits**: bodies up to axum's 2 MB; timestamps up to five minutes from now.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::SandboxError;
use super::inbox::{Notice, ReceivedMessage};
use super::ledger::EffectKind;
use super::line::Line;
use super::outside::Outside;
use super::script::Party;

const TOLERANCE_S: i64 = 300;

/// The shared key, decoded.
#[derive(Clone)]
pub(super) struct Secret(Vec<u8>);

impl Secret {
    /// Reads the `whsec_…` form.
    pub fn parse(text: &str) -> Result<Self, SandboxError> {
        let invalid =
            |reason: &str| SandboxError::InvalidOption { option: "webhook_secret", reason: reason.into() };
        let encoded = text.strip_prefix("whsec_").ok_or_else(|| invalid("does not start with whsec_"))?;
        let key = STANDARD.decode(encoded).map_err(|_| invalid("is not base64 after whsec_"))?;
        if key.is_empty() { Err(invalid("is empty")) } else { Ok(Secret(key)) }
    }
}

struct Receiver {
    outside: Arc<Outside>,
    secret: Option<Secret>,
}

pub(super) fn router(outside: Arc<Outside>, secret: Option<Secret>) -> Router {
    let receiver = Arc::new(Receiver { outside, secret });
    Router::new().route("/hooks/{name}", post(receive)).with_state(receiver)
}

async fn receive(
    State(receiver): State<Arc<Receiver>>,
    ConnectInfo(line): ConnectInfo<Line>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let script = receiver.outside.script.clone();
    script
        .perform(Party::Webhook, &line, move |orders| async move {
            if orders.refuse.is_some() {
                return StatusCode::BAD_REQUEST.into_response();
            }
            receiver.take(&name, &headers, &body).await.into_response()
        })
        .await
}

impl Receiver {
    async fn take(&self, name: &str, headers: &HeaderMap, body: &[u8]) -> StatusCode {
        let Ok(text) = std::str::from_utf8(body) else { return StatusCode::BAD_REQUEST };
        if let Some(secret) = &self.secret
            && let Err(fault) = verify(secret, headers, body, Utc::now().timestamp())
        {
            self.outside.screen.say("owner", format_args!("webhook 401  {fault}"));
            return StatusCode::UNAUTHORIZED;
        }
        let header = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
        let notice = Notice::read(text, header);
        if self.outside.ledger.record(vec![notice.effect(EffectKind::OwnerWebhook, name)]).await.is_err() {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        let attributes: BTreeMap<_, _> =
            headers.keys().filter_map(|key| Some((key.to_string(), header(key.as_str())?))).collect();
        self.outside.inbox.keep(ReceivedMessage {
            at: Utc::now(),
            channel: "webhook".into(),
            destination: name.into(),
            attributes,
            body: text.into(),
        });
        self.outside.news.spread();
        self.outside.screen.say("owner", format_args!("webhook 204  {}", notice.line()));
        StatusCode::NO_CONTENT
    }
}

/// Says what does not hold, if anything.
fn verify(secret: &Secret, headers: &HeaderMap, body: &[u8], now_s: i64) -> Result<(), &'static str> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let id = header("webhook-id").filter(|id| !id.is_empty()).ok_or("webhook-id missing")?;
    let timestamp = header("webhook-timestamp").ok_or("webhook-timestamp missing")?;
    let signatures = header("webhook-signature").ok_or("webhook-signature missing")?;
    let sent_s: i64 = timestamp.parse().map_err(|_| "webhook-timestamp is not a number of seconds")?;
    if now_s.abs_diff(sent_s) > TOLERANCE_S.unsigned_abs() {
        return Err("webhook-timestamp too far from now");
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret.0).map_err(|_| "secret unusable")?;
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    let matches =
        signatures.split(' ').filter_map(|signature| signature.strip_prefix("v1,")).any(|encoded| {
            STANDARD.decode(encoded).is_ok_and(|signature| mac.clone().verify_slice(&signature).is_ok())
        });
    if matches { Ok(()) } else { Err("webhook-signature does not match") }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde_json::json;

    use super::*;
    use crate::sandbox::client::{Client, TempDir};
    use crate::sandbox::{Behaviour, World, WorldOptions};

    // The example that the specification's reference libraries use in their own tests.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn example() -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", HeaderValue::from_static("msg_p5jXN8AQM9LWM0D4loKWxJek"));
        headers.insert("webhook-timestamp", HeaderValue::from_static("1614265330"));
        headers.insert("webhook-signature", HeaderValue::from_static(SIGNATURE));
        headers
    }

    #[test]
    fn the_published_example_holds_and_nothing_near_it() {
        let secret = Secret::parse(SECRET).unwrap();
        let (body, now) = (br#"{"test": 2432232314}"#, 1_614_265_330);
        assert_eq!(verify(&secret, &example(), body, now), Ok(()));
        assert_eq!(verify(&secret, &example(), body, now + 300), Ok(()));
        assert!(verify(&secret, &example(), body, now + 301).is_err());
        assert!(verify(&secret, &example(), br#"{"test": 2432232315}"#, now).is_err());
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            let mut headers = example();
            headers.remove(name);
            assert!(verify(&secret, &headers, body, now).is_err(), "{name}");
        }
        let mut headers = example();
        let two = HeaderValue::from_str(&format!("v1,AAAA {SIGNATURE}")).unwrap();
        headers.insert("webhook-signature", two);
        assert_eq!(verify(&secret, &headers, body, now), Ok(()));
    }

    #[test]
    fn a_secret_must_be_whsec_and_base64() {
        for bad in ["", "MfKQ9r8G", "whsec_", "whsec_***"] {
            assert!(Secret::parse(bad).is_err(), "{bad}");
        }
    }

    fn signed(body: &str) -> Vec<(&'static str, String)> {
        let timestamp = Utc::now().timestamp().to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(&Secret::parse(SECRET).unwrap().0).unwrap();
        mac.update(format!("evt_1.{timestamp}.{body}").as_bytes());
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        vec![
            ("webhook-id", "evt_1".into()),
            ("webhook-timestamp", timestamp),
            ("webhook-signature", signature),
        ]
    }

    #[tokio::test]
    async fn a_signed_message_is_kept_and_a_forged_one_is_not() {
        let dir = TempDir::new();
        let options =
            WorldOptions { webhook_secret: Some(SECRET.into()), ..WorldOptions::in_dir(dir.path()) };
        let world = World::open(options).await.unwrap();
        let client = Client::new();
        let url = &world.addresses().webhook_url;
        let body = json!({"boleto_id": "b1", "type": "boleto.registered", "version": 2}).to_string();

        let taken = client.post(url, signed(&body), &body).await.unwrap();
        assert_eq!((taken.status, taken.body.as_str()), (204, ""));
        let forged = client.post(url, signed(&body), &body.replace("b1", "b2")).await.unwrap();
        assert_eq!(forged.status, 401);

        let effects = world.effects();
        assert_eq!(effects.len(), 1);
        assert_eq!((effects[0].kind, effects[0].key.as_str()), (EffectKind::OwnerWebhook, "b1+evt_1"));
        assert_eq!(effects[0].detail["version"], 2);
        assert_eq!(world.messages()[0].body, body);
        assert_eq!(world.script().asked(Party::Webhook), 2);
        world.close().await;
    }

    #[tokio::test]
    async fn a_message_can_be_taken_without_an_answer() {
        let dir = TempDir::new();
        let world = World::open(WorldOptions::in_dir(dir.path())).await.unwrap();
        world.script().webhook(Behaviour::accept_then_drop());
        let client = Client::new();
        assert!(client.post(&world.addresses().webhook_url, vec![], "{}").await.is_err());
        assert_eq!(world.effects().len(), 1);
        world.script().webhook(Behaviour::status(410));
        assert_eq!(client.post(&world.addresses().webhook_url, vec![], "{}").await.unwrap().status, 410);
        assert_eq!(world.effects().len(), 1);
        world.close().await;
    }
}
