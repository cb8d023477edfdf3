//! `bursar boleto cancel`: takes a boleto off file (baixa).

use super::order::{self, OrderArgs};
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::screen::Screen;
use crate::proto::boleto::v1::CancelBoletoRequest;

pub(super) async fn run(
    mut args: OrderArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let request_id = args.request_id();
    let request = CancelBoletoRequest {
        request_id: request_id.clone(),
        id: args.id,
        version: args.version,
        reason: args.reason,
    };
    let answer = connection.call(connection.boletos().cancel_boleto(request)).await;
    let answer = answer.map_err(|failure| failure.with_request_id(&request_id))?;
    order::show(answer.boleto, answer.order, &request_id, screen)
}
