//! What telemetry costs: the same calls to a house that tells nobody anything, and to one that exports every span and every
//! metric to a collector on this machine, which counts the spans and keeps none.
//!
//! **Owns** the collector, which ends with the run. **Fails** with the first call that fails. **Limits**: rounds of both take
//! turns; the collector's own time is the client's, and counts against the second house. A house that drops spans because they
//! become too many costs less than one that exports them all, so how many came is told beside what it cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::load::{Load, Taken};
use super::report::{Begun, Row};
use super::shop::Shop;
use super::site::{Service, Site, World, settings};
use super::{Bench, Store};

const RAMP: Duration = Duration::from_secs(1);
/// The share of what is done without telemetry that is to be done with it.
const SHARE: f64 = 0.9;

/// Where traces are sent, as OTLP over HTTP has it.
const TRACES: &str = "/v1/traces";

/// A collector that takes whatever it is sent.
struct Collector {
    address: String,
    spans: Arc<AtomicU64>,
    serving: JoinHandle<()>,
}

impl Collector {
    async fn open() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for the collector")?;
        let address = format!("http://{}", listener.local_addr()?);
        let spans = Arc::default();
        let router = Router::new()
            .route(TRACES, axum::routing::post(count))
            .fallback(async |_body: Bytes| ())
            .with_state(Arc::clone(&spans));
        // It ends with the run, and what it says until then is of no use to anybody.
        let serving = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { address, spans, serving })
    }

    /// What tells a house to export to it.
    fn settings(&self) -> Vec<(String, String)> {
        [
            ("telemetry.otlp_endpoint", self.address.as_str()),
            ("telemetry.otlp_protocol", "http"),
            ("telemetry.sample_ratio", "1.0"),
            ("metrics.otlp", "true"),
            ("metrics.listen", "127.0.0.1:0"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn count(State(spans): State<Arc<AtomicU64>>, body: Bytes) {
    // What cannot be read is as good as not sent.
    let sent = Traces::decode(body).unwrap_or_default();
    let of_scopes = sent.resources.iter().flat_map(|resource| &resource.scopes);
    let count: usize = of_scopes.map(|scope| scope.spans.len()).sum();
    spans.fetch_add(count as u64, Ordering::Relaxed);
}

/// `ExportTraceServiceRequest`, as much of it as it takes to count spans.
#[derive(Clone, PartialEq, Message)]
struct Traces {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(bytes = "bytes", repeated, tag = "2")]
    spans: Vec<Bytes>,
}

/// One of the two houses.
struct Ground {
    shop: Shop,
    service: Service,
    world: World,
    site: Site,
    rounds: Vec<Taken>,
}

impl Ground {
    async fn open(bench: &Bench, store: Store, beside: Vec<(String, String)>) -> anyhow::Result<Self> {
        let site = Site::make(bench, store).await?;
        let world = World::start(&site).await?;
        let set = [bench.args.set.clone(), beside].concat();
        let service = Service::start(&site, &settings(&site, Some(&world.addresses), false), &set).await?;
        let shop = Shop::open(&service, bench.args.connections, &world.addresses.queue_url).await?;
        Ok(Self { shop, service, world, site, rounds: Vec::new() })
    }

    async fn round(&mut self, bench: &Bench) -> anyhow::Result<()> {
        let meters = self.service.meters(bench, &self.site, Some(&self.world));
        let shop = self.shop.clone();
        let create = move |task| {
            let shop = shop.clone();
            async move { shop.create(task).await.map(drop) }
        };
        let load = Load { in_flight: bench.args.in_flight, ramp: RAMP, window: bench.window() };
        self.rounds.push(load.drive(&meters, create).await?);
        Ok(())
    }

    /// Ends the house, then what it stood on.
    async fn leave(self) -> anyhow::Result<Vec<Taken>> {
        let Self { shop, service, rounds, .. } = self;
        drop(shop);
        service.close().await?;
        Ok(rounds)
    }
}

/// Creates boletos in both houses, in turns.
pub(super) async fn measure(bench: &Bench, store: Store) -> anyhow::Result<Vec<Row>> {
    let begun = Begun::now();
    let collector = Collector::open().await?;
    let mut without = Ground::open(bench, store, Vec::new()).await?;
    let mut with = Ground::open(bench, store, collector.settings()).await?;
    for _ in 0..bench.args.rounds {
        without.round(bench).await?;
        with.round(bench).await?;
    }
    let (without, with) = (without.leave().await?, with.leave().await?);
    // A house exports what it has left before it ends.
    let spans = collector.spans.load(Ordering::Relaxed);
    let calls: usize = with.iter().map(|round| round.latencies.len()).sum();
    let alone: Vec<f64> = without.iter().map(Taken::rate).collect();
    Ok(vec![
        Row::of_calls("create, telemetry off", store.name(), &without, &begun),
        Row::of_calls("create, telemetry on", store.name(), &with, &begun)
            .against("telemetry off", &alone)
            .goal_of_ratio(SHARE)
            .note(format!(
                "{spans} spans came; {calls} calls were measured, each round has others before them"
            )),
    ])
}
