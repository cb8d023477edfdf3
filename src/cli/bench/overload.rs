//! Ten times as much as the house can do: a bank that takes 200 ms a boleto, and callers who do not wait for each other.
//!
//! First the peak is found in a closed loop; then ten times as many boletos a second are asked for, whatever becomes of
//! those before, while health and control are asked on a connection of their own. What counts as done is what the bank
//! wrote into its ledger.
//!
//! **Owns** its callers, and ends them. **Fails** when the service does not open or close; calls that fail are counted
//! by their codes. **Limits**: [`UNDER_WAY_MAX`] calls under way; one more would measure this client.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

use super::load::Load;
use super::process::{LedgerTail, resident_mib};
use super::report::{Begun, Bound, Row};
use super::shop::Shop;
use super::site::{Service, Site, World, settings};
use super::work::quantile;
use super::{Bench, Store, remark};
use crate::proto::control::v1::GetInfoRequest;
use crate::proto::control::v1::control_service_client::ControlServiceClient;
use crate::sandbox::ledger;

const BANK_MS: u64 = 200;
const TIMES: f64 = 10.0;
/// Connections of the callers: enough that no call waits for another one's stream.
const CONNECTIONS: usize = 32;
/// Callers of the closed loop: as many as the bank is asked at a time for one account. More would not wait for the bank
/// but be told that their boletos are pending, and come again at once.
const PEAK_IN_FLIGHT: usize = 64;
const UNDER_WAY_MAX: usize = 20_000;
/// How often calls are sent off.
const TICK: Duration = Duration::from_millis(5);
const PROBE_EVERY: Duration = Duration::from_millis(50);
/// What a line of the effects ledger says when the bank keeps a boleto.
const REGISTERED: &str = "\"bank.registered\"";

/// What the callers saw.
#[derive(Default)]
struct Seen {
    /// Milliseconds of those that were refused with a time to come back, and of those that were not.
    refused: Vec<f64>,
    taken: Vec<f64>,
    refused_without_time: u64,
    others: BTreeMap<String, u64>,
    /// Milliseconds of health and control calls, and how many of them failed.
    probes: Vec<f64>,
    probes_failed: u64,
    /// Calls that were not even begun, for want of room in this client.
    not_begun: u64,
}

type Shared = Arc<Mutex<Seen>>;

/// Measures one store.
pub(super) async fn measure(bench: &Bench, store: Store) -> anyhow::Result<Vec<Row>> {
    let begun = Begun::now();
    let site = Site::make(bench, store).await?;
    let world = World::start(&site).await?;
    let service =
        Service::start(&site, &settings(&site, Some(&world.addresses), false), &bench.args.set).await?;
    slow_bank(&world.addresses.control_url).await?;
    let shop = Shop::open(&service, CONNECTIONS, &world.addresses.queue_url).await?;
    let mut ledger = LedgerTail::of(site.folder.join(ledger::FILE_NAME), REGISTERED);

    let meters = service.meters(bench, &site, Some(&world));
    let caller = shop.clone();
    let load =
        Load { in_flight: PEAK_IN_FLIGHT, ramp: Duration::from_secs(2), window: Duration::from_secs(10) };
    let answered = load
        .drive(&meters, move |task| {
            let shop = caller.clone();
            async move { shop.create(task).await.map(drop) }
        })
        .await?
        .rate();
    // Who comes just before a place is free is told that the boleto is pending, and comes again.
    let peak = answered * (1.0 - shop.undecided() as f64 / shop.created() as f64);
    ensure!(peak > 0.0, "the bank registered nothing");
    remark(&format!(
        "peak {peak:.0}/s; offering {:.0}/s for {} s",
        peak * TIMES,
        bench.args.overload_seconds
    ));

    let window = Duration::from_secs(bench.args.overload_seconds);
    let before = (ledger.count(), Instant::now());
    let seen = offer(&service, &shop, peak * TIMES, window).await?;
    let goodput = (ledger.count() - before.0) as f64 / before.1.elapsed().as_secs_f64();
    let resident = resident_mib(service.pid(), true);
    service.close().await?;
    Ok(rows(store, peak, goodput, &seen, resident, &begun))
}

async fn slow_bank(control_url: &str) -> anyhow::Result<()> {
    crate::connectors::http::install_crypto_provider();
    let slow =
        json!({"party": "bank.register", "behaviour": {"latency": {"ms": BANK_MS}}, "times": "always"});
    let answer = reqwest::Client::new()
        .post(format!("{control_url}/script"))
        .header("content-type", "application/json")
        .body(slow.to_string())
        .send()
        .await
        .context("cannot reach the outside world")?;
    ensure!(answer.status().is_success(), "the outside world answered {}", answer.status());
    Ok(())
}

/// Sends calls off at that rate until the window is over, then waits for those under way.
async fn offer(service: &Service, shop: &Shop, rate: f64, window: Duration) -> anyhow::Result<Seen> {
    let seen = Shared::default();
    let probe = tokio::spawn(probe(service.connect(1).await?.remove(0), seen.clone()));
    let room = Arc::new(Semaphore::new(UNDER_WAY_MAX));
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (begun, mut sent) = (Instant::now(), 0_usize);
    let mut calls = JoinSet::new();
    while begun.elapsed() < window {
        tick.tick().await;
        let due = (begun.elapsed().as_secs_f64() * rate) as usize;
        while sent < due {
            sent += 1;
            match room.clone().try_acquire_owned() {
                Ok(permit) => {
                    let (shop, seen) = (shop.clone(), seen.clone());
                    calls.spawn(async move {
                        call(&shop, sent, &seen).await;
                        drop(permit);
                    });
                }
                Err(_) => lock(&seen).not_begun += 1,
            }
        }
        while calls.try_join_next().is_some() {}
    }
    while calls.join_next().await.is_some() {}
    probe.abort();
    let _ = probe.await;
    let seen = std::mem::take(&mut *lock(&seen));
    Ok(seen)
}

async fn call(shop: &Shop, number: usize, seen: &Shared) {
    let begun = Instant::now();
    let answer = shop.create(number).await;
    let elapsed = begun.elapsed().as_secs_f64() * 1_000.0;
    let mut seen = lock(seen);
    let status = match &answer {
        Ok(_) => return seen.taken.push(elapsed),
        Err(error) => error.downcast_ref::<Status>(),
    };
    match status {
        Some(status) if status.code() == Code::ResourceExhausted => {
            seen.refused.push(elapsed);
            if status.get_details_retry_info().is_none() {
                seen.refused_without_time += 1;
            }
        }
        Some(status) => *seen.others.entry(format!("{:?}", status.code())).or_default() += 1,
        None => *seen.others.entry("no answer".to_owned()).or_default() += 1,
    }
}

/// Asks for health and information in turn until it is ended.
async fn probe(channel: tonic::transport::Channel, seen: Shared) {
    let mut tick = interval(PROBE_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut health, mut control) = (HealthClient::new(channel.clone()), ControlServiceClient::new(channel));
    loop {
        tick.tick().await;
        let begun = Instant::now();
        let healthy = health.check(HealthCheckRequest::default()).await.map(drop);
        let after_health = begun.elapsed();
        let informed = control.get_info(GetInfoRequest {}).await.map(drop);
        let after_both = begun.elapsed();
        let mut seen = lock(&seen);
        for (answer, took) in [(healthy, after_health), (informed, after_both - after_health)] {
            match answer {
                Ok(()) => seen.probes.push(took.as_secs_f64() * 1_000.0),
                Err(_) => seen.probes_failed += 1,
            }
        }
    }
}

fn lock(seen: &Shared) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn rows(
    store: Store,
    peak: f64,
    goodput: f64,
    seen: &Seen,
    resident: Option<f64>,
    begun: &Begun,
) -> Vec<Row> {
    let name = store.name();
    let timed = |measure: &'static str, millis: &[f64]| {
        let row = Row::new(measure, name, "ms p50", &[quantile(millis, 0.5)], begun);
        Row { p99_ms: Some(quantile(millis, 0.99)), ..row }
    };
    let others: Vec<String> = seen.others.iter().map(|(code, count)| format!("{code} {count}")).collect();
    let goodput = Row::new("registered under ten times the load", name, "/s", &[goodput], begun)
        .against("peak", &[peak])
        .goal_of_ratio(0.8)
        .resident(resident)
        .goal("peak MiB", Bound::AtMost(256.0), resident)
        .goal("refused", Bound::AtLeast(1.0), Some(seen.refused.len() as f64))
        .note(format!(
            "taken {}, refused {}, otherwise [{}], not begun {}",
            seen.taken.len(),
            seen.refused.len(),
            others.join(", "),
            seen.not_begun
        ));
    let mut rows = vec![goodput];
    if !seen.refused.is_empty() {
        let refused = timed("… refusals", &seen.refused)
            .note(format!("{} of {} without RetryInfo", seen.refused_without_time, seen.refused.len()))
            .goal("p99 ms", Bound::AtMost(100.0), Some(quantile(&seen.refused, 0.99)))
            .goal("without RetryInfo", Bound::AtMost(0.0), Some(seen.refused_without_time as f64));
        rows.push(refused);
    }
    let probes = timed("… health and control", &seen.probes)
        .note(format!("{} asked, {} failed", seen.probes.len(), seen.probes_failed))
        .goal("p99 ms", Bound::AtMost(1_000.0), Some(quantile(&seen.probes, 0.99)))
        .goal("failed", Bound::AtMost(0.0), Some(seen.probes_failed as f64));
    rows.push(timed("… calls that were taken", &seen.taken));
    rows.push(probes);
    rows
}
