//! `bursar transfer erase`: takes away everything of one transfer but that it was there.
//!
//! **Fails** as the call does, and without `--yes`, for nothing brings it back.

use clap::Args;
use serde_json::json;
use tonic::Code;
use uuid::Uuid;

use super::One;
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::render::transfer;
use crate::cli::screen::Screen;
use crate::cli::table;
use crate::proto::transfer::v1::EraseTransferRequest;

#[derive(Args)]
pub(in crate::cli) struct EraseArgs {
    #[command(flatten)]
    one: One,
    /// Why; kept for the audit
    #[arg(long)]
    reason: String,
    /// Do it; nothing brings it back
    #[arg(long)]
    yes: bool,
    /// The same id and request give the same answer; a new UUID when absent
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

pub(super) async fn run(
    args: EraseArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let id = args.one.id(connection).await?;
    if !args.yes {
        let message = "nothing brings it back; give --yes to have it erased";
        return Err(Failure::found(Code::FailedPrecondition, message));
    }
    let request_id = args.request_id.unwrap_or_else(|| Uuid::now_v7().to_string());
    let request = EraseTransferRequest { id, reason: args.reason, request_id: request_id.clone() };
    let answer = connection.call(connection.transfers().erase_transfer(request)).await;
    let answer = answer.map_err(|failure| failure.with_request_id(&request_id))?;
    let erased = answer.transfer.ok_or_else(Failure::empty_answer)?;
    let document = json!({ "transfer": transfer::transfer(&erased) });
    screen.show(&document, |document| table::detail(&transfer::DETAIL, &document["transfer"]))
}
