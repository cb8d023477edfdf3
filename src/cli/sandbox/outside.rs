//! The world's process: its secrets, its start, its end.
//!
//! **Owns** the child process and the files of secrets in the data directory, made once and kept, so that a second start
//! finds the same. **Fails** when the child does not say its addresses. **Limits**: ten seconds to open.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use clap::Args;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::banks::Credential;
use crate::connectors::secret::SecretRef;
use crate::sandbox::{
    ASPSPS_MAX, Addresses, AspspOptions, BankOptions, EMOTION_LOGIC_KEY, EMOTION_LOGIC_PASSWORD,
    MAIL_PASSWORD, MAIL_USERNAME, Ports, SandboxError, VENDOR_AUTH, WorldOptions, ledger, run_process,
};

const OPENING_PATIENCE: Duration = Duration::from_secs(10);
const CLOSING_PATIENCE: Duration = Duration::from_secs(3);
/// Where the world's addresses of last time are kept, so that what was stored about them stays true.
const ADDRESSES_FILE: &str = "outside.json";
const WEBHOOK_SECRET_FILE: &str = "webhook-secret";

/// What the world's process takes.
#[derive(Args, Clone)]
pub struct WorldArgs {
    /// Where the effects ledger is kept
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Say nothing on stderr
    #[arg(long)]
    pub quiet: bool,
    /// Do not sync the ledger before an effect is answered: for benchmarks
    #[arg(long)]
    pub no_ledger_sync: bool,
    /// Banks of open banking
    #[arg(long, value_name = "N", default_value_t = AspspOptions::default().banks,
          value_parser = clap::value_parser!(u8).range(0..=i64::from(ASPSPS_MAX)))]
    pub aspsps: u8,
    /// Leave what these banks are asked out of the ledger: for benchmarks
    #[arg(long)]
    pub no_aspsp_reads: bool,
}

/// References to what the house signs in with at the world's parties.
pub(super) struct Secrets {
    pub client_id: SecretRef,
    pub client_secret: SecretRef,
    pub app_key: SecretRef,
    pub inner_user: SecretRef,
    pub inner_password: SecretRef,
    pub sqs_key_id: SecretRef,
    pub sqs_key: SecretRef,
    pub webhook: SecretRef,
    /// The key under which the house keeps secrets that it makes itself.
    pub keeper_key: SecretRef,
    pub mail_username: SecretRef,
    pub mail_password: SecretRef,
    pub vendor_auth: SecretRef,
    pub emotion_logic_key: SecretRef,
    pub emotion_logic_password: SecretRef,
}

impl Secrets {
    /// Makes what is missing.
    pub fn prepare(data_dir: &Path) -> anyhow::Result<Self> {
        let bank = BankOptions::default();
        let folder = secrets_folder(data_dir);
        std::fs::create_dir_all(&folder).context("cannot make the folder of secrets")?;
        let keep = |name: &str, value: &str| -> anyhow::Result<SecretRef> {
            let path = folder.join(name);
            if !path.exists() {
                let mut options = std::fs::OpenOptions::new();
                let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
                file.write_all(value.as_bytes())?;
            }
            Ok(SecretRef::parse(&format!("file:{}", path.display()))?)
        };
        let random = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        let webhook = format!("whsec_{}", random(&rand::random::<[u8; 24]>()));
        let keeper_key = random(&rand::random::<[u8; 32]>());
        Ok(Self {
            client_id: keep("bank-client-id", &bank.client_id)?,
            client_secret: keep("bank-client-secret", &bank.client_secret)?,
            app_key: keep("bank-app-key", &bank.app_key)?,
            inner_user: keep("bank-inner-user", &bank.inner_user)?,
            inner_password: keep("bank-inner-password", &bank.inner_password)?,
            sqs_key_id: keep("sqs-key-id", "sandbox")?,
            sqs_key: keep("sqs-key", "sandbox")?,
            webhook: keep(WEBHOOK_SECRET_FILE, &webhook)?,
            keeper_key: keep("keeper-key", &keeper_key)?,
            mail_username: keep("mail-username", MAIL_USERNAME)?,
            mail_password: keep("mail-password", MAIL_PASSWORD)?,
            vendor_auth: keep("vendor-auth", VENDOR_AUTH)?,
            emotion_logic_key: keep("emotion-logic-key", EMOTION_LOGIC_KEY)?,
            emotion_logic_password: keep("emotion-logic-password", EMOTION_LOGIC_PASSWORD)?,
        })
    }
}

impl Secrets {
    /// The reference of what the banks know a caller by.
    pub fn reference(&self, credential: Credential, outside: &Addresses) -> String {
        let file = |path: &Path| format!("file:{}", path.display());
        match credential {
            Credential::ClientId => self.client_id.to_string(),
            Credential::ClientSecret => self.client_secret.to_string(),
            Credential::AppKey => self.app_key.to_string(),
            Credential::InnerUser => self.inner_user.to_string(),
            Credential::InnerPassword => self.inner_password.to_string(),
            Credential::Certificate => file(&outside.tls.certificate),
            Credential::PrivateKey => file(&outside.tls.private_key),
        }
    }
}

/// Where the secrets of a sandbox with this data directory are.
pub(super) fn secrets_folder(data_dir: &Path) -> PathBuf {
    data_dir.join("secrets")
}

/// Where the world put what gets a house through its doors behind TLS.
pub(super) fn tls_folder(outside: &Addresses) -> PathBuf {
    outside.tls.ca_file.parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Where the ledger of a world with this data directory is.
pub(super) fn ledger_path(data_dir: &Path) -> PathBuf {
    data_dir.join(ledger::FILE_NAME)
}

/// The world's process.
pub(super) struct Outside {
    pub addresses: Addresses,
    child: Child,
}

impl Outside {
    /// Starts the world and waits for its addresses.
    pub async fn open(data_dir: &Path, quiet: bool) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new(program);
        command
            .arg("sandbox-world")
            .arg("--data-dir")
            .arg(data_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            // A Ctrl-C at the terminal is for the house, which still needs the world while it drains.
            .process_group(0);
        if quiet {
            command.arg("--quiet");
        }
        let mut child = command.spawn().context("cannot start the outside world")?;
        let stdout = child.stdout.take().context("the outside world has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(OPENING_PATIENCE, lines.next_line())
            .await
            .context("the outside world did not open in time")?
            .context("cannot hear the outside world")?;
        let Some(line) = line else { bail!("the outside world ended before it opened") };
        let addresses = serde_json::from_str(&line).context("the outside world said something else")?;
        std::fs::write(data_dir.join(ADDRESSES_FILE), line).context("cannot keep the world's addresses")?;
        Ok(Self { addresses, child })
    }

    /// Ends the world: the end of its input tells it to.
    pub async fn close(&mut self) {
        drop(self.child.stdin.take());
        // One that does not end is killed when this is dropped.
        let _ = tokio::time::timeout(CLOSING_PATIENCE, self.child.wait()).await;
    }
}

/// Runs the world in this process.
pub(super) async fn run(args: WorldArgs) -> anyhow::Result<()> {
    let secret = std::fs::read_to_string(args.data_dir.join("secrets").join(WEBHOOK_SECRET_FILE)).ok();
    let wanted = ports_of_last_time(&args.data_dir);
    let options = |ports| WorldOptions {
        ports,
        webhook_secret: secret.clone(),
        quiet: args.quiet,
        ledger_sync: !args.no_ledger_sync,
        aspsp: AspspOptions {
            banks: args.aspsps,
            keep_reads: !args.no_aspsp_reads,
            ..AspspOptions::default()
        },
        ..WorldOptions::in_dir(&args.data_dir)
    };
    crate::connectors::http::install_crypto_provider();
    match run_process(options(wanted)).await {
        // Somebody else has one of them now: any free ports will do, and what was stored about the old ones is stale.
        Err(SandboxError::Bind { .. }) => Ok(run_process(options(Ports::default())).await?),
        ended => Ok(ended?),
    }
}

/// The ports of the last start in this data directory, so that queues and webhooks stored then are still there.
fn ports_of_last_time(data_dir: &Path) -> Ports {
    let read = || -> Option<Ports> {
        let text = std::fs::read_to_string(data_dir.join(ADDRESSES_FILE)).ok()?;
        let addresses: Addresses = serde_json::from_str(&text).ok()?;
        let port = |url: &str| url.parse::<http::Uri>().ok()?.port_u16();
        let banks = &addresses.banks;
        let mut aspsps = Ports::default().aspsps;
        for (kept, aspsp) in aspsps.iter_mut().zip(&addresses.aspsps) {
            *kept = port(&aspsp.url)?;
        }
        Some(Ports {
            bank: port(&addresses.bank_url)?,
            boleto_api: port(&banks.boleto_api_url)?,
            bradesco: port(&banks.bradesco_apiregistro_url)?,
            santander: port(&banks.santander_api_url)?,
            inter: port(&banks.inter_api_url)?,
            itau: port(&banks.itau_api_url)?,
            sqs: port(&addresses.sqs_url)?,
            webhook: port(&addresses.webhook_url)?,
            nats: port(&addresses.nats_url)?,
            smtp: port(&addresses.smtp_url)?,
            vendors: port(&addresses.vendors.cloud_url)?,
            firebase: port(&addresses.firebase.url)?,
            aspsps,
            control: port(&addresses.control_url)?,
        })
    };
    read().unwrap_or_default()
}
