//! `bursar boleto reconcile`: asks banks now what was paid and taken off file, and shows what came of it with the differences
//! that are open.
//!
//! **Limits**: an account whose run does not end in time is shown as it stands; `--watch` goes on until an interrupt.

use std::collections::HashMap;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::differences;
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::paging::{self, Page, PageArgs};
use crate::cli::render::reconciliation;
use crate::cli::screen::Screen;
use crate::cli::table;
use crate::proto::boleto::v1::{ListReconciliationsRequest, ReconcileBankAccountRequest};

/// Between two looks of a watch.
const LOOK_EVERY: Duration = Duration::from_secs(2);

#[derive(Args)]
pub(in crate::cli) struct ReconcileArgs {
    /// Only this bank account; all that can be asked when absent
    #[arg(long = "account", value_name = "ID", conflicts_with = "watch")]
    account: Option<String>,
    /// Ask nobody and show how the accounts stand, again and again until an interrupt; with --json a line for each look
    #[arg(long, conflicts_with = "differences")]
    watch: bool,
    /// Ask nobody and show the open differences
    #[arg(long)]
    differences: bool,
    /// Why; kept for the audit
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

pub(super) async fn run(
    args: ReconcileArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    if args.watch {
        return tokio::select! {
            result = watch(connection, screen) => result,
            // Where no signal can be caught, an interrupt ends the process the hard way, and nothing is lost by it.
            Ok(()) = tokio::signal::ctrl_c() => Ok(()),
        };
    }
    let mut asked = Vec::new();
    if !args.differences {
        asked = ask(args.account.as_deref(), &args.reason, connection).await?;
    }
    let account = args.account.unwrap_or_default();
    let open = paging::fetch(&every_page(), async |page_token| {
        differences::page(connection, account.clone(), false, 0, page_token).await
    })
    .await?;
    let document = json!({ "reconciliations": asked, "differences": open.rows });
    screen.show(&document, |_| {
        let mut parts = Vec::new();
        if !args.differences {
            parts.push(table::rows(&reconciliation::ROW, &asked));
        }
        if args.differences || !open.rows.is_empty() {
            parts.push(table::rows(&reconciliation::DIFFERENCE, &open.rows));
        }
        parts.join("\n")
    })
}

/// Has each account's bank asked, one after the other; those that cannot be asked are shown as such.
async fn ask(account: Option<&str>, reason: &str, connection: &Connection) -> Result<Vec<Value>, Failure> {
    if let Some(id) = account {
        return Ok(vec![ask_one(id, reason, connection).await?]);
    }
    let mut asked = Vec::new();
    for known in standings(connection).await? {
        match (known["supported"].as_bool(), known["bank_account_id"].as_str()) {
            (Some(true), Some(id)) => asked.push(ask_one(id, reason, connection).await?),
            _ => asked.push(known),
        }
    }
    Ok(asked)
}

async fn ask_one(id: &str, reason: &str, connection: &Connection) -> Result<Value, Failure> {
    let request = ReconcileBankAccountRequest { id: id.to_owned(), reason: reason.to_owned() };
    let answer = connection.call(connection.bank_accounts().reconcile_bank_account(request)).await?;
    let known = answer.reconciliation.ok_or_else(Failure::empty_answer)?;
    Ok(reconciliation::reconciliation(&known))
}

async fn standings(connection: &Connection) -> Result<Vec<Value>, Failure> {
    let page = paging::fetch(&every_page(), async |page_token| {
        let request = ListReconciliationsRequest { page_size: 0, page_token };
        let answer = connection.call(connection.bank_accounts().list_reconciliations(request)).await?;
        Ok(Page {
            rows: answer.reconciliations.iter().map(reconciliation::reconciliation).collect(),
            next_page_token: answer.next_page_token,
        })
    })
    .await?;
    Ok(page.rows)
}

fn every_page() -> PageArgs {
    PageArgs { page_size: 0, page_token: String::new(), all: true }
}

/// Shows the accounts whenever one of them stands otherwise than before.
async fn watch(connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let mut before: HashMap<String, Value> = HashMap::new();
    loop {
        let known = standings(connection).await?;
        let by_id = |row: &Value| (row["bank_account_id"].to_string(), row.clone());
        let now: HashMap<String, Value> = known.iter().map(by_id).collect();
        if now != before {
            let document = json!({ "reconciliations": known });
            screen.redraw(&document, |_| table::rows(&reconciliation::ROW, &known))?;
            before = now;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
