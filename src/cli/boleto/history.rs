//! `bursar boleto history`: everything that happened to a boleto.

use serde_json::{Value, json};

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::render::boleto;
use crate::cli::screen::Screen;
use crate::cli::table::{self, Column};
use crate::proto::boleto::v1::GetBoletoHistoryRequest;

const CHANGES: [Column; 4] = [
    Column::time("WHEN", "/occur_time"),
    Column::plain("VERSION", "/version"),
    Column::plain("CHANGE", "/event_type"),
    Column::plain("REASON", "/reason"),
];

const PAYMENTS: [Column; 5] = [
    Column::plain("PAID ON", "/paid_on"),
    Column::reais("AMOUNT", "/amount_cents"),
    Column::plain("SOURCE", "/source"),
    Column::plain("ITS NAME", "/payment_id"),
    Column::plain("PARTIAL", "/partial"),
];

const ORDERS: [Column; 5] = [
    Column::time("ORDERED", "/create_time"),
    Column::plain("ORDER", "/kind"),
    Column::plain("STATE", "/state"),
    Column::plain("BANK CODE", "/bank_response/code"),
    Column::plain("REASON", "/reason"),
];

pub(super) async fn run(id: String, connection: &Connection, screen: &mut Screen) -> Result<(), Failure> {
    let request = GetBoletoHistoryRequest { id };
    let answer = connection.call(connection.boletos().get_boleto_history(request)).await?;
    let document = json!({
        "changes": answer.changes.iter().map(boleto::change).collect::<Vec<Value>>(),
        "payments": answer.payments.iter().map(boleto::payment).collect::<Vec<Value>>(),
        "orders": answer.orders.iter().map(boleto::order).collect::<Vec<Value>>(),
    });
    screen.show(&document, |document| {
        let tables = [("changes", &CHANGES[..]), ("payments", &PAYMENTS[..]), ("orders", &ORDERS[..])];
        let text = tables.map(|(field, columns)| match document[field].as_array() {
            Some(rows) if !rows.is_empty() => table::rows(columns, rows),
            _ => String::new(),
        });
        text.join("")
    })
}
