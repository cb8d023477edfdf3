//! A NATS server written by others, with JetStream on, and a stream's content as its own client reads it.
//!
//! **Owns** the server's process, ended however the test ends, and a folder that goes with it. **Fails** a test that cannot
//! find the server: `.ci/peers` brings it beside the judges. **Limits**: loopback; [`PATIENCE`] for each step.

use std::path::Path;
use std::process::Stdio;

use async_nats::jetstream;
use async_nats::jetstream::stream::{Config, Stream};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::peers::PATIENCE;
use crate::small_house::Folder;

/// The server, running or down.
pub struct NatsServer {
    pub folder: Folder,
    port: u16,
    settings: String,
    child: Option<Child>,
}

impl NatsServer {
    /// Starts one on a free port, with these settings beside the usual ones.
    pub async fn start(settings: &str) -> Self {
        Self::start_in(Folder::new(), settings).await
    }

    /// Starts one in a folder that holds what its settings name.
    pub async fn start_in(folder: Folder, settings: &str) -> Self {
        let mut server = Self { folder, port: 0, settings: settings.to_owned(), child: None };
        server.come_up().await;
        server
    }

    /// Where it is, or was.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Ends it as a crash would.
    pub async fn go_down(&mut self) {
        let mut child = self.child.take().expect("a server that is up");
        timeout(PATIENCE, child.kill()).await.expect("it ends").expect("it was ours to end");
    }

    /// Starts it again where it was, on what it had stored.
    pub async fn come_up(&mut self) {
        let port = if self.port == 0 { "-1".to_owned() } else { self.port.to_string() };
        let path = self.folder.path().join("nats-server.conf");
        let store = self.folder.path().join("jetstream");
        let text = format!(
            "host: \"127.0.0.1\"\nport: {port}\njetstream {{ store_dir: \"{}\" }}\n{}\n",
            store.display(),
            self.settings
        );
        std::fs::write(&path, text).expect("a file of settings");
        let python = std::env::var("BURSAR_TEST_PYTHON").expect("the README's test command sets it");
        let mut child = Command::new(Path::new(&python).with_file_name("nats-server"))
            .arg("--config")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the NATS server starts");
        let mut lines = BufReader::new(child.stderr.take().expect("it was piped")).lines();
        let listening = async {
            let mut said = Vec::new();
            while let Some(line) = lines.next_line().await.expect("its lines can be read") {
                if let Some((_, address)) = line.split_once("Listening for client connections on ") {
                    let (_, port) = address.trim().rsplit_once(':').expect("an address with its port");
                    return port.parse().expect("a port");
                }
                said.push(line);
            }
            panic!("the NATS server ended before it listened: {said:#?}");
        };
        self.port = timeout(PATIENCE, listening).await.expect("the NATS server listens in time");
        // It writes a line now and then, and would wait for ever once nobody took them.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        self.child = Some(child);
    }

    /// An operator's own client.
    pub async fn client(&self) -> jetstream::Context {
        jetstream::new(async_nats::connect(self.url()).await.expect("a server that is up"))
    }

    /// Makes a stream that listens to everything below `owners`.
    pub async fn create_stream(&self, config: Config) -> Stream {
        let config = Config { name: "OWNERS".to_owned(), subjects: vec!["owners.>".to_owned()], ..config };
        self.client().await.create_stream(config).await.expect("a stream")
    }
}

/// A message of a stream.
#[derive(Debug, PartialEq, Eq)]
pub struct Stored {
    pub subject: String,
    pub id: String,
    pub event_type: String,
    pub version: String,
    pub traceparent: Option<String>,
    pub body: String,
}

/// All that a stream holds, in its order.
pub async fn stored(stream: &Stream) -> Vec<Stored> {
    let info = stream.get_info().await.expect("a stream tells of itself");
    let mut all = Vec::new();
    for sequence in 1..=info.state.last_sequence {
        let message = stream.get_raw_message(sequence).await.expect("a message");
        let header = |name: &str| message.headers.get(name).map(|value| value.as_str().to_owned());
        all.push(Stored {
            subject: message.subject.to_string(),
            id: header("Nats-Msg-Id").expect("an id"),
            event_type: header("Bursar-Event-Type").expect("a type"),
            version: header("Bursar-Version").expect("a version"),
            traceparent: header("traceparent"),
            body: String::from_utf8(message.payload.to_vec()).expect("text"),
        });
    }
    all
}
