//! Payments: shown, listed, and ended by a person where no bank says how they ended.
//!
//! **Owns** nothing. **Fails** with every violation at once, and with `PAYMENT_NOT_OPEN` for one that is not a person's to end.
//! **Limits**: pages.

use tracing::info;
use uuid::Uuid;

use super::{NAME_CHARS_MAX, aspsp, checked, name, one_more, required_id, user_of_filter};
use crate::domain::ids::PaymentId;
use crate::domain::openbanking::payment::PaymentState;
use crate::domain::violation::Violation;
use crate::grpc::boleto_service::split_page;
use crate::grpc::convert::openbanking as convert;
use crate::grpc::gate::Gate;
use crate::grpc::page_token;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::proto::openbanking::v1 as proto;
use crate::store::openbanking::list::PaymentFilter;
use crate::store::openbanking::payment::Payment;
use crate::store::openbanking::resolve::{PaymentDecision, PaymentResolved};

pub(super) async fn get(
    gate: &Gate,
    request: proto::GetPaymentRequest,
) -> Result<proto::GetPaymentResponse, ApiError> {
    let mut violations = Vec::new();
    let payment = match (request.id.as_str(), request.aspsp.as_str(), request.external_id.as_str()) {
        ("", "", "") => {
            return Err(ApiError::field("id", "required, unless aspsp and external_id are given"));
        }
        (id, "", "") => {
            let id = required_id("id", id, &mut violations);
            let Some(id) = id else { return Err(ApiError::Invalid(violations)) };
            found(gate, id).await?
        }
        ("", ..) => {
            let aspsp = aspsp("aspsp", request.aspsp, &mut violations);
            let external_id = name("external_id", request.external_id, &mut violations);
            checked(violations)?;
            let named = [(aspsp, external_id)];
            let found = gate.house()?.store.payments_named_at(&gate.tenant()?, &named).await?;
            found.into_values().next().ok_or(ApiError::NotFound("PAYMENT"))?
        }
        _ => return Err(ApiError::field("id", "must be empty with aspsp and external_id")),
    };
    Ok(proto::GetPaymentResponse { payment: Some(convert::payment(&payment)) })
}

pub(super) async fn list(
    gate: &Gate,
    request: proto::ListPaymentsRequest,
) -> Result<proto::ListPaymentsResponse, ApiError> {
    let size = gate.page_size(request.page_size)?;
    let mut violations = Vec::new();
    let state = convert::payment_state_from_proto(request.state);
    if state.is_none() && request.state != 0 {
        violations.push(Violation::new("state", "is no state"));
    }
    let aspsp = request::optional_text("aspsp", request.aspsp, NAME_CHARS_MAX, &mut violations);
    let parent: Option<PaymentId> = request::optional_id("parent_id", &request.parent_id, &mut violations);
    let is_filtered = state.is_some() || aspsp.is_some() || !request.user_external_id.is_empty();
    if parent.is_some() && is_filtered {
        violations.push(Violation::new("parent_id", "goes with no other filter"));
    }
    checked(violations)?;
    let user_id = user_of_filter(gate, &request.user_external_id).await?.map(|user| user.id);
    let filter = PaymentFilter { state, aspsp, user_id };
    let binding = ("payments", parent, &filter);
    let after = page_token::read(&binding, &request.page_token)?.map(PaymentId);
    let (store, tenant, limit) = (&gate.house()?.store, gate.tenant()?, one_more(size));
    let found = match parent {
        Some(parent) => store.payment_children(&tenant, parent, after, limit).await?,
        None => store.tracked_payments(&tenant, &filter, after, limit).await?,
    };
    let (page, next_page_token) = split_page(&found, size, |payment| payment.id.0, &binding);
    Ok(proto::ListPaymentsResponse { payments: page.iter().map(convert::payment).collect(), next_page_token })
}

pub(super) async fn resolve(
    gate: &Gate,
    mut request: proto::ResolvePaymentRequest,
) -> Result<proto::ResolvePaymentResponse, ApiError> {
    let house = gate.house_for_change()?;
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(&gate.tenant()?, "ResolvePayment", &request_id, &request, &mut violations);
    let id = required_id("id", &request.id, &mut violations);
    if request.version < 0 {
        violations.push(Violation::new("version", "must not be negative"));
    }
    let state = convert::payment_state_from_proto(request.state).filter(|state| state.is_final());
    if state.is_none() {
        violations.push(Violation::new("state", "one of DONE, REJECTED, CANCELLED; of a bundle also MIXED"));
    }
    let reason = request::reason(request.reason, &mut violations);
    let (Some(payment_id), Some(state), true) = (id, state, violations.is_empty()) else {
        return Err(ApiError::Invalid(violations));
    };
    let decision = PaymentDecision {
        id: Uuid::now_v7(),
        tenant_id: gate.tenant()?,
        payment_id,
        version: request.version,
        request: key,
        state,
        reason,
        traceparent: crate::telemetry::traceparent(),
        delivery_attempts_max: house.delivery_attempts_max,
        now: request::now(),
    };
    match house.store.resolve_payment(&decision).await? {
        PaymentResolved::Done => {
            info!(%payment_id, state = state.as_str(), "payment ended by hand");
            house.hints.there_is_work("delivery/");
            house.payment_changes.send_modify(|count| *count += 1);
        }
        PaymentResolved::Before => {}
        PaymentResolved::OtherBody => return Err(ApiError::RequestIdReused),
        PaymentResolved::NotFound => return Err(ApiError::NotFound("PAYMENT")),
        PaymentResolved::VersionChanged { version } => return Err(ApiError::VersionChanged { version }),
        PaymentResolved::NotNow(PaymentState::Unresolved) => {
            return Err(ApiError::field("state", "MIXED is for bundles alone"));
        }
        PaymentResolved::NotNow(known) => return Err(ApiError::PaymentNotOpen(known)),
    }
    Ok(proto::ResolvePaymentResponse { payment: Some(convert::payment(&found(gate, payment_id).await?)) })
}

/// A tenant's payment, or that there is none.
pub(super) async fn found(gate: &Gate, id: PaymentId) -> Result<Payment, ApiError> {
    let found = gate.house()?.store.tracked_payment(&gate.tenant()?, id).await?;
    found.ok_or(ApiError::NotFound("PAYMENT"))
}
