//! The peer: graphile-worker, run by `benches/graphile/run.mjs` in a database of its own on the same server.
//!
//! **Owns** its process for the length of a round. **Fails** with what the script said. **Limits**: a round ends within
//! two minutes; the script's own page says what its clock sees.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::super::process::Usage;
use super::Part;

pub(super) const NAME: &str = "graphile-worker 0.17.3";
const ROUND_PATIENCE: Duration = Duration::from_secs(120);

/// Where it is and where it works.
pub(super) struct Graphile {
    script: PathBuf,
    url: String,
    postmaster: Option<u32>,
}

/// What the script says of a part.
#[derive(Deserialize)]
struct Said {
    seconds: f64,
    client_cpu_us: f64,
}

#[derive(Deserialize)]
struct SaidIdle {
    latencies_ms: Vec<f64>,
}

impl Graphile {
    /// Where the script and what it needs are installed; none where they are not.
    pub fn find(folder: &Path) -> Option<PathBuf> {
        let script = folder.join("run.mjs");
        (script.is_file() && folder.join("node_modules").is_dir()).then_some(script)
    }

    pub fn new(script: PathBuf, url: String, postmaster: Option<u32>) -> Self {
        Self { script, url, postmaster }
    }

    /// One round: what inserting the jobs took, and what working them off took.
    pub async fn round(&self, mode: &str, jobs: usize) -> anyhow::Result<(Part, Part)> {
        let measured = async {
            let mut talk = Talk::start(self, mode, jobs)?;
            talk.hear::<serde_json::Value>().await?;
            let before = Usage::now(self.postmaster);
            talk.go_on().await?;
            let inserted = talk.hear::<Said>().await?;
            let between = Usage::now(self.postmaster);
            talk.go_on().await?;
            let worked = talk.hear::<Said>().await?;
            let after = Usage::now(self.postmaster);
            talk.go_on().await?;
            talk.end().await?;
            Ok((part(&inserted, jobs, &before, &between), part(&worked, jobs, &between, &after)))
        };
        timeout(ROUND_PATIENCE, measured).await.context("graphile-worker did not end in time")?
    }

    /// Milliseconds from before each insertion to the job's start.
    pub async fn idle(&self, mode: &str, jobs: usize) -> anyhow::Result<Vec<f64>> {
        let measured = async {
            let mut talk = Talk::start(self, mode, jobs)?;
            let said = talk.hear::<SaidIdle>().await?;
            talk.end().await?;
            Ok(said.latencies_ms)
        };
        timeout(ROUND_PATIENCE, measured).await.context("graphile-worker did not end in time")?
    }
}

fn part(said: &Said, jobs: usize, before: &Usage, after: &Usage) -> Part {
    let each = 1.0 / jobs as f64;
    Part {
        rate: jobs as f64 / said.seconds,
        client_us: Some(said.client_cpu_us * each),
        database_us: after.database_us_since(before).map(|us| us * each),
    }
}

/// The script's process and its two pipes.
struct Talk {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Talk {
    fn start(graphile: &Graphile, mode: &str, jobs: usize) -> anyhow::Result<Self> {
        let mut child = Command::new("node")
            .arg(&graphile.script)
            .args(["--url", &graphile.url, "--mode", mode, "--jobs", &jobs.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start node")?;
        let stdin = child.stdin.take().context("node has no input")?;
        let stdout = child.stdout.take().context("node has no output")?;
        Ok(Self { child, stdin, lines: BufReader::new(stdout).lines() })
    }

    async fn hear<T: serde::de::DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        let line = self.lines.next_line().await?.context("graphile-worker ended early")?;
        serde_json::from_str(&line).with_context(|| format!("graphile-worker said {line:?}"))
    }

    async fn go_on(&mut self) -> anyhow::Result<()> {
        self.stdin.write_all(b"\n").await.context("graphile-worker does not listen")
    }

    async fn end(mut self) -> anyhow::Result<()> {
        drop(self.stdin);
        match self.child.wait().await? {
            status if status.success() => Ok(()),
            status => bail!("graphile-worker ended with {status}"),
        }
    }
}
