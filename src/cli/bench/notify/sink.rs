//! Receivers that take everything at once and count it: webhooks, and a queue service that speaks as much of SQS as is spoken to
//! it. Connections stay open for as long as the sender likes.
//!
//! **Owns** its port. **Fails** never: what it cannot read it takes for one message. **Limits**: loopback, a free port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval};

const LOOK_EVERY: Duration = Duration::from_millis(2);
/// If nothing arrives for so long, nothing will.
const STALL_PATIENCE: Duration = Duration::from_secs(60);

/// The receivers.
pub(super) struct Sink {
    pub address: SocketAddr,
    taken: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Sink {
    pub async fn open() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no free port for the receivers")?;
        let address = listener.local_addr()?;
        let taken = Arc::new(AtomicU64::new(0));
        let router = Router::new()
            .route("/hooks/{name}", post(hook))
            .route("/", post(queue))
            .with_state(taken.clone());
        let task = tokio::spawn(async move {
            // It ends when its owner drops it.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, taken, task })
    }

    /// Messages taken so far.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Waits until so many have been taken in all.
    pub async fn until_taken(&self, messages: u64) -> anyhow::Result<()> {
        let (mut seen, mut since) = (self.taken(), Instant::now());
        let mut looks = interval(LOOK_EVERY);
        while seen < messages {
            looks.tick().await;
            let taken = self.taken();
            if taken > seen {
                (seen, since) = (taken, Instant::now());
            }
            anyhow::ensure!(
                since.elapsed() < STALL_PATIENCE,
                "{seen} of {messages} messages came, and no more"
            );
        }
        Ok(())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn hook(State(taken): State<Arc<AtomicU64>>, _body: Bytes) -> StatusCode {
    taken.fetch_add(1, Ordering::Relaxed);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Sent {
    #[serde(default)]
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    id: String,
}

async fn queue(State(taken): State<Arc<AtomicU64>>, body: Bytes) -> String {
    let sent: Sent = serde_json::from_slice(&body).unwrap_or(Sent { entries: vec![] });
    taken.fetch_add(sent.entries.len().max(1) as u64, Ordering::Relaxed);
    if sent.entries.is_empty() {
        return json!({"MessageId": "m"}).to_string();
    }
    let each = |entry: &Entry| json!({"Id": entry.id, "MessageId": "m"});
    let successful: Vec<Value> = sent.entries.iter().map(each).collect();
    json!({"Successful": successful, "Failed": []}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whatever_comes_is_taken_and_counted_by_message() {
        crate::connectors::http::install_crypto_provider();
        let sink = Sink::open().await.expect("receivers");
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let send = |path: &str, body: &'static str| {
            let request = client.post(format!("http://{}{path}", sink.address)).body(body);
            async move { request.send().await.expect("an answer").text().await.expect("text") }
        };
        assert_eq!(send("/hooks/a", "{}").await, "");
        assert_eq!(send("/", r#"{"QueueUrl":"q","MessageBody":"{}"}"#).await, r#"{"MessageId":"m"}"#);
        let answer = send("/", r#"{"QueueUrl":"q","Entries":[{"Id":"0"},{"Id":"1"}]}"#).await;
        assert!(answer.contains(r#""Id":"1""#), "{answer}");
        sink.until_taken(4).await.expect("four");
        assert_eq!(sink.taken(), 4);
    }
}
