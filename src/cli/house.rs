//! Opens a whole house in this process: telemetry aside, everything from the configuration to the last actor.
//!
//! **Owns** the order: the server first, so that liveness holds from the start; the store as soon as it answers; the house
//! on it; then the gate. Closing goes the other way, the server last.
//! **Fails** at opening when the configuration cannot work, whatever time passes. A store that is away is waited for.
//! **Limits**: closing takes `work.drain_timeout` and a few seconds for the rest.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::access::Access;
#[cfg(feature = "failpoints")]
use crate::actors::timetable;
use crate::actors::tree;
use crate::config::Config;
use crate::grpc::api::Api;
use crate::grpc::gate::Gate;
use crate::grpc::seats::ApiSeats;
use crate::messages::Reload;
use crate::messages::house::Readiness;
use crate::messages::jobs::JobEntry;
use crate::messages::reload::Follower;
use crate::store::connect::{OpenError, default_url};
use crate::store::{Store, StoreConfig};
use crate::supervision::{
    Backoff, ChildSpec, ControlError, Ended, OnMeltdown, ShutdownReport, Strategy, SupervisorSpec, Tree,
};
use crate::web::door::Door;
use crate::web::scrape::{self, Sampler, Teller};
use crate::web::{dashboard, document_links};

/// Between two tries to open a store that is away.
const STORE_WAIT: Duration = Duration::from_secs(1);
/// For how long a reload by signal waits for its own record.
const RECORD_MAX: Duration = Duration::from_secs(2);
/// What closing takes besides the draining of the workers.
const CLOSING_PATIENCE: Duration = Duration::from_secs(10);

/// An open house.
pub struct OpenHouse {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it serves documents behind links, if it does.
    pub document_links: Option<SocketAddr>,
    /// Where it serves metrics, if it does.
    pub metrics: Option<SocketAddr>,
    /// Where it shows its dashboard, if it does.
    pub dashboard: Option<SocketAddr>,
    /// Its tree.
    pub tree: Tree,
    /// Whether it takes requests, and who wishes it to end.
    pub readiness: Readiness,
    store: Store,
    reload: Reload,
    drain_timeout: Duration,
}

/// How closing went.
#[derive(Debug)]
pub struct Closed {
    /// Which actors overran, and whether all ended in time.
    pub report: ShutdownReport,
}

/// Opens a house.
///
/// # Errors
/// A port that is taken, a store that can never be opened as configured, or an HTTP client that cannot be made.
pub async fn open(config: &Config) -> anyhow::Result<OpenHouse> {
    open_with(config, jobs_beside()).await
}

/// Opens a house whose configuration can be read again while it is open.
///
/// # Errors
/// As [`open`].
pub async fn open_reloadable(config: &Config, reload: &Reload) -> anyhow::Result<OpenHouse> {
    open_whole(config, reload, jobs_beside()).await
}

fn jobs_beside() -> Vec<JobEntry> {
    #[cfg(feature = "failpoints")]
    let beside = timetable::rehearsal::of_environment();
    #[cfg(not(feature = "failpoints"))]
    let beside = Vec::new();
    beside
}

/// Opens a house that does these jobs beside those of its configuration.
///
/// # Errors
/// As [`open`].
pub async fn open_with(config: &Config, jobs_beside: Vec<JobEntry>) -> anyhow::Result<OpenHouse> {
    open_whole(config, &Reload::default(), jobs_beside).await
}

/// Has whoever lets calls in do so as a reload says.
fn follower(gate: &Gate, seats: &ApiSeats, access: &Access) -> Follower {
    let (gate, seats, access) = (gate.clone(), seats.clone(), access.clone());
    Box::new(move |config| {
        gate.set_limits(config.limits);
        seats.set_bounds(&config.api);
        access.set_failures_max(config.access.failures_per_minute_max);
    })
}

async fn open_whole(
    config: &Config,
    reload: &Reload,
    jobs_beside: Vec<JobEntry>,
) -> anyhow::Result<OpenHouse> {
    crate::connectors::http::install_crypto_provider();
    let readiness = Readiness::default();
    let gate = Gate::new(readiness.clone(), config.limits, config.registration.inline_deadline);
    let (seats, access) = (ApiSeats::new(&config.api), Access::new(&config.access));
    reload.set_followers("gate", vec![follower(&gate, &seats, &access)]);
    let (door, (links_bound, links)) = (Door::default(), watch::channel(None));
    let (metrics_bound, metrics) = watch::channel(None);
    let (dashboard_bound, dashboard) = watch::channel(None);
    let (bound, address) = watch::channel(None);
    let (serving, served) = watch::channel(None);
    let sampler = Sampler::new(&config.metrics, config.certificates(), &door);
    let pages = [
        document_links::spec(&config.documents.links, &door, links_bound),
        scrape::spec(&config.metrics, &sampler, metrics_bound),
        Teller::spec(&config.metrics, &sampler),
        dashboard::spec(&config.dashboard, access.is_open(), served, dashboard_bound),
    ];
    let supervision = &config.supervision;
    let root = SupervisorSpec::new("root", Strategy::OneForOne)
        .intensity(supervision.restarts_max, supervision.restarts_within)
        .child(Api::spec(&config.api, &seats, &access, &gate, bound, serving))
        .child(ChildSpec::supervisor(web(config, pages)));
    let tree = Tree::start(root).await.context("cannot start the server")?;
    gate.set_tree(tree.clone());
    door.show_tree(tree.clone());
    let address = address.borrow().context("the server started without an address")?;

    let store = open_store(config).await?;
    loop {
        let (house, spec) =
            tree::build(config, store.clone(), readiness.clone(), reload, jobs_beside.clone())?;
        match tree.add("root", spec).await {
            Ok(_) => {
                door.open(house.clone());
                gate.open(house);
                break;
            }
            // The store went away again between its opening and the house's.
            Err(ControlError::Failed(reason)) => {
                warn!(reason, "house not opened yet");
                tokio::time::sleep(STORE_WAIT).await;
            }
            Err(error) => return Err(error).context("cannot open the house"),
        }
    }
    info!(%address, "house open");
    let (document_links, metrics, dashboard) = (*links.borrow(), *metrics.borrow(), *dashboard.borrow());
    Ok(OpenHouse {
        address,
        document_links,
        metrics,
        dashboard,
        tree,
        readiness,
        store,
        reload: reload.clone(),
        drain_timeout: config.work.drain_timeout,
    })
}

/// Pages for people. One that keeps crashing is parked: neither gRPC nor the house depends on it.
fn web(config: &Config, pages: impl IntoIterator<Item = ChildSpec>) -> SupervisorSpec {
    let supervision = &config.supervision;
    let retry =
        Backoff { base: supervision.park_retry_base, cap: supervision.park_retry_cap, ..Backoff::default() };
    let backoff =
        Backoff { base: supervision.backoff_base, cap: supervision.backoff_cap, ..Backoff::default() };
    let web = SupervisorSpec::new("web", Strategy::OneForOne)
        .intensity(supervision.restarts_max, supervision.restarts_within)
        .on_meltdown(OnMeltdown::Park { retry });
    pages.into_iter().fold(web, |web, page| web.child(page.mailbox(supervision.mailbox).backoff(backoff)))
}

async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let mut settings: StoreConfig = config.store.clone();
    if settings.url.is_empty() {
        settings.url = default_url(&config.data_dir);
    }
    loop {
        match Store::open(&settings).await {
            Ok(store) => return Ok(store),
            Err(OpenError::Store(error)) if error.is_transient() => {
                warn!(%error, "store away; waiting for it");
                tokio::time::sleep(STORE_WAIT).await;
            }
            Err(error) => return Err(error).context("cannot open the store"),
        }
    }
}

impl OpenHouse {
    /// Waits until the tree has ended by itself, which it does only when it melted down.
    pub async fn melted(&self) -> String {
        match self.tree.ended().await {
            Ended::Melted { reason } => reason,
            Ended::Closed => "the root was closed".to_owned(),
            Ended::Killed => "the root was killed".to_owned(),
        }
    }

    /// Has the configuration read again and taken over, as far as that can be done while the house is open. What is wrong with it
    /// is logged, and changes nothing; a record that the store does not take in time is logged, and keeps nothing back: whoever
    /// sends a signal has nobody to wait for.
    pub async fn reload(&self) {
        let pending = match self.reload.begin().await {
            Ok(pending) => pending,
            Err(errors) => {
                error!(%errors, "configuration refused; the one in effect stays");
                return;
            }
        };
        if let Some(act) = pending.act(String::new(), self.store.now()) {
            match tokio::time::timeout(RECORD_MAX, self.store.audit_act(act)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => warn!(%error, "reload is not in the audit"),
                Err(_) => warn!("reload is not in the audit: the store did not answer in time"),
            }
        }
        pending.apply();
    }

    /// Refuses changes, finishes what is in hand, and closes everything in order.
    pub async fn close(self) -> Closed {
        self.readiness.start_draining();
        let report = self.tree.shutdown(self.drain_timeout + CLOSING_PATIENCE).await;
        // Those who follow reloads have the house in hand, and with it the store; the house has the way to them.
        self.reload.set_followers("gate", Vec::new());
        self.reload.set_followers("house", Vec::new());
        if let Err(error) = self.store.close().await {
            warn!(%error, "store not closed in good order");
        }
        for path in &report.overran {
            warn!(actor = %path, "did not end in time");
        }
        Closed { report }
    }
}
