//! Somebody would like the house to call a machine behind its own walls, and writes that machine's address in every way there is:
//! into an endpoint, into a boleto, and past all checks into the table itself. Nobody behind the walls is ever called.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bursar::proto::notification::v1::endpoint::Destination;
use bursar::proto::notification::v1::{CreateEndpointRequest, Endpoint, SqsDestination, WebhookDestination};
use bursar::sandbox::{Behaviour, Party};
use bursar::store::pool;
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, Value};
use tokio::net::{TcpListener, TcpStream};
use tonic::Code;
use uuid::Uuid;

use crate::support::house::{House, Opened, PATIENCE, Refusal as _, a_boleto, eventually};

const TABLE: &str = include_str!("../fixtures/hostile_urls.txt");

/// Somebody behind the walls, who counts who calls.
struct Canary {
    port: u16,
    calls: Arc<AtomicUsize>,
}

impl Canary {
    async fn open() -> Self {
        let calls = Arc::new(AtomicUsize::new(0));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        // The same port under the other kind of address, where the machine has it.
        let other = TcpListener::bind(("::1", port)).await.ok();
        for listener in [Some(listener), other].into_iter().flatten() {
            let calls = calls.clone();
            tokio::spawn(async move {
                while listener.accept().await.is_ok() {
                    calls.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        Self { port, calls }
    }

    fn hostile_urls(&self) -> Vec<String> {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
        let urls: Vec<_> = lines.map(|line| line.replace("{port}", &self.port.to_string())).collect();
        assert!(urls.len() >= 60, "{}", urls.len());
        urls
    }

    /// Nobody called but we, just now: it does hear who calls.
    async fn was_never_called(&self) {
        assert_eq!(self.calls.load(Ordering::SeqCst), 0, "somebody was called");
        let _own = TcpStream::connect(("127.0.0.1", self.port)).await.expect("it listens");
        let calls = &self.calls;
        eventually("our own call", async || (calls.load(Ordering::SeqCst) == 1).then_some(())).await;
    }
}

/// A house that may call anybody at any port, but nobody behind its own walls.
async fn walled() -> Opened {
    let mut house = House::new().with("notification.attempts_max", "1");
    for channel in ["sqs", "webhook"] {
        for (key, value) in [
            ("schemes", r#"["http", "https"]"#),
            ("hosts", r#"["*"]"#),
            ("ports", "[]"),
            ("allow_loopback", "false"),
        ] {
            house = house.with(&format!("channels.{channel}.egress.{key}"), value);
        }
    }
    house.open().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_such_address_is_stored() {
    let canary = Canary::open().await;
    let house = walled().await;
    let mut endpoints = house.operator().endpoints;
    for url in canary.hostile_urls() {
        let webhook = Destination::Webhook(WebhookDestination { url: url.clone(), ..Default::default() });
        let queue_url = format!("{}/123456789012/shop", url.trim_end_matches('/'));
        let sqs = Destination::Sqs(SqsDestination { queue_url: queue_url.clone() });
        for (destination, field) in [(webhook, "endpoint.webhook.url"), (sqs, "endpoint.sqs.queue_url")] {
            let endpoint = Endpoint {
                destination: Some(destination),
                event_types: vec!["*".to_owned()],
                ..Endpoint::default()
            };
            let request = CreateEndpointRequest { endpoint: Some(endpoint) };
            let refused = endpoints.create_endpoint(request).await.expect_err(&url);
            assert_eq!(refused.code(), Code::InvalidArgument, "{url}");
            assert!(refused.fields().iter().any(|named| named == field), "{url}: {:?}", refused.fields());
        }
        let refused = house.shop().tries(a_boleto().told_to_queue(&queue_url)).await.expect_err(&url);
        assert_eq!(refused.fields(), ["queue_url"], "{url}");
    }
    canary.was_never_called().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_such_address_is_called_though_it_stands_in_the_table() {
    let canary = Canary::open().await;
    let house = walled().await;
    let urls = canary.hostile_urls();
    let secret = house.operator().webhook_secret().to_owned();
    let database = pool::connect(house.database_url()).await.expect("the database");
    for url in &urls {
        let destination = serde_json::json!({"channel": "webhook", "url": url, "secrets": [secret]});
        puts_in(&database, "webhook", url, &destination.to_string()).await;
    }
    house.shop().creates(a_boleto().told_to_subscribers()).await;
    let tried = eventually("every one of them was looked at", async || {
        let tried = outcomes(&database).await;
        (tried.len() == urls.len()).then_some(tried)
    })
    .await;
    assert!(tried.iter().all(|outcome| outcome == "misconfigured"), "{tried:?}");
    database.close().await.expect("the database lets go");
    canary.was_never_called().await;
    house.close().await;
}

async fn puts_in(database: &DatabaseConnection, channel: &str, target: &str, destination: &str) {
    let insert = "insert into endpoint (id, tenant_id, channel, destination, target, event_types, disabled, \
        created_at_us, updated_at_us) values ($1, 'default', $2, $3, $4, ',*,', 0, 0, 0)";
    let values: [Value; 4] = [Uuid::now_v7().into(), channel.into(), destination.into(), target.into()];
    let statement = Statement::from_sql_and_values(database.get_database_backend(), insert, values);
    database.execute_raw(statement).await.expect("a row");
}

/// What came of the attempts, one for each endpoint.
async fn outcomes(database: &DatabaseConnection) -> Vec<String> {
    let find = "select endpoint_id, max(outcome) as outcome from delivery_attempt group by endpoint_id";
    let statement = Statement::from_string(database.get_database_backend(), find);
    let rows = database.query_all_raw(statement).await.expect("rows");
    rows.iter().map(|row| row.try_get("", "outcome").expect("an outcome")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_sends_us_elsewhere_is_not_followed() {
    let canary = Canary::open().await;
    let house = House::new().open().await;
    house.operator().subscribes_webhook(&["*"]).await;
    for code in [301, 302, 303, 307, 308] {
        let to = format!("http://127.0.0.1:{}/", canary.port);
        house.script().webhook(Behaviour::Redirect { code, to });
    }
    let boleto = house.shop().creates(a_boleto().told_to_subscribers()).await;
    house.owner().hears(&boleto.id, 1).await;
    house.world().wait_for_asked(Party::Webhook, 6, PATIENCE).await.expect("asked again each time");
    house.operator().sees_all_work_done().await;
    assert_eq!(house.script().asked(Party::Webhook), 6);
    canary.was_never_called().await;
    house.close().await;
}
