//! `bursar drain`: the service refuses new work, finishes what it has in hand, and ends.

use clap::Args;
use serde_json::json;

use super::connection::Connection;
use super::failure::Failure;
use super::screen::Screen;
use crate::proto::control::v1::DrainRequest;

#[derive(Args)]
pub(super) struct DrainArgs {
    /// Why; kept for the audit
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

pub(super) async fn run(
    args: DrainArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    connection.call(connection.control().drain(DrainRequest { reason: args.reason })).await?;
    screen.show(&json!({}), |_| "draining\n".to_owned())
}
