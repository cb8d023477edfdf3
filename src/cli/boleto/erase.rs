//! `bursar boleto erase`: takes away who was to pay a boleto that has ended.
//!
//! **Fails** as the call does, and without `--yes`, for nothing brings it back.

use clap::Args;

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::hand::ErasureArgs;
use crate::cli::screen::Screen;
use crate::proto::boleto::v1::EraseBoletoRequest;

#[derive(Args)]
pub(in crate::cli) struct EraseArgs {
    /// The boleto's id
    id: String,
    #[command(flatten)]
    erasure: ErasureArgs,
}

pub(super) async fn run(
    args: EraseArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let hand = args.erasure.confirmed()?;
    let request_id = hand.request_id();
    let request = EraseBoletoRequest { id: args.id, reason: hand.reason, request_id: request_id.clone() };
    let answer = connection.call(connection.boletos().erase_boleto(request)).await;
    let answer = answer.map_err(|failure| failure.with_request_id(&request_id))?;
    super::show(answer.boleto, screen)
}
