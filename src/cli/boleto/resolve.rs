//! `bursar boleto resolve`: ends a boleto's review by a person's decision.

use clap::Args;

use super::order::OrderArgs;
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::render::boleto;
use crate::cli::screen::Screen;
use crate::proto::boleto::v1::{BoletoStatus, ResolveBoletoRequest};

#[derive(Args)]
pub(in crate::cli) struct ResolveArgs {
    #[command(flatten)]
    order: OrderArgs,
    /// What it is: registered, refused or cancelled
    #[arg(long = "as", value_name = "STATUS", value_parser = boleto::status_parser())]
    resolution: BoletoStatus,
}

pub(super) async fn run(
    mut args: ResolveArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let request_id = args.order.request_id();
    let request = ResolveBoletoRequest {
        request_id: request_id.clone(),
        id: args.order.id,
        version: args.order.version,
        resolution: args.resolution.into(),
        reason: args.order.reason,
    };
    let answer = connection.call(connection.boletos().resolve_boleto(request)).await;
    let answer = answer.map_err(|failure| failure.with_request_id(&request_id))?;
    super::show(answer.boleto, screen)
}
