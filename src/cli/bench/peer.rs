//! What else the same disk and the same database can do, measured between our own rounds: the figures beside ours.
//!
//! On PostgreSQL it is `pgbench`, row by row and one boleto at a time, with two scripts: one writes the same rows as
//! our creation and settlement in two transactions, the other inserts and updates a boleto's row alone. The goal is held
//! against the same rows, since one row is another job than our ten; its ratio is shown beside, without a goal.
//! On SQLite it is one row after the other, each committed with full sync, in the same folder.
//!
//! **Owns** schemas of its own in the measured database, or a database file of its own. **Fails** when they cannot be
//! made. Without `pgbench` there is no peer. **Limits**: each round lasts as long as one of ours.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, Statement, Value};
use tokio::process::Command;
use tokio::time::Instant;
use uuid::Uuid;

use super::site::{Site, SiteStore};
use crate::store::pool;

const SETUP: &str = include_str!("peer/setup.sql");
/// The one that the goal is held against comes first.
const SCRIPTS: [(&str, &str); 2] = [
    ("pgbench, the same rows", include_str!("peer/same_rows.sql")),
    ("pgbench, one row", include_str!("peer/one_row.sql")),
];

/// Something to be compared with.
pub(super) enum Peer {
    Pgbench { name: &'static str, program: PathBuf, script: PathBuf, url: String },
    Commits { connection: DatabaseConnection },
}

/// What a peer did in one round.
pub(super) struct PeerTaken {
    pub rate: f64,
    /// Milliseconds of one, in the mean.
    pub each_ms: f64,
}

impl Peer {
    /// Prepares the peers of this store; the first is the one to be measured by. The store's tables are there already.
    pub async fn prepare(site: &Site, pgbench: Option<&Path>) -> anyhow::Result<Vec<Self>> {
        match &site.store {
            SiteStore::Sqlite => {
                Ok(vec![Self::Commits { connection: open_file(&site.folder.join("peer.db")).await? }])
            }
            SiteStore::PostgreSql { url } => {
                let Some(program) = pgbench else { return Ok(vec![]) };
                let connection = pool::connect(url).await?;
                connection.execute_unprepared(SETUP).await.context("cannot prepare pgbench's tables")?;
                connection.close().await?;
                let write = |(at, (name, text)): (usize, (&'static str, &str))| {
                    let script = site.folder.join(format!("peer_{at}.sql"));
                    std::fs::write(&script, text).context("cannot write pgbench's script")?;
                    Ok(Self::Pgbench { name, program: program.to_owned(), script, url: url.clone() })
                };
                SCRIPTS.into_iter().enumerate().map(write).collect()
            }
        }
    }

    /// What the figure is called.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pgbench { name, .. } => name,
            Self::Commits { .. } => "commits one by one",
        }
    }

    /// One round. SQLite has one writer, so there `in_flight` changes nothing.
    pub async fn round(&self, in_flight: usize, window: Duration) -> anyhow::Result<PeerTaken> {
        match self {
            Self::Pgbench { program, script, url, .. } => {
                pgbench(program, script, url, in_flight, window).await
            }
            Self::Commits { connection } => commits(connection, window).await,
        }
    }
}

async fn pgbench(
    program: &Path,
    script: &Path,
    url: &str,
    clients: usize,
    window: Duration,
) -> anyhow::Result<PeerTaken> {
    let output = Command::new(program)
        .args(["--no-vacuum", "--protocol=prepared", "--file"])
        .arg(script)
        .arg(format!("--client={clients}"))
        .arg(format!("--jobs={}", clients.min(2)))
        .arg(format!("--time={}", window.as_secs().max(1)))
        .arg(url)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot start pgbench")?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        // Each client says the same again.
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("pgbench failed: {}", complaint.lines().next().unwrap_or("it did not say why"));
    }
    let rate = figure(&said, "tps = ").context("pgbench told no rate")?;
    let each_ms = figure(&said, "latency average = ").context("pgbench told no latency")?;
    Ok(PeerTaken { rate, each_ms })
}

/// The number that follows a name in pgbench's report.
fn figure(report: &str, name: &str) -> Option<f64> {
    let line = report.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A database set as the store's own is, with a table of rows as wide as boletos.
async fn open_file(path: &Path) -> anyhow::Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(format!("sqlite:{}?mode=rwc", path.display()));
    options.max_connections(1).sqlx_logging(false).map_sqlx_sqlite_opts(|options| {
        options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full)
    });
    let connection = pool::connect(options).await.context("cannot open the peer's database")?;
    let create = "create table if not exists peer (id blob primary key, row text not null)";
    connection.execute_unprepared(create).await?;
    Ok(connection)
}

async fn commits(connection: &DatabaseConnection, window: Duration) -> anyhow::Result<PeerTaken> {
    let row = "x".repeat(480);
    let begun = Instant::now();
    let mut rows = 0_u32;
    while begun.elapsed() < window {
        let values = [Value::from(Uuid::now_v7().as_bytes().to_vec()), Value::from(row.clone())];
        let insert = "insert into peer (id, row) values ($1, $2)";
        connection.execute_raw(Statement::from_sql_and_values(DbBackend::Sqlite, insert, values)).await?;
        rows += 1;
    }
    let elapsed = begun.elapsed().as_secs_f64();
    Ok(PeerTaken { rate: f64::from(rows) / elapsed, each_ms: elapsed * 1_000.0 / f64::from(rows) })
}

/// How often a second the disk under `folder` confirms 4 KiB more of a file.
pub(super) async fn syncs(folder: &Path, window: Duration) -> anyhow::Result<f64> {
    use std::io::Write as _;
    let path = folder.join("peer.sync");
    let measured = tokio::task::spawn_blocking(move || -> std::io::Result<f64> {
        let mut file = std::fs::File::create(path)?;
        let begun = std::time::Instant::now();
        let mut syncs = 0_u32;
        while begun.elapsed() < window {
            file.write_all(&[0; 4_096])?;
            file.sync_data()?;
            syncs += 1;
        }
        Ok(f64::from(syncs) / begun.elapsed().as_secs_f64())
    });
    measured.await?.context("cannot measure the disk")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_a_report_are_found() {
        let report = "number of clients: 64\nlatency average = 20.911 ms\ninitial connection time = 90.1 ms\n\
                      tps = 3060.610512 (without initial connection time)\n";
        assert_eq!(figure(report, "tps = "), Some(3060.610512));
        assert_eq!(figure(report, "latency average = "), Some(20.911));
        assert_eq!(figure(report, "nothing = "), None);
    }
}
