//! A server on loopback that answers as a test tells it to and remembers what it was asked.
//!
//! **Owns** its port until it is dropped. For the tests of this room alone.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Response};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::secret::SecretRef;
use super::secret::policy::{SecretPolicy, SecretsConfig};

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// What the server does with a request.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// Never answers.
    Hang,
}

pub(super) fn reply(status: u16, body: impl Into<String>) -> Reply {
    Reply::Answer { status, headers: Vec::new(), body: body.into() }
}

pub(super) fn reply_with(status: u16, name: &'static str, value: impl Into<String>) -> Reply {
    Reply::Answer { status, headers: vec![(name, value.into())], body: String::new() }
}

pub(super) struct Scripted {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Scripted {
    pub(super) async fn start(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, log) = (Arc::new(script), Arc::clone(&seen));
        let router = Router::new().fallback(move |request: Request| {
            let (script, log) = (Arc::clone(&script), Arc::clone(&log));
            async move {
                let (parts, body) = request.into_parts();
                let body = to_bytes(body, usize::MAX).await.unwrap();
                let seen = Seen {
                    method: parts.method.to_string(),
                    path: parts.uri.path().to_owned(),
                    query: parts.uri.query().unwrap_or_default().to_owned(),
                    headers: parts.headers,
                    body: String::from_utf8(body.to_vec()).unwrap(),
                };
                log.lock().unwrap().push(seen.clone());
                match script(&seen) {
                    Reply::Hang => std::future::pending().await,
                    Reply::Answer { status, headers, body } => {
                        let mut response = Response::builder().status(status);
                        for (name, value) in headers {
                            response = response.header(name, value);
                        }
                        response.body(Body::from(body)).unwrap()
                    }
                }
            }
        });
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, seen, task }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A server that takes a request and hangs up without a word.
pub(super) async fn hanging_up() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut taken = [0; 1024];
            let _ = connection.read(&mut taken).await;
        }
    });
    address
}

/// An address at which nobody listens.
pub(super) async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Lets callers name whatever a test makes up.
pub(super) fn any_secret() -> SecretPolicy {
    SecretPolicy::new(SecretsConfig {
        env_prefixes: vec!["BURSAR_TEST_".to_owned()],
        folders: vec![std::env::temp_dir()],
        ..SecretsConfig::default()
    })
}

/// The same, and secrets are kept by this key.
pub(super) fn any_secret_kept_by(key: &SecretFile) -> SecretPolicy {
    let key = Some(SecretRef::parse(&key.reference()).unwrap());
    SecretPolicy::new(SecretsConfig { folders: vec![std::env::temp_dir()], key, ..SecretsConfig::default() })
}

/// A file with a secret, gone when dropped.
pub(super) struct SecretFile(std::path::PathBuf);

impl SecretFile {
    pub(super) fn new(value: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bursar-test-{}", uuid::Uuid::now_v7()));
        std::fs::write(&path, value).unwrap();
        Self(path)
    }

    pub(super) fn reference(&self) -> String {
        format!("file:{}", self.0.display())
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
