//! `bursar serve`: the house against the real outside.
//!
//! **Owns** the process: its telemetry, its signals, its exit code. **Fails** with 70 when the tree melted down, for
//! systemd or Kubernetes to start it again. **Limits**: the first SIGTERM or SIGINT drains, a second means now; SIGHUP has the
//! configuration read again until then.

use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use super::args::ServeArgs;
use super::exit::Exit;
use super::house::{self, OpenHouse};
use crate::config::{self, Config};
use crate::messages::Reload;
use crate::telemetry;

/// Serves until a signal, a wish to drain, or a meltdown.
///
/// # Errors
/// What keeps the house from opening.
pub async fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let mut sources = args.settings.sources();
    if let Some(drain_timeout) = args.drain_timeout {
        sources = sources.with("work.drain_timeout", humantime::format_duration(drain_timeout).to_string());
    }
    let loaded = match Config::load_whole(&sources) {
        Ok(loaded) => loaded,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(Exit::InvalidInput.into());
        }
    };
    let config = loaded.config.clone();
    let reload = Reload::of(sources.clone(), loaded);
    let telemetry = telemetry::init(&config.telemetry, &config.metrics).context("cannot start telemetry")?;
    for warning in config::warnings(&sources.env) {
        warn!("{warning}");
    }
    let follower = telemetry.follower();
    reload.set_followers("telemetry", vec![Box::new(move |config| follower(&config.telemetry))]);
    let mut signals = Signals::catch()?;
    let opened = tokio::select! {
        opened = house::open_reloadable(&config, &reload) => opened?,
        () = signals.next() => return Ok(Exit::Success.into()),
    };
    let exit = until_the_end(opened, &mut signals).await;
    telemetry.shutdown().await;
    Ok(exit.into())
}

/// Waits for a reason to end, then closes the house.
pub(super) async fn until_the_end(house: OpenHouse, signals: &mut Signals) -> Exit {
    loop {
        tokio::select! {
            heard = signals.next_of_all() => match heard {
                Heard::End => {
                    info!("signal received; draining");
                    break;
                }
                Heard::Reload => house.reload().await,
            },
            () = house.readiness.drain_wished() => {
                info!("draining");
                break;
            }
            reason = house.melted() => {
                error!(reason, "house melted down");
                return Exit::Melted;
            }
        }
    }
    // A wish to reload is heard no more, and ends nothing.
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

/// What a signal wishes.
enum Heard {
    End,
    Reload,
}

/// SIGTERM and SIGINT, which end a house, and SIGHUP, by which it reads its configuration again; caught.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    pub(super) fn catch() -> anyhow::Result<Self> {
        let catch = |kind| signal(kind).context("cannot catch signals");
        Ok(Self {
            terminate: catch(SignalKind::terminate())?,
            interrupt: catch(SignalKind::interrupt())?,
            hang_up: catch(SignalKind::hangup())?,
        })
    }

    /// The next of all. Wishes to reload that come before one is taken are one.
    async fn next_of_all(&mut self) -> Heard {
        tokio::select! {
            _ = self.terminate.recv() => Heard::End,
            _ = self.interrupt.recv() => Heard::End,
            _ = self.hang_up.recv() => Heard::Reload,
        }
    }

    /// The next that ends the house.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
