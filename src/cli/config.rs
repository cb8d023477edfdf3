//! `bursar config`: checks, shows or begins a configuration, without a service and without opening anything; and has a running
//! service read its own again.

mod init;
pub(super) mod probe;
mod reload;

use chrono::{SecondsFormat, Utc};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tonic::Code;

use super::args::SettingsArgs;
use super::connection::Connection;
use super::failure::{Failure, Violation};
use super::screen::Screen;
use super::table::plain;
use crate::actors::config::openbanking::Budget;
use crate::actors::config::timetable::{JobOutlook, Outlook};
use crate::config::{self, Config, ConfigErrors};

/// Slots of each job that a check shows.
const FIRES_SHOWN: usize = 5;

#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Say everything that is wrong with it, at once
    Check(CheckArgs),
    /// Show every setting in effect and where it comes from, without passwords
    Show(SettingsArgs),
    /// Write a first configuration, with a comment for every line; asks for what no flag says
    Init(init::InitArgs),
    /// Have the running service read its own again and take over what it can while it is open
    Reload(reload::ReloadArgs),
}

#[derive(Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Try, too, whether everything that it names can be reached from here
    #[arg(long)]
    probe: bool,
}

/// Does what needs no service; hands back what does.
pub(super) async fn without_service(
    command: ConfigCommand,
    screen: &mut Screen,
) -> Result<Option<ConfigCommand>, Failure> {
    match command {
        command @ ConfigCommand::Reload(_) => return Ok(Some(command)),
        ConfigCommand::Init(args) => init::run(args, screen)?,
        ConfigCommand::Check(args) => check(args, screen).await?,
        ConfigCommand::Show(args) => show(&args, screen)?,
    }
    Ok(None)
}

/// Does what needs one.
pub(super) async fn run(
    command: ConfigCommand,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match command {
        ConfigCommand::Reload(args) => reload::run(args, connection, screen).await,
        command => without_service(command, screen).await.map(drop),
    }
}

async fn check(args: CheckArgs, screen: &mut Screen) -> Result<(), Failure> {
    let sources = args.settings.sources();
    let config = Config::load(&sources).map_err(refused)?;
    let mut warnings = config::warnings(&sources.env);
    let outlook = config.timetable.outlook(Utc::now(), FIRES_SHOWN);
    warnings.extend(overlaps(&outlook));
    let budgets = config.openbanking.budgets(&config.timetable, Utc::now());
    warnings.extend(budgets.iter().filter(|budget| budget.is_broken()).map(broken));
    warnings.extend(without_key(&config));
    let mut document = json!({
        "valid": true,
        "warnings": warnings,
        "timetable": {
            "users_per_period": outlook.users_per_period,
            "jobs": outlook.jobs.iter().map(job).collect::<Vec<_>>(),
        },
        "quotas": budgets.iter().map(quota).collect::<Vec<_>>(),
    });
    if !args.probe {
        return screen.show(&document, checked);
    }
    let probed = probe::probe(&config).await;
    document["probed"] = json!(probed);
    screen.show(&document, |document| format!("{}\n{}", checked(document), probe::text(&probed)))?;
    match probe::all_reached(&probed) {
        true => Ok(()),
        false => Err(Failure::found(Code::Unavailable, "not everything was reached")),
    }
}

fn show(args: &SettingsArgs, screen: &mut Screen) -> Result<(), Failure> {
    let (config, origins) = Config::load_with_origins(&args.sources()).map_err(refused)?;
    let unreadable = "the configuration cannot be read back from its own text";
    let table: toml::Table =
        toml::from_str(&config.to_toml_redacted()).map_err(|_| Failure::found(Code::Internal, unreadable))?;
    let mut document = json!(table);
    document["origins"] = json!(origins.of_all(table));
    screen.show(&document, |_| config.to_toml_with_origins(&origins))
}

/// What falls together.
fn overlaps(outlook: &Outlook) -> Option<String> {
    let at = outlook.collision?;
    let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    Some(format!(
        "both jobs begin at {at}; they share what each bank bears, and another anchor for one of them spreads it"
    ))
}

/// What a bank would not allow.
fn broken(budget: &Budget) -> String {
    let Budget { aspsp, accesses_max, limit, .. } = budget;
    let what = if budget.endpoint.is_empty() { "each account" } else { budget.endpoint.as_str() };
    let whose = if budget.by_consent { "a consent allows as a rule" } else { "it allows" };
    let from = budget.from.to_rfc3339_opts(SecondsFormat::Secs, true);
    format!(
        "{aspsp} would be asked for {what} {accesses_max} times in one window, the first from {from}, and {whose} {limit}; \
         what is too much is rate limited"
    )
}

/// Tokens are kept sealed.
fn without_key(config: &Config) -> Option<String> {
    let is_needed = !config.openbanking.aspsps.is_empty() && config.secrets.key.is_none();
    is_needed.then(|| "secrets.key is not set: no token of a consent or a payment can be kept".to_owned())
}

fn quota(budget: &Budget) -> Value {
    json!({
        "aspsp": budget.aspsp,
        "endpoint": budget.endpoint,
        "accesses_max": budget.accesses_max,
        "limit": budget.limit,
        "limit_by_consent": budget.by_consent,
        "window_begin": budget.from.to_rfc3339_opts(SecondsFormat::Secs, true),
    })
}

fn job(job: &JobOutlook) -> Value {
    let next = job.next.iter().map(|fire| {
        json!({
            "local_time": fire.at.with_timezone(&job.zone).to_rfc3339(),
            "time": fire.at.to_rfc3339_opts(SecondsFormat::Secs, true),
        })
    });
    json!({
        "job": job.name,
        "enabled": job.enabled,
        "time_zone": job.zone.name(),
        "next": next.collect::<Vec<_>>(),
    })
}

fn checked(document: &Value) -> String {
    let mut text = "the configuration is valid\n".to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    for warning in list(&document["warnings"]) {
        text.push_str(&format!("warning: {}\n", plain(&warning)));
    }
    let timetable = &document["timetable"];
    for job in list(&timetable["jobs"]) {
        let enabled = if job["enabled"] == true { "" } else { " (not enabled)" };
        text.push_str(&format!("\n{}{enabled}, {}\n", plain(&job["job"]), plain(&job["time_zone"])));
        for fire in list(&job["next"]) {
            text.push_str(&format!("  {}  {}\n", plain(&fire["local_time"]), plain(&fire["time"])));
        }
    }
    let users = plain(&timetable["users_per_period"]);
    text.push_str(&format!("\nsync_update begins batches for {users} users before its next slot\n"));
    for quota in list(&document["quotas"]) {
        let endpoint = plain(&quota["endpoint"]);
        let what = if endpoint.is_empty() { "all together" } else { endpoint.as_str() };
        let (most, limit) = (plain(&quota["accesses_max"]), plain(&quota["limit"]));
        text.push_str(&format!(
            "{}, {what}: up to {most} of {limit} accesses in a window\n",
            plain(&quota["aspsp"])
        ));
    }
    text
}

pub(super) fn refused(errors: ConfigErrors) -> Failure {
    let violations = errors
        .problems()
        .iter()
        // The text of a problem names the key already, with where it was set.
        .map(|problem| Violation { field: String::new(), description: problem.to_string() })
        .collect();
    Failure::violated(Code::InvalidArgument, "the configuration is refused", violations)
}
