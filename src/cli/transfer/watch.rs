//! `bursar transfer watch`: follows changes as they are committed, a line for each.
//!
//! **Fails** as unavailable when the service ends the stream, and says the cursor from which to go on.
//! **Limits**: an interrupt (Ctrl-C) ends it in good order; `--timeout` bounds the opening of the stream only.

use clap::Args;
use serde_json::Value;
use tonic::{Code, Streaming};

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::render::transfer;
use crate::cli::screen::Screen;
use crate::cli::table::{plain, safe};
use crate::proto::transfer::v1::{WatchTransfersRequest, WatchTransfersResponse};

#[derive(Args)]
pub(in crate::cli) struct WatchArgs {
    /// Go on after this change; 0 for all that are kept, absent for changes from now on
    #[arg(long, default_value = "", hide_default_value = true)]
    cursor: String,
    /// Only the transfer of this id
    #[arg(long = "transfer", value_name = "ID", default_value = "", hide_default_value = true)]
    transfer_id: String,
}

pub(super) async fn run(
    args: WatchArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let WatchArgs { mut cursor, transfer_id } = args;
    let request = WatchTransfersRequest { cursor: cursor.clone(), transfer_id };
    let stream = connection.call(connection.transfers().watch_transfers(request)).await?;
    let result = tokio::select! {
        result = follow(stream, &mut cursor, screen) => result,
        // Where no signal can be caught, an interrupt ends the process the hard way, and nothing is lost by it.
        Ok(()) = tokio::signal::ctrl_c() => Ok(()),
    };
    if matches!(result, Err(Failure::Told(_))) && !cursor.is_empty() {
        screen.remark(&format!("to go on from here, give --cursor {cursor}"));
    }
    result
}

async fn follow(
    mut stream: Streaming<WatchTransfersResponse>,
    cursor: &mut String,
    screen: &mut Screen,
) -> Result<(), Failure> {
    while let Some(answer) = stream.message().await? {
        for change in &answer.changes {
            screen.show_line(&transfer::change(change), line)?;
        }
        *cursor = answer.cursor;
    }
    Err(Failure::found(Code::Unavailable, "the service ended the stream"))
}

fn line(change: &Value) -> String {
    let fields = ["occur_time", "type", "feed", "key", "version", "reason", "cursor"];
    let texts = fields.map(|field| match (field, plain(&change[field])) {
        ("version", text) => format!("v{text}"),
        ("cursor", text) => format!("cursor={text}"),
        (_, text) => text,
    });
    let said = texts.iter().filter(|text| !text.is_empty()).map(|text| safe(text));
    said.collect::<Vec<_>>().join("  ")
}
