//! How long the service takes from its start as a process to being ready, and what it holds when it is idle.
//!
//! **Owns** nothing beyond its run. **Fails** when the service does. **Limits**: the peer is this program printing its
//! version, which is what starting it costs the system at least.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::Instant;

use super::process::resident_mib;
use super::report::{Begun, Bound, Row};
use super::site::{Service, Site, settings, this_program};
use super::{Bench, Store};

/// After so long a process that has just started has come to rest.
const REST: Duration = Duration::from_millis(500);

/// Starts it on a new store and again on the same one, once a round.
pub(super) async fn measure(bench: &Bench, store: Store) -> anyhow::Result<Vec<Row>> {
    let begun = Begun::now();
    let (mut new, mut again, mut version) = (Vec::new(), Vec::new(), Vec::new());
    let mut idle = Vec::new();
    for _ in 0..bench.args.rounds {
        version.push(print_version().await?);
        let site = Site::make(bench, store).await?;
        let config = settings(&site, None, true);
        for times in [&mut new, &mut again] {
            let service = Service::start(&site, &config, &bench.args.set).await?;
            times.push(service.ready_after.as_secs_f64() * 1_000.0);
            tokio::time::sleep(REST).await;
            idle.extend(resident_mib(service.pid(), false));
            service.close().await?;
        }
    }
    let name = store.name();
    let row = |measure, times: &[f64]| {
        let row = Row::new(measure, name, "ms", times, &begun).against("--version", &version);
        match store {
            Store::Sqlite => row.result_goal(Bound::AtMost(300.0)),
            Store::Postgres => row,
        }
    };
    let idle = Row::new("resident when idle", name, "MiB", &idle, &begun).result_goal(Bound::AtMost(40.0));
    Ok(vec![row("start to ready, new store", &new), row("start to ready, same store", &again), idle])
}

/// Milliseconds from starting this program to its end.
async fn print_version() -> anyhow::Result<f64> {
    let begun = Instant::now();
    let status = this_program()?
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .await
        .context("cannot start this program")?;
    ensure!(status.success(), "this program cannot print its version");
    Ok(begun.elapsed().as_secs_f64() * 1_000.0)
}
