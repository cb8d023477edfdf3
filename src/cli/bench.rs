//! `bursar bench`: what this machine can do with this program, measured beside something that it can be compared with.
//!
//! The service and the outside world are started as processes of this same program, the client is this process; all
//! share the machine, and each one's processor time is shown. Figures are medians of rounds, the machine's load average
//! stands beside each, and peers (`pgbench`, the disk, plain ractor) are measured in the same run.
//!
//! **Owns** a temporary folder and, on PostgreSQL, databases of its own; both are gone when it ends.
//! **Fails** with the first thing that fails, after what was measured before it. A goal that is missed is no failure.
//! **Limits**: loopback only; it ends by itself, after two or three times `--rounds` times `--seconds` for each figure.

mod analyse;
mod codes;
mod create;
mod documents;
mod fill;
mod intake;
mod list;
mod load;
mod notify;
mod overload;
mod payments;
mod peer;
mod postgres;
mod process;
mod read;
mod reconcile;
mod report;
mod shop;
mod site;
mod soak;
mod start;
mod supervision;
mod sync;
mod telemetry;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use self::postgres::{Postgres, find_pgbench};
use self::report::Row;
use self::site::Folder;
use super::args::key_and_value;
use super::exit::Exit;
use super::serve::Signals;

/// What `bursar bench` takes.
#[derive(Args, Clone)]
pub struct BenchArgs {
    /// What to measure
    #[arg(value_enum, default_value = "all")]
    what: What,
    /// Measure on this store only; otherwise on SQLite, and on PostgreSQL too where its URL is given
    #[arg(long, value_enum)]
    store: Option<Store>,
    /// A PostgreSQL server that lets its user make databases; its password comes from PGPASSWORD
    #[arg(long, alias = "postgres", value_name = "URL", env = "BURSAR_BENCH_POSTGRES_URL")]
    postgres_url: Option<String>,
    /// Create boletos with their deliveries held or draining only; otherwise both, one after the other
    #[arg(long, value_enum)]
    deliveries: Option<Deliveries>,
    /// How long one round is measured
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Rounds of each figure
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Calls in flight
    #[arg(long, value_name = "N", default_value = "64", value_parser = count_up_to::<1024>)]
    in_flight: usize,
    /// Connections that they share
    #[arg(long, value_name = "N", default_value = "4", value_parser = count_up_to::<256>)]
    connections: usize,
    /// Boletos in the list whose pages are read, and of which a bank says that they were paid
    #[arg(long, value_name = "N", default_value = "100000", value_parser = count_up_to::<10_000_000>)]
    boletos: usize,
    /// Jobs of a round of work
    #[arg(long, value_name = "N", default_value = "40000", value_parser = count_up_to::<1_000_000>)]
    jobs: usize,
    /// Minutes of a soak
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1440))]
    minutes: u16,
    /// Jobs a second of a soak [default: as many as are worked off]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Notifications that wait, or payments in progress, while claims of them are measured
    #[arg(long, value_name = "N", default_value = "1000000", value_parser = count_up_to::<10_000_000>)]
    waiting: usize,
    /// Notifications that wait when owners begin to be told
    #[arg(long, value_name = "N", default_value = "100000", value_parser = count_up_to::<10_000_000>)]
    notifications: usize,
    /// Records in the backlog of a feed
    #[arg(long, value_name = "N", default_value = "100000", value_parser = count_up_to::<10_000_000>)]
    records: usize,
    /// Recorded answers that a vendor is asked about
    #[arg(long, value_name = "N", default_value = "10240", value_parser = count_up_to::<1_000_000>)]
    answers: usize,
    /// Customers whose accounts are refreshed
    #[arg(long, value_name = "N", default_value = "1000", value_parser = count_up_to::<100_000>)]
    users: usize,
    /// Transactions of each of their accounts
    #[arg(long, value_name = "N", default_value = "100", value_parser = count_up_to::<10_000>)]
    transactions: usize,
    /// How long the overload lasts
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    overload_seconds: u64,
    /// Where graphile-worker is installed [default: benches/graphile]
    #[arg(long, value_name = "DIR")]
    graphile: Option<PathBuf>,
    /// Where the stores are put while they are measured; on the disk that is meant [default: the temporary folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The pgbench to compare with, if it is neither in the search path nor where Debian puts it
    #[arg(long, value_name = "FILE")]
    pgbench: Option<PathBuf>,
    /// One setting of the service, such as work.lanes=4; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
}

/// What there is to measure.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// CreateBoleto
    Create,
    /// GetBoleto
    Read,
    /// The first and the last page of ListBoletos
    List,
    /// From the start of the process to being ready, and memory when idle
    Start,
    /// Barcodes and lines of five banks made and read, on one core
    Codes,
    /// A boleto rendered as PDF, PNG, SVG and HTML, on one core
    Documents,
    /// Messages to actors and restarts of crashed ones
    #[value(alias = "restart")]
    Supervision,
    /// Jobs that do nothing, through the durable engine; on PostgreSQL with graphile-worker as the peer
    Work,
    /// The same for minutes beside a transaction that stays open; not among all
    Soak,
    /// Ten times the load that a slow bank bears; not among all
    Overload,
    /// Owners told by webhook and queue while many messages wait; not among all
    Notify,
    /// As many payments as there are boletos, heard from a bank in one run, and memory meanwhile; not among all
    Reconcile,
    /// The backlog of a feed taken in, and memory meanwhile; not among all
    Intake,
    /// Recorded answers through 64 slots of a vendor that takes 200 ms, beside the least time that takes; not among all
    Analyse,
    /// Accounts of many customers refreshed at banks of both standards, and memory meanwhile; not among all
    Sync,
    /// Payments in progress taken up and answered, where many are; not among all
    Payments,
    /// CreateBoleto with every span and metric exported, beside the same without; not among all
    Telemetry,
    /// Everything else, one after the other
    All,
}

/// The store that is measured on.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Store {
    Sqlite,
    Postgres,
}

impl Store {
    fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// What becomes of deliveries while boletos are created.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Deliveries {
    /// Written and not sent
    Held,
    /// Sent as they come
    Draining,
}

/// A run.
struct Bench {
    args: BenchArgs,
    folder: PathBuf,
    postgres: Option<Postgres>,
    pgbench: Option<PathBuf>,
}

/// Measures and prints, as JSON or for people.
///
/// # Errors
/// What keeps something from being measured.
pub async fn run(args: BenchArgs, json: bool) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::catch()?;
    if cfg!(debug_assertions) {
        remark("this is a debug build; only the figures of a release build mean anything");
    }
    let folder = Folder::make(&args.dir.clone().unwrap_or_else(std::env::temp_dir))?;
    let in_process = matches!(args.what, What::Supervision | What::Codes | What::Documents);
    let needed = args.store != Some(Store::Sqlite) && !in_process;
    let postgres = match &args.postgres_url {
        Some(url) if needed => Some(Postgres::open(url).await?),
        _ => None,
    };
    let pgbench = find_pgbench(args.pgbench.as_deref());
    let bench = Bench { args, folder: folder.path().to_owned(), postgres, pgbench };
    // A measurement that is given up ends its processes, as they are dropped with it.
    let mut rows = Vec::new();
    let measured = tokio::select! {
        measured = bench.measure(&mut rows) => measured.map(|()| Exit::Success),
        () = signals.next() => Ok(Exit::Failure),
    };
    let surroundings = bench.surroundings();
    if let Some(postgres) = bench.postgres {
        postgres.close().await?;
    }
    // What was measured before something failed is true all the same.
    match json {
        true => println!("{:#}", report::document(&surroundings, &rows)),
        false if rows.is_empty() => {}
        false => print!("{}", report::text(&surroundings, &rows)),
    }
    Ok(measured?.into())
}

impl Bench {
    /// Adds a row for each figure.
    async fn measure(&self, rows: &mut Vec<Row>) -> anyhow::Result<()> {
        for store in self.stores() {
            if self.wants(What::Create) {
                for deliveries in self.deliveries() {
                    let how = if deliveries == Deliveries::Held { "held" } else { "draining" };
                    remark(&format!("creating on {}, deliveries {how}", store.name()));
                    rows.extend(create::measure(self, store, deliveries).await?);
                }
            }
            if self.wants(What::Read) {
                remark(&format!("reading on {}", store.name()));
                rows.extend(read::measure(self, store).await?);
            }
            if self.wants(What::List) {
                remark(&format!("filling and listing on {}", store.name()));
                rows.extend(list::measure(self, store).await?);
            }
            if self.wants(What::Start) {
                remark(&format!("starting on {}", store.name()));
                rows.extend(start::measure(self, store).await?);
            }
            // These take long and are asked for by name.
            match self.args.what {
                What::Reconcile => rows.extend(reconcile::measure(self, store).await?),
                What::Notify => rows.extend(notify::measure(self, store).await?),
                What::Intake => rows.extend(intake::measure(self, store).await?),
                What::Analyse => rows.extend(analyse::measure(self, store).await?),
                What::Sync => rows.extend(sync::measure(self, store).await?),
                What::Payments => rows.extend(payments::measure(self, store).await?),
                What::Telemetry => {
                    remark(&format!("creating with and without telemetry on {}", store.name()));
                    rows.extend(telemetry::measure(self, store).await?);
                }
                What::Soak => rows.extend(soak::measure(self, store).await?),
                What::Overload => {
                    remark(&format!("overloading on {}", store.name()));
                    rows.extend(overload::measure(self, store).await?);
                }
                _ => {}
            }
        }
        if self.wants(What::Work) {
            rows.extend(work::measure(self, &self.stores()).await?);
        }
        if self.wants(What::Codes) {
            remark("making and reading codes");
            rows.extend(codes::measure(self).await?);
        }
        if self.wants(What::Documents) {
            remark("rendering");
            rows.extend(documents::measure(self)?);
        }
        if self.wants(What::Supervision) {
            remark("supervising");
            rows.extend(supervision::measure(self).await?);
        }
        Ok(())
    }

    fn wants(&self, what: What) -> bool {
        self.args.what == what || self.args.what == What::All
    }

    fn stores(&self) -> Vec<Store> {
        match (self.args.store, &self.postgres) {
            (Some(store), _) => vec![store],
            (None, Some(_)) => vec![Store::Sqlite, Store::Postgres],
            (None, None) => vec![Store::Sqlite],
        }
    }

    fn deliveries(&self) -> Vec<Deliveries> {
        self.args.deliveries.map_or_else(|| vec![Deliveries::Held, Deliveries::Draining], |one| vec![one])
    }

    fn window(&self) -> Duration {
        Duration::from_secs(self.args.seconds)
    }

    /// What a reader of the figures must know.
    fn surroundings(&self) -> Value {
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "profile": if cfg!(debug_assertions) { "debug" } else { "release" },
            "cores": std::thread::available_parallelism().map_or(1, usize::from),
            "rounds": self.args.rounds,
            "seconds": self.args.seconds,
            "in_flight": self.args.in_flight,
            "connections": self.args.connections,
            "set": self.args.set.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>(),
            "postgres": self.postgres.as_ref().map(|postgres| &postgres.settings),
        })
    }
}

/// Tells whoever waits; results alone go to standard output.
fn remark(text: &str) {
    eprintln!("bench: {text}");
}

fn count_up_to<const MAX: usize>(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=MAX).contains(&count) => Ok(count),
        _ => Err(format!("expected a number from 1 to {MAX}")),
    }
}
