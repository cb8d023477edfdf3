//! What it costs to refresh the accounts of many customers, and whether memory stays flat.
//!
//! Banks of both standards stand in a process of their own and make what they tell while they are read. `--users` customers, each with
//! consents at two of them, are refreshed in one run; the clock runs from the wish for it until its end is written down. The same
//! customers are then refreshed once more, which must write no row of a transaction. Ten times as many customers with a tenth of the
//! transactions each show what memory does when there are more of them: its peak when as many as before have been dealt with, and at
//! the end.
//!
//! **Owns** nothing. **Fails** when a visit does, or when not every transaction is there in the end. **Limits**: a round is a store of
//! its own, because a transaction is new once; the rows of the crowd are of one round.

mod ground;

use std::time::Duration;

use anyhow::ensure;

use self::ground::{BANKS, CONSENTS, Ground, Ran, Size};
use super::load::CpuMs;
use super::process::{Reading, resident_mib};
use super::report::{Begun, Bound, Row, median};
use super::{Bench, Store, remark};

/// Transactions stored a second.
const RATE_MIN: f64 = 3_000.0;
/// Processor time of the service, a transaction that is new.
const CPU_MS_MAX: f64 = 0.2;
/// What the service may take of memory, in megabytes.
const MEMORY_MB_MAX: f64 = 150.0;
/// What flat is: the peak at the end through the peak after a tenth.
const FLAT_MAX: f64 = 1.25;
/// The crowd is so many times as many.
const CROWD: usize = 10;
const MB_PER_MIB: f64 = 1.048_576;

/// What a run took.
struct Taken {
    rate: f64,
    cpu_ms: CpuMs,
    /// Of the service, in its whole life.
    peak_mib: Option<f64>,
    calls: i64,
}

/// One round: the first run about everything, and another one.
struct Round {
    first: Taken,
    again: Taken,
    /// Rows of transactions that the second run has touched.
    touched: i64,
    idle_mib: Option<f64>,
}

/// Measures one store.
pub(super) async fn measure(bench: &Bench, store: Store) -> anyhow::Result<Vec<Row>> {
    let begun = Begun::now();
    let size = Size { users: bench.args.users, transactions: bench.args.transactions };
    let mut rounds = Vec::new();
    for number in 1..=bench.args.rounds {
        remark(&format!(
            "refreshing {} customers on {}, round {number} of {}",
            size.users,
            store.name(),
            bench.args.rounds
        ));
        rounds.push(round(bench, store, size).await?);
    }
    let mut rows = rows(&rounds, size, store, &begun);
    let crowd = Size { users: size.users * CROWD, transactions: size.transactions.div_ceil(CROWD) };
    remark(&format!("refreshing a crowd of {} on {}", crowd.users, store.name()));
    rows.push(crowd_row(bench, store, crowd, size.users).await?);
    Ok(rows)
}

async fn round(bench: &Bench, store: Store, size: Size) -> anyhow::Result<Round> {
    let ground = Ground::prepare(bench, store, size).await?;
    let service = ground.service(bench).await?;
    let idle_mib = resident_mib(service.pid(), false);
    let meters = service.meters(bench, &ground.site, Some(&ground.world));
    let before = meters.read();
    let ran = ground.run(&service, |_| ()).await?;
    let after = meters.read();
    ran.is_whole(size)?;
    let transactions = size.all_transactions();
    ensure!(ran.count("transactions_new") == transactions, "not all are new: {:?}", ran.counts);
    let first = taken(&ran, transactions, [&before, &after], resident_mib(service.pid(), true));

    let mark = chrono::Utc::now();
    let before = meters.read();
    let ran = ground.run(&service, |_| ()).await?;
    let after = meters.read();
    ran.is_whole(size)?;
    ensure!(ran.count("transactions_new") == 0, "something was new twice: {:?}", ran.counts);
    let again = taken(&ran, size.visits(), [&before, &after], resident_mib(service.pid(), true));
    let touched = ground.touched_since(mark).await?;
    service.close().await?;
    Ok(Round { first, again, touched, idle_mib })
}

/// A run by its parts: so many things were done in it.
fn taken(ran: &Ran, things: i64, [before, after]: [&Reading; 2], peak_mib: Option<f64>) -> Taken {
    let each = |then: Option<Duration>, now: Option<Duration>| {
        Some(now?.saturating_sub(then?).as_secs_f64() * 1e3 / things as f64)
    };
    let cpu_ms = CpuMs {
        service: each(before.service, after.service),
        world: each(before.world, after.world),
        database: each(before.database, after.database),
        client: each(before.client, after.client),
    };
    Taken { rate: things as f64 / ran.took.as_secs_f64(), cpu_ms, peak_mib, calls: ran.count("calls") }
}

fn rows(rounds: &[Round], size: Size, store: Store, begun: &Begun) -> Vec<Row> {
    let name = store.name();
    let row = |measure, unit, taken: &dyn Fn(&Round) -> &Taken| {
        let taken: Vec<&Taken> = rounds.iter().map(taken).collect();
        let rates: Vec<f64> = taken.iter().map(|taken| taken.rate).collect();
        let cpu_ms = CpuMs {
            service: over(taken.iter().map(|taken| taken.cpu_ms.service)),
            world: over(taken.iter().map(|taken| taken.cpu_ms.world)),
            database: over(taken.iter().map(|taken| taken.cpu_ms.database)),
            client: over(taken.iter().map(|taken| taken.cpu_ms.client)),
        };
        let peak = over(taken.iter().map(|taken| taken.peak_mib));
        let calls = taken.first().map_or(0, |taken| taken.calls);
        (Row { cpu_ms, ..Row::new(measure, name, unit, &rates, begun) }.resident(peak), calls)
    };
    let idle = over(rounds.iter().map(|round| round.idle_mib)).unwrap_or(f64::NAN);
    let (first, calls) = row("transactions stored", "/s", &|round| &round.first);
    let (service_ms, peak_mib) = (first.cpu_ms.service, first.resident_mib);
    let note =
        format!("{size}, {BANKS} banks of both standards, {calls} calls; resident {idle:.1} MiB before");
    let first = first
        .note(note)
        .result_goal(Bound::AtLeast(RATE_MIN))
        .goal("ms of processor time a transaction", Bound::AtMost(CPU_MS_MAX), service_ms)
        .goal("MB at the peak", Bound::AtMost(MEMORY_MB_MAX), peak_mib.map(|mib| mib * MB_PER_MIB));
    let (again, calls) = row("… and nothing new", "visits/s", &|round| &round.again);
    let touched: i64 = rounds.iter().map(|round| round.touched).sum();
    let again = again.note(format!("{calls} calls; {touched} rows of transactions written"));
    vec![first, again.goal("rows of transactions written", Bound::AtMost(0.0), Some(touched as f64))]
}

/// The middle of those that are known.
fn over(figures: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let known: Vec<f64> = figures.flatten().collect();
    (!known.is_empty()).then(|| median(&known))
}

/// A run of many customers with little each; `few` are as many as in the other rows.
async fn crowd_row(bench: &Bench, store: Store, size: Size, few: usize) -> anyhow::Result<Row> {
    let begun = Begun::now();
    let ground = Ground::prepare(bench, store, size).await?;
    let service = ground.service(bench).await?;
    let (pid, few) = (service.pid(), i64::try_from(few)?);
    let meters = service.meters(bench, &ground.site, Some(&ground.world));
    let before = meters.read();
    let mut peak_of_few = None;
    let ran = ground
        .run(&service, |done| {
            if done >= few && peak_of_few.is_none() {
                peak_of_few = resident_mib(pid, true);
            }
        })
        .await?;
    let after = meters.read();
    ran.is_whole(size)?;
    let transactions = size.all_transactions();
    ensure!(ran.count("transactions_new") == transactions, "not all are new: {:?}", ran.counts);
    let taken = taken(&ran, transactions, [&before, &after], resident_mib(pid, true));
    service.close().await?;
    let peak_mb = taken.peak_mib.map(|mib| mib * MB_PER_MIB);
    let growth = taken.peak_mib.zip(peak_of_few).map(|(end, few)| end / few);
    let note = format!(
        "{size}, {} visits, {} calls; {:.1} MiB at most for the first {few}",
        size.users * CONSENTS,
        taken.calls,
        peak_of_few.unwrap_or(f64::NAN)
    );
    let row = Row::new("transactions of a crowd", store.name(), "/s", &[taken.rate], &begun);
    let row = Row { cpu_ms: taken.cpu_ms, ..row }.resident(taken.peak_mib).note(note);
    let row = row.goal("MB at the peak", Bound::AtMost(MEMORY_MB_MAX), peak_mb);
    Ok(row.goal("peak at the end through that after a tenth", Bound::AtMost(FLAT_MAX), growth))
}
