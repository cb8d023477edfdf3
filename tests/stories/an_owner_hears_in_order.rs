//! An owner's receiver stumbles over one boleto's news. What happened to it later is held back behind that, so that the owner
//! hears of it in the order in which it happened; what became of another boleto is not held up.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use bursar::proto::boleto::v1::{Boleto, RecordPaymentRequest};
use bursar::proto::control::v1::{PauseQueueRequest, ResumeQueueRequest};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::support::database::Kind;
use crate::support::house::{House, Opened, PATIENCE, a_boleto};

const DELIVERIES: &str = "delivery/webhook/";
/// Times that each of the stubborn boleto's messages is turned away once it may be taken at all.
const STUMBLES: usize = 2;

/// What a receiver was sent, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hook {
    boleto_id: String,
    version: i64,
    event_id: String,
    taken: bool,
}

/// A receiver that turns one boleto's messages away: all of them until another boleto's has come, then each so many times.
#[derive(Default)]
struct Desk {
    stubborn: String,
    hooks: Mutex<Vec<Hook>>,
    news: Notify,
}

struct Receiver {
    url: String,
    desk: Arc<Desk>,
    task: JoinHandle<()>,
}

async fn take(State(desk): State<Arc<Desk>>, body: String) -> StatusCode {
    let body: Value = serde_json::from_str(&body).expect("JSON");
    let text = |name: &str| body[name].as_str().expect("text").to_owned();
    let (boleto_id, event_id) = (text("boleto_id"), text("event_id"));
    let version = body["version"].as_i64().expect("a number");
    let mut hooks = desk.hooks.lock().expect("whole");
    let is_free = hooks.iter().any(|hook| hook.taken && hook.boleto_id != desk.stubborn);
    let turned_away =
        hooks.iter().filter(|hook| hook.event_id == event_id && !hook.taken).count() >= STUMBLES;
    let taken = boleto_id != desk.stubborn || (is_free && turned_away);
    hooks.push(Hook { boleto_id, version, event_id, taken });
    desk.news.notify_one();
    if taken { StatusCode::NO_CONTENT } else { StatusCode::SERVICE_UNAVAILABLE }
}

impl Receiver {
    async fn open(listener: TcpListener, stubborn: &str) -> Self {
        let url = url_of(&listener);
        let desk = Arc::new(Desk { stubborn: stubborn.to_owned(), ..Desk::default() });
        let router = Router::new().route("/hooks/shop", post(take)).with_state(desk.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { url, desk, task }
    }

    /// Waits until so many messages were taken, and returns all that came.
    async fn took(&self, messages: usize) -> Vec<Hook> {
        let enough = async {
            loop {
                let hooks = self.desk.hooks.lock().expect("whole").clone();
                if hooks.iter().filter(|hook| hook.taken).count() >= messages {
                    return hooks;
                }
                self.desk.news.notified().await;
            }
        };
        tokio::time::timeout(PATIENCE, enough).await.unwrap_or_else(|_| {
            panic!("{} are not all taken: {:?}", self.url, self.desk.hooks.lock().expect("whole"))
        })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn url_of(listener: &TcpListener) -> String {
    format!("http://{}/hooks/shop", listener.local_addr().expect("an address"))
}

/// Registered, paid in three parts and the rest: five events.
async fn paid_in_parts(house: &Opened) -> Boleto {
    let boleto = house.shop().creates(a_boleto().told_to_subscribers()).await;
    for (part, cents) in [1_000, 2_000, 3_000, 6_590].into_iter().enumerate() {
        let request = RecordPaymentRequest {
            id: boleto.id.clone(),
            payment_id: format!("part {part}"),
            paid_amount_cents: cents,
            partial: true,
            ..RecordPaymentRequest::default()
        };
        house.shop().boletos.record_payment(request).await.expect("written down");
    }
    house.shop().gets(&boleto.id).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_embedded_store() {
    later_news_waits_for_earlier_news_of_the_same_boleto(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql() {
    later_news_waits_for_earlier_news_of_the_same_boleto(Kind::PostgreSql).await;
}

async fn later_news_waits_for_earlier_news_of_the_same_boleto(kind: Kind) {
    let house = House::new().on(kind).open().await;
    let mut control = house.operator().control.clone();
    let pause =
        PauseQueueRequest { name: DELIVERIES.to_owned(), reason: "until all has happened".to_owned() };
    control.pause_queue(pause).await.expect("a pause");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    house.operator().subscribes_webhook_at(&url_of(&listener), &["*"], vec![]).await;
    let stubborn = paid_in_parts(&house).await;
    let other = house.shop().creates(a_boleto().told_to_subscribers()).await;
    let receiver = Receiver::open(listener, &stubborn.id).await;
    let resume = ResumeQueueRequest { name: DELIVERIES.to_owned(), ..Default::default() };
    control.resume_queue(resume).await.expect("an end of the pause");

    let hooks = receiver.took(6).await;
    house.operator().sees_all_work_done().await;
    let first_taken = hooks.iter().find(|hook| hook.taken).expect("one was taken");
    assert_eq!(first_taken.boleto_id, other.id, "the other boleto is not held up");
    let own: Vec<&Hook> = hooks.iter().filter(|hook| hook.boleto_id == stubborn.id).collect();
    let mut taken_so_far = 0;
    for (at, hook) in own.iter().enumerate() {
        if let Some(before) = own[..at].last().filter(|before| before.version != hook.version) {
            assert!(before.taken, "version {} came before {} was taken", hook.version, before.version);
        }
        assert!(hook.version > taken_so_far, "version {} after {taken_so_far} was taken", hook.version);
        if hook.taken {
            taken_so_far = hook.version;
        }
    }
    assert_eq!(taken_so_far, stubborn.version, "all was told in the end");
    let ids: BTreeSet<&str> = own.iter().map(|hook| hook.event_id.as_str()).collect();
    assert_eq!(ids.len(), 5, "an event keeps its id however often it comes");
    house.close().await;
}
