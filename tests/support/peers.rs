//! Judges and peers written by others: Python programs run and read, and a queue server started and stopped.
//!
//! **Owns** the processes that it starts, each ended by its own handle, however the test ends.
//! **Fails** a test that cannot find them: the README's test command brings them. Nothing is skipped in silence.
//! **Limits**: [`PATIENCE`] for each step.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// No step of a test takes longer unless something is wrong.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What a judge said, and the code with which it ended.
#[derive(Debug)]
pub struct Verdict {
    pub code: Option<i32>,
    /// Its standard output as JSON, or as text where it is none.
    pub said: Value,
    /// Its standard error.
    pub complaint: String,
}

impl Verdict {
    /// What it said, of a judge that found nothing wrong.
    #[track_caller]
    pub fn approved(self) -> Value {
        assert_eq!(self.code, Some(0), "{}\n{}", self.said, self.complaint);
        self.said
    }
}

/// Runs one of `tests/judges` to its end.
pub async fn judge(script: &str, arguments: &[&str], input: &str) -> Verdict {
    judge_within(PATIENCE, script, arguments, input).await
}

/// Runs one of `tests/judges` that may take as long as this.
pub async fn judge_within(patience: Duration, script: &str, arguments: &[&str], input: &str) -> Verdict {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges").join(script);
    let mut child = Command::new(named("BURSAR_TEST_PYTHON"))
        .arg(script)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the judge starts");
    let mut stdin = child.stdin.take().expect("it was piped");
    // A judge that ends before it has read everything says why by its code.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let ended = timeout(patience, child.wait_with_output()).await;
    let output = ended.expect("a judge ends in time").expect("a judge's output can be read");
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Verdict {
        code: output.status.code(),
        said: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        complaint: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn named(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} names a program; the README's test command sets it"))
}

/// A queue server written by others, on a port that it found free itself.
pub struct Moto {
    pub endpoint: String,
    child: Child,
}

impl Moto {
    /// Starts one and waits until it listens.
    pub async fn start() -> Self {
        let mut child = Command::new(named("BURSAR_TEST_MOTO"))
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the queue server starts");
        let mut lines = BufReader::new(child.stderr.take().expect("it was piped")).lines();
        let listening = async {
            loop {
                let line = lines.next_line().await.expect("its lines can be read");
                let line = line.expect("the queue server listens before it ends");
                if let Some((_, address)) = line.split_once("Running on ") {
                    return address.trim().to_owned();
                }
            }
        };
        let endpoint = timeout(PATIENCE, listening).await.expect("the queue server listens in time");
        // It writes a line for each request, and would wait for ever once nobody took them.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { endpoint, child }
    }

    /// Makes a queue by the usual client and returns its URL.
    pub async fn create_queue(&self, name: &str) -> String {
        let said = judge("sqs_peer.py", &[&self.endpoint, "create", name], "").await.approved();
        said.as_str().expect("a URL").to_owned()
    }

    /// What the queue holds, read by the usual client; it waits for so many messages, and a moment for one too many.
    pub async fn receive(&self, url: &str, messages: usize) -> Vec<Value> {
        let max = messages.to_string();
        let read = judge("sqs_peer.py", &[&self.endpoint, "receive", "--wait", "15", url, &max], "")
            .await
            .approved();
        let surplus = judge("sqs_peer.py", &[&self.endpoint, "receive", "--wait", "0", url, "10"], "").await;
        let mut received = read.as_array().expect("a list").clone();
        received.extend(surplus.approved().as_array().expect("a list").iter().cloned());
        received
    }

    /// Puts a message on the queue by the usual client.
    pub async fn send(&self, url: &str, body: &str) {
        judge("sqs_peer.py", &[&self.endpoint, "send", url, body], "").await.approved();
    }

    /// How many messages the queue holds, those included that somebody has in hand.
    pub async fn depth(&self, url: &str) -> u64 {
        let said = judge("sqs_peer.py", &[&self.endpoint, "depth", url], "").await.approved();
        said.as_u64().expect("a number")
    }

    /// Ends it as a crash would.
    pub async fn stop(mut self) {
        timeout(PATIENCE, self.child.kill()).await.expect("it ends").expect("it was ours to end");
    }
}
