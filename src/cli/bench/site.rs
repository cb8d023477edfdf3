//! The processes that are measured: the outside world and the service, each a process of this same program.
//!
//! **Owns** both processes and their folder; whatever way a measurement ends, they end with it. **Fails** when one of
//! them does not open, with what it said. **Limits**: ten seconds to open, ten to end; loopback only. The surroundings'
//! own `BURSAR__` settings are kept from the service, or a benchmark could reach a real store.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::process::{LedgerTail, Meters};
use super::{Bench, Store};
use crate::proto::control::v1::DrainRequest;
use crate::proto::control::v1::control_service_client::ControlServiceClient;
use crate::sandbox::{Addresses, BankOptions, ledger};

const OPENING_PATIENCE: Duration = Duration::from_secs(10);
const CLOSING_PATIENCE: Duration = Duration::from_secs(10);
const CALL_PATIENCE: Duration = Duration::from_secs(30);

/// A folder and a database that nothing was stored in yet. The folder goes with it.
pub(super) struct Site {
    pub folder: PathBuf,
    pub store: SiteStore,
}

/// Where the service keeps its boletos.
pub(super) enum SiteStore {
    /// In its folder.
    Sqlite,
    PostgreSql {
        url: String,
    },
}

impl Site {
    pub async fn make(bench: &Bench, store: Store) -> anyhow::Result<Self> {
        let folder = bench.folder.join(uuid::Uuid::now_v7().simple().to_string());
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let folder = folder.canonicalize().context("cannot find the folder just made")?;
        let store = match (store, &bench.postgres) {
            (Store::Sqlite, _) => SiteStore::Sqlite,
            (Store::Postgres, Some(postgres)) => SiteStore::PostgreSql { url: postgres.database().await? },
            (Store::Postgres, None) => {
                bail!("PostgreSQL is measured on the server that --postgres-url names")
            }
        };
        Ok(Self { folder, store })
    }

    /// The URL of the store, as the service is told.
    pub fn store_url(&self) -> String {
        match &self.store {
            SiteStore::Sqlite => crate::store::connect::default_url(&self.folder),
            SiteStore::PostgreSql { url } => url.clone(),
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // What cannot be removed now lies in a temporary folder.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The outside, in its own process. It does not sync its ledger: its disk is ours too, and no bank's is.
pub(super) struct World {
    child: Child,
    pub addresses: Addresses,
}

impl World {
    pub async fn start(site: &Site) -> anyhow::Result<Self> {
        Self::start_with(site, &[]).await
    }

    /// One that is told something more.
    pub async fn start_with(site: &Site, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut child = this_program()?
            .args(["sandbox-world", "--quiet", "--no-ledger-sync", "--data-dir"])
            .arg(&site.folder)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the outside world")?;
        let stdout = child.stdout.take().context("the outside world has no output")?;
        let line = timeout(OPENING_PATIENCE, BufReader::new(stdout).lines().next_line())
            .await
            .context("the outside world did not open in time")??
            .context("the outside world ended before it opened")?;
        let addresses = serde_json::from_str(&line).context("the outside world said something else")?;
        Ok(Self { child, addresses })
    }
}

/// The service, in its own process.
pub(super) struct Service {
    child: Child,
    address: String,
    /// Reads what it says, so that it can go on saying it.
    _listener: tokio::task::JoinHandle<()>,
    /// The events that it has said since it listens, by their words.
    said: mpsc::UnboundedReceiver<String>,
    /// From the start of the process to its health being `SERVING`.
    pub ready_after: Duration,
}

impl Service {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// When it ends first or is not ready in time, with what it said.
    pub async fn start(site: &Site, settings: &str, set: &[(String, String)]) -> anyhow::Result<Self> {
        let file = site.folder.join("bench.toml");
        std::fs::write(&file, settings).context("cannot write the service's configuration")?;
        let mut command = this_program()?;
        command.arg("serve").arg("--config").arg(&file);
        for (key, value) in set {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        let begun = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start the service")?;
        let stderr = child.stderr.take().context("the service has no output")?;
        let (address, listener, said) = timeout(OPENING_PATIENCE, listening(stderr))
            .await
            .context("the service did not open in time")??;
        timeout(OPENING_PATIENCE, serving(&address)).await.context("the service was not ready in time")??;
        Ok(Self { child, address, _listener: listener, said, ready_after: begun.elapsed() })
    }

    pub fn pid(&self) -> u32 {
        // A child that has ended and was waited for has no number; nobody waits for this one before `close`.
        self.child.id().unwrap_or_default()
    }

    /// Waits until it says this, from what it has not been asked for yet.
    ///
    /// # Errors
    /// When it ends first.
    pub async fn says(&mut self, words: &str) -> anyhow::Result<()> {
        while let Some(said) = self.said.recv().await {
            if said == words {
                return Ok(());
            }
        }
        bail!("the service ended before it said `{words}`")
    }

    /// Opens so many connections.
    pub async fn connect(&self, connections: usize) -> anyhow::Result<Vec<Channel>> {
        let endpoint = Endpoint::from_shared(self.address.clone())?.tcp_nodelay(true).timeout(CALL_PATIENCE);
        let mut channels = Vec::with_capacity(connections);
        for _ in 0..connections {
            channels.push(endpoint.connect().await.context("cannot connect to the service")?);
        }
        Ok(channels)
    }

    /// What is read before and after each window.
    pub fn meters(&self, bench: &Bench, site: &Site, world: Option<&World>) -> Meters {
        let postmaster = match site.store {
            SiteStore::Sqlite => None,
            SiteStore::PostgreSql { .. } => bench.postgres.as_ref().and_then(|postgres| postgres.postmaster),
        };
        Meters {
            service: self.pid(),
            world: world.and_then(|world| world.child.id()),
            postmaster,
            ledger: Mutex::new(LedgerTail::new(site.folder.join(ledger::FILE_NAME))),
        }
    }

    /// Asks it to end, and ends it when it does not.
    pub async fn close(mut self) -> anyhow::Result<()> {
        let asked = async {
            let channel = self.connect(1).await?.remove(0);
            ControlServiceClient::new(channel).drain(DrainRequest::default()).await?;
            self.child.wait().await.context("cannot wait for the service")
        };
        match timeout(CLOSING_PATIENCE, asked).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => bail!("the service ended with {status}"),
            // Its work in hand was not done in time, which no figure depends on.
            Ok(Err(_)) | Err(_) => self.child.kill().await.context("cannot end the service"),
        }
    }
}

/// The settings of a service with this outside; without one it has nobody to call.
pub(super) fn settings(site: &Site, world: Option<&Addresses>, deliver: bool) -> String {
    // A TOML string of the basic kind is written as a JSON string.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut text = format!(
        "data_dir = {}\n[api]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = {}\n[notification]\nenabled = {deliver}\n\
         [secrets]\nenv_prefixes = [\"BURSAR_BENCH_\"]\n\
         [work]\ndrain_timeout = \"1s\"\n\
         [reconciliation]\nenabled = false\n\
         [telemetry]\nlog_format = \"json\"\nlog_level = \"warn,bursar::grpc::api=info\"\n",
        quoted(&site.folder.display().to_string()),
        quoted(&site.store_url()),
    );
    if let Some(world) = world {
        text.push_str(&format!(
            "[banks.banco_do_brasil]\napi_url = {}\ntoken_url = {}\n\
             [channels.sqs]\nendpoint = {}\nregion = \"us-east-1\"\n\
             {SQS_CREDENTIALS}\
             [channels.sqs.egress]\nschemes = [\"http\"]\nhosts = [\"127.0.0.1\"]\nports = []\n\
             allow_loopback = true\n",
            quoted(&world.bank_url),
            quoted(&world.token_url),
            quoted(&world.sqs_url),
        ));
    }
    text
}

const SQS_KEY: &str = "BURSAR_BENCH_SQS_KEY";
/// What the service signs its calls of queues with; no receiver of a bench looks at it.
pub(super) const SQS_CREDENTIALS: &str = "[channels.sqs.credentials]\naccess_key_id = \"env:BURSAR_BENCH_SQS_KEY\"\n\
     secret_access_key = \"env:BURSAR_BENCH_SQS_KEY\"\n";
/// What the service signs webhooks with, as a reference into its environment.
pub(super) const WEBHOOK_SECRET: &str = "env:BURSAR_BENCH_WEBHOOK_SECRET";
/// Base64 of "known to everybody, for a benchmark".
const WEBHOOK_SECRET_TEXT: &str = "whsec_a25vd24gdG8gZXZlcnlib2R5LCBmb3IgYSBiZW5jaG1hcms=";

/// What the service signs in with at the world's bank, as references into its environment.
pub(super) const BANK_CREDENTIALS: [(&str, &str); 3] = [
    ("client_id", "env:BURSAR_BENCH_CLIENT_ID"),
    ("client_secret", "env:BURSAR_BENCH_CLIENT_SECRET"),
    ("app_key", "env:BURSAR_BENCH_APP_KEY"),
];

/// This program, to be started once more, without the settings of its surroundings.
pub(super) fn this_program() -> anyhow::Result<Command> {
    let bank = BankOptions::default();
    let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("BURSAR__") {
            command.env_remove(name);
        }
    }
    command
        .env("BURSAR_BENCH_CLIENT_ID", bank.client_id)
        .env("BURSAR_BENCH_CLIENT_SECRET", bank.client_secret)
        .env("BURSAR_BENCH_APP_KEY", bank.app_key)
        .env(SQS_KEY, "sandbox")
        .env(WEBHOOK_SECRET.trim_start_matches("env:"), WEBHOOK_SECRET_TEXT)
        .kill_on_drop(true);
    Ok(command)
}

/// Where the service listens, who reads what it says, and what that was.
type Listening = (String, tokio::task::JoinHandle<()>, mpsc::UnboundedReceiver<String>);

/// Waits for the line that says where the service listens. Of the rest of what it says, whatever is worse than news goes to our own
/// stderr too.
async fn listening(stderr: ChildStderr) -> anyhow::Result<Listening> {
    let mut lines = BufReader::new(stderr).lines();
    while let Some(line) = lines.next_line().await.context("cannot hear the service")? {
        let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(address) = event.pointer("/fields/address").and_then(serde_json::Value::as_str) {
            let (saying, said) = mpsc::unbounded_channel();
            let listener = tokio::spawn(async move {
                while let Ok(Some(line)) = lines.next_line().await {
                    let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
                    let words = event.pointer("/fields/message").and_then(serde_json::Value::as_str);
                    // Few ask what it has said.
                    let _ = saying.send(words.unwrap_or_default().to_owned());
                    if event["level"] != "INFO" {
                        eprintln!("{line}");
                    }
                }
            });
            return Ok((format!("http://{address}"), listener, said));
        }
        eprintln!("{line}");
    }
    bail!("the service ended before it listened")
}

/// Waits until the health service says that the house is open.
async fn serving(address: &str) -> anyhow::Result<()> {
    let channel = Endpoint::from_shared(address.to_owned())?.connect().await?;
    let mut changes = HealthClient::new(channel).watch(HealthCheckRequest::default()).await?.into_inner();
    while let Some(change) = changes.message().await? {
        if change.status == ServingStatus::Serving as i32 {
            return Ok(());
        }
    }
    bail!("the service ended before it was ready")
}

/// A folder of this path, gone with this value.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub fn make(parent: &Path) -> anyhow::Result<Self> {
        let path = parent.join(format!("bursar-bench-{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It is a temporary one in any case.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
