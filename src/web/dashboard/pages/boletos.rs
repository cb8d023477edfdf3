//! Boletos, and the history of one as a timeline. Personal data comes from the API in masks.

use prost_types::Timestamp;
use serde_json::{Value, json};

use super::{Fields, ROWS, each, field, part};
use crate::proto::boleto::v1::{
    Boleto, BoletoChange, BoletoOrder, BoletoOrderKind, BoletoOrderState, BoletoStatus,
    GetBoletoHistoryRequest, GetBoletoHistoryResponse, GetBoletoRequest, ListBoletosRequest, Payment,
};
use crate::web::dashboard::api::{Trouble, Visitor, told};
use crate::web::dashboard::view;

const STATUS: &str = "BOLETO_STATUS_";
const STATUSES: [BoletoStatus; 7] = [
    BoletoStatus::Issued,
    BoletoStatus::PendingRegistration,
    BoletoStatus::Registered,
    BoletoStatus::Refused,
    BoletoStatus::NeedsReview,
    BoletoStatus::Cancelled,
    BoletoStatus::Paid,
];

pub async fn list(visitor: &Visitor, query: &Fields) -> Result<Value, Trouble> {
    let wanted = BoletoStatus::from_str_name(&field(query, "status"));
    let asked = ListBoletosRequest {
        page_size: ROWS,
        page_token: field(query, "page"),
        statuses: wanted.map(i32::from).into_iter().collect(),
        ..ListBoletosRequest::default()
    };
    let boletos = part(
        told(visitor.boletos()?.list_boletos(asked).await),
        |told| json!({ "rows": each(&told.boletos, boleto), "next": told.next_page_token }),
    )?;
    let wanted = wanted.map(|status| status.as_str_name()).unwrap_or_default();
    let choices = each(&STATUSES, |status| {
        let name = status.as_str_name();
        json!({ "value": name, "words": view::words(i32::from(*status), STATUS, Some(name)) })
    });
    Ok(json!({ "boletos": boletos, "wanted": wanted, "choices": choices }))
}

pub async fn one(visitor: &Visitor, id: &str) -> Result<Value, Trouble> {
    let (mut boletos, mut histories) = (visitor.boletos()?, visitor.boletos()?);
    let (found, history) = tokio::join!(
        boletos.get_boleto(GetBoletoRequest { id: id.to_owned() }),
        histories.get_boleto_history(GetBoletoHistoryRequest { id: id.to_owned() }),
    );
    let found = told(found)?.boleto.as_ref().map(boleto);
    Ok(json!({ "boleto": found, "history": part(told(history), |told| timeline(&told))? }))
}

fn boleto(boleto: &Boleto) -> Value {
    let (state, mood) = status(boleto.status);
    let payer = boleto.payer.as_ref();
    json!({
        "id": boleto.id,
        "bank_account_id": boleto.bank_account_id,
        "state": state,
        "mood": mood,
        "version": boleto.version,
        "amount_cents": boleto.amount_cents,
        "paid_amount_cents": boleto.paid_amount_cents,
        "due_date": boleto.due_date,
        "overdue": boleto.overdue,
        "payable": boleto.payable,
        "payer_name": payer.map(|payer| payer.name.as_str()).unwrap_or_default(),
        "payer_tax_id": payer.map(|payer| payer.tax_id.as_str()).unwrap_or_default(),
        "reference_id": boleto.reference_id,
        "nosso_numero": boleto.nosso_numero,
        "bank_response": boleto.bank_response.as_ref().map(|said| json!({ "code": said.code, "message": said.message })),
        "create_time": view::time(boleto.create_time.as_ref()),
        "update_time": view::time(boleto.update_time.as_ref()),
    })
}

fn status(number: i32) -> (String, &'static str) {
    let status = BoletoStatus::try_from(number).unwrap_or_default();
    let mood = match status {
        BoletoStatus::Registered | BoletoStatus::Paid => "good",
        BoletoStatus::Refused => "bad",
        BoletoStatus::NeedsReview | BoletoStatus::Unspecified => "warn",
        BoletoStatus::Issued | BoletoStatus::PendingRegistration => "busy",
        BoletoStatus::Cancelled => "off",
    };
    let name = BoletoStatus::try_from(number).ok().map(|status| status.as_str_name());
    (view::words(number, STATUS, name), mood)
}

/// Changes, payments and orders in the order in which they happened.
fn timeline(history: &GetBoletoHistoryResponse) -> Value {
    let changes = history.changes.iter().map(|it| (it.occur_time.as_ref(), change(it)));
    let payments = history.payments.iter().map(|it| (it.create_time.as_ref(), payment(it)));
    let orders = history.orders.iter().map(|it| (it.create_time.as_ref(), order(it)));
    let mut all: Vec<(Option<&Timestamp>, Value)> = changes.chain(payments).chain(orders).collect();
    all.sort_by_key(|(time, _)| time.map(|time| (time.seconds, time.nanos)));
    all.into_iter().map(|(_, event)| event).collect()
}

fn change(change: &BoletoChange) -> Value {
    let (state, mood) = status(change.status);
    let what = change.event_type.strip_prefix("boleto.").unwrap_or(&change.event_type).replace('_', " ");
    let detail = match what == state {
        true => format!("version {}", change.version),
        false => format!("{state}, version {}", change.version),
    };
    event(change.occur_time.as_ref(), &what, mood, &detail, &change.reason)
}

fn payment(payment: &Payment) -> Value {
    let part = if payment.partial { "partial, " } else { "" };
    let detail = format!("{part}paid on {}, told by the {}", payment.paid_on, payment.source);
    let mut event = event(payment.create_time.as_ref(), "payment", "good", &detail, "");
    event["amount_cents"] = json!(payment.amount_cents);
    event
}

fn order(order: &BoletoOrder) -> Value {
    let kind = BoletoOrderKind::try_from(order.kind).ok().map(|kind| kind.as_str_name());
    let state = BoletoOrderState::try_from(order.state).ok().map(|state| state.as_str_name());
    let mood = match order.state() {
        BoletoOrderState::Done => "good",
        BoletoOrderState::Refused | BoletoOrderState::GivenUp => "bad",
        _ => "busy",
    };
    let what = format!("order to {}", view::words(order.kind, "BOLETO_ORDER_KIND_", kind));
    let mut event = event(
        order.create_time.as_ref(),
        &what,
        mood,
        &view::words(order.state, "BOLETO_ORDER_STATE_", state),
        &order.reason,
    );
    event["end_time"] = view::time(order.end_time.as_ref());
    event
}

/// Something that happened.
fn event(time: Option<&Timestamp>, what: &str, mood: &str, detail: &str, reason: &str) -> Value {
    json!({
        "time": view::time(time),
        "what": what,
        "mood": mood,
        "detail": detail,
        "reason": reason,
        "amount_cents": null,
        "end_time": null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_told_in_the_order_in_which_it_happened() {
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let change = |seconds, event_type: &str, status: BoletoStatus| BoletoChange {
            occur_time: at(seconds),
            event_type: event_type.to_owned(),
            status: status.into(),
            ..BoletoChange::default()
        };
        let history = GetBoletoHistoryResponse {
            changes: vec![
                change(1, "boleto.issued", BoletoStatus::Issued),
                change(5, "boleto.payment_recorded", BoletoStatus::Registered),
            ],
            payments: vec![Payment { create_time: at(4), amount_cents: 700, ..Payment::default() }],
            orders: vec![BoletoOrder {
                create_time: at(2),
                kind: BoletoOrderKind::Amend.into(),
                state: BoletoOrderState::GivenUp.into(),
                ..BoletoOrder::default()
            }],
        };
        let told = timeline(&history);
        let what: Vec<&str> =
            told.as_array().unwrap().iter().map(|event| event["what"].as_str().unwrap()).collect();
        assert_eq!(what, ["issued", "order to amend", "payment", "payment recorded"]);
        assert_eq!((&told[1]["mood"], &told[1]["detail"]), (&json!("bad"), &json!("given up")));
        assert_eq!(told[2]["amount_cents"], json!(700));
    }
}
