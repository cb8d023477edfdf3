//! Boletos and their changes.

use clap::builder::TypedValueParser;
use serde_json::{Value, json};

use super::{short, short_name_parser, time};
use crate::cli::table::Column;
use crate::proto::boleto::v1::{
    Address, BankAccountResolution, BankResponse, Boleto, BoletoChange, BoletoStatus, Payer,
};

/// Every status that a boleto may have, by its short name.
pub const STATUSES: [&str; 7] =
    ["issued", "pending_registration", "registered", "refused", "needs_review", "cancelled", "paid"];

const STATUS_PREFIX: &str = "BOLETO_STATUS_";

/// What a list shows of each.
pub const ROW: [Column; 6] = [
    Column::plain("ID", "/id"),
    Column::plain("STATUS", "/status"),
    Column::reais("AMOUNT", "/amount_cents"),
    Column::plain("DUE", "/due_date"),
    Column::plain("NOSSO NUMERO", "/nosso_numero"),
    Column::plain("REFERENCE", "/reference_id"),
];

/// What is shown of one.
pub const DETAIL: [Column; 20] = [
    Column::plain("id", "/id"),
    Column::plain("status", "/status"),
    Column::plain("payable", "/payable"),
    Column::plain("bank code", "/bank_response/code"),
    Column::plain("bank message", "/bank_response/message"),
    Column::reais("amount", "/amount_cents"),
    Column::plain("due date", "/due_date"),
    Column::plain("linha digitavel", "/linha_digitavel"),
    Column::plain("barcode", "/barcode"),
    Column::plain("pix", "/pix_emv"),
    Column::plain("nosso numero", "/nosso_numero"),
    Column::plain("check digit", "/nosso_numero_dv"),
    Column::plain("payer", "/payer"),
    Column::plain("reference", "/reference_id"),
    Column::plain("token", "/token"),
    Column::plain("instructions", "/instructions"),
    Column::plain("bank account", "/bank_account_id"),
    Column::plain("version", "/version"),
    Column::time("created", "/create_time"),
    Column::time("updated", "/update_time"),
];

/// The boleto as a document.
pub fn boleto(boleto: &Boleto) -> Value {
    json!({
        "id": boleto.id,
        "bank_account_id": boleto.bank_account_id,
        "status": status(boleto.status),
        "version": boleto.version,
        "amount_cents": boleto.amount_cents,
        "due_date": boleto.due_date,
        "payer": boleto.payer.as_ref().map(payer),
        "reference_id": boleto.reference_id,
        "token": boleto.token,
        "instructions": boleto.instructions,
        "nosso_numero": boleto.nosso_numero,
        "nosso_numero_dv": boleto.nosso_numero_dv,
        "barcode": boleto.barcode,
        "linha_digitavel": boleto.linha_digitavel,
        "payable": boleto.payable,
        "bank_response": boleto.bank_response.as_ref().map(bank_response),
        "pix_emv": boleto.pix_emv,
        "create_time": time(boleto.create_time.as_ref()),
        "update_time": time(boleto.update_time.as_ref()),
    })
}

/// A change as a document.
pub fn change(change: &BoletoChange) -> Value {
    json!({
        "cursor": change.cursor,
        "event_id": change.event_id,
        "event_type": change.event_type,
        "occur_time": time(change.occur_time.as_ref()),
        "status": status(change.status),
        "version": change.version,
        "boleto_id": change.boleto_id,
        "reference_id": change.reference_id,
    })
}

/// How a bank account was found.
pub fn resolution(number: i32) -> String {
    let resolution = BankAccountResolution::try_from(number).ok();
    short(number, "BANK_ACCOUNT_RESOLUTION_", resolution.map(|it| it.as_str_name()))
}

/// Reads a status from an argument.
pub fn status_parser() -> impl TypedValueParser<Value = BoletoStatus> {
    short_name_parser(&STATUSES, STATUS_PREFIX, BoletoStatus::from_str_name)
}

pub(super) fn status(number: i32) -> String {
    short(number, STATUS_PREFIX, BoletoStatus::try_from(number).ok().map(|it| it.as_str_name()))
}

pub(super) fn payer(payer: &Payer) -> Value {
    json!({
        "name": payer.name,
        "tax_id": payer.tax_id,
        "address": payer.address.as_ref().map(address),
    })
}

pub(super) fn address(address: &Address) -> Value {
    json!({
        "street": address.street,
        "number": address.number,
        "complement": address.complement,
        "district": address.district,
        "city": address.city,
        "state": address.state,
        "postal_code": address.postal_code,
    })
}

pub(super) fn bank_response(response: &BankResponse) -> Value {
    json!({ "code": response.code, "message": response.message })
}
