//! `bursar transfer erase`: takes away everything of one transfer but that it was there.
//!
//! **Fails** as the call does, and without `--yes`, for nothing brings it back.

use clap::Args;
use serde_json::json;

use super::One;
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::hand::ErasureArgs;
use crate::cli::render::transfer;
use crate::cli::screen::Screen;
use crate::cli::table;
use crate::proto::transfer::v1::EraseTransferRequest;

#[derive(Args)]
pub(in crate::cli) struct EraseArgs {
    #[command(flatten)]
    one: One,
    #[command(flatten)]
    erasure: ErasureArgs,
}

pub(super) async fn run(
    args: EraseArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let hand = args.erasure.confirmed()?;
    let id = args.one.id(connection).await?;
    let request_id = hand.request_id();
    let request = EraseTransferRequest { id, reason: hand.reason, request_id: request_id.clone() };
    let answer = connection.call(connection.transfers().erase_transfer(request)).await;
    let answer = answer.map_err(|failure| failure.with_request_id(&request_id))?;
    let erased = answer.transfer.ok_or_else(Failure::empty_answer)?;
    let document = json!({ "transfer": transfer::transfer(&erased) });
    screen.show(&document, |document| table::detail(&transfer::DETAIL, &document["transfer"]))
}
