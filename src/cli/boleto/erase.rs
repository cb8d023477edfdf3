//! `bursar boleto erase`: takes away who was to pay a boleto that has ended.
//!
//! **Fails** as the call does, and without `--yes`, for nothing brings it back.

use clap::Args;
use tonic::Code;
use uuid::Uuid;

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::screen::Screen;
use crate::proto::boleto::v1::EraseBoletoRequest;

#[derive(Args)]
pub(in crate::cli) struct EraseArgs {
    /// The boleto's id
    id: String,
    /// Why; kept for the audit
    #[arg(long)]
    reason: String,
    /// Do it; nothing brings it back
    #[arg(long)]
    yes: bool,
    /// The same id and request give the same answer; a new UUID when absent
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

pub(super) async fn run(
    args: EraseArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    if !args.yes {
        let message = "nothing brings it back; give --yes to have it erased";
        return Err(Failure::found(Code::FailedPrecondition, message));
    }
    let request_id = args.request_id.unwrap_or_else(|| Uuid::now_v7().to_string());
    let request = EraseBoletoRequest { id: args.id, reason: args.reason, request_id: request_id.clone() };
    let answer = connection.call(connection.boletos().erase_boleto(request)).await;
    let answer = answer.map_err(|failure| failure.with_request_id(&request_id))?;
    super::show(answer.boleto, screen)
}
