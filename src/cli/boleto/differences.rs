//! `bursar boleto differences` and `settle`: in what banks and we disagree, and the word of whoever has looked.

use clap::Args;
use serde_json::json;

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::paging::{self, Page, PageArgs};
use crate::cli::render::reconciliation;
use crate::cli::screen::Screen;
use crate::cli::table;
use crate::proto::boleto::v1::{ListDifferencesRequest, SettleDifferenceRequest};

#[derive(Args)]
pub(in crate::cli) struct DifferencesArgs {
    /// Only of this bank account
    #[arg(long = "account", value_name = "ID", default_value = "", hide_default_value = true)]
    account: String,
    /// Those that have been settled too
    #[arg(long)]
    settled_too: bool,
    #[command(flatten)]
    page: PageArgs,
}

#[derive(Args)]
pub(in crate::cli) struct SettleArgs {
    /// The difference
    id: String,
    /// What was found out or done; kept with it
    #[arg(long)]
    reason: String,
}

pub(super) async fn run(
    args: DifferencesArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let found = paging::fetch(&args.page, async |page_token| {
        page(connection, args.account.clone(), args.settled_too, args.page.page_size, page_token).await
    })
    .await?;
    paging::show(found, "differences", &reconciliation::DIFFERENCE, screen)
}

/// One page.
pub(super) async fn page(
    connection: &Connection,
    bank_account_id: String,
    settled_too: bool,
    page_size: i32,
    page_token: String,
) -> Result<Page, Failure> {
    let request = ListDifferencesRequest { page_size, page_token, bank_account_id, settled_too };
    let answer = connection.call(connection.bank_accounts().list_differences(request)).await?;
    Ok(Page {
        rows: answer.differences.iter().map(reconciliation::difference).collect(),
        next_page_token: answer.next_page_token,
    })
}

pub(super) async fn settle(
    args: SettleArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let request = SettleDifferenceRequest { id: args.id, reason: args.reason };
    let answer = connection.call(connection.bank_accounts().settle_difference(request)).await?;
    let difference = answer.difference.ok_or_else(Failure::empty_answer)?;
    let document = json!({ "difference": reconciliation::difference(&difference) });
    screen.show(&document, |document| table::detail(&reconciliation::DIFFERENCE, &document["difference"]))
}
