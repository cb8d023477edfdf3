//! `bursar transfer reprocess`: has transfers that have ended analysed once more; earlier runs are kept.
//!
//! **Fails** as the call does. Without `--yes` it only says of how many it would be, and asks for that word.
//! **Limits**: many are taken up in one call, slice by slice, which `--timeout` bounds: give many thousands `1min`. What a call
//! that was cut off has taken up goes on; the same command takes up the rest, those among them that have ended again as well.

use clap::Args;
use serde_json::json;
use tonic::Code;
use uuid::Uuid;

use super::filter::{FILTERS, FilterArgs};
use super::id_of;
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::progress;
use crate::cli::render::transfer;
use crate::cli::screen::Screen;
use crate::cli::table::{self, Column};
use crate::proto::transfer::v1::reprocess_transfer_request::Which;
use crate::proto::transfer::v1::{ReprocessTransferRequest, ReprocessTransferResponse};

const COUNTED: [Column; 3] = [
    Column::plain("transfers", "/transfers"),
    Column::plain("more", "/more"),
    Column::plain("dry run", "/dry_run"),
];

#[derive(Args)]
pub(in crate::cli) struct ReprocessArgs {
    /// Its key in its feed; without one all that the filter finds
    #[arg(allow_hyphen_values = true, conflicts_with_all = FILTERS)]
    key: Option<String>,
    /// Its id, instead of its key
    #[arg(long, value_name = "ID", conflicts_with_all = FILTERS, conflicts_with = "key")]
    id: Option<String>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Count, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do it without being asked
    #[arg(long)]
    yes: bool,
    /// Tell those who want to know of the new end
    #[arg(long)]
    tell: bool,
    /// Why; kept for the audit
    #[arg(long)]
    reason: String,
    /// The same id and request give the same answer; a new UUID when absent. For one transfer
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// Of a filter: transfers at most, up to 100,000
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(i32).range(1..=100_000))]
    limit: i32,
}

pub(super) async fn run(
    args: ReprocessArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let is_one = args.key.is_some() || args.id.is_some();
    let which = match (args.id, args.key) {
        (Some(id), _) => Which::Id(id),
        (None, Some(key)) => Which::Id(id_of(key, args.filter.feed, connection).await?),
        (None, None) => Which::Filter(args.filter.filter()),
    };
    let request_id = args.request_id.unwrap_or_else(|| Uuid::now_v7().to_string());
    let request = ReprocessTransferRequest {
        which: Some(which),
        // Nobody has said yes yet.
        dry_run: args.dry_run || !args.yes,
        tell_owners: args.tell,
        reason: args.reason,
        request_id: if is_one { request_id.clone() } else { String::new() },
        limit: if is_one { 0 } else { args.limit },
    };
    let is_dry = request.dry_run;
    let mut transfers = connection.transfers();
    let call = connection.call(transfers.reprocess_transfer(request));
    let answer = progress::while_waiting("taking up transfers", call, screen).await;
    let answer = answer.map_err(|failure| match is_one {
        true => failure.with_request_id(&request_id),
        false => failure,
    })?;
    show(&answer, is_dry, screen)?;
    if is_dry && !args.dry_run {
        let message = format!("{} to be analysed once more; give --yes to have it done", answer.transfers);
        return Err(Failure::found(Code::FailedPrecondition, message));
    }
    Ok(())
}

fn show(answer: &ReprocessTransferResponse, is_dry: bool, screen: &mut Screen) -> Result<(), Failure> {
    let document = json!({
        "transfers": answer.transfers,
        "more": answer.more,
        "dry_run": is_dry,
        "transfer": answer.transfer.as_ref().map(transfer::transfer),
    });
    screen.show(&document, |document| match document["transfer"].is_null() {
        true => table::detail(&COUNTED, document),
        false => table::detail(&transfer::DETAIL, &document["transfer"]),
    })
}
