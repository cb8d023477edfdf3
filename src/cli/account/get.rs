//! `bursar account get`: shows one bank account.

use clap::Args;

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::screen::Screen;
use crate::proto::boleto::v1::GetBankAccountRequest;
use crate::proto::boleto::v1::get_bank_account_request::Key;

#[derive(Args)]
pub(in crate::cli) struct GetArgs {
    #[arg(required_unless_present = "external_id", conflicts_with = "external_id")]
    id: Option<String>,
    /// By its owner's own name for it instead
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
}

pub(super) async fn run(args: GetArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let key = args.id.map(Key::Id).or(args.external_id.map(Key::ExternalId));
    let request = GetBankAccountRequest { key };
    let answer = connection.call(connection.bank_accounts().get_bank_account(request)).await?;
    super::show(answer.bank_account, screen)
}
