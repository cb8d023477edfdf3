//! The arguments of the commands that open a house, and of those that read a configuration.
//!
//! **Owns** nothing. **Fails** by clap's own words, with exit code 2.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::config::Sources;

/// Where the settings come from, besides the defaults and the environment.
#[derive(Args, Clone, Default)]
pub struct SettingsArgs {
    /// A TOML file with any of the keys of config/default.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One setting, over all other sources, such as work.lanes=4; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub set: Vec<(String, String)>,
}

impl SettingsArgs {
    /// The file, this process's environment and the single settings, in that order.
    pub fn sources(&self) -> Sources {
        let mut sources = Sources::of_process(self.config.clone());
        sources.overrides.extend(self.set.iter().cloned());
        sources
    }
}

/// What `bursar serve` takes.
#[derive(Args, Clone, Default)]
pub struct ServeArgs {
    /// The file and the single settings.
    #[command(flatten)]
    pub settings: SettingsArgs,
    /// How long work in hand may take to finish once a signal came, instead of work.drain_timeout
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub drain_timeout: Option<Duration>,
}

/// What `bursar sandbox` takes.
#[derive(Args, Clone)]
pub struct SandboxArgs {
    /// Where the store and the effects ledger are kept
    #[arg(long, value_name = "DIR", default_value = ".bursar-sandbox")]
    pub data_dir: PathBuf,
    /// Where the house listens; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7400")]
    pub listen: SocketAddr,
    /// Open everything and create no boleto
    #[arg(long)]
    pub no_demo: bool,
    /// A PostgreSQL database instead of the embedded SQLite
    #[arg(long, value_name = "URL")]
    pub store_url: Option<String>,
    /// Whether the addresses are printed as JSON: the global `--json`.
    #[arg(skip)]
    pub json: bool,
}

/// Splits `key=value`; the value may hold further `=` and may be empty.
pub(super) fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        // The text is not repeated: it may be a secret in the wrong place.
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}
