//! `bursar boleto amend`: has the bank change what it allows to be changed.
//!
//! **Limits**: charges are given whole: those that are not named are taken away.

use clap::Args;

use super::order::{self, OrderArgs};
use super::terms::ChargeFlags;
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::screen::Screen;
use crate::proto::boleto::v1::{AmendBoletoRequest, Charges};

#[derive(Args)]
pub(in crate::cli) struct AmendArgs {
    #[command(flatten)]
    order: OrderArgs,
    /// Another amount
    #[arg(long, value_name = "CENTS")]
    amount_cents: Option<i64>,
    /// Another due date, YYYY-MM-DD
    #[arg(long, value_name = "DATE", default_value = "", hide_default_value = true)]
    due_date: String,
    #[command(flatten)]
    charges: ChargeFlags,
    /// Take all charges away
    #[arg(long)]
    no_charges: bool,
}

pub(super) async fn run(
    mut args: AmendArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let request_id = args.order.request_id();
    let none = args.no_charges.then(Charges::default);
    let request = AmendBoletoRequest {
        request_id: request_id.clone(),
        id: args.order.id,
        version: args.order.version,
        reason: args.order.reason,
        amount_cents: args.amount_cents,
        due_date: args.due_date,
        charges: args.charges.into_charges().or(none),
    };
    let answer = connection.call(connection.boletos().amend_boleto(request)).await;
    let answer = answer.map_err(|failure| failure.with_request_id(&request_id))?;
    order::show(answer.boleto, answer.order, &request_id, screen)
}
