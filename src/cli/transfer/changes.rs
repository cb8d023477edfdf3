//! `bursar transfer changes`: everything that happened to one transfer, oldest first.

use clap::Args;
use serde_json::{Value, json};

use super::One;
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::render::transfer;
use crate::cli::screen::Screen;
use crate::cli::table;
use crate::proto::transfer::v1::ListTransferChangesRequest;

#[derive(Args)]
pub(in crate::cli) struct ChangesArgs {
    #[command(flatten)]
    one: One,
}

pub(super) async fn run(
    args: ChangesArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let request = ListTransferChangesRequest { id: args.one.id(connection).await? };
    let answer = connection.call(connection.transfers().list_transfer_changes(request)).await?;
    let changes: Vec<Value> = answer.changes.iter().map(transfer::change).collect();
    screen.show(&json!({ "changes": changes }), |_| table::rows(&transfer::CHANGE, &changes))
}
