//! The durable engine alone: jobs that do nothing, from their insertion to the end that is written down.
//!
//! Jobs are inserted in groups while nothing is claimed, then worked off: acknowledged by the batch, or with one commit
//! each. From the start on they take the engine's own path, lease, guards, places and deadlines included. On PostgreSQL
//! graphile-worker does the same on the same server between our rounds. When idle, jobs are inserted one after the other,
//! and the time from before the insertion to the start is taken.
//!
//! **Owns** nothing beyond its run. **Fails** with the first job that does not end. **Limits**: ours is this process, so
//! its own part of the processor time is in the figures; the peer's is its script's.

mod engine;
mod graphile;
mod worker;

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

pub(super) use self::engine::{Acknowledged, Engine};
use self::graphile::{Graphile, NAME};
use super::load::CpuMs;
use super::process::Usage;
use super::report::{Begun, Bound, Row, median};
use super::site::Site;
use super::{Bench, Store, remark};

/// Jobs before the first round, for connections, caches and plans.
const WARM_UP: usize = 2_000;
/// Where each job is a commit, a round has so many times fewer.
const FEWER: usize = 8;
/// Jobs of an idle round.
const IDLE_JOBS: usize = 100;
/// Between two jobs of an idle round, so that the one before has ended.
const IDLE_GAP: Duration = Duration::from_millis(10);

/// A part of a round.
#[derive(Clone, Copy)]
struct Part {
    /// Jobs a second.
    rate: f64,
    /// Processor time of each job.
    client_us: Option<f64>,
    database_us: Option<f64>,
}

/// The rounds of one way.
#[derive(Default)]
struct Rounds {
    inserted: Vec<Part>,
    worked: Vec<Part>,
}

/// One place that is measured, and what it did.
struct Stage {
    store: Store,
    _site: Site,
    url: String,
    postmaster: Option<u32>,
    peer: Option<Graphile>,
    batched: Rounds,
    single: Rounds,
    peer_batched: Rounds,
    peer_single: Rounds,
    idle: Vec<Vec<f64>>,
    peer_idle: Vec<Vec<f64>>,
    peer_idle_single: Vec<Vec<f64>>,
}

/// Measures the stores side by side, round by round.
pub(super) async fn measure(bench: &Bench, stores: &[Store]) -> anyhow::Result<Vec<Row>> {
    let begun = Begun::now();
    let mut stages = Vec::new();
    for store in stores {
        stages.push(Stage::prepare(bench, *store).await?);
    }
    for round in 1..=bench.args.rounds {
        for stage in &mut stages {
            remark(&format!("work on {}, round {round}", stage.store.name()));
            stage.round(bench).await?;
        }
    }
    let postgres =
        stages.iter().find(|stage| stage.store == Store::Postgres).map(|stage| stage.batched.rate());
    Ok(stages.iter().flat_map(|stage| stage.rows(&begun, postgres)).collect())
}

impl Stage {
    async fn prepare(bench: &Bench, store: Store) -> anyhow::Result<Self> {
        let site = Site::make(bench, store).await?;
        let url = site.store_url();
        let postgres = bench.postgres.as_ref().filter(|_| store == Store::Postgres);
        let postmaster = postgres.and_then(|postgres| postgres.postmaster);
        let folder = bench.args.graphile.clone().unwrap_or_else(|| PathBuf::from("benches/graphile"));
        let peer = match (postgres, Graphile::find(&folder)) {
            (Some(postgres), Some(script)) => {
                Some(Graphile::new(script, postgres.database().await?, postmaster))
            }
            (Some(_), None) => {
                remark("graphile-worker is not installed; see benches/README.md");
                None
            }
            (None, _) => None,
        };
        let stage = Self {
            store,
            _site: site,
            url,
            postmaster,
            peer,
            batched: Rounds::default(),
            single: Rounds::default(),
            peer_batched: Rounds::default(),
            peer_single: Rounds::default(),
            idle: Vec::new(),
            peer_idle: Vec::new(),
            peer_idle_single: Vec::new(),
        };
        stage.ours(bench, Acknowledged::Batched, WARM_UP).await?;
        if let Some(peer) = &stage.peer {
            peer.round("batched", WARM_UP).await?;
        }
        Ok(stage)
    }

    /// One round of everything, ours and the peer's in turn.
    async fn round(&mut self, bench: &Bench) -> anyhow::Result<()> {
        let (many, few) = (bench.args.jobs, (bench.args.jobs / FEWER).max(1));
        let measured = self.ours(bench, Acknowledged::Batched, many).await?;
        self.batched.push(measured);
        if let Some(peer) = &self.peer {
            self.peer_batched.push(peer.round("batched", many).await?);
        }
        let measured = self.ours(bench, Acknowledged::OneByOne, few).await?;
        self.single.push(measured);
        if let Some(peer) = &self.peer {
            self.peer_single.push(peer.round("single", few).await?);
        }
        let measured = self.idle(bench).await?;
        self.idle.push(measured);
        if let Some(peer) = &self.peer {
            self.peer_idle.push(peer.idle("idle-batched", IDLE_JOBS).await?);
            self.peer_idle_single.push(peer.idle("idle-single", IDLE_JOBS).await?);
        }
        Ok(())
    }

    async fn ours(&self, bench: &Bench, how: Acknowledged, jobs: usize) -> anyhow::Result<(Part, Part)> {
        let mut engine = Engine::open(&self.url, how, false, &bench.args.set).await?;
        let before = Usage::now(self.postmaster);
        let begun = Instant::now();
        engine.insert(jobs).await?;
        let inserted = Part::of(jobs, begun, &before, &Usage::now(self.postmaster));
        let before = Usage::now(self.postmaster);
        let begun = Instant::now();
        engine.work();
        engine.until_ended(jobs as u64).await?;
        let worked = Part::of(jobs, begun, &before, &Usage::now(self.postmaster));
        engine.close().await?;
        Ok((inserted, worked))
    }

    async fn idle(&self, bench: &Bench) -> anyhow::Result<Vec<f64>> {
        let mut engine = Engine::open(&self.url, Acknowledged::Batched, true, &bench.args.set).await?;
        engine.work();
        let mut latencies = Vec::with_capacity(IDLE_JOBS);
        for job in 0..IDLE_JOBS + IDLE_JOBS / 5 {
            let latency = engine.start_of_one().await?;
            // The first ones warm connections and plans.
            if job >= IDLE_JOBS / 5 {
                latencies.push(latency);
            }
            engine.until_ended(job as u64 + 1).await?;
            tokio::time::sleep(IDLE_GAP.mul_f64(0.5 + rand::random::<f64>())).await;
        }
        engine.close().await?;
        Ok(latencies)
    }

    fn rows(&self, begun: &Begun, postgres: Option<f64>) -> Vec<Row> {
        let name = self.store.name();
        let (batched, single) = (&self.batched, &self.single);
        let mut rows = Vec::new();
        let work = batched.row("no-op jobs, batched", name, begun);
        let work = match self.store {
            Store::Postgres => work.against(NAME, &self.peer_batched.rates()).goal_of_ratio(1.5).goal(
                "CPU to peer's",
                Bound::AtMost(145.0 / 217.0),
                batched.cpu_through(&self.peer_batched),
            ),
            Store::Sqlite => work
                .goal("to PostgreSQL", Bound::AtLeast(0.5), postgres.map(|rate| batched.rate() / rate))
                .goal("to one commit each", Bound::AtLeast(5.0), Some(batched.rate() / single.rate())),
        };
        rows.push(work);
        let each = single.row("no-op jobs, one commit each", name, begun);
        rows.push(match self.store {
            Store::Postgres => each.against(NAME, &self.peer_single.rates()).goal_of_ratio(2.0).goal(
                "CPU to peer's",
                Bound::AtMost(650.0 / 1_301.0),
                single.cpu_through(&self.peer_single),
            ),
            Store::Sqlite => each,
        });
        let insert = Row::new("… inserted in groups", name, "/s", &batched.insert_rates(), begun)
            .against(NAME, &self.peer_batched.insert_rates());
        rows.push(Row { cpu_ms: cpu_of(&batched.inserted), ..insert });
        if self.peer.is_some() {
            rows.push(self.peer_batched.row("graphile-worker, batched", name, begun));
            rows.push(self.peer_single.row("graphile-worker, single", name, begun));
        }
        rows.extend(self.idle_rows(name, begun));
        rows
    }

    fn idle_rows(&self, name: &'static str, begun: &Begun) -> Vec<Row> {
        let p50 = |rounds: &[Vec<f64>]| rounds.iter().map(|round| median(round)).collect::<Vec<f64>>();
        let p99 = |rounds: &[Vec<f64>]| {
            let each: Vec<f64> = rounds.iter().map(|round| quantile(round, 0.99)).collect();
            (!each.is_empty()).then(|| median(&each))
        };
        let ours = Row::new("insert to start, idle", name, "ms p50", &p50(&self.idle), begun);
        let ours = Row { p99_ms: p99(&self.idle), ..ours }.against(NAME, &p50(&self.peer_idle));
        let (ratio, tail) = (ours.ratio, ours.p99_ms);
        let ours = ours.note("the peer's is batched too");
        let mut rows = vec![ours.goal("p50 to peer's", Bound::AtMost(1.0), ratio).goal(
            "p99 ms",
            Bound::AtMost(25.0),
            tail,
        )];
        for (measure, rounds) in [
            ("graphile-worker, batched, idle", &self.peer_idle),
            ("graphile-worker, single, idle", &self.peer_idle_single),
        ] {
            if !rounds.is_empty() {
                let row = Row::new(measure, name, "ms p50", &p50(rounds), begun);
                rows.push(Row { p99_ms: p99(rounds), ..row });
            }
        }
        rows
    }
}

impl Part {
    fn of(jobs: usize, begun: Instant, before: &Usage, after: &Usage) -> Self {
        let each = 1.0 / jobs as f64;
        Self {
            rate: jobs as f64 / begun.elapsed().as_secs_f64(),
            client_us: after.client_us_since(before).map(|us| us * each),
            database_us: after.database_us_since(before).map(|us| us * each),
        }
    }

    fn cpu_us(&self) -> Option<f64> {
        // A store inside the process has no share of its own.
        Some(self.client_us? + self.database_us.unwrap_or_default())
    }
}

impl Rounds {
    fn push(&mut self, (inserted, worked): (Part, Part)) {
        self.inserted.push(inserted);
        self.worked.push(worked);
    }

    fn rates(&self) -> Vec<f64> {
        self.worked.iter().map(|part| part.rate).collect()
    }

    fn insert_rates(&self) -> Vec<f64> {
        self.inserted.iter().map(|part| part.rate).collect()
    }

    fn rate(&self) -> f64 {
        median(&self.rates())
    }

    fn row(&self, measure: &'static str, store: &'static str, begun: &Begun) -> Row {
        let row = Row::new(measure, store, "/s", &self.rates(), begun);
        let cpu = self.cpu_us().map_or_else(String::new, |us| format!("{us:.0} µs of CPU a job in all"));
        Row { cpu_ms: cpu_of(&self.worked), ..row }.note(cpu)
    }

    fn cpu_us(&self) -> Option<f64> {
        median_of(&self.worked, Part::cpu_us)
    }

    fn cpu_through(&self, peer: &Self) -> Option<f64> {
        Some(self.cpu_us()? / peer.cpu_us()?)
    }
}

fn cpu_of(parts: &[Part]) -> CpuMs {
    CpuMs {
        client: median_of(parts, |part| part.client_us).map(|us| us / 1_000.0),
        database: median_of(parts, |part| part.database_us).map(|us| us / 1_000.0),
        ..CpuMs::default()
    }
}

fn median_of(parts: &[Part], figure: impl Fn(&Part) -> Option<f64>) -> Option<f64> {
    let known: Vec<f64> = parts.iter().filter_map(figure).collect();
    (!known.is_empty()).then(|| median(&known))
}

pub(super) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
}
