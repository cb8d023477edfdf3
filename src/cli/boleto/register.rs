//! `bursar boleto register`: asks the bank again now.

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::screen::Screen;
use crate::proto::boleto::v1::RegisterBoletoRequest;

pub(super) async fn run(id: String, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let answer = connection.call(connection.boletos().register_boleto(RegisterBoletoRequest { id })).await?;
    super::show(answer.boleto, screen)
}
