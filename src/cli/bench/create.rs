//! How many boletos a second: created, registered with the bank, answered; and told to their owners, or held.
//!
//! Held, each boleto's delivery is written and stays in the store. Draining, deliveries go out while boletos are created,
//! and both rates are measured in the same windows; what lags behind at the end is said.
//!
//! **Owns** nothing beyond its run. **Fails** with the first call that fails. **Limits**: rounds of ours and of the peer
//! take turns, on the same database or disk, never at the same time; while deliveries drain there is no peer.
//! A peer's row shows its own rate and our rate through it.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::load::{Load, Taken};
use super::peer::{self, Peer};
use super::process::resident_mib;
use super::report::{Begun, Bound, Row};
use super::shop::Shop;
use super::site::{Service, Site, World, settings};
use super::{Bench, Deliveries, Store};

const RAMP: Duration = Duration::from_secs(1);

/// The rounds of one house.
#[derive(Default)]
struct Rounds {
    many: Vec<Taken>,
    one: Vec<Taken>,
    /// Of each peer, its rates.
    peers_many: Vec<(&'static str, Vec<f64>)>,
    /// Of the first peer alone.
    peer_one_ms: Vec<f64>,
    syncs: Vec<f64>,
}

/// Measures one store and one way with deliveries.
pub(super) async fn measure(bench: &Bench, store: Store, deliveries: Deliveries) -> anyhow::Result<Vec<Row>> {
    let begun = Begun::now();
    let site = Site::make(bench, store).await?;
    let world = World::start(&site).await?;
    let told = deliveries == Deliveries::Draining;
    let config = settings(&site, Some(&world.addresses), told);
    let service = Service::start(&site, &config, &bench.args.set).await?;
    let shop = Shop::open(&service, bench.args.connections, &world.addresses.queue_url).await?;
    // While a peer ran, deliveries would catch up in peace, and the next round would begin without a backlog.
    let peers = match told {
        true => vec![],
        false => Peer::prepare(&site, bench.pgbench.as_deref()).await?,
    };
    let meters = service.meters(bench, &site, Some(&world));
    let window = bench.window();
    let short = (window / 5).max(Duration::from_millis(500));
    let unmeasured = peers.iter().map(|peer| (peer.name(), vec![])).collect();
    let mut rounds = Rounds { peers_many: unmeasured, ..Rounds::default() };
    for _ in 0..bench.args.rounds {
        for (peer, (_, rates)) in peers.iter().zip(&mut rounds.peers_many) {
            rates.push(peer.round(bench.args.in_flight, window).await?.rate);
        }
        let create = create_with(&shop);
        let load = Load { in_flight: bench.args.in_flight, ramp: RAMP, window };
        rounds.many.push(load.drive(&meters, create.clone()).await?);
        if told {
            continue;
        }
        if let Some(peer) = peers.first() {
            rounds.peer_one_ms.push(peer.round(1, short).await?.each_ms);
        }
        let load = Load { in_flight: 1, ramp: RAMP / 5, window: short };
        rounds.one.push(load.drive(&meters, create).await?);
        if store == Store::Sqlite {
            rounds.syncs.push(peer::syncs(&site.folder, short).await?);
        }
    }
    let resident = resident_mib(service.pid(), true);
    let all_told = meters.read().told;
    service.close().await?;
    let undecided = match shop.undecided() {
        0 => String::new(),
        some => format!("{some} answered before the bank decided"),
    };
    let mut rows = match deliveries {
        Deliveries::Held => held_rows(store, &rounds, &begun),
        Deliveries::Draining => {
            draining_rows(store, &rounds, &begun, shop.created().saturating_sub(all_told))
        }
    };
    let first = rows.remove(0);
    rows.insert(0, about_memory(first, resident, &undecided));
    Ok(rows)
}

/// The call: one more boleto.
fn create_with(
    shop: &Shop,
) -> impl Fn(usize) -> BoxFuture<'static, anyhow::Result<()>> + Clone + Send + Sync + 'static {
    let shop = shop.clone();
    move |task| {
        let shop = shop.clone();
        Box::pin(async move { shop.create(task).await.map(drop) })
    }
}

fn about_memory(row: Row, resident: Option<f64>, undecided: &str) -> Row {
    let row = row.resident(resident).goal("peak MiB", Bound::AtMost(120.0), resident);
    if undecided.is_empty() { row } else { row.note(undecided) }
}

fn held_rows(store: Store, rounds: &Rounds, begun: &Begun) -> Vec<Row> {
    let name = store.name();
    let many = Row::of_calls("create, deliveries held", name, &rounds.many, begun);
    let ours = many.result;
    let many = match store {
        Store::Sqlite => many.result_goal(Bound::AtLeast(2_000.0)),
        Store::Postgres => {
            let service = many.cpu_ms.service;
            many.result_goal(Bound::AtLeast(3_000.0)).goal("service CPU ms", Bound::AtMost(0.2), service)
        }
    };
    let mut rows = vec![many];
    for (at, (peer, rates)) in rounds.peers_many.iter().enumerate() {
        let row = Row::of_peer(peer, name, rates, ours, begun);
        // The first peer is the one to be measured by.
        let goal = (store == Store::Postgres && at == 0).then_some(row.ratio).flatten();
        rows.push(row.goal("ratio", Bound::AtLeast(1.0), goal));
    }
    let p50: Vec<f64> = rounds.one.iter().map(|taken| taken.quantile(0.5)).collect();
    let peer = rounds.peers_many.first().map_or("", |(peer, _)| peer);
    let one = Row::new("create, one in flight", name, "ms p50", &p50, begun)
        .with_windows(&rounds.one)
        .against(peer, &rounds.peer_one_ms)
        .note("peer: ms of one, in the mean")
        .result_goal(Bound::AtMost(3.0));
    rows.push(one);
    if !rounds.syncs.is_empty() {
        rows.push(Row::new("fdatasync of 4 KiB more", name, "/s", &rounds.syncs, begun));
    }
    rows
}

fn draining_rows(store: Store, rounds: &Rounds, begun: &Begun, behind: u64) -> Vec<Row> {
    let name = store.name();
    let created = Row::of_calls("create, deliveries draining", name, &rounds.many, begun);
    let rates: Vec<f64> = rounds.many.iter().map(|taken| taken.told as f64 / taken.elapsed).collect();
    let told = Row::new("owners told meanwhile", name, "/s", &rates, begun)
        .note(format!("{behind} not told yet at the end"));
    match store {
        Store::Sqlite => vec![created, told],
        Store::Postgres => [created, told].map(|row| row.result_goal(Bound::AtLeast(2_000.0))).into(),
    }
}
