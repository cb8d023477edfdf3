//! What one fault test stands on: a database, the world, and houses as processes between the two.
//!
//! **Owns** the world and a folder; both go with it. **Limits**: every duration is in milliseconds, so that what takes
//! minutes in earnest is over in a moment; the order of the durations is the same.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bursar::cli::sandbox::mail;
use bursar::sandbox::{Addresses, BankOptions, MAIL_PASSWORD, MAIL_USERNAME, World, WorldOptions};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use uuid::Uuid;

use crate::database::{Kind, TestDatabase};
use crate::process::{PATIENCE, Program, eventually};

/// The references under which the house finds what it signs in with.
pub const CLIENT_ID: &str = "env:FAULTS_CLIENT_ID";
pub const CLIENT_SECRET: &str = "env:FAULTS_CLIENT_SECRET";
pub const APP_KEY: &str = "env:FAULTS_APP_KEY";
pub const QUEUE_KEY: &str = "env:FAULTS_QUEUE_KEY";
pub const WEBHOOK_SECRET: &str = "env:FAULTS_WEBHOOK_SECRET";
const MAILER: &str = "env:FAULTS_MAILER";
const MAILER_SECRET: &str = "env:FAULTS_MAILER_SECRET";
/// Base64 of "known to everybody, for tests".
const WEBHOOK_SECRET_TEXT: &str = "whsec_a25vd24gdG8gZXZlcnlib2R5LCBmb3IgdGVzdHM=";

/// A stage.
pub struct Stage {
    pub world: World,
    pub database_url: String,
    _database: Option<TestDatabase>,
    folder: PathBuf,
}

impl Stage {
    /// A database of this kind with nothing in it but the schema, and a world to whom nothing has happened.
    pub async fn open(kind: Kind) -> Self {
        let database = TestDatabase::furnished(kind).await;
        let mut stage = Self::on(database.url.clone()).await;
        stage._database = Some(database);
        stage
    }

    /// A new world around a database that is there already, or will be.
    pub async fn on(database_url: String) -> Self {
        let folder = std::env::temp_dir().join(format!("bursar-faults-{}", Uuid::now_v7()));
        std::fs::create_dir_all(&folder).expect("a folder for the world");
        let options = WorldOptions {
            webhook_secret: Some(WEBHOOK_SECRET_TEXT.to_owned()),
            ..WorldOptions::in_dir(&folder)
        };
        let world = World::open(options).await.expect("a world");
        Self { world, database_url, _database: None, folder }
    }

    /// A file in the stage's own folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Starts a house with the usual settings.
    pub async fn house(&self) -> House {
        self.house_with(&[], &[]).await
    }

    /// Starts a house with these settings over the usual ones, and these variables.
    pub async fn house_with(&self, settings: &[&str], variables: &[(&str, String)]) -> House {
        let program = self.serve(settings, variables);
        let listening = program.line(|line| line.contains("\"listening\"")).await;
        let Some(listening) = listening else { panic!("no house opened:\n{}", program.said()) };
        let line: serde_json::Value = serde_json::from_str(&listening).expect("a log line is JSON");
        let address = line["fields"]["address"].as_str().expect("an address").to_owned();
        House { program, address }
    }

    /// Starts the program as `serve` and waits for nothing.
    pub fn serve(&self, settings: &[&str], variables: &[(&str, String)]) -> Program {
        let file = self.file("bursar.toml");
        std::fs::write(&file, settings_file(&self.folder, &self.database_url, self.world.addresses()))
            .expect("a configuration file");
        let mut arguments = vec!["serve".to_owned(), "--config".to_owned(), file.display().to_string()];
        for setting in settings {
            arguments.extend(["--set".to_owned(), (*setting).to_owned()]);
        }
        let bank = BankOptions::default();
        let secrets = [
            (CLIENT_ID, bank.client_id),
            (CLIENT_SECRET, bank.client_secret),
            (APP_KEY, bank.app_key),
            (QUEUE_KEY, "sandbox".to_owned()),
            (WEBHOOK_SECRET, WEBHOOK_SECRET_TEXT.to_owned()),
            (MAILER, MAIL_USERNAME.to_owned()),
            (MAILER_SECRET, MAIL_PASSWORD.to_owned()),
        ];
        let secrets = secrets.map(|(reference, value)| (reference.trim_start_matches("env:"), value));
        let variables: Vec<(String, String)> = secrets
            .iter()
            .chain(variables)
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        Program::start(&arguments, &variables)
    }

    /// Ends the world and removes the folder.
    pub async fn close(self) {
        self.world.close().await;
        // What stays behind is a few kilobytes in the system's own folder for such things.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn settings_file(folder: &Path, database_url: &str, outside: &Addresses) -> String {
    let mail = mail::settings(outside, MAILER.to_owned(), MAILER_SECRET.to_owned()).into_iter().map(
        |(key, value)| {
            // A port is the one that is no text.
            if key.ends_with(".port") { format!("{key} = {value}\n") } else { format!("{key} = {value:?}\n") }
        },
    );
    let mail = mail.collect::<String>();
    let mut text = format!(
        r#"
data_dir = "{folder}"
{mail}[api]
listen = "127.0.0.1:0"
[store]
url = "{database_url}"
timeout = "1s"
[secrets]
env_prefixes = ["FAULTS_"]
[work]
poll_interval = "500ms"
heartbeat_interval = "150ms"
fence_after = "1200ms"
reap_after = "1500ms"
drain_timeout = "10s"
[registration]
inline_deadline = "500ms"
retry_base = "50ms"
retry_cap = "200ms"
[reconciliation]
enabled = false
[timetable.payment_update]
enabled = false
[timetable.sync_update]
enabled = false
[notification]
retry_base = "50ms"
retry_cap = "200ms"
[channels.webhook]
retry_waits = []
[banks.banco_do_brasil]
api_url = "{bank}"
token_url = "{token}"
settle_after = "300ms"
[telemetry]
log_format = "json"
[channels.sqs]
endpoint = "{sqs}"
region = "us-east-1"
[channels.sqs.credentials]
access_key_id = "{QUEUE_KEY}"
secret_access_key = "{QUEUE_KEY}"
"#,
        folder = folder.display(),
        bank = outside.bank_url,
        token = outside.token_url,
        sqs = outside.sqs_url,
    );
    for channel in ["sqs", "webhook"] {
        let _ = writeln!(
            text,
            "[channels.{channel}.egress]\nschemes = [\"http\"]\nhosts = [\"127.0.0.1\"]\nports = []\nallow_loopback = true"
        );
    }
    text
}

/// A house as a process of its own.
pub struct House {
    pub program: Program,
    address: String,
}

impl House {
    /// Waits until it takes requests; false when it ended before.
    pub async fn opened(&self) -> bool {
        self.program.line(|line| line.contains("\"house open\"")).await.is_some()
    }

    /// Where it listens.
    pub fn socket(&self) -> std::net::SocketAddr {
        self.address.parse().expect("an address with a port")
    }

    /// A connection of a caller's own. Nothing when nobody listens any more.
    pub async fn channel(&self) -> Option<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).expect("an address");
        endpoint.timeout(PATIENCE).connect().await.ok()
    }

    /// What it says about its health under a name; nothing when it does not answer.
    pub async fn health(&self, service: &str) -> Option<ServingStatus> {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = HealthClient::new(self.channel().await?).check(request).await.ok()?;
        Some(answer.into_inner().status())
    }

    /// Waits until it says this about its health under a name.
    pub async fn healthy(&self, service: &str, wanted: ServingStatus) {
        eventually(&format!("health {wanted:?} of {service}"), async || {
            (self.health(service).await == Some(wanted)).then_some(())
        })
        .await;
    }

    /// Asks it to end and waits until it has, in good order.
    pub async fn close(mut self) {
        self.program.signal("TERM");
        let status = self.program.ended().await;
        assert!(status.success(), "{status} instead of a quiet end:\n{}", self.program.said());
    }
}
