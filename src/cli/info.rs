//! `bursar info`: version, store and readiness of the service.

use super::connection::Connection;
use super::failure::Failure;
use super::render::node;
use super::screen::Screen;
use super::table;
use crate::proto::control::v1::GetInfoRequest;

pub(super) async fn run(connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let info = connection.call(connection.control().get_info(GetInfoRequest {})).await?;
    screen.show(&node::info(&info), |document| table::detail(&node::INFO, document))
}
