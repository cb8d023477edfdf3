//! `bursar openbanking`: customers of banks, what they have allowed, their accounts and payments, and the visits at their banks.
//!
//! **Fails** as the calls do. **Limits**: tokens come in by files alone, never as arguments, which everybody on the machine can read.

mod account;
mod consent;
mod many;
mod payment;
mod sync;
mod user;

use clap::Subcommand;

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
