//! `bursar import`: takes over what services before have. [`scheduler`] has a page of its own; this one is of `superbowleto`: it takes over the configurations and boletos of the service before, with their numbers.
//!
//! It opens the store as `serve` does and reads the other database without ever writing to it. Each group of boletos is one
//! transaction, and a boleto comes once by the id that it had there: an import that was interrupted is simply begun again.
//! What our rules refuse is reported with its reasons and not repaired, so that nobody's payer, date or amount is a guess.
//! Who began it stands in the audit before anything is written.
//!
//! **Owns** nothing. **Fails** in the terms of the other commands; boletos that were refused are no failure of the command.
//! **Limits**: `--timeout` is for each statement. The service before must have stopped, or what it does meanwhile is not
//! seen.

mod accounts;
mod boleto;
mod charges;
mod party;
mod report;
mod run;
pub(super) mod scheduler;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tonic::Code;

use super::Global;
use super::args::SettingsArgs;
use super::failure::Failure;
use super::screen::Screen;
use crate::caller::{self, Caller};
use crate::domain::ids::TenantId;
use crate::store::Store;
use crate::store::audit_act::Act;
use crate::store::audit_list::Subject;
use crate::store::superbowleto::TableNames;

const REASON_CHARS_MAX: usize = 255;

#[derive(Subcommand)]
pub(super) enum ImportCommand {
    /// Take over the configurations and boletos of a superbowleto, out of its PostgreSQL
    Superbowleto(Box<SuperbowletoArgs>),
    /// Take over customers, payments and visits of the bank scheduler before, from CSV files
    Scheduler(Box<scheduler::SchedulerArgs>),
}

#[derive(Args)]
pub(super) struct SuperbowletoArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Its database, which is only read: postgres://…; a password may also come by PGPASSWORD or ~/.pgpass
    #[arg(long, value_name = "URL")]
    from: String,
    /// Whose boletos they become
    #[arg(long, value_name = "NAME", default_value = "default")]
    tenant: String,
    /// Who is paid: the company's name; the service before did not keep it
    #[arg(long, value_name = "NAME")]
    beneficiary_name: String,
    /// Who is paid: the company's CNPJ
    #[arg(long, value_name = "CNPJ")]
    beneficiary_tax_id: String,
    /// A credential of the accounts of one connector, such as bradesco_apiregistro.merchant_id=env:NAME; may be repeated
    #[arg(long = "credential", value_name = "CONNECTOR.KEY=REFERENCE", value_parser = super::args::key_and_value)]
    credentials: Vec<(String, String)>,
    /// Why; kept for the audit
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Write nothing, and say what would be written
    #[arg(long)]
    dry_run: bool,
    /// A file for what was refused, one line of JSON each, instead of the screen
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Begin after this boleto of the other database, as a report names it
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// Boletos in one transaction
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=500))]
    batch: u64,
    /// The table of boletos, where its name is not one of the usual ones
    #[arg(long, value_name = "TABLE")]
    boletos_table: Option<String>,
    /// The table of configurations, where its name is not one of the usual ones
    #[arg(long, value_name = "TABLE")]
    configurations_table: Option<String>,
}

impl SuperbowletoArgs {
    fn tables(&self) -> TableNames {
        TableNames { boletos: self.boletos_table.clone(), configurations: self.configurations_table.clone() }
    }
}

/// Writes down who takes over what, before anything is: what cannot be written down is not done.
async fn write_down(
    store: &Store,
    tenant: &TenantId,
    method: &'static str,
    from: Value,
    reason: &str,
) -> Result<(), Failure> {
    let subject = Subject::Named(from["from"].as_str().unwrap_or_default().to_owned());
    let (reason, now) = (reason.trim().to_owned(), store.now());
    if reason.chars().count() > REASON_CHARS_MAX || reason.chars().any(char::is_control) {
        let message = format!("the reason: {REASON_CHARS_MAX} characters at most");
        return Err(Failure::found(Code::InvalidArgument, message));
    }
    let act = Act { method, subject, reason, before: json!({}), after: from, now };
    let written = caller::within(Caller::console(tenant.clone()), store.audit_act(act)).await;
    written.map_err(|error| report::of_store(&error))
}

pub(super) async fn run(command: ImportCommand, global: &Global, screen: &mut Screen) -> Result<(), Failure> {
    match command {
        ImportCommand::Superbowleto(args) => run::run(&args, global.timeout, screen).await,
        ImportCommand::Scheduler(args) => scheduler::run(&args, screen).await,
    }
}
