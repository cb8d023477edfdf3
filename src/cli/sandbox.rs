//! `bursar sandbox`: the whole house on an embedded store, with the outside world in miniature as a process beside it.
//!
//! **Owns** the world's process, which ends when this one does. **Fails** when a port is taken or the world does not open.
//! **Limits**: loopback only; the world's bank forgets its titles when it ends, the ledger stays.

pub mod aspsps;
pub mod banks;
mod customers;
mod demo;
pub mod mail;
mod outside;
mod questionings;
pub mod transfers;

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

pub use self::outside::WorldArgs;
use self::outside::{Outside, Secrets};
use super::args::SandboxArgs;
use super::exit::Exit;
use super::house;
use super::serve::{Signals, until_the_end};
use crate::config::{Config, Sources};
use crate::messages::Reload;
use crate::sandbox::Addresses;
use crate::telemetry;

/// Opens the world and the house, shows that it works, and serves until a signal.
///
/// # Errors
/// What keeps either from opening.
pub async fn run(args: SandboxArgs) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(&args.data_dir)
        .with_context(|| format!("cannot make {}", args.data_dir.display()))?;
    let data_dir = args.data_dir.canonicalize().context("cannot find the data directory")?;
    let secrets = Secrets::prepare(&data_dir)?;
    let mut signals = Signals::catch()?;
    let mut outside = Outside::open(&data_dir, args.json).await?;
    let sources = settings(&args, &data_dir, &outside.addresses, &secrets);
    let loaded = match Config::load_whole(&sources) {
        Ok(loaded) => loaded,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(Exit::InvalidInput.into());
        }
    };
    let config = loaded.config.clone();
    let reload = Reload::of(sources, loaded);
    let telemetry = telemetry::init(&config.telemetry, &config.metrics).context("cannot start telemetry")?;
    let opened = tokio::select! {
        opened = house::open_reloadable(&config, &reload) => opened?,
        () = signals.next() => return Ok(Exit::Success.into()),
    };
    let demo = demo::Demo::new(opened.address, &outside.addresses, &secrets);
    let account = demo.furnish().await.context("cannot furnish the sandbox")?;
    if args.json {
        let document = json!({
            "address": format!("http://{}", opened.address),
            "bank_account_id": account,
            "ledger": outside::ledger_path(&data_dir),
            "metrics": opened.metrics.map(|address| format!("http://{address}/metrics")),
            "dashboard": opened.dashboard.map(|address| format!("http://{address}/")),
            "outside": &outside.addresses,
        });
        println!("{document}");
    }
    let mut transfer_key = None;
    if !args.no_demo {
        let shown = demo.show().await.context("the first boleto did not come through")?;
        let (analysed, key) =
            demo.show_transfers().await.context("the first transfers did not come through")?;
        let refreshed = demo.show_customers().await.context("the first customers were not refreshed")?;
        transfer_key = Some(key);
        if !args.json {
            print!("{shown}\n{analysed}\n{refreshed}");
        }
    }
    if !args.json {
        let ledger = outside::ledger_path(&data_dir);
        print!("{}", demo.greeting(&opened, &ledger, transfer_key.as_deref()));
    }
    let exit = until_the_end(opened, &mut signals).await;
    outside.close().await;
    telemetry.shutdown().await;
    Ok(exit.into())
}

/// The world as a process of its own.
///
/// # Errors
/// What keeps it from opening.
pub async fn run_world(args: WorldArgs) -> anyhow::Result<ExitCode> {
    outside::run(args).await?;
    Ok(Exit::Success.into())
}

/// How far above the house's own port its pages for payers are.
const PAGES_ABOVE: u16 = 80;
/// How far above it its dashboard is.
const DASHBOARD_ABOVE: u16 = 5;

/// The settings of a house whose outside is the world: its addresses instead of the real ones, and loopback allowed.
fn settings(
    args: &SandboxArgs,
    data_dir: &std::path::Path,
    outside: &Addresses,
    secrets: &Secrets,
) -> Sources {
    let loopback = r#"["127.0.0.1"]"#;
    // A list of TOML is written as one of JSON.
    let folders = json!([outside::secrets_folder(data_dir), outside::tls_folder(outside)]).to_string();
    let dashboard_port = match args.listen.port() {
        0 => 0,
        port => port.saturating_add(DASHBOARD_ABOVE),
    };
    let dashboard = SocketAddr::new(args.listen.ip(), dashboard_port);
    let mut sources = Sources::of_process(None)
        .with("data_dir", data_dir.display().to_string())
        .with("api.listen", args.listen.to_string())
        .with("metrics.listen", "127.0.0.1:0")
        .with("dashboard.enabled", "true")
        .with("dashboard.listen", dashboard.to_string())
        .with("banks.development.enabled", "true")
        .with("secrets.folders", folders)
        .with("secrets.key", secrets.keeper_key.to_string())
        .with("channels.sqs.endpoint", outside.sqs_url.clone())
        .with("channels.sqs.region", "us-east-1")
        .with("channels.sqs.credentials.access_key_id", secrets.sqs_key_id.to_string())
        .with("channels.sqs.credentials.secret_access_key", secrets.sqs_key.to_string())
        .with("channels.nats.servers", json!([outside.nats_url]).to_string())
        .with("channels.nats.require_tls", "false");
    let (username, password) = (secrets.mail_username.to_string(), secrets.mail_password.to_string());
    let vendors = transfers::VendorSecrets {
        auth: secrets.vendor_auth.to_string(),
        emotion_logic_key: secrets.emotion_logic_key.to_string(),
        emotion_logic_password: secrets.emotion_logic_password.to_string(),
    };
    let parties = banks::settings(outside)
        .into_iter()
        .chain(mail::settings(outside, username, password))
        .chain(transfers::settings(outside, &vendors))
        .chain(aspsps::settings(outside));
    for (key, value) in parties {
        sources = sources.with(&key, value);
    }
    if args.listen.ip().is_loopback() && args.listen.port() != 0 {
        // Beside the house, where a person finds it: a link must be known before its page is served.
        let pages = SocketAddr::new(args.listen.ip(), args.listen.port().saturating_add(PAGES_ABOVE));
        sources = sources
            .with("documents.links.enabled", "true")
            .with("documents.links.address", pages.to_string())
            .with("documents.links.base_url", format!("http://{pages}"));
    }
    for channel in ["sqs", "webhook"] {
        let key = |name: &str| format!("channels.{channel}.egress.{name}");
        sources = sources
            .with(&key("schemes"), r#"["http"]"#)
            .with(&key("hosts"), loopback)
            .with(&key("ports"), "[]")
            .with(&key("allow_loopback"), "true");
    }
    if args.json {
        sources = sources.with("telemetry.log_format", "json");
    } else if std::env::var_os("BURSAR__TELEMETRY__LOG_LEVEL").is_none() {
        // A person looks at the world's own lines; trouble is still said.
        sources = sources.with("telemetry.log_level", "warn");
    }
    match &args.store_url {
        Some(url) => sources.with("store.url", url.clone()),
        None => sources,
    }
}
