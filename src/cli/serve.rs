//! `bursar serve`: the house against the real outside.
//!
//! **Owns** the process: its telemetry, its signals, its exit code. **Fails** with 70 when the tree melted down, for
//! systemd or Kubernetes to start it again. **Limits**: the first SIGTERM or SIGINT drains, a second means now.

use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use super::args::ServeArgs;
use super::exit::Exit;
use super::house::{self, OpenHouse};
use crate::config::{self, Config};
use crate::telemetry;

/// Serves until a signal, a wish to drain, or a meltdown.
///
/// # Errors
/// What keeps the house from opening.
pub async fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let sources = args.settings.sources();
    let mut config = match Config::load(&sources) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(Exit::InvalidInput.into());
        }
    };
    if let Some(drain_timeout) = args.drain_timeout {
        config.work.drain_timeout = drain_timeout;
    }
    let telemetry = telemetry::init(&config.telemetry, &config.metrics).context("cannot start telemetry")?;
    for warning in config::warnings(&sources.env) {
        warn!("{warning}");
    }
    let mut signals = Signals::catch()?;
    let opened = tokio::select! {
        opened = house::open(&config) => opened?,
        () = signals.next() => return Ok(Exit::Success.into()),
    };
    let exit = until_the_end(opened, &mut signals).await;
    telemetry.shutdown().await;
    Ok(exit.into())
}

/// Waits for a reason to end, then closes the house.
pub(super) async fn until_the_end(house: OpenHouse, signals: &mut Signals) -> Exit {
    tokio::select! {
        () = signals.next() => info!("signal received; draining"),
        () = house.readiness.drain_wished() => info!("draining"),
        reason = house.melted() => {
            error!(reason, "house melted down");
            return Exit::Melted;
        }
    }
    tokio::select! {
        closed = house.close() => {
            info!(in_time = closed.report.in_time, "closed");
            Exit::Success
        }
        () = signals.next() => {
            error!("second signal: ending now");
            Exit::Failure
        }
    }
}

/// SIGTERM and SIGINT, caught.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn catch() -> anyhow::Result<Self> {
        let catch = |kind| signal(kind).context("cannot catch signals");
        Ok(Self { terminate: catch(SignalKind::terminate())?, interrupt: catch(SignalKind::interrupt())? })
    }

    /// The next of either.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
