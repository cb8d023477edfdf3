//! `bursar drain`: the service refuses new work, finishes what it has in hand, and ends.

use serde_json::json;

use super::connection::Connection;
use super::failure::Failure;
use super::screen::Screen;
use crate::proto::control::v1::DrainRequest;

pub(super) async fn run(connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    connection.call(connection.control().drain(DrainRequest {})).await?;
    screen.show(&json!({}), |_| "draining\n".to_owned())
}
