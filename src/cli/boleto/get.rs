//! `bursar boleto get`: shows one boleto.

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::screen::Screen;
use crate::proto::boleto::v1::GetBoletoRequest;

pub(super) async fn run(id: String, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let answer = connection.call(connection.boletos().get_boleto(GetBoletoRequest { id })).await?;
    super::show(answer.boleto, screen)
}
