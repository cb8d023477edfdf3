//! `RecordPayment`: writes down what the owner knows to have been paid.
//!
//! **Owns** nothing. **Fails** with every violation at once; with `PAYMENT_ID_REUSED` where the same name was written down
//! as another payment. A payment of a boleto that nobody may pay any more is no failure: it happened.
//! **Limits**: from nothing to R$ 999,999,999.99, not after today in America/Sao_Paulo.

use uuid::Uuid;

use super::convert::boleto as convert;
use super::convert::payment;
use super::gate::Gate;
use super::request;
use super::status::ApiError;
use crate::domain::boleto::payment::{PAYMENT_MAX, Payment, PaymentSource};
use crate::domain::ids::{EventId, TenantId};
use crate::domain::money::Cents;
use crate::domain::violation::Violation;
use crate::messages::House;
use crate::proto::boleto::v1 as proto;
use crate::store::boleto_payment::{NewPayment, Recorded};

const METHOD: &str = "RecordPayment";
const CODE_CHARS_MAX: usize = 64;
const PAYMENT_ID_CHARS_MAX: usize = 128;

pub(super) async fn record(
    gate: &Gate,
    request: proto::RecordPaymentRequest,
) -> Result<proto::RecordPaymentResponse, ApiError> {
    let house = gate.house_for_change()?;
    let tenant = gate.tenant()?;
    let day_was_named = !request.paid_on.is_empty();
    let wanted = check(house, &tenant, request)?;
    let outcome = house.store.record_payments(std::slice::from_ref(&wanted)).await.pop();
    let outcome = outcome.ok_or_else(|| ApiError::Internal("no answer to a payment".to_owned()))??;
    let written = match outcome {
        Recorded::New { .. } => {
            house.hints.there_is_work("delivery/");
            house.changes.send_modify(|count| *count += 1);
            wanted.payment.clone()
        }
        Recorded::Before(before) if is_same(&before, &wanted.payment, day_was_named) => *before,
        Recorded::Before(_) => return Err(ApiError::PaymentIdReused),
        Recorded::SameRequest(id) => {
            let before = house.store.payment(&tenant, id).await?;
            before.ok_or_else(|| ApiError::Internal(format!("no payment {id} of an earlier request")))?
        }
        Recorded::OtherBody => return Err(ApiError::RequestIdReused),
        Recorded::Changed { version } => return Err(ApiError::VersionChanged { version }),
        Recorded::NotFound => return Err(ApiError::NotFound("BOLETO")),
    };
    let boleto = super::boleto_service::find(gate, written.boleto_id).await?;
    Ok(proto::RecordPaymentResponse {
        boleto: Some(convert::to_proto(&boleto)),
        payment: Some(payment::to_proto(&written)),
    })
}

fn check(
    house: &House,
    tenant: &TenantId,
    mut request: proto::RecordPaymentRequest,
) -> Result<NewPayment, ApiError> {
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(tenant, METHOD, &request_id, &request, &mut violations);
    let id = request.id.parse().ok();
    if id.is_none() {
        violations.push(Violation::new("id", "must be a UUID"));
    }
    let amount = Cents(request.paid_amount_cents);
    if !(Cents::ZERO..=PAYMENT_MAX).contains(&amount) {
        violations.push(Violation::new("paid_amount_cents", format!("from 0 to {}", PAYMENT_MAX.0)));
    }
    let today = request::today();
    let paid_on = request::optional_date("paid_on", &request.paid_on, &mut violations).unwrap_or(today);
    if paid_on > today {
        violations.push(Violation::new("paid_on", "must not be in the future (America/Sao_Paulo)"));
    }
    if request.version < 0 {
        violations.push(Violation::new("version", "must not be negative"));
    }
    let code = request.bank_response_code;
    let response_code = request::optional_text("bank_response_code", code, CODE_CHARS_MAX, &mut violations);
    let payment_id =
        request::optional_text("payment_id", request.payment_id, PAYMENT_ID_CHARS_MAX, &mut violations);
    let external_id = payment_id.unwrap_or(request_id);
    if external_id.is_empty() {
        violations.push(Violation::new("payment_id", "required unless request_id is set"));
    }
    let Some(boleto_id) = id.filter(|_| violations.is_empty()) else {
        return Err(ApiError::Invalid(violations));
    };
    let payment = Payment {
        id: Uuid::now_v7(),
        boleto_id,
        amount,
        paid_on,
        is_partial: request.partial,
        source: PaymentSource::Owner,
        external_id,
        response_code,
        created_at: request::now(),
    };
    Ok(NewPayment {
        tenant_id: tenant.clone(),
        payment,
        event_id: EventId(Uuid::now_v7()),
        expected_version: request.version,
        request: key,
        delivery_attempts_max: house.delivery_attempts_max,
        traceparent: crate::telemetry::traceparent(),
    })
}

/// Whether what is told now is what was told before. A day that was left open is whichever it was.
fn is_same(before: &Payment, now: &Payment, day_was_named: bool) -> bool {
    before.amount == now.amount
        && before.is_partial == now.is_partial
        && (!day_was_named || before.paid_on == now.paid_on)
}
