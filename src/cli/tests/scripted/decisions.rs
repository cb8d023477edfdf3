//! Scripted answers about what banks are ordered to do with a boleto, and what people decide about it.

use tonic::{Code, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::Answer;
use crate::proto::boleto::v1::*;

/// A boleto of this name is paid, and takes no order any more.
pub const PAID: &str = "paid";
/// The bank has not decided about orders for a boleto of this name.
pub const SLOW: &str = "slow";

fn refusal() -> Status {
    let details = ErrorDetails::with_error_info("BOLETO_NOT_OPEN", "bursar", []);
    Status::with_error_details(Code::FailedPrecondition, "the boleto is paid", details)
}

fn order(id: &str, kind: BoletoOrderKind, reason: String) -> Result<BoletoOrder, Status> {
    let state = match id {
        PAID => return Err(refusal()),
        SLOW => BoletoOrderState::Pending,
        _ => BoletoOrderState::Done,
    };
    let bank_response = Some(BankResponse { code: "200".to_owned(), message: String::new() });
    let (kind, state) = (kind.into(), state.into());
    Ok(BoletoOrder { id: "o".to_owned(), kind, state, reason, bank_response, ..BoletoOrder::default() })
}

fn boleto(id: String, status: BoletoStatus) -> Boleto {
    Boleto { id, status: status.into(), version: 3, amount_cents: 12_590, ..Boleto::default() }
}

/// As it was asked for.
pub fn amended(request: AmendBoletoRequest) -> Answer<AmendBoletoResponse> {
    let order = order(&request.id, BoletoOrderKind::Amend, request.reason)?;
    let before = boleto(request.id, BoletoStatus::Registered);
    let boleto = Boleto {
        amount_cents: request.amount_cents.unwrap_or(before.amount_cents),
        due_date: request.due_date,
        charges: request.charges,
        ..before
    };
    Ok(Response::new(AmendBoletoResponse { boleto: Some(boleto), order: Some(order) }))
}

/// Off file, or on its way there.
pub fn cancelled(request: CancelBoletoRequest) -> Answer<CancelBoletoResponse> {
    let order = order(&request.id, BoletoOrderKind::Cancel, request.reason)?;
    let status = match order.state() {
        BoletoOrderState::Done => BoletoStatus::Cancelled,
        _ => BoletoStatus::Registered,
    };
    let boleto = Some(boleto(request.id, status));
    Ok(Response::new(CancelBoletoResponse { boleto, order: Some(order) }))
}

/// As it was decided.
pub fn resolved(request: ResolveBoletoRequest) -> Answer<ResolveBoletoResponse> {
    if request.id == PAID {
        return Err(refusal());
    }
    let boleto = Boleto { status: request.resolution, ..boleto(request.id, BoletoStatus::Registered) };
    Ok(Response::new(ResolveBoletoResponse { boleto: Some(boleto) }))
}

/// Issued, registered, paid in part; an amendment was ordered.
pub fn history(request: GetBoletoHistoryRequest) -> Answer<GetBoletoHistoryResponse> {
    let change = |version: i64, event_type: &str, reason: &str| BoletoChange {
        version,
        event_type: event_type.to_owned(),
        reason: reason.to_owned(),
        occur_time: Some(prost_types::Timestamp { seconds: version, nanos: 0 }),
        ..BoletoChange::default()
    };
    let payment = Payment {
        amount_cents: 5_000,
        paid_on: "2026-11-20".to_owned(),
        partial: true,
        source: "owner".to_owned(),
        payment_id: "pix-1".to_owned(),
        ..Payment::default()
    };
    Ok(Response::new(GetBoletoHistoryResponse {
        changes: vec![change(1, "boleto.issued", ""), change(2, "boleto.registered", "by hand")],
        payments: vec![payment],
        orders: vec![order(&request.id, BoletoOrderKind::Amend, "one week more".to_owned())?],
    }))
}
