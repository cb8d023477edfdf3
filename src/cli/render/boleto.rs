//! Boletos and their changes.

use clap::builder::TypedValueParser;
use serde_json::{Value, json};

use super::{short, short_name_parser, time};
use crate::cli::table::Column;
use crate::proto::boleto::v1::{
    Address, BankAccountResolution, BankResponse, Boleto, BoletoChange, BoletoOrder, BoletoOrderKind,
    BoletoOrderState, BoletoStatus, Charges, Discount, DocumentFormat, DocumentLink, Fine, Guarantor,
    Interest, LatePayment, Payer, Payment, QuoteBoletoResponse, ResolvedIssuer, discount, fine, interest,
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
pub const DETAIL: [Column; 30] = [
    Column::plain("id", "/id"),
    Column::plain("status", "/status"),
    Column::plain("payable", "/payable"),
    Column::plain("overdue", "/overdue"),
    Column::plain("bank code", "/bank_response/code"),
    Column::plain("bank message", "/bank_response/message"),
    Column::reais("amount", "/amount_cents"),
    Column::plain("due date", "/due_date"),
    Column::reais("paid", "/paid_amount_cents"),
    Column::plain("paid on", "/paid_on"),
    Column::plain("charges", "/charges"),
    Column::plain("late payment", "/late_payment"),
    Column::plain("linha digitavel", "/linha_digitavel"),
    Column::plain("barcode", "/barcode"),
    Column::plain("pix", "/pix_emv"),
    Column::plain("nosso numero", "/nosso_numero"),
    Column::plain("check digit", "/nosso_numero_dv"),
    Column::plain("bank's name for it", "/bank_reference"),
    Column::plain("shown at", "/url"),
    Column::plain("asked of the bank", "/pending_order"),
    Column::plain("payer", "/payer"),
    Column::plain("erased", "/erased"),
    Column::plain("guarantor", "/guarantor"),
    Column::plain("reference", "/reference_id"),
    Column::plain("token", "/token"),
    Column::plain("instructions", "/instructions"),
    Column::plain("bank account", "/bank_account_id"),
    Column::plain("version", "/version"),
    Column::time("created", "/create_time"),
    Column::time("updated", "/update_time"),
];

/// What is shown of a payment.
pub const PAYMENT: [Column; 7] = [
    Column::plain("payment", "/id"),
    Column::reais("paid", "/amount_cents"),
    Column::plain("on", "/paid_on"),
    Column::plain("partial", "/partial"),
    Column::plain("source", "/source"),
    Column::plain("its name for it", "/payment_id"),
    Column::plain("bank code", "/bank_response_code"),
];

/// What is shown of an order to the bank.
pub const ORDER: [Column; 5] = [
    Column::plain("order", "/kind"),
    Column::plain("state", "/state"),
    Column::plain("reason", "/reason"),
    Column::plain("bank code", "/bank_response/code"),
    Column::plain("bank message", "/bank_response/message"),
];

/// What is shown of a link to a document.
pub const LINK: [Column; 5] = [
    Column::plain("address", "/url"),
    Column::plain("shows", "/link/format"),
    Column::time("until", "/link/expire_time"),
    Column::plain("boleto", "/link/boleto_id"),
    Column::plain("link", "/link/id"),
];

/// What is shown of a quote.
pub const QUOTE: [Column; 11] = [
    Column::plain("on", "/on"),
    Column::plain("without charges until", "/effective_due_date"),
    Column::plain("days late", "/days_late"),
    Column::reais("principal", "/principal_cents"),
    Column::reais("abatement", "/abatement_cents"),
    Column::reais("discount", "/discount_cents"),
    Column::reais("fine", "/fine_cents"),
    Column::reais("interest", "/interest_cents"),
    Column::reais("paid", "/paid_cents"),
    Column::reais("total", "/total_cents"),
    Column::plain("payable", "/payable"),
];

/// The link to a document; one that is for all formats names none.
pub fn link(link: &DocumentLink) -> Value {
    let format = DocumentFormat::try_from(link.format).ok().map(|format| format.as_str_name());
    json!({
        "id": link.id,
        "boleto_id": link.boleto_id,
        "format": match link.format {
            0 => "all".to_owned(),
            number => short(number, "DOCUMENT_FORMAT_", format),
        },
        "create_time": time(link.create_time.as_ref()),
        "expire_time": time(link.expire_time.as_ref()),
    })
}

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
        "erased": boleto.erased,
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
        "charges": boleto.charges.as_ref().map(charges),
        "guarantor": boleto.guarantor.as_ref().map(guarantor),
        "late_payment": boleto.late_payment.as_ref().map(late_payment),
        "paid_amount_cents": boleto.paid_amount_cents,
        "paid_on": boleto.paid_on,
        "overdue": boleto.overdue,
        "url": boleto.url,
        "bank_reference": boleto.bank_reference,
        "pending_order": boleto.pending_order.as_ref().map(order),
    })
}

/// A payment as a document.
pub fn payment(payment: &Payment) -> Value {
    json!({
        "id": payment.id,
        "amount_cents": payment.amount_cents,
        "paid_on": payment.paid_on,
        "partial": payment.partial,
        "source": payment.source,
        "payment_id": payment.payment_id,
        "bank_response_code": payment.bank_response_code,
        "create_time": time(payment.create_time.as_ref()),
    })
}

/// What the bank was asked to do, as a document.
pub fn order(order: &BoletoOrder) -> Value {
    let kind = BoletoOrderKind::try_from(order.kind).ok().map(|it| it.as_str_name());
    let state = BoletoOrderState::try_from(order.state).ok().map(|it| it.as_str_name());
    json!({
        "id": order.id,
        "kind": short(order.kind, "BOLETO_ORDER_KIND_", kind),
        "state": short(order.state, "BOLETO_ORDER_STATE_", state),
        "reason": order.reason,
        "bank_response": order.bank_response.as_ref().map(bank_response),
        "create_time": time(order.create_time.as_ref()),
        "end_time": time(order.end_time.as_ref()),
    })
}

/// What is owed on a day, as a document.
pub fn quote(quote: &QuoteBoletoResponse) -> Value {
    json!({
        "on": quote.on,
        "principal_cents": quote.principal_cents,
        "abatement_cents": quote.abatement_cents,
        "discount_cents": quote.discount_cents,
        "fine_cents": quote.fine_cents,
        "interest_cents": quote.interest_cents,
        "paid_cents": quote.paid_cents,
        "total_cents": quote.total_cents,
        "days_late": quote.days_late,
        "effective_due_date": quote.effective_due_date,
        "payable": quote.payable,
    })
}

/// Under which agreement a boleto was issued, as a document.
pub fn resolved_issuer(issuer: &ResolvedIssuer) -> Value {
    json!({
        "provider": issuer.provider,
        "bank_code": issuer.bank_code,
        "agency": issuer.agency,
        "account": issuer.account,
        "carteira": issuer.carteira,
        "reason": issuer.reason,
    })
}

pub(super) fn charges(charges: &Charges) -> Value {
    json!({
        "fine": charges.fine.as_ref().map(fine),
        "interest": charges.interest.as_ref().map(interest),
        "discounts": charges.discounts.iter().map(discount).collect::<Vec<_>>(),
        "abatement_cents": charges.abatement_cents,
    })
}

pub(super) fn fine(fine: &Fine) -> Value {
    let (amount, percentage) = match &fine.value {
        Some(fine::Value::AmountCents(cents)) => (Some(cents), None),
        Some(fine::Value::Percentage(text)) => (None, Some(text)),
        None => (None, None),
    };
    json!({ "amount_cents": amount, "percentage": percentage, "after_days": fine.after_days })
}

pub(super) fn interest(interest: &Interest) -> Value {
    let (amount, percentage) = match &interest.value {
        Some(interest::Value::AmountPerDayCents(cents)) => (Some(cents), None),
        Some(interest::Value::PercentagePerMonth(text)) => (None, Some(text)),
        None => (None, None),
    };
    let after_days = interest.after_days;
    json!({ "amount_per_day_cents": amount, "percentage_per_month": percentage, "after_days": after_days })
}

pub(super) fn discount(discount: &Discount) -> Value {
    let (amount, percentage, per_day) = match &discount.value {
        Some(discount::Value::AmountCents(cents)) => (Some(cents), None, None),
        Some(discount::Value::Percentage(text)) => (None, Some(text), None),
        Some(discount::Value::AmountPerDayEarlyCents(cents)) => (None, None, Some(cents)),
        None => (None, None, None),
    };
    json!({
        "until": discount.until,
        "amount_cents": amount,
        "percentage": percentage,
        "amount_per_day_early_cents": per_day,
    })
}

pub(super) fn guarantor(guarantor: &Guarantor) -> Value {
    json!({
        "name": guarantor.name,
        "tax_id": guarantor.tax_id,
        "address": guarantor.address.as_ref().map(address),
    })
}

pub(super) fn late_payment(late_payment: &LatePayment) -> Value {
    json!({ "accepted_days": late_payment.accepted_days })
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
        "reason": change.reason,
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
