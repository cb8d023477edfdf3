//! A whole house for one story: real actors on a real store, and the outside world in miniature on real sockets.
//!
//! **Owns** a folder, a database and every port; nothing is shared between stories.
//! **Fails** at closing when an actor overran or still runs, or a row of work is still held: what a story leaves behind
//! is part of the story. **Limits**: waits end after [`PATIENCE`], and every time of the house is set to milliseconds.

mod bank;
pub mod customers;
pub mod dashboard;
pub mod feed;
mod operator;
mod orders;
mod owner;
mod payer;
pub mod reconciliation;
mod refusal;
mod shop;
mod surroundings;
mod transfers;

use std::net::SocketAddr;
use std::time::Duration;

use bursar::cli::house::OpenHouse;
use bursar::proto::boleto::v1::BankAccount;
use bursar::sandbox::{Aspsp, Script, World};
use bursar::store::Store;
use bursar::store::pool;
use bursar::supervision::{Node, Status};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::transport::Channel;

pub use self::bank::Bank;
pub use self::customers::Customers;
pub use self::feed::Feed;
pub use self::operator::{Operator, an_account};
pub use self::orders::a_resolution;
pub use self::owner::{Owner, Told};
pub use self::payer::{BASE_URL, Page, Payer, path_of};
pub use self::refusal::Refusal;
pub use self::shop::{Shop, a_boleto};
pub use self::surroundings::Surroundings;
use super::database::Kind;

/// Longer than anything takes that happens at all, on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(20);

const LOOK_EVERY: Duration = Duration::from_millis(5);
/// A house about to be opened.
pub struct House {
    kind: Kind,
    settings: Vec<(String, String)>,
    has_account: bool,
    feeds: Vec<String>,
    has_service_account: bool,
    has_aspsps: bool,
}

impl House {
    /// On an embedded store, with one bank account, which is the default.
    pub fn new() -> Self {
        Self {
            kind: Kind::Sqlite,
            settings: Vec::new(),
            has_account: true,
            feeds: Vec::new(),
            has_service_account: false,
            has_aspsps: false,
        }
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

    /// With a feed of transfers under this name, and without a bank account.
    pub fn with_feed(mut self, name: &str) -> Self {
        self.feeds.push(name.to_owned());
        self.without_account()
    }

    /// Signed in to its feeds by the key of a service account.
    pub fn with_service_account(mut self) -> Self {
        self.has_service_account = true;
        self
    }

    /// With the world's banks of open banking, and without a bank account.
    pub fn with_aspsps(mut self) -> Self {
        self.has_aspsps = true;
        self.without_account()
    }

    /// Everything around the house, which itself is still to be opened.
    pub async fn prepare(self) -> Surroundings {
        let Self { kind, settings, has_account, has_service_account, .. } = self;
        let mut surroundings = Surroundings::create(kind, settings, has_account, has_service_account).await;
        surroundings.feeds = self.feeds;
        surroundings.has_aspsps = self.has_aspsps;
        surroundings
    }

    /// Opens it.
    pub async fn open(self) -> Opened {
        self.prepare().await.open().await
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

    /// Whoever keeps customers of banks in it.
    pub fn customers(&self) -> Customers {
        Customers::over(self.channel.clone())
    }

    /// The bank of open banking of that name outside.
    pub fn aspsp(&self, name: &str) -> Aspsp {
        customers::bank(self.world(), name)
    }

    /// The bank outside.
    pub fn bank(&self) -> Bank<'_> {
        Bank(self.world())
    }

    /// The feed of transfers outside.
    pub fn feed(&self) -> Feed<'_> {
        Feed(self.world())
    }

    /// Those who are told.
    pub fn owner(&self) -> Owner<'_> {
        Owner(self.world())
    }

    /// Somebody with a browser, in a house that serves documents behind links.
    pub fn payer(&self) -> Payer {
        Payer::at(self.house.document_links.expect("a house that serves documents"))
    }

    /// The store that it stands on, opened beside it as another process would; on PostgreSQL only.
    pub async fn store_beside(&self) -> Store {
        self.surroundings.database.open().await
    }

    /// The database that it stands on.
    pub fn database_url(&self) -> &str {
        &self.surroundings.database.url
    }

    /// How the outside misbehaves.
    pub fn script(&self) -> &Script {
        self.world().script()
    }

    pub fn world(&self) -> &World {
        &self.surroundings.world
    }

    /// Opens a bank account with each of the world's banks but the first; none of them is the default.
    pub async fn opens_accounts_elsewhere(&self) -> Vec<BankAccount> {
        let mut opened = Vec::new();
        for account in self.surroundings.accounts_elsewhere() {
            let name = account.external_id.clone();
            let answer = self.operator().opens_without_credentials(account).await;
            opened.push(answer.unwrap_or_else(|status| panic!("{name}: {status:?}")));
        }
        opened
    }

    /// Gives a boleto the name that it had in the service before, as an import does.
    pub async fn names_as_before(&self, legacy_id: &str, boleto_id: &str) {
        let connection = pool::connect(&self.surroundings.database.url).await.expect("the database");
        let id: uuid::Uuid = boleto_id.parse().expect("an id");
        let enter = "insert into legacy_id (tenant_id, legacy_id, boleto_id) values ('default', $1, $2)";
        let values = [legacy_id.into(), id.into()];
        let statement = Statement::from_sql_and_values(connection.get_database_backend(), enter, values);
        connection.execute_raw(statement).await.expect("the name is entered");
        connection.close().await.expect("the database lets go");
    }

    /// Gives a boleto this status, last changed at this time, in microseconds: nobody waits for years.
    pub async fn ages(&self, boleto_id: &str, status: &str, updated_at_us: &str) {
        let connection = pool::connect(&self.surroundings.database.url).await.expect("the database");
        let id: uuid::Uuid = boleto_id.parse().expect("an id");
        let age =
            format!("update boleto set status = '{status}', updated_at_us = {updated_at_us} where id = $1");
        let statement = Statement::from_sql_and_values(connection.get_database_backend(), age, [id.into()]);
        connection.execute_raw(statement).await.expect("it is older now");
        connection.close().await.expect("the database lets go");
    }

    /// Where it serves metrics.
    pub fn metrics(&self) -> SocketAddr {
        self.house.metrics.expect("a house that serves metrics")
    }

    /// A connection of somebody else's.
    pub async fn another_connection(&self) -> Channel {
        connect(self.house.address).await
    }

    /// Where it serves gRPC.
    pub fn address(&self) -> SocketAddr {
        self.house.address
    }

    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Waits until somebody asks the house to end.
    pub async fn drain_wished(&self) {
        let wished = tokio::time::timeout(PATIENCE, self.house.readiness.drain_wished()).await;
        wished.expect("a wish to drain");
    }

    /// Begins to close it, and leaves the world open while it does.
    pub fn closing(self) -> Closing {
        let Self { surroundings, house, channel } = self;
        drop(channel);
        let tree = house.tree.clone();
        let closing = tokio::spawn(async move {
            let report = house.close().await.report;
            assert!(report.in_time && report.overran.is_empty(), "closing overran: {report:?}");
            let running = still_running(&tree.snapshot());
            assert!(running.is_empty(), "still running after closing: {running:?}");
        });
        Closing { surroundings, closing }
    }

    /// Closes it, and the world.
    pub async fn close(self) {
        self.leave().await.world.close().await;
    }

    /// Closes it, and leaves what it stood among: the world goes on, and another house may open on the same rows.
    pub async fn leave(self) -> Surroundings {
        self.closing().left().await
    }
}

/// A house that is being closed.
pub struct Closing {
    surroundings: Surroundings,
    closing: JoinHandle<()>,
}

impl Closing {
    pub fn world(&self) -> &World {
        &self.surroundings.world
    }

    /// Waits until it is closed, and closes the world.
    pub async fn closed(self) {
        self.left().await.world.close().await;
    }

    async fn left(self) -> Surroundings {
        let Self { surroundings, closing } = self;
        closing.await.expect("a house that closes in good order");
        let held = held_rows(&surroundings.database.url).await;
        assert!(held.is_empty(), "rows of work still held after closing: {held:?}");
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

async fn connect(address: SocketAddr) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{address}")).expect("an address");
    endpoint.connect().await.expect("a connection to the house")
}

fn still_running(node: &Node) -> Vec<String> {
    let own = (!matches!(node.status, Status::Stopped | Status::Disabled))
        .then(|| format!("{} {:?}", node.path, node.status));
    own.into_iter().chain(node.children.iter().flat_map(still_running)).collect()
}

/// The rows of work that somebody still has in hand, as an operator would tell of them.
async fn held_rows(url: &str) -> Vec<String> {
    let connection = pool::connect(url).await.expect("the database of the house");
    let find = "select work.kind, work.attempt, runner.state, runner.beat from work \
        left join runner on runner.id = work.runner_id where work.state = 'running'";
    let statement = Statement::from_string(connection.get_database_backend(), find);
    let rows = connection.query_all_raw(statement).await.expect("an answer");
    connection.close().await.expect("the database lets go");
    let tell = |row: &QueryResult| -> Result<String, DbErr> {
        let (kind, attempt): (String, i64) = (row.try_get("", "kind")?, row.try_get("", "attempt")?);
        let (state, beat): (String, i64) = (row.try_get("", "state")?, row.try_get("", "beat")?);
        Ok(format!("{kind}, attempt {attempt}, by a process that is {state} after {beat} beats"))
    };
    rows.iter().map(|row| tell(row).expect("a row that can be read")).collect()
}
