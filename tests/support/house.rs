//! A whole house for one story: real actors on a real store, and the outside world in miniature on real sockets.
//!
//! **Owns** a folder, a database and every port; nothing is shared between stories.
//! **Fails** at closing when an actor overran or still runs, or a row of work is still held: what a story leaves behind
//! is part of the story. **Limits**: waits end after [`PATIENCE`], and every time of the house is set to milliseconds.

mod bank;
mod operator;
mod owner;
mod refusal;
mod shop;

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bursar::cli::house::{self, OpenHouse};
use bursar::config::{Config, Sources};
use bursar::sandbox::{BankOptions, Script, World, WorldOptions};
use bursar::supervision::{Node, Status};
use sea_orm::{ConnectionTrait, Database, Statement};
use tokio::time::Instant;
use tonic::transport::Channel;
use uuid::Uuid;

pub use self::bank::Bank;
pub use self::operator::{Operator, an_account};
pub use self::owner::Owner;
pub use self::refusal::Refusal;
pub use self::shop::{Shop, a_boleto};
use super::database::{Kind, TestDatabase};

/// Longer than anything takes that happens at all, on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(20);

const LOOK_EVERY: Duration = Duration::from_millis(5);
const LOOPBACK: &str = r#"["127.0.0.1"]"#;

/// What goes over the defaults in every story: every wait is short, and nobody is answered before the bank has decided.
const SETTINGS: &[(&str, &str)] = &[
    ("api.listen", "127.0.0.1:0"),
    ("limits.watch_poll", "20ms"),
    ("work.poll_interval", "100ms"),
    ("work.heartbeat_interval", "500ms"),
    ("work.drain_timeout", "5s"),
    ("registration.inline_deadline", "15s"),
    ("registration.retry_base", "20ms"),
    ("registration.retry_cap", "200ms"),
    ("notification.retry_base", "20ms"),
    ("notification.retry_cap", "200ms"),
    ("supervision.backoff_base", "1ms"),
    ("supervision.backoff_cap", "20ms"),
    ("banks.banco_do_brasil.timeout", "10s"),
    ("banks.banco_do_brasil.settle_after", "50ms"),
    ("channels.sqs.region", "us-east-1"),
    ("channels.sqs.egress.schemes", r#"["http"]"#),
    ("channels.sqs.egress.hosts", LOOPBACK),
    ("channels.sqs.egress.ports", "[]"),
    ("channels.sqs.egress.allow_loopback", "true"),
    ("channels.webhook.egress.schemes", r#"["http"]"#),
    ("channels.webhook.egress.hosts", LOOPBACK),
    ("channels.webhook.egress.ports", "[]"),
    ("channels.webhook.egress.allow_loopback", "true"),
];

/// A house about to be opened.
pub struct House {
    kind: Kind,
    settings: Vec<(String, String)>,
    has_account: bool,
}

impl House {
    /// On an embedded store, with one bank account, which is the default.
    pub fn new() -> Self {
        Self { kind: Kind::Sqlite, settings: Vec::new(), has_account: true }
    }

    /// On this database.
    pub fn on(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// One more setting, over all before it.
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Without a bank account.
    pub fn without_account(mut self) -> Self {
        self.has_account = false;
        self
    }

    /// Everything around the house, which itself is still to be opened.
    pub async fn prepare(self) -> Surroundings {
        bursar::connectors::http::install_crypto_provider();
        let folder = Folder::create();
        let webhook = format!("whsec_{}", STANDARD.encode(Uuid::now_v7().as_bytes()));
        let bank = BankOptions::default();
        for (name, value) in [
            ("client-id", bank.client_id.as_str()),
            ("client-secret", &bank.client_secret),
            ("app-key", &bank.app_key),
            ("queue-key", "sandbox"),
            ("webhook", &webhook),
        ] {
            std::fs::write(folder.0.join(name), value).expect("a secret's file");
        }
        let options = WorldOptions { webhook_secret: Some(webhook), ..WorldOptions::in_dir(&folder.0) };
        let world = World::open(options).await.expect("the outside world");
        let database = TestDatabase::create(self.kind).await;
        Surroundings { settings: self.settings, has_account: self.has_account, folder, world, database }
    }

    /// Opens it.
    pub async fn open(self) -> Opened {
        self.prepare().await.open().await
    }
}

/// What a house stands on and among; it outlives the house.
pub struct Surroundings {
    settings: Vec<(String, String)>,
    has_account: bool,
    folder: Folder,
    pub world: World,
    pub database: TestDatabase,
}

impl Surroundings {
    /// One more setting, over all before it.
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// The configuration of a house that stands here.
    pub fn config(&self) -> Config {
        let outside = self.world.addresses();
        let mut sources = Sources::default();
        for (key, value) in SETTINGS {
            sources = sources.with(key, *value);
        }
        let queue_key = self.secret("queue-key");
        sources = sources
            .with("data_dir", self.folder.0.display().to_string())
            .with("store.url", self.database.url.clone())
            .with("banks.banco_do_brasil.api_url", outside.bank_url.clone())
            .with("banks.banco_do_brasil.token_url", outside.token_url.clone())
            .with("channels.sqs.credentials.access_key_id", queue_key.clone())
            .with("channels.sqs.credentials.secret_access_key", queue_key);
        for (key, value) in &self.settings {
            sources = sources.with(key, value.clone());
        }
        Config::load(&sources).unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// The reference of a secret that the world's parties know.
    pub fn secret(&self, name: &str) -> String {
        format!("file:{}", self.folder.0.join(name).display())
    }

    /// Opens the house.
    pub async fn open(self) -> Opened {
        let house = house::open(&self.config()).await.expect("an open house");
        self.moved_in(house).await
    }

    /// A house that was opened here, furnished.
    pub async fn moved_in(mut self, house: OpenHouse) -> Opened {
        let channel = connect(&format!("http://{}", house.address)).await;
        let has_account = std::mem::take(&mut self.has_account);
        let opened = Opened { surroundings: self, house, channel };
        if has_account {
            opened.operator().opens(an_account()).await.expect("the bank account");
        }
        opened
    }
}

/// An open house.
pub struct Opened {
    surroundings: Surroundings,
    house: OpenHouse,
    channel: Channel,
}

impl Opened {
    /// Somebody who sells, with a connection of their own.
    pub fn shop(&self) -> Shop {
        Shop::new(self.channel.clone(), self.world().addresses().queue_url.clone())
    }

    /// Somebody who keeps the house.
    pub fn operator(&self) -> Operator {
        Operator::new(self.channel.clone(), &self.surroundings)
    }

    /// The bank outside.
    pub fn bank(&self) -> Bank<'_> {
        Bank(self.world())
    }

    /// Those who are told.
    pub fn owner(&self) -> Owner<'_> {
        Owner(self.world())
    }

    /// How the outside misbehaves.
    pub fn script(&self) -> &Script {
        self.world().script()
    }

    pub fn world(&self) -> &World {
        &self.surroundings.world
    }

    /// A connection of somebody else's.
    pub async fn another_connection(&self) -> Channel {
        connect(&format!("http://{}", self.house.address)).await
    }

    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Waits until somebody asks the house to end.
    pub async fn drain_wished(&self) {
        let wished = tokio::time::timeout(PATIENCE, self.house.readiness.drain_wished()).await;
        wished.expect("a wish to drain");
    }

    /// Closes it, and the world.
    pub async fn close(self) {
        self.leave().await.world.close().await;
    }

    /// Closes it, and leaves what it stood among: the world goes on, and another house may open on the same rows.
    pub async fn leave(self) -> Surroundings {
        let Self { surroundings, house, channel } = self;
        drop(channel);
        let tree = house.tree.clone();
        let report = house.close().await.report;
        assert!(report.in_time && report.overran.is_empty(), "closing overran: {report:?}");
        let running = still_running(&tree.snapshot());
        assert!(running.is_empty(), "still running after closing: {running:?}");
        let held = held_rows(&surroundings.database.url).await;
        assert_eq!(held, 0, "rows of work still held after closing");
        surroundings
    }
}

/// Looks again and again until there is something to be seen.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
    }
}

async fn connect(address: &str) -> Channel {
    let endpoint = Channel::from_shared(address.to_owned()).expect("an address");
    endpoint.connect().await.expect("a connection to the house")
}

fn still_running(node: &Node) -> Vec<String> {
    let own = (!matches!(node.status, Status::Stopped | Status::Disabled))
        .then(|| format!("{} {:?}", node.path, node.status));
    own.into_iter().chain(node.children.iter().flat_map(still_running)).collect()
}

async fn held_rows(url: &str) -> i64 {
    let connection = Database::connect(url).await.expect("the database of the house");
    let count = "select count(*) as held from work where state = 'running'";
    let statement = Statement::from_string(connection.get_database_backend(), count);
    let row = connection.query_one_raw(statement).await.expect("an answer").expect("a row");
    connection.close().await.expect("the database lets go");
    row.try_get("", "held").expect("a number")
}

struct Folder(PathBuf);

impl Folder {
    fn create() -> Self {
        let path = std::env::temp_dir().join(format!("bursar-story-{}", Uuid::now_v7()));
        std::fs::create_dir_all(&path).expect("a folder for the story");
        Self(path)
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind, it only costs the system's own cleaning.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
