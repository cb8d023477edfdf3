//! `bursar openbanking`: customers of banks, what they have allowed, their accounts and payments, and the visits at their banks.
//!
//! **Fails** as the calls do. **Limits**: tokens come in by files alone, never as arguments, which everybody on the machine can read.

mod account;
mod consent;
mod many;
mod payment;
mod sync;
mod user;

use clap::{Args, Subcommand};
use uuid::Uuid;

use super::connection::Connection;
use super::failure::Failure;
use super::screen::Screen;

#[derive(Subcommand)]
pub(super) enum OpenBankingCommand {
    /// Keep the customers whose accounts and payments are followed
    #[command(subcommand)]
    User(user::UserCommand),
    /// Keep what customers have allowed at their banks
    #[command(subcommand)]
    Consent(consent::ConsentCommand),
    /// See what is known of accounts, and how fresh it is
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Refresh accounts now, plan it, and see the visits at banks
    #[command(subcommand)]
    Sync(sync::SyncCommand),
    /// Follow payments to their end at the bank
    #[command(subcommand)]
    Payment(payment::PaymentCommand),
    /// List the banks that are configured, and how the process that answers stands with them
    Aspsps,
}

/// What every change by hand says.
#[derive(Args)]
struct HandArgs {
    /// Why; kept for the audit
    #[arg(long)]
    reason: String,
    /// The same id and request give the same answer; a new UUID when absent
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

impl HandArgs {
    fn request_id(&self) -> String {
        self.request_id.clone().unwrap_or_else(|| Uuid::now_v7().to_string())
    }
}

pub(super) async fn run(
    command: OpenBankingCommand,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match command {
        OpenBankingCommand::User(command) => user::run(command, connection, screen).await,
        OpenBankingCommand::Consent(command) => consent::run(command, connection, screen).await,
        OpenBankingCommand::Account(command) => account::run(command, connection, screen).await,
        OpenBankingCommand::Sync(command) => sync::run(command, connection, screen).await,
        OpenBankingCommand::Payment(command) => payment::run(command, connection, screen).await,
        OpenBankingCommand::Aspsps => sync::aspsps(connection, screen).await,
    }
}
