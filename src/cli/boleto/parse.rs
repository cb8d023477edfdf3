//! `bursar boleto parse`: reads a line or barcode of any bank.

use clap::Args;
use tonic::Code;

use crate::cli::connection::Connection;
use crate::cli::failure::{Failure, Violation};
use crate::cli::render::parsed;
use crate::cli::screen::Screen;
use crate::cli::table;
use crate::proto::boleto::v1::ParseBoletoRequest;

#[derive(Args)]
pub(in crate::cli) struct ParseArgs {
    /// The line (47 or 48 digits) or barcode (44 digits), with or without punctuation
    code: String,
    /// The day from which a due-date factor is read, YYYY-MM-DD; today when absent
    #[arg(long, value_name = "DATE", default_value = "", hide_default_value = true)]
    reference_date: String,
}

/// A code that breaks a rule is shown as far as it can be read, and then fails as invalid input.
pub(super) async fn run(
    args: ParseArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let ParseArgs { code, reference_date } = args;
    let request = ParseBoletoRequest { code, reference_date };
    let answer = connection.call(connection.boletos().parse_boleto(request)).await?;
    screen.show(&parsed::parsed(&answer), |document| table::detail(&parsed::DETAIL, document))?;
    if answer.valid {
        return Ok(());
    }
    let violations = answer
        .errors
        .into_iter()
        .map(|rule| Violation { field: "code".to_owned(), description: format!("breaks the rule {rule}") })
        .collect();
    Err(Failure::violated(Code::InvalidArgument, "the code is not valid", violations))
}
