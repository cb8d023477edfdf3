//! `bursar openbanking account`: what is known of accounts, and how fresh it is.
//!
//! **Fails** as the calls do. **Limits**: whoever sees what stands on an account is kept for the audit, with `--reason` if given; a list
//! masks numbers, and is not.

use chrono::NaiveDate;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::paging::{self, Page, PageArgs};
use crate::cli::render::openbanking as render;
use crate::cli::screen::Screen;
use crate::cli::table;
use crate::proto::openbanking::v1::{
    EnableAccountRequest, Freshness, GetAccountRequest, ListAccountsRequest, ListBalancesRequest,
    ListPendingTransactionsRequest, ListTransactionsRequest, StreamTransactionsRequest,
};

#[derive(Subcommand)]
pub(in crate::cli) enum AccountCommand {
    /// List accounts with their freshness, newest first
    List(ListArgs),
    /// Show one with its number, its details and its balances; kept for the audit
    Show(OneArgs),
    /// Show what stands on one; kept for the audit
    Balances(OneArgs),
    /// List what is booked on one, oldest day first; kept for the audit
    Transactions(Box<TransactionsArgs>),
    /// Show what is not booked yet; kept for the audit
    Pending(OneArgs),
    /// Have one asked about again
    Enable(SwitchArgs),
    /// Have one asked about no more; what is known of it stays
    Disable(SwitchArgs),
}

#[derive(Args)]
pub(in crate::cli) struct ListArgs {
    /// Of this customer, by the owner's name for them
    #[arg(long = "user", value_name = "NAME", default_value = "", hide_default_value = true)]
    user_external_id: String,
    #[command(flatten)]
    page: PageArgs,
}

#[derive(Args)]
pub(in crate::cli) struct OneArgs {
    id: String,
    /// Why; kept for the audit
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

#[derive(Args)]
pub(in crate::cli) struct TransactionsArgs {
    #[command(flatten)]
    one: OneArgs,
    /// From this day of booking on
    #[arg(long, value_name = "YYYY-MM-DD")]
    from: Option<NaiveDate>,
    /// Up to and with this day of booking
    #[arg(long, value_name = "YYYY-MM-DD")]
    until: Option<NaiveDate>,
    /// All of them, a line each as it comes, instead of a page
    #[arg(long, conflicts_with_all = ["page_size", "page_token", "all"])]
    stream: bool,
    #[command(flatten)]
    page: PageArgs,
}

#[derive(Args)]
pub(in crate::cli) struct SwitchArgs {
    id: String,
    /// Why; kept for the audit
    #[arg(long)]
    reason: String,
}

pub(super) async fn run(
    command: AccountCommand,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match command {
        AccountCommand::List(args) => list(args, connection, screen).await,
        AccountCommand::Show(args) => show(args, connection, screen).await,
        AccountCommand::Balances(args) => {
            let request = ListBalancesRequest { account_id: args.id, reason: args.reason };
            let answer = connection.call(connection.accounts().list_balances(request)).await?;
            let rows = answer.balances.iter().map(render::balance).collect();
            with_freshness("balances", rows, &answer.freshness, &render::BALANCE, screen)
        }
        AccountCommand::Transactions(args) if args.stream => stream(*args, connection, screen).await,
        AccountCommand::Transactions(args) => transactions(*args, connection, screen).await,
        AccountCommand::Pending(args) => {
            let request = ListPendingTransactionsRequest { account_id: args.id, reason: args.reason };
            let answer = connection.call(connection.accounts().list_pending_transactions(request)).await?;
            let rows = answer.transactions.iter().map(render::pending).collect();
            with_freshness("transactions", rows, &answer.freshness, &render::PENDING, screen)
        }
        AccountCommand::Enable(args) => switch(args, true, connection, screen).await,
        AccountCommand::Disable(args) => switch(args, false, connection, screen).await,
    }
}

async fn list(args: ListArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let page = paging::fetch(&args.page, async |page_token| {
        let request = ListAccountsRequest {
            user_external_id: args.user_external_id.clone(),
            page_size: args.page.page_size,
            page_token,
        };
        let answer = connection.call(connection.accounts().list_accounts(request)).await?;
        let rows = answer.accounts.iter().map(render::account).collect();
        Ok(Page { rows, next_page_token: answer.next_page_token })
    })
    .await?;
    paging::show(page, "accounts", &render::ACCOUNT_ROW, screen)
}

async fn show(args: OneArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let request = GetAccountRequest { id: args.id, reason: args.reason };
    let answer = connection.call(connection.accounts().get_account(request)).await?;
    let account = answer.account.ok_or_else(Failure::empty_answer)?;
    let balances: Vec<Value> = answer.balances.iter().map(render::balance).collect();
    let document = json!({ "account": render::account(&account), "balances": balances });
    screen.show(&document, |document| {
        let detail = table::detail(&render::ACCOUNT, &document["account"]);
        format!("{detail}\n{}", table::rows(&render::BALANCE, &balances))
    })
}

async fn transactions(
    args: TransactionsArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let page = paging::fetch(&args.page, async |page_token| {
        let request = ListTransactionsRequest {
            account_id: args.one.id.clone(),
            from: day(args.from),
            until: day(args.until),
            reason: args.one.reason.clone(),
            page_size: args.page.page_size,
            page_token,
        };
        let answer = connection.call(connection.accounts().list_transactions(request)).await?;
        let rows = answer.transactions.iter().map(render::transaction).collect();
        Ok(Page { rows, next_page_token: answer.next_page_token })
    })
    .await?;
    paging::show(page, "transactions", &render::TRANSACTION, screen)
}

async fn stream(args: TransactionsArgs, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let request = StreamTransactionsRequest {
        account_id: args.one.id,
        from: day(args.from),
        until: day(args.until),
        reason: args.one.reason,
    };
    let mut stream = connection.call(connection.accounts().stream_transactions(request)).await?;
    while let Some(answer) = stream.message().await? {
        for transaction in &answer.transactions {
            screen.show_line(&render::transaction(transaction), line)?;
        }
    }
    Ok(())
}

fn line(transaction: &Value) -> String {
    let fields = ["booked_on", "amount", "currency", "counterparty", "remittance"];
    let texts = fields.map(|field| table::safe(&table::plain(&transaction[field])));
    texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("  ")
}

fn day(day: Option<NaiveDate>) -> String {
    day.map(|day| day.to_string()).unwrap_or_default()
}

async fn switch(
    args: SwitchArgs,
    enabled: bool,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let request = EnableAccountRequest { id: args.id, enabled, reason: args.reason };
    let answer = connection.call(connection.accounts().enable_account(request)).await?;
    let account = answer.account.ok_or_else(Failure::empty_answer)?;
    let document = json!({ "account": render::account(&account) });
    screen.show(&document, |document| table::detail(&render::ACCOUNT, &document["account"]))
}

/// Rows, and how fresh they are.
fn with_freshness(
    field: &'static str,
    rows: Vec<Value>,
    freshness: &Option<Freshness>,
    columns: &[table::Column],
    screen: &mut Screen,
) -> Result<(), Failure> {
    let freshness = freshness.as_ref().map(render::freshness);
    let document = json!({ field: rows, "freshness": freshness });
    screen.show(&document, |document| {
        let text = |name: &str| table::safe(&table::plain(&document["freshness"][name]));
        let why = match text("reason") {
            none if none.is_empty() => none,
            reason => format!(", {reason}"),
        };
        format!("{}{}{why}\n", table::rows(columns, &rows), text("state"))
    })
}
