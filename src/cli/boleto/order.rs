//! What orders to a bank and decisions of people have in common on the command line.
//!
//! **Owns** the request id when the caller gives none; under it the same may be asked for again.

use clap::Args;
use serde_json::json;
use uuid::Uuid;

use crate::cli::failure::Failure;
use crate::cli::render::boleto;
use crate::cli::screen::Screen;
use crate::cli::table;
use crate::proto::boleto::v1::{Boleto, BoletoOrder};

/// Which boleto, why, and under which request.
#[derive(Args)]
pub(in crate::cli) struct OrderArgs {
    pub id: String,
    /// Why; kept with the boleto
    #[arg(long)]
    pub reason: String,
    /// The version that was read; 0 for whatever it is
    #[arg(long, value_name = "VERSION", default_value_t)]
    pub version: i64,
    /// The same id and request give the same answer; a new UUID when absent
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

impl OrderArgs {
    /// The request's id: the caller's, or one that is made now and stays.
    pub fn request_id(&mut self) -> String {
        self.request_id.get_or_insert_with(|| Uuid::now_v7().to_string()).clone()
    }
}

/// Shows what became of an order.
pub(super) fn show(
    boleto: Option<Boleto>,
    order: Option<BoletoOrder>,
    request_id: &str,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let boleto = boleto.ok_or_else(|| Failure::empty_answer().with_request_id(request_id))?;
    let document = json!({
        "boleto": boleto::boleto(&boleto),
        "order": order.as_ref().map(boleto::order),
        "request_id": request_id,
    });
    screen.show(&document, |document| {
        table::detail(&boleto::ORDER, &document["order"])
            + &table::detail(&boleto::DETAIL, &document["boleto"])
    })
}
