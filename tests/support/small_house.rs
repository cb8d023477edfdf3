//! A house on an embedded store with the outside world in miniature beside it, in this process or in one of its own.
//!
//! **Owns** the world, the house and their folder. **Fails** a test when the house does not close in good order.
//! **Limits**: retries and polls wait milliseconds, so that no test waits for long.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use bursar::cli::house::{self, OpenHouse};
use bursar::cli::sandbox::transfers::{self, VendorSecrets};
use bursar::config::{Config, Sources};
use bursar::proto::boleto::v1 as boleto;
use bursar::proto::boleto::v1::bank_account_service_client::BankAccountServiceClient;
use bursar::proto::boleto::v1::boleto_service_client::BoletoServiceClient;
use bursar::proto::control::v1::DrainRequest;
use bursar::proto::control::v1::control_service_client::ControlServiceClient;
use bursar::sandbox::{
    BankOptions, EMOTION_LOGIC_KEY, EMOTION_LOGIC_PASSWORD, VENDOR_AUTH, World, WorldOptions,
};
use chrono::{Days, Utc};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::transport::Channel;
use uuid::Uuid;

use crate::peers::PATIENCE;

/// A folder that goes away with its test.
pub struct Folder(PathBuf);

impl Folder {
    /// A new one.
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("bursar-test-{}", Uuid::now_v7()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Keeps a secret in a file and returns the reference to it.
    pub fn secret(&self, name: &str, value: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, value).expect("a file for the secret");
        format!("file:{}", path.display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind, it only costs the system's own cleaning.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The world and its folder.
pub struct Outside {
    pub world: World,
    pub folder: Folder,
}

impl Outside {
    /// Opens the world.
    pub async fn open() -> Self {
        // Tests make clients of their own, whichever of them comes first.
        bursar::connectors::http::install_crypto_provider();
        let folder = Folder::new();
        let world = World::open(WorldOptions::in_dir(folder.path())).await.expect("a world");
        Self { world, folder }
    }

    /// The settings of a house whose outside this is.
    fn settings(&self) -> Vec<(String, String)> {
        let addresses = self.world.addresses();
        let data_dir = self.folder.path().display().to_string();
        let key = self.folder.secret("sqs-key", "testing");
        let folders = serde_json::json!([self.folder.path()]).to_string();
        // Thirty-two bytes, as anybody could make them up.
        let sealing_key = self.folder.secret("sealing-key", "dGhlIGtleSB1bmRlciB3aGljaCBhIHRlc3Qgc2VhbHM=");
        let mut settings: Vec<(String, String)> = [
            ("data_dir", data_dir.as_str()),
            ("api.listen", "127.0.0.1:0"),
            ("secrets.folders", &folders),
            ("secrets.key", &sealing_key),
            ("banks.banco_do_brasil.api_url", &addresses.bank_url),
            ("banks.banco_do_brasil.token_url", &addresses.token_url),
            ("banks.banco_do_brasil.settle_after", "10ms"),
            ("registration.retry_base", "10ms"),
            ("breaker.wait_base", "20ms"),
            ("breaker.wait_cap", "200ms"),
            ("registration.inline_deadline", "5s"),
            ("reconciliation.enabled", "false"),
            ("notification.retry_base", "10ms"),
            ("channels.webhook.retry_waits", "[]"),
            ("work.poll_interval", "200ms"),
            ("channels.sqs.endpoint", &addresses.sqs_url),
            ("channels.sqs.region", "us-east-1"),
            ("channels.sqs.credentials.access_key_id", &key),
            ("channels.sqs.credentials.secret_access_key", &key),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        for (name, value) in [
            ("schemes", r#"["http"]"#),
            ("hosts", r#"["127.0.0.1"]"#),
            ("ports", "[]"),
            ("allow_loopback", "true"),
        ] {
            settings.push((format!("channels.webhook.egress.{name}"), value.to_owned()));
        }
        settings
    }

    /// What a house needs besides to follow the world's feed of transfers.
    fn settings_of_feed(&self) -> Vec<(String, String)> {
        let secrets = VendorSecrets {
            auth: self.folder.secret("vendor", VENDOR_AUTH),
            emotion_logic_key: self.folder.secret("emotion-key", EMOTION_LOGIC_KEY),
            emotion_logic_password: self.folder.secret("emotion-password", EMOTION_LOGIC_PASSWORD),
        };
        transfers::settings(self.world.addresses(), &secrets)
    }

    /// A bank account that the world's bank knows, and that requests without one get.
    pub fn bank_account(&self) -> boleto::BankAccount {
        let bank = BankOptions::default();
        let credentials =
            [("client_id", bank.client_id), ("client_secret", bank.client_secret), ("app_key", bank.app_key)];
        boleto::BankAccount {
            display_name: "shop".to_owned(),
            beneficiary: Some(boleto::Beneficiary {
                name: "Loja Exemplo Ltda".to_owned(),
                tax_id: "11222333000181".to_owned(),
            }),
            issuer: Some(boleto::bank_account::Issuer::BancoDoBrasil(boleto::BancoDoBrasilIssuer {
                convenio: "3128557".to_owned(),
                carteira: "17".to_owned(),
                variacao: "019".to_owned(),
                ..boleto::BancoDoBrasilIssuer::default()
            })),
            provider: "banco_do_brasil".to_owned(),
            credentials: credentials
                .map(|(name, value)| (name.to_owned(), self.folder.secret(name, &value)))
                .into(),
            is_default: true,
            ..boleto::BankAccount::default()
        }
    }
}

/// What a shop asks for; nobody is to be told unless the test says otherwise.
pub fn a_boleto() -> boleto::CreateBoletoRequest {
    boleto::CreateBoletoRequest {
        amount_cents: 12_590,
        due_date: due_date(),
        payer: Some(boleto::Payer {
            name: "Maria Exemplo".to_owned(),
            tax_id: "52998224725".to_owned(),
            address: Some(boleto::Address {
                street: "Rua das Flores".to_owned(),
                number: "308".to_owned(),
                complement: String::new(),
                district: "Jardim Paulista".to_owned(),
                city: "São Paulo".to_owned(),
                state: "SP".to_owned(),
                postal_code: "01001000".to_owned(),
            }),
        }),
        reference_id: "pedido 7".to_owned(),
        ..boleto::CreateBoletoRequest::default()
    }
}

/// Ten days from now, on any calendar.
pub fn due_date() -> String {
    (Utc::now().date_naive() + Days::new(10)).to_string()
}

async fn connect(address: SocketAddr) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{address}")).expect("an address");
    endpoint.connect().await.expect("the house listens")
}

async fn furnish(channel: &Channel, outside: &Outside) {
    let request = boleto::CreateBankAccountRequest {
        bank_account: Some(outside.bank_account()),
        ..boleto::CreateBankAccountRequest::default()
    };
    let made = BankAccountServiceClient::new(channel.clone()).create_bank_account(request).await;
    made.expect("a bank account");
}

/// A house in this process.
pub struct SmallHouse {
    pub outside: Outside,
    pub address: SocketAddr,
    pub channel: Channel,
    open: OpenHouse,
}

impl SmallHouse {
    /// Opens a house, with `changes` over its settings, and waits until it is ready.
    pub async fn open(changes: &[(&str, &str)]) -> Self {
        Self::open_among(Outside::open().await, changes).await
    }

    async fn open_among(outside: Outside, changes: &[(&str, &str)]) -> Self {
        let mut sources = Sources { overrides: outside.settings(), ..Sources::default() };
        for (key, value) in changes {
            sources = sources.with(key, *value);
        }
        let config = Config::load(&sources).unwrap_or_else(|errors| panic!("{errors}"));
        let open = house::open(&config).await.expect("a house");
        let mut changes = open.readiness.changes();
        let ready = timeout(PATIENCE, changes.wait_for(Result::is_ok)).await;
        ready.expect("ready in time").expect("the house lives");
        Self { outside, address: open.address, channel: connect(open.address).await, open }
    }

    /// Opens a house that has a bank account.
    pub async fn furnished(changes: &[(&str, &str)]) -> Self {
        let small = Self::open(changes).await;
        furnish(&small.channel, &small.outside).await;
        small
    }

    /// Opens a house that has a bank account and follows the world's feed of transfers.
    pub async fn furnished_with_feed() -> Self {
        let outside = Outside::open().await;
        let settings = outside.settings_of_feed();
        let changes: Vec<(&str, &str)> =
            settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let small = Self::open_among(outside, &changes).await;
        furnish(&small.channel, &small.outside).await;
        small
    }

    /// Has a boleto made.
    pub async fn creates(&self, request: boleto::CreateBoletoRequest) -> boleto::Boleto {
        let answer = BoletoServiceClient::new(self.channel.clone()).create_boleto(request).await;
        answer.expect("a boleto").into_inner().boleto.expect("an answer holds its boleto")
    }

    /// Closes the house and the world; everything has to end in time.
    pub async fn close(self) {
        drop(self.channel);
        let closed = timeout(PATIENCE * 2, self.open.close()).await.expect("the house closes");
        assert!(closed.report.in_time, "{closed:?}");
        self.outside.world.close().await;
    }
}

/// A house in a process of its own, as `bursar serve` opens it.
pub struct ServedHouse {
    pub channel: Channel,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl ServedHouse {
    /// Starts `bursar serve` with `changes` over its settings, and waits until it is open.
    pub async fn furnished(outside: &Outside, changes: &[(&str, &str)]) -> Self {
        Self::furnished_with(outside, changes, &[]).await
    }

    /// The same, with these variables in its environment.
    pub async fn furnished_with(
        outside: &Outside,
        changes: &[(&str, &str)],
        variables: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bursar"));
        command.arg("serve").args(["--set", "telemetry.log_format=json"]).envs(variables.iter().copied());
        for (key, value) in outside.settings() {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        for (key, value) in changes {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        let piped = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = piped.kill_on_drop(true).spawn().expect("the program starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("it was piped")).lines();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (opened, mut open) = watch::channel(None);
        let kept = lines.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = stderr.next_line().await {
                if let Some(address) = address_in(&line) {
                    opened.send_replace(Some(address));
                }
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        let address = timeout(PATIENCE, open.wait_for(Option::is_some)).await.expect("it opens in time");
        let address = address.map(|address| address.expect("it was waited for"));
        let Ok(address) = address else { panic!("it ended before it opened: {lines:?}") };
        let channel = connect(address).await;
        furnish(&channel, outside).await;
        Self { channel, child, lines }
    }

    /// Has it drain and end, and returns its log.
    pub async fn close(mut self) -> Vec<String> {
        let drained = ControlServiceClient::new(self.channel).drain(DrainRequest::default()).await;
        drained.expect("it takes the wish");
        let ended = timeout(PATIENCE * 2, self.child.wait()).await.expect("it ends");
        assert!(ended.expect("it was ours").success(), "{:?}", self.lines);
        std::mem::take(&mut self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The address in the log line that says that the house is open.
fn address_in(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields")?;
    (fields.get("message")? == "house open").then(|| fields.get("address")?.as_str()?.parse().ok())?
}
