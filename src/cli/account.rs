//! `bursar account`: keeps the bank accounts under which boletos are issued.

mod create;
mod get;
mod list;
mod resync;
mod update;

use std::path::Path;

use clap::Subcommand;
use serde_json::json;
use tonic::Code;

use super::connection::Connection;
use super::failure::{Failure, Violation};
use super::input;
use super::input::account::AccountInput;
use super::paging::PageArgs;
use super::render::bank_account;
use super::screen::Screen;
use super::table;
use crate::proto::boleto::v1::BankAccount;

#[derive(Subcommand)]
pub(super) enum AccountCommand {
    /// Add an account
    Create(Box<create::CreateArgs>),
    /// Show one
    Get(get::GetArgs),
    /// List all
    List(PageArgs),
    /// Move the counter of its numbers ahead, past the bank's highest, after a restore from a backup
    Resync(resync::ResyncArgs),
    /// Change what the flags name, or all that may change as a file says it
    Update(Box<update::UpdateArgs>),
}

pub(super) async fn run(
    command: AccountCommand,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match command {
        AccountCommand::Create(args) => create::run(*args, connection, screen).await,
        AccountCommand::Get(args) => get::run(args, connection, screen).await,
        AccountCommand::List(args) => list::run(args, connection, screen).await,
        AccountCommand::Resync(args) => resync::run(args, connection, screen).await,
        AccountCommand::Update(args) => update::run(*args, connection, screen).await,
    }
}

/// Shows the one account of an answer.
fn show(account: Option<BankAccount>, screen: &mut Screen) -> Result<(), Failure> {
    let account = account.ok_or_else(Failure::empty_answer)?;
    let document = json!({ "bank_account": bank_account::bank_account(&account) });
    screen.show(&document, |document| table::detail(&bank_account::DETAIL, &document["bank_account"]))
}

/// Reads an account from a file, bare or as `account get --json` prints it.
fn read(file: &Path) -> Result<BankAccount, Failure> {
    let account = input::read::<AccountInput>(file, Some("bank_account"))?;
    BankAccount::try_from(account).map_err(|why| {
        let violation = Violation { field: "bank_account.issuer".to_owned(), description: why.to_owned() };
        Failure::violated(Code::InvalidArgument, "the document cannot be read", vec![violation])
    })
}
