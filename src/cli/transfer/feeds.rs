//! `bursar transfer feeds`: the feeds, and how the process that answers stands with them.

use serde_json::{Value, json};

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::render::transfer;
use crate::cli::screen::Screen;
use crate::cli::table;
use crate::proto::transfer::v1::ListFeedsRequest;

pub(super) async fn run(connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let answer = connection.call(connection.transfers().list_feeds(ListFeedsRequest {})).await?;
    let feeds: Vec<Value> = answer.feeds.iter().map(transfer::feed).collect();
    screen.show(&json!({ "feeds": feeds }), |_| table::rows(&transfer::FEED, &feeds))
}
