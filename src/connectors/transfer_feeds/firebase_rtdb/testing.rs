//! Databases on loopback that do as a test tells them: a small tree with versions, and a wire on which bytes are said.
//!
//! **Owns** its port until it is dropped. For the tests of this folder alone.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::FirebaseRtdb;
use super::config::{FirebaseAudio, FirebaseCredentials, FirebasePaths, FirebaseRtdbConfig, Paging};
use super::{test_key, tree};
use crate::connectors::http::{HttpConfig, HttpUrl};
use crate::connectors::scripted::{Reply, Scripted, SecretFile, Seen, reply};
use crate::connectors::secret::SecretRef;

/// Longer than anything here takes.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// Settings for a database at this address, signed in as the emulator's owner.
pub(super) fn settings(address: SocketAddr) -> FirebaseRtdbConfig {
    FirebaseRtdbConfig {
        database_url: Some(HttpUrl::parse(&format!("http://{address}/?ns=demo")).unwrap()),
        credentials: FirebaseCredentials { emulator: true, ..FirebaseCredentials::default() },
        allow_loopback: true,
        timeout: Duration::from_secs(10),
        reconnect_base: Duration::from_millis(1),
        reconnect_cap: Duration::from_millis(20),
        ..nowhere()
    }
}

/// Settings for no database yet.
pub(super) fn nowhere() -> FirebaseRtdbConfig {
    const MIB: usize = 1024 * 1024;
    FirebaseRtdbConfig {
        database_url: None,
        credentials: FirebaseCredentials::default(),
        paths: FirebasePaths {
            transfers: "Transfer".to_owned(),
            claims: "claims".to_owned(),
            questionnaires: "Encuestas".to_owned(),
            people: "Personas".to_owned(),
            companies: "Cuenta".to_owned(),
            users: "Usuarios".to_owned(),
        },
        audio: FirebaseAudio {
            bucket: String::new(),
            expires_after: Duration::from_mins(15),
            base_url: None,
        },
        zone: "UTC".to_owned(),
        allow_loopback: false,
        redirect_hosts: Vec::new(),
        timeout: Duration::from_secs(30),
        idle_timeout: Duration::from_secs(50),
        token_leeway: Duration::from_mins(10),
        reconnect_base: Duration::from_secs(1),
        reconnect_cap: Duration::from_mins(1),
        listener_patience: Duration::from_secs(30),
        event_bytes_max: 16 * MIB,
        answer_bytes_max: 16 * MIB,
        group_records_max: 256,
        paging: Paging::ByKey,
        backlog_interval: Duration::from_mins(15),
        allow_unindexed: false,
    }
}

pub(super) fn feed(settings: FirebaseRtdbConfig) -> FirebaseRtdb {
    FirebaseRtdb::new(settings, &HttpConfig::default()).unwrap()
}

/// Where tokens are granted, `token-0`, `token-1` and so on, and the key file that says so.
pub(super) struct TokenDoor {
    pub(super) server: Scripted,
    pub(super) file: SecretFile,
}

impl TokenDoor {
    pub(super) async fn start(life_seconds: u64) -> Self {
        let granted = Mutex::new(0);
        Self::answering(move |_| {
            let mut granted = granted.lock().unwrap();
            let body =
                serde_json::json!({"access_token": format!("token-{granted}"), "expires_in": life_seconds});
            *granted += 1;
            reply(200, body.to_string())
        })
        .await
    }

    pub(super) async fn answering(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let server = Scripted::start(script).await;
        let file = SecretFile::new(&test_key::file(&server.url("/token")));
        Self { server, file }
    }

    pub(super) fn credentials(&self) -> FirebaseCredentials {
        let service_account = Some(SecretRef::parse(&self.file.reference()).unwrap());
        FirebaseCredentials { service_account, ..FirebaseCredentials::default() }
    }
}

/// A database that keeps what it is told.
pub(super) struct Database {
    pub(super) server: Scripted,
    tree: Arc<Mutex<Value>>,
}

impl Database {
    /// Before each request `meddle` may change the tree, or answer in its place; behind it `lose` may replace the answer.
    pub(super) async fn start(
        tree: Value,
        meddle: impl Fn(&Seen, &mut Value) -> Option<Reply> + Send + Sync + 'static,
        lose: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let tree = Arc::new(Mutex::new(tree));
        let held = Arc::clone(&tree);
        let server = Scripted::start(move |seen| {
            let mut tree = held.lock().unwrap();
            let answer = meddle(seen, &mut tree).unwrap_or_else(|| answer(seen, &mut tree));
            lose(seen).unwrap_or(answer)
        })
        .await;
        Self { server, tree }
    }

    pub(super) fn at(&self, pointer: &str) -> Value {
        self.tree.lock().unwrap().pointer(pointer).cloned().unwrap_or(Value::Null)
    }
}

/// Sets what stands at a path such as `Transfer/a`.
pub(super) fn set(tree: &mut Value, path: &str, data: Value) {
    let path: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    *tree = tree::with(std::mem::take(tree), &path, data);
}

fn answer(seen: &Seen, tree: &mut Value) -> Reply {
    let path = seen.path.strip_suffix(".json").unwrap();
    let here = tree.pointer(path.strip_suffix('/').unwrap_or(path)).cloned().unwrap_or(Value::Null);
    let etag = match &here {
        Value::Null => "null_etag".to_owned(),
        value => Sha256::digest(value.to_string()).iter().take(8).map(|byte| format!("{byte:02x}")).collect(),
    };
    let with_etag =
        |status| Reply::Answer { status, headers: vec![("etag", etag.clone())], body: here.to_string() };
    let wanted = seen.header("if-match");
    if !wanted.is_empty() && wanted != etag {
        return with_etag(412);
    }
    match seen.method.as_str() {
        "GET" if seen.header("x-firebase-etag") == "true" => with_etag(200),
        "GET" => reply(200, here.to_string()),
        "PUT" => {
            set(tree, path, seen.json());
            reply(200, seen.body.clone())
        }
        "DELETE" => {
            set(tree, path, Value::Null);
            reply(200, "null")
        }
        "PATCH" => {
            assert_eq!(seen.query, "ns=demo&print=silent");
            for (below, data) in seen.json().as_object().unwrap() {
                set(tree, &format!("{path}/{below}"), data.clone());
            }
            reply(204, "")
        }
        other => reply(405, other),
    }
}

/// What is said on one connection; behind the last step it is closed.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Say(Vec<u8>),
    /// Byte by byte, each on its own.
    Spell(Vec<u8>),
    /// Says nothing until the other side hangs up.
    Hold,
}

/// A server that answers each connection's one request with bytes.
pub(super) struct Wire {
    pub(super) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    hung_up: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Wire {
    /// `script` is given the number of the connection and the head of its request.
    pub(super) async fn start(script: impl Fn(usize, &str) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (log, script) = (Arc::clone(&heads), Arc::new(script));
        let (hang_up, hung_up) = watch::channel(0);
        let hang_up = Arc::new(hang_up);
        let task = tokio::spawn(async move {
            // Ends with the task, and with it every connection.
            let mut connections = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                let (log, script, hang_up) = (Arc::clone(&log), Arc::clone(&script), Arc::clone(&hang_up));
                connections.spawn(async move { converse(connection, &log, &*script, &hang_up).await });
            }
        });
        Self { address, heads, hung_up, task }
    }

    /// Waits until the other side has hung up on so many connections that were held.
    pub(super) async fn hung_up(&self, connections: usize) {
        let mut hung_up = self.hung_up.clone();
        let enough = timeout(DEADLINE, hung_up.wait_for(|count| *count >= connections)).await;
        assert!(enough.is_ok_and(|count| count.is_ok()));
    }

    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse(
    mut connection: TcpStream,
    log: &Mutex<Vec<String>>,
    script: &(impl Fn(usize, &str) -> Vec<Step> + Send + Sync),
    hang_up: &watch::Sender<usize>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match connection.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let number = {
        let mut log = log.lock().unwrap();
        log.push(head.clone());
        log.len() - 1
    };
    connection.set_nodelay(true).unwrap();
    for step in script(number, &head) {
        let said = match step {
            Step::Say(bytes) => connection.write_all(&bytes).await,
            Step::Spell(bytes) => spell(&mut connection, &bytes).await,
            Step::Hold => {
                let _ = connection.read(&mut [0; 64]).await;
                hang_up.send_modify(|count| *count += 1);
                return;
            }
        };
        if said.is_err() {
            return;
        }
    }
    let _ = connection.shutdown().await;
}

async fn spell(connection: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    for byte in bytes {
        connection.write_all(&[*byte]).await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// An answer with a JSON body.
pub(super) fn said(status: &str, body: &str) -> Step {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n");
    Step::Say(format!("{head}Connection: close\r\n\r\n{body}").into_bytes())
}

/// The head of a stream of events, without a length, as the service sends it.
pub(super) fn opening() -> Step {
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n\r\n";
    Step::Say(head.into())
}

pub(super) fn event(name: &str, data: &str) -> Step {
    Step::Say(format!("event: {name}\ndata: {data}\n\n").into_bytes())
}

pub(super) fn put(path: &str, data: &Value) -> Step {
    event("put", &serde_json::json!({"path": path, "data": data}).to_string())
}
