//! Steers the world from another process, over HTTP and JSON.
//!
//! **Owns** nothing.
//! **Fails** with 400 or 422 and axum's own words when a request is not understood; a payment that nobody takes with 404
//! or 409.
//! **Limits**: loopback, like the rest; whoever reaches it may do everything.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::aspsp::{self, Aspsps};
use super::banks::cashier::{Cashier, NotPaid};
use super::banks::file::Payment;
use super::firebase::{self, Firebase};
use super::inbox::{ReceivedMessage, table};
use super::ledger::{Effect, EffectKind};
use super::outside::Outside;
use super::script::{Behaviour, Party, Times};

pub(super) fn router(
    outside: Arc<Outside>,
    cashier: Arc<Cashier>,
    firebase: Firebase,
    aspsps: Aspsps,
) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/script", post(script))
        .route("/clear", post(clear))
        .route("/release", post(release))
        .route("/expire-tokens", post(expire_tokens))
        .route("/inter-polls", post(inter_polls))
        .route("/counts", get(counts))
        .route("/effects", get(effects))
        .route("/messages", get(messages))
        .route("/inbox", get(inbox))
        .with_state(outside)
        .merge(Router::new().route("/pay", post(pay)).with_state(cashier))
        .merge(firebase::control_router(firebase))
        .merge(aspsp::control_router(aspsps))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Addition {
    party: Party,
    behaviour: Behaviour,
    /// A number, or `"always"`.
    #[serde(default = "once")]
    times: Times,
}

fn once() -> Times {
    Times::Count(1)
}

async fn script(State(outside): State<Arc<Outside>>, Json(addition): Json<Addition>) -> StatusCode {
    outside.script.add(addition.party, addition.behaviour, addition.times);
    StatusCode::NO_CONTENT
}

/// Somebody pays a title, at whichever bank it is; answers the effect.
async fn pay(
    State(cashier): State<Arc<Cashier>>,
    Json(payment): Json<Payment>,
) -> Result<Json<Effect>, (StatusCode, String)> {
    cashier.pay(&payment).await.map(Json).map_err(|not_paid| {
        let status = match not_paid {
            NotPaid::Unknown => StatusCode::NOT_FOUND,
            NotPaid::Several | NotPaid::Closed => StatusCode::CONFLICT,
            NotPaid::NotRecorded => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, format!("{not_paid}\n"))
    })
}

async fn clear(State(outside): State<Arc<Outside>>) -> StatusCode {
    outside.script.clear_all();
    StatusCode::NO_CONTENT
}

async fn release(State(outside): State<Arc<Outside>>) -> StatusCode {
    outside.script.release();
    StatusCode::NO_CONTENT
}

async fn expire_tokens(State(outside): State<Arc<Outside>>) -> StatusCode {
    outside.script.expire_tokens();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InterPolls {
    /// How often a new charge is found in process.
    polls: u32,
}

async fn inter_polls(State(outside): State<Arc<Outside>>, Json(wanted): Json<InterPolls>) -> StatusCode {
    outside.script.set_inter_polls(wanted.polls);
    StatusCode::NO_CONTENT
}

async fn counts(State(outside): State<Arc<Outside>>) -> Json<Value> {
    Json(json!({"asked": outside.script.counts(), "held": outside.script.held()}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    kind: Option<EffectKind>,
}

async fn effects(State(outside): State<Arc<Outside>>, Query(filter): Query<Filter>) -> Json<Vec<Effect>> {
    let wanted = |effect: &&Effect| filter.kind.is_none_or(|kind| effect.kind == kind);
    Json(outside.ledger.kept().iter().filter(wanted).cloned().collect())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    #[serde(default)]
    format: Format,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Text,
    Json,
}

/// Everything that came, by every channel, in one list: a table for people, or JSON.
async fn inbox(State(outside): State<Arc<Outside>>, Query(form): Query<Form>) -> Response {
    let messages = outside.inbox.messages();
    match form.format {
        Format::Text => table(&messages).into_response(),
        Format::Json => {
            Json(messages.iter().map(ReceivedMessage::listed).collect::<Vec<_>>()).into_response()
        }
    }
}

async fn messages(State(outside): State<Arc<Outside>>) -> Json<Vec<ReceivedMessage>> {
    Json(outside.inbox.messages())
}

#[cfg(test)]
mod tests {
    use crate::sandbox::client::{Client, TempDir};
    use crate::sandbox::{World, WorldOptions};
    use serde_json::json;

    #[tokio::test]
    async fn another_process_scripts_counts_and_reads() {
        let dir = TempDir::new();
        let world = World::open(WorldOptions::in_dir(dir.path())).await.unwrap();
        let (client, addresses) = (Client::new(), world.addresses());
        let at = |path: &str| format!("{}{path}", addresses.control_url);
        let json_type = || vec![("content-type", "application/json".to_owned())];
        assert_eq!(client.get(&at("/healthz"), vec![]).await.unwrap().body, "ok\n");

        let addition =
            json!({"party": "webhook", "behaviour": {"status": {"code": 503}}, "times": 2}).to_string();
        assert_eq!(client.post(&at("/script"), json_type(), &addition).await.unwrap().status, 204);
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(client.post(&addresses.webhook_url, vec![], "{}").await.unwrap().status);
        }
        assert_eq!(statuses, [503, 503, 204]);
        assert_eq!(client.get(&at("/counts"), vec![]).await.unwrap().json()["asked"]["webhook"], 3);
        let all = client.get(&at("/effects?kind=owner.webhook"), vec![]).await.unwrap().json();
        assert_eq!(all.as_array().unwrap().len(), 1);
        let none = client.get(&at("/effects?kind=bank.registered"), vec![]).await.unwrap().json();
        assert_eq!(none, json!([]));
        assert_eq!(client.get(&at("/messages"), vec![]).await.unwrap().json()[0]["body"], "{}");
        let listed = client.get(&at("/inbox?format=json"), vec![]).await.unwrap().json();
        assert_eq!(listed[0]["channel"], "webhook");
        assert_eq!(client.get(&at("/inbox"), vec![]).await.unwrap().body.lines().count(), 2);
        assert_eq!(client.get(&at("/inbox?format=xml"), vec![]).await.unwrap().status, 400);

        for bad in
            [json!({"party": "mars", "behaviour": "hang"}), json!({"party": "sqs", "behaviour": "sulk"})]
        {
            let refused = client.post(&at("/script"), json_type(), &bad.to_string()).await.unwrap();
            assert_eq!(refused.status, 422);
        }
        world.close().await;
    }

    #[tokio::test]
    async fn a_held_request_goes_on_when_it_is_released() {
        let dir = TempDir::new();
        let world = World::open(WorldOptions::in_dir(dir.path())).await.unwrap();
        let (client, addresses) = (Client::new(), world.addresses().clone());
        let json_type = vec![("content-type", "application/json".to_owned())];
        let hold = json!({"party": "webhook", "behaviour": {"accept_then": "hold"}}).to_string();
        client.post(&format!("{}/script", addresses.control_url), json_type, &hold).await.unwrap();
        let waiting = tokio::spawn({
            let (client, url) = (client.clone(), addresses.webhook_url.clone());
            async move { client.post(&url, vec![], "{}").await.unwrap().status }
        });
        world.wait_for_held(1, std::time::Duration::from_secs(5)).await.unwrap();
        // It is held after its effect, which is therefore in the ledger.
        assert_eq!(world.effects().len(), 1);
        client.post(&format!("{}/release", addresses.control_url), vec![], "").await.unwrap();
        assert_eq!(waiting.await.unwrap(), 204);
        world.close().await;
    }

    #[tokio::test]
    async fn a_payment_comes_from_another_process() {
        let dir = TempDir::new();
        let world = World::open(WorldOptions::in_dir(dir.path())).await.unwrap();
        let caller = crate::sandbox::banks::testing::Caller::basic();
        let url = format!("{}/pay", world.addresses().control_url);
        let payment = json!({"title": "1", "amount_cents": 100, "on": "2026-12-01", "by": "pix"});
        assert_eq!(caller.posts(&url, &payment).await.status, 404);
        let cheque = json!({"title": "1", "amount_cents": 100, "on": "2026-12-01", "by": "cheque"});
        assert_eq!(caller.posts(&url, &cheque).await.status, 422);
        let polls = format!("{}/inter-polls", world.addresses().control_url);
        assert_eq!(caller.posts(&polls, &json!({"polls": 3})).await.status, 204);
        assert_eq!(world.script().inter_polls(), 3);
        world.close().await;
    }
}
