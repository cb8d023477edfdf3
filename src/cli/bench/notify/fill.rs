//! Notifications that wait, written straight into a store that no service has open: for each a delivery, its event and its work,
//! as an announcement leaves them. Boletos are left out, for nobody reads them on the way to an owner.
//!
//! **Owns** the store while it fills it. **Fails** when the store does not open or the tables are others by now.
//! **Limits**: one statement a table and endpoint, because a million of the store's own verbs would take an hour.

use std::time::Duration;

use anyhow::Context as _;
use chrono::Utc;
use sea_orm::{ConnectOptions, ConnectionTrait as _, DatabaseConnection, DbBackend};

use crate::cli::bench::site::Site;
use crate::connectors::channels::ChannelKind;
use crate::domain::ids::{EndpointId, TenantId};
use crate::store::delivery::queue_of;
use crate::store::endpoint::StoredEndpoint;
use crate::store::pool;
use crate::store::{Store, StoreConfig};

/// Somebody to tell.
pub(super) struct Owner {
    pub channel: ChannelKind,
    /// What the channel reads.
    pub destination: String,
    pub target: String,
}

/// The store of a site.
pub(super) async fn open(site: &Site) -> anyhow::Result<Store> {
    let config = StoreConfig { url: site.store_url(), connections_max: 4, timeout: Duration::from_secs(60) };
    Store::open(&config).await.context("cannot open the store")
}

/// Fills a site's store with notifications, the same number for each owner.
pub(super) async fn fill(site: &Site, owners: &[Owner], notifications: usize) -> anyhow::Result<()> {
    let store = open(site).await?;
    let mut endpoints = Vec::new();
    for owner in owners {
        let (kind, destination) = (owner.channel.as_str(), owner.destination.clone());
        let new =
            StoredEndpoint::new(TenantId::default(), kind, destination, owner.target.clone(), Utc::now());
        endpoints.push((kind, store.ensure_endpoint(&new).await?.id));
    }
    store.close().await.context("cannot close the store")?;

    let mut options = ConnectOptions::new(site.store_url());
    options.max_connections(1).sqlx_logging(false);
    let connection = pool::connect(options).await.context("cannot connect to fill the store")?;
    let writer = Writer { connection, each: notifications / owners.len(), step: owners.len() };
    writer.all(&endpoints).await.context("cannot fill the store")?;
    writer.connection.close().await.context("cannot close the filled store")
}

struct Writer {
    connection: DatabaseConnection,
    /// Notifications of an endpoint.
    each: usize,
    /// Between two subjects of one endpoint, so that no two endpoints share one.
    step: usize,
}

impl Writer {
    async fn all(&self, endpoints: &[(&'static str, EndpointId)]) -> anyhow::Result<()> {
        let is_sqlite = self.connection.get_database_backend() == DbBackend::Sqlite;
        if is_sqlite {
            // What is lost with this machine is made anew.
            self.connection.execute_unprepared("pragma synchronous = off").await?;
        }
        for (place, (channel, endpoint)) in endpoints.iter().enumerate() {
            for statement in self.statements(place, channel, *endpoint) {
                self.connection.execute_unprepared(&statement).await?;
            }
        }
        // What a server does by itself within a minute.
        let settle = if is_sqlite { "pragma wal_checkpoint(truncate)" } else { "vacuum analyze" };
        self.connection.execute_unprepared(settle).await?;
        Ok(())
    }

    fn statements(&self, place: usize, channel: &str, endpoint: EndpointId) -> [String; 3] {
        let is_sqlite = self.connection.get_database_backend() == DbBackend::Sqlite;
        let id = |number: String| match is_sqlite {
            true => format!("unhex(printf('%032x', {number}))"),
            false => format!("cast(lpad(to_hex({number}), 32, '0') as uuid)"),
        };
        let subject = id(format!("i * {} + {place}", self.step));
        // Each table's own ids are apart from the subjects' by a bit of their own.
        let own = id(format!("i * {} + {place} + 1099511627776", self.step));
        let endpoint_id = match is_sqlite {
            true => format!("x'{}'", endpoint.0.simple()),
            false => format!("cast('{}' as uuid)", endpoint.0),
        };
        let series = format!(
            "with recursive s(i) as (select cast(1 as bigint) union all select i + 1 from s where i < {})",
            self.each
        );
        let now = Utc::now().timestamp_micros();
        let queue = queue_of(channel, endpoint.0);
        [
            format!(
                "{series} insert into delivery (endpoint_id, subject_id, subject_kind, tenant_id, wanted_version, sent_version,
                   state, attempts, updated_at_us)
                 select {endpoint_id}, {subject}, 'boleto', 'default', 2, 0, 'pending', 0, {now} from s"
            ),
            format!(
                "{series} insert into boleto_event (id, tenant_id, boleto_id, version, event_type, status, reference_id,
                   occurred_at_us)
                 select {own}, 'default', {subject}, 2, 'boleto.registered', 'registered', 'order ' || i, {now} from s"
            ),
            format!(
                "{series} insert into work (id, tenant_id, kind, queue, priority, run_at_us, state, attempt, attempts_max, fence,
                   unique_key, subject_id, payload, created_at_us)
                 select {own}, 'default', 'notification.deliver', '{queue}', 0, {now} - {} + i, 'available', 0, 30, 0,
                   'deliver:{endpoint}:' || i, {subject}, '{{\"endpoint_id\":\"{endpoint}\"}}', {now} from s",
                self.each
            ),
        ]
    }
}
