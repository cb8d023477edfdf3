//! `bursar boleto record-payment`: writes down what was paid.
//!
//! **Owns** the request id when the caller gives none; under it the same payment may be told again.

use clap::Args;
use serde_json::json;
use uuid::Uuid;

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::render::boleto;
use crate::cli::screen::Screen;
use crate::cli::table;
use crate::proto::boleto::v1::RecordPaymentRequest;

#[derive(Args)]
pub(in crate::cli) struct RecordPaymentArgs {
    id: String,
    /// What was paid; 0 is taken
    #[arg(long, value_name = "CENTS", allow_negative_numbers = true)]
    paid_amount_cents: i64,
    /// The day, YYYY-MM-DD; today when absent
    #[arg(long, value_name = "DATE", default_value = "", hide_default_value = true)]
    paid_on: String,
    /// More is to come: the boleto stays open
    #[arg(long)]
    partial: bool,
    /// The code by which the bank reported it
    #[arg(long, value_name = "CODE", default_value = "", hide_default_value = true)]
    bank_response_code: String,
    /// The payment's own name: the same one is written down once; the request id when absent
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    payment_id: String,
    /// The version that was read; 0 for whatever it is
    #[arg(long, value_name = "VERSION", default_value_t)]
    version: i64,
    /// The same id and payment give the same answer; a new UUID when absent
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

pub(super) async fn run(
    args: RecordPaymentArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let request_id = args.request_id.unwrap_or_else(|| Uuid::now_v7().to_string());
    let request = RecordPaymentRequest {
        request_id: request_id.clone(),
        id: args.id,
        version: args.version,
        paid_amount_cents: args.paid_amount_cents,
        paid_on: args.paid_on,
        bank_response_code: args.bank_response_code,
        partial: args.partial,
        payment_id: args.payment_id,
    };
    let answer = connection.call(connection.boletos().record_payment(request)).await;
    let answer = answer.map_err(|failure| failure.with_request_id(&request_id))?;
    let (Some(boleto), Some(payment)) = (answer.boleto, answer.payment) else {
        return Err(Failure::empty_answer().with_request_id(&request_id));
    };
    let document = json!({
        "boleto": boleto::boleto(&boleto),
        "payment": boleto::payment(&payment),
        "request_id": request_id,
    });
    screen.show(&document, |document| {
        table::detail(&boleto::PAYMENT, &document["payment"])
            + &table::detail(&boleto::DETAIL, &document["boleto"])
    })
}
