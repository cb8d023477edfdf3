//! What a house of a story stands on and among: a folder, a database, the outside world, and the settings that fit them.
//!
//! **Owns** all of them; they outlive the house, so that another may open on the same rows.
//! **Fails** a story whose settings are refused. **Limits**: everything is on loopback, at ports that were free.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bursar::cli::house::{self, OpenHouse};
use bursar::cli::sandbox::banks::{self, Credential};
use bursar::cli::sandbox::mail;
use bursar::config::{Config, Sources};
use bursar::proto::boleto::v1::BankAccount;
use bursar::sandbox::{
    BankOptions, FirebaseOptions, MAIL_PASSWORD, MAIL_USERNAME, VENDOR_AUTH, World, WorldOptions,
};
use uuid::Uuid;

use super::operator::an_account;
use super::{Opened, customers, feed};
use crate::support::canary;
use crate::support::database::{Kind, TestDatabase};

const LOOPBACK: &str = r#"["127.0.0.1"]"#;

/// What goes over the defaults in every story: every wait is short, and nobody is answered before the bank has decided.
const SETTINGS: &[(&str, &str)] = &[
    ("api.listen", "127.0.0.1:0"),
    ("limits.watch_poll", "20ms"),
    ("work.poll_interval", "500ms"),
    ("work.heartbeat_interval", "500ms"),
    ("work.drain_timeout", "5s"),
    ("registration.inline_deadline", "15s"),
    ("registration.retry_base", "20ms"),
    ("registration.retry_cap", "200ms"),
    // A timetable of its own would put rows among those that a story counts; the stories about it turn it on.
    ("reconciliation.enabled", "false"),
    ("reconciliation.retry_base", "20ms"),
    ("reconciliation.retry_cap", "200ms"),
    ("notification.retry_base", "20ms"),
    ("notification.retry_cap", "200ms"),
    ("transfers.analysis.retry_base", "20ms"),
    ("transfers.analysis.retry_cap", "200ms"),
    ("transfers.write_back.retry_base", "20ms"),
    ("transfers.write_back.retry_cap", "200ms"),
    ("transfers.feed.firebase_rtdb.reconnect_base", "10ms"),
    ("transfers.feed.firebase_rtdb.reconnect_cap", "100ms"),
    ("supervision.backoff_base", "1ms"),
    ("supervision.backoff_cap", "20ms"),
    ("banks.banco_do_brasil.timeout", "10s"),
    ("banks.banco_do_brasil.settle_after", "50ms"),
    ("banks.inter.settle_after", "50ms"),
    ("banks.itau.settle_after", "50ms"),
    ("banks.santander.settle_after", "50ms"),
    ("registration.ask_again_after", "100ms"),
    ("channels.sqs.region", "us-east-1"),
    ("channels.sqs.egress.schemes", r#"["http"]"#),
    ("channels.sqs.egress.hosts", LOOPBACK),
    ("channels.sqs.egress.ports", "[]"),
    ("channels.sqs.egress.allow_loopback", "true"),
    // The notifier's own waits, which are short.
    ("channels.webhook.retry_waits", "[]"),
    ("channels.nats.require_tls", "false"),
    ("channels.nats.reconnect_base", "10ms"),
    ("channels.nats.reconnect_cap", "100ms"),
    ("channels.webhook.egress.schemes", r#"["http"]"#),
    ("channels.webhook.egress.hosts", LOOPBACK),
    ("channels.webhook.egress.ports", "[]"),
    ("channels.webhook.egress.allow_loopback", "true"),
];

/// What a house stands on and among; it outlives the house.
pub struct Surroundings {
    settings: Vec<(String, String)>,
    /// Whether the house gets a bank account when it opens; once, unless it is said again.
    pub has_account: bool,
    /// The feeds of transfers that it follows, by name.
    pub feeds: Vec<String>,
    /// Whether it asks the world's banks of open banking.
    pub has_aspsps: bool,
    folder: Folder,
    pub world: World,
    pub database: TestDatabase,
}

impl Surroundings {
    /// A folder, a database with nothing in it but the schema, and an open world.
    pub(super) async fn create(
        kind: Kind,
        settings: Vec<(String, String)>,
        has_account: bool,
        has_service_account: bool,
    ) -> Self {
        bursar::connectors::http::install_crypto_provider();
        let folder = Folder::create();
        canary::watches();
        let webhook = format!("whsec_{}", STANDARD.encode(Uuid::now_v7().as_bytes()));
        let sealing_key = STANDARD.encode([Uuid::now_v7().into_bytes(); 2].concat());
        canary::plants("webhook's secret", &webhook);
        canary::plants("sealing key", &sealing_key);
        let bank = BankOptions::default();
        canary::plants("gateway's password", &bank.inner_password);
        for (name, value) in [
            ("client-id", bank.client_id.as_str()),
            ("client-secret", &bank.client_secret),
            ("app-key", &bank.app_key),
            ("inner-user", &bank.inner_user),
            ("inner-password", &bank.inner_password),
            ("queue-key", "sandbox"),
            ("webhook", &webhook),
            ("vendor", VENDOR_AUTH),
            ("mail-username", MAIL_USERNAME),
            ("mail-password", MAIL_PASSWORD),
            ("sealing-key", &sealing_key),
        ] {
            std::fs::write(folder.0.join(name), value).expect("a secret's file");
        }
        let service_account_key = has_service_account.then(|| a_key(&folder.0.join("service-account.pem")));
        let firebase = FirebaseOptions { service_account_key, ..FirebaseOptions::default() };
        let options =
            WorldOptions { webhook_secret: Some(webhook), firebase, ..WorldOptions::in_dir(&folder.0) };
        let world = World::open(options).await.expect("the outside world");
        let database = TestDatabase::furnished(kind).await;
        Self { settings, has_account, feeds: Vec::new(), has_aspsps: false, folder, world, database }
    }

    /// One more setting, over all before it.
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// The configuration of a house that stands here.
    pub fn config(&self) -> Config {
        Config::load(&self.sources()).unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// A file of its own.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    /// Where that configuration comes from.
    pub fn sources(&self) -> Sources {
        let outside = self.world.addresses();
        let mut sources = Sources::default();
        let mail = mail::settings(outside, self.secret("mail-username"), self.secret("mail-password"));
        for (key, value) in banks::settings(outside).into_iter().chain(mail) {
            sources = sources.with(&key, value);
        }
        for (key, value) in
            self.feeds.iter().flat_map(|name| feed::settings(outside, name, &self.secret("vendor")))
        {
            sources = sources.with(&key, value);
        }
        if self.has_aspsps {
            for (key, value) in customers::settings(outside) {
                sources = sources.with(&key, value);
            }
        }
        if let Some(file) = &outside.firebase.service_account {
            for name in &self.feeds {
                let credentials = format!("transfers.feeds.{name}.firebase_rtdb.credentials");
                sources = sources
                    .with(&format!("{credentials}.emulator"), "false")
                    .with(&format!("{credentials}.service_account"), format!("file:{}", file.display()));
            }
        }
        for (key, value) in SETTINGS {
            sources = sources.with(key, *value);
        }
        let queue_key = self.secret("queue-key");
        sources = sources
            .with("data_dir", self.folder.0.display().to_string())
            .with("secrets.folders", serde_json::json!([self.folder.0]).to_string())
            .with("secrets.key", self.secret("sealing-key"))
            .with("store.url", self.database.url.clone())
            .with("channels.sqs.credentials.access_key_id", queue_key.clone())
            .with("channels.sqs.credentials.secret_access_key", queue_key)
            .with("channels.nats.servers", serde_json::json!([outside.nats_url]).to_string());
        for (key, value) in &self.settings {
            sources = sources.with(key, value.clone());
        }
        sources
    }

    /// The reference of a secret that the world's parties know.
    pub fn secret(&self, name: &str) -> String {
        format!("file:{}", self.folder.0.join(name).display())
    }

    /// One bank account with each of the world's banks but the first, none of them opened yet.
    pub fn accounts_elsewhere(&self) -> Vec<BankAccount> {
        let tls = &self.world.addresses().tls;
        banks::accounts(|credential| match credential {
            Credential::ClientId => self.secret("client-id"),
            Credential::ClientSecret => self.secret("client-secret"),
            Credential::AppKey => self.secret("app-key"),
            Credential::InnerUser => self.secret("inner-user"),
            Credential::InnerPassword => self.secret("inner-password"),
            Credential::Certificate => format!("file:{}", tls.certificate.display()),
            Credential::PrivateKey => format!("file:{}", tls.private_key.display()),
        })
    }

    /// Opens the house.
    pub async fn open(self) -> Opened {
        let house = house::open(&self.config()).await.expect("an open house");
        self.moved_in(house).await
    }

    /// A house that was opened here, furnished.
    pub async fn moved_in(mut self, house: OpenHouse) -> Opened {
        let channel = super::connect(house.address).await;
        let has_account = std::mem::take(&mut self.has_account);
        let opened = Opened { surroundings: self, house, channel };
        if has_account {
            opened.operator().opens(an_account()).await.expect("the bank account");
        }
        opened
    }
}

/// Has a key made for a service account; ring makes none of its kind.
fn a_key(path: &Path) -> PathBuf {
    let made = Command::new("openssl")
        .args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out"])
        .arg(path)
        .status()
        .expect("openssl is installed");
    assert!(made.success(), "openssl made no key");
    path.to_owned()
}

/// A folder that goes away with its story.
struct Folder(PathBuf);

impl Folder {
    fn create() -> Self {
        let path = std::env::temp_dir().join(format!("bursar-story-{}", Uuid::now_v7()));
        std::fs::create_dir_all(&path).expect("a folder for the story");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind, it only costs the system's own cleaning.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
