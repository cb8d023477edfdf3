//! `bursar boleto quote`: shows what is owed on a day.

use clap::Args;
use serde_json::json;

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::render::boleto;
use crate::cli::screen::Screen;
use crate::cli::table;
use crate::proto::boleto::v1::QuoteBoletoRequest;

#[derive(Args)]
pub(in crate::cli) struct QuoteArgs {
    id: String,
    /// The day, YYYY-MM-DD; today when absent
    #[arg(long, value_name = "DATE", default_value = "", hide_default_value = true)]
    on: String,
}

pub(super) async fn run(
    args: QuoteArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let QuoteArgs { id, on } = args;
    let answer = connection.call(connection.boletos().quote_boleto(QuoteBoletoRequest { id, on })).await?;
    let document = json!({ "quote": boleto::quote(&answer) });
    screen.show(&document, |document| table::detail(&boleto::QUOTE, &document["quote"]))
}
