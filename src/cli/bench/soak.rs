//! The durable engine for minutes on end beside a reader that never lets go: a transaction that is as old as the run.
//!
//! Such a transaction keeps the database from forgetting rows that are long done, and queues built on tables slow down
//! by it. Jobs that do nothing are inserted as fast as they are worked off, with a short backlog, or at `--rate`.
//!
//! **Owns** the reader's transaction and its connection. **Fails** when no job ends for a long time. **Limits**: the
//! figures are of each whole minute; the last is held against the first.

use std::time::Duration;

use anyhow::Context as _;
use sea_orm::{ConnectionTrait, DatabaseTransaction, IsolationLevel, TransactionTrait as _};
use tokio::time::{Instant, timeout};

use super::process::Usage;
use super::report::{Begun, Bound, Row};
use super::site::{Site, SiteStore};
use super::work::{Acknowledged, Engine};
use super::{Bench, Store, remark};
use crate::store::pool;

/// Jobs that are due and not ended are kept below this.
const BACKLOG: u64 = 4_000;
const GROUP: usize = 1_000;
/// How often the backlog is looked at when it is long enough.
const LOOK: Duration = Duration::from_millis(5);
const MINUTE: Duration = Duration::from_secs(60);

/// What a minute saw.
struct Minute {
    rate: f64,
    client_us: Option<f64>,
    database_us: Option<f64>,
}

/// Measures one store.
pub(super) async fn measure(bench: &Bench, store: Store) -> anyhow::Result<Vec<Row>> {
    let begun = Begun::now();
    let site = Site::make(bench, store).await?;
    let postmaster = match store {
        Store::Postgres => bench.postgres.as_ref().and_then(|postgres| postgres.postmaster),
        Store::Sqlite => None,
    };
    let mut engine = Engine::open(&site.store_url(), Acknowledged::Batched, false, &bench.args.set).await?;
    engine.insert(GROUP).await?;
    engine.work();
    engine.until_ended(GROUP as u64).await?;
    let mut load = Load { inserted: GROUP as u64, begun: Instant::now(), rate: bench.args.rate };
    let reader = pin(&site).await?;
    let mut minutes = Vec::new();
    for number in 1..=bench.args.minutes {
        let minute = load.minute(&mut engine, postmaster).await?;
        remark(&format!("soak on {}, minute {number}: {:.0} jobs/s", store.name(), minute.rate));
        minutes.push(minute);
    }
    reader.rollback().await.context("the reader's transaction did not last")?;
    engine.close().await?;
    Ok(vec![row(store, &minutes, &begun)])
}

/// Begins a transaction that sees the table as it is now, for as long as it is held.
async fn pin(site: &Site) -> anyhow::Result<DatabaseTransaction> {
    let (url, level) = match &site.store {
        SiteStore::Sqlite => (format!("{}?mode=ro", site.store_url()), None),
        SiteStore::PostgreSql { url } => (url.clone(), Some(IsolationLevel::RepeatableRead)),
    };
    let connection = pool::connect(url).await.context("the reader cannot connect")?;
    let reader = connection.begin_with_config(level, None).await?;
    reader.execute_unprepared("select count(*) from work").await?;
    Ok(reader)
}

/// Who inserts.
struct Load {
    inserted: u64,
    begun: Instant,
    rate: Option<u32>,
}

impl Load {
    async fn minute(&mut self, engine: &mut Engine, postmaster: Option<u32>) -> anyhow::Result<Minute> {
        let (before, ended, begun) = (Usage::now(postmaster), engine.ended(), Instant::now());
        while begun.elapsed() < MINUTE {
            if self.has_enough(engine) {
                let enough = self.inserted.min(engine.ended() + 1);
                // Whichever comes first: another end, or the moment to look at the rate again.
                if let Ok(waited) = timeout(LOOK, engine.until_ended(enough)).await {
                    waited?;
                }
                continue;
            }
            engine.insert(GROUP).await?;
            engine.work();
            self.inserted += GROUP as u64;
        }
        let jobs = (engine.ended() - ended) as f64;
        let after = Usage::now(postmaster);
        Ok(Minute {
            rate: jobs / begun.elapsed().as_secs_f64(),
            client_us: after.client_us_since(&before).map(|us| us / jobs),
            database_us: after.database_us_since(&before).map(|us| us / jobs),
        })
    }

    fn has_enough(&self, engine: &Engine) -> bool {
        let allowed =
            self.rate.map_or(f64::INFINITY, |rate| self.begun.elapsed().as_secs_f64() * f64::from(rate));
        self.inserted - engine.ended() >= BACKLOG || self.inserted as f64 >= allowed
    }
}

fn row(store: Store, minutes: &[Minute], begun: &Begun) -> Row {
    let rates: Vec<f64> = minutes.iter().map(|minute| minute.rate).collect();
    let (first, last) = (rates.first().copied(), rates.last().copied());
    let ratio = first.zip(last).map(|(first, last)| last / first);
    let told: Vec<String> = minutes
        .iter()
        .map(|minute| {
            let cpu = minute.client_us.unwrap_or_default() + minute.database_us.unwrap_or_default();
            format!("{:.0} ({cpu:.0} µs)", minute.rate)
        })
        .collect();
    Row::new("no-op jobs, oldest transaction pinned", store.name(), "/s", &rates, begun)
        .note(format!("by minute, with the CPU of a job: {}", told.join(", ")))
        .goal("last minute to first", Bound::AtLeast(0.7), ratio)
}
