//! `ListDeliveries`, `ListDeliveryAttempts`, `ResendDelivery`, `RecoverDeliveries` and `CancelDelivery`.
//!
//! **Owns** nothing. **Fails** with every violation at once, with `DELIVERY_NOT_FOUND` for what an endpoint was never owed, with
//! `ENDPOINT_DISABLED` where nothing may be sent, and with `NOTHING_TO_SEND` where all was taken. **Limits**: a call that
//! recovers goes on slice by slice for as long as its caller waits; what a caller who hung up left, the next call takes up.

use chrono::{DateTime, Utc};
use tracing::info;
use uuid::Uuid;

use super::required_id;
use crate::domain::ids::{EndpointId, EventId};
use crate::domain::violation::Violation;
use crate::grpc::boleto_service::split_page;
use crate::grpc::convert::{delivery as convert, moment};
use crate::grpc::gate::Gate;
use crate::grpc::page_token;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::messages::House;
use crate::proto::notification::v1 as proto;
use crate::store::delivery_list::{DeliveriesOf, DeliveryFilter, DeliveryState};
use crate::store::delivery_steer::DeliverySteered;
use crate::store::endpoint_steer::ByHand;
use crate::store::request_key::RequestKey;

const RESEND: &str = "ResendDelivery";
const RECOVER: &str = "RecoverDeliveries";
const CANCEL: &str = "CancelDelivery";

pub(super) async fn list(
    gate: &Gate,
    request: proto::ListDeliveriesRequest,
) -> Result<proto::ListDeliveriesResponse, ApiError> {
    let house = gate.house()?;
    let size = gate.page_size(request.page_size)?;
    let mut violations = Vec::new();
    let endpoint: Option<EndpointId> =
        request::optional_id("endpoint_id", &request.endpoint_id, &mut violations);
    let subject: Option<Uuid> = request::optional_id("subject_id", &request.subject_id, &mut violations);
    let state = state(request.state, &mut violations);
    let of = match (endpoint, subject) {
        (Some(endpoint), Some(subject)) => Some(DeliveriesOf::Both(endpoint, subject)),
        (Some(endpoint), None) => Some(DeliveriesOf::Endpoint(endpoint)),
        (None, Some(subject)) => Some(DeliveriesOf::Subject(subject)),
        (None, None) => {
            if request.endpoint_id.is_empty() && request.subject_id.is_empty() {
                violations.push(Violation::new("endpoint_id", "required, unless subject_id is given"));
            }
            None
        }
    };
    let Some(of) = of.filter(|_| violations.is_empty()) else { return Err(ApiError::Invalid(violations)) };
    let filter = DeliveryFilter { of, state };
    let before = page_token::read(&filter, &request.page_token)?;
    if let Some(id) = endpoint {
        super::endpoints::find(gate, id).await?;
    }
    let page = house.store.deliveries(&gate.tenant()?, filter, before, size).await?;
    Ok(proto::ListDeliveriesResponse {
        deliveries: page.deliveries.iter().map(convert::to_proto).collect(),
        next_page_token: page.next.map_or_else(String::new, |last| page_token::issue(&filter, last)),
    })
}

pub(super) async fn attempts(
    gate: &Gate,
    request: proto::ListDeliveryAttemptsRequest,
) -> Result<proto::ListDeliveryAttemptsResponse, ApiError> {
    let house = gate.house()?;
    let size = gate.page_size(request.page_size)?;
    let mut violations = Vec::new();
    let endpoint: Option<EndpointId> = required_id("endpoint_id", &request.endpoint_id, &mut violations);
    let subject: Option<Uuid> = required_id("subject_id", &request.subject_id, &mut violations);
    let (Some(endpoint), Some(subject)) = (endpoint, subject) else {
        return Err(ApiError::Invalid(violations));
    };
    let filter = (endpoint, subject);
    let before = page_token::read(&filter, &request.page_token)?;
    let tenant = gate.tenant()?;
    if house.store.delivery(&tenant, endpoint, subject).await?.is_none() {
        return Err(ApiError::NotFound("DELIVERY"));
    }
    let found = house.store.delivery_attempts(&tenant, endpoint, subject, before, size + 1).await?;
    let (page, next) = split_page(&found, size, |attempt| attempt.id, &filter);
    let attempts = page.iter().map(convert::attempt).collect();
    Ok(proto::ListDeliveryAttemptsResponse { attempts, next_page_token: next })
}

pub(super) async fn resend(
    gate: &Gate,
    mut request: proto::ResendDeliveryRequest,
) -> Result<proto::ResendDeliveryResponse, ApiError> {
    let house = gate.house_for_change()?;
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(&gate.tenant()?, RESEND, &request_id, &request, &mut violations);
    let event: Option<EventId> = request::optional_id("event_id", &request.event_id, &mut violations);
    let subject: Option<Uuid> = required_id("subject_id", &request.subject_id, &mut violations);
    let hand = hand(gate, house, &request.endpoint_id, request.reason, key, &mut violations)?;
    let (Some(hand), Some(subject)) = (hand, subject) else { return Err(ApiError::Invalid(violations)) };
    if !violations.is_empty() {
        return Err(ApiError::Invalid(violations));
    }
    let steered = house.store.resend_delivery(&hand, subject, event).await?;
    counted(steered)?;
    hint(gate, house, hand.endpoint_id).await?;
    info!(endpoint_id = %hand.endpoint_id, subject_id = %subject, "delivery sent again by hand");
    let delivery = Some(found(gate, house, hand.endpoint_id, subject).await?);
    Ok(proto::ResendDeliveryResponse { delivery })
}

pub(super) async fn recover(
    gate: &Gate,
    mut request: proto::RecoverDeliveriesRequest,
) -> Result<proto::RecoverDeliveriesResponse, ApiError> {
    let house = gate.house_for_change()?;
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(&gate.tenant()?, RECOVER, &request_id, &request, &mut violations);
    let since: Option<DateTime<Utc>> = request.since.as_ref().and_then(moment);
    if since.is_none() {
        violations.push(Violation::new("since", "required: a time"));
    }
    let hand = hand(gate, house, &request.endpoint_id, request.reason, key, &mut violations)?;
    let (Some(hand), Some(since), true) = (hand, since, violations.is_empty()) else {
        return Err(ApiError::Invalid(violations));
    };
    let recovered = counted(house.store.recover_deliveries(&hand, since).await?)?;
    hint(gate, house, hand.endpoint_id).await?;
    info!(endpoint_id = %hand.endpoint_id, recovered, "deliveries recovered by hand");
    Ok(proto::RecoverDeliveriesResponse { recovered: i64::try_from(recovered).unwrap_or(i64::MAX) })
}

pub(super) async fn cancel(
    gate: &Gate,
    mut request: proto::CancelDeliveryRequest,
) -> Result<proto::CancelDeliveryResponse, ApiError> {
    let house = gate.house_for_change()?;
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(&gate.tenant()?, CANCEL, &request_id, &request, &mut violations);
    let subject: Option<Uuid> = required_id("subject_id", &request.subject_id, &mut violations);
    let hand = hand(gate, house, &request.endpoint_id, request.reason, key, &mut violations)?;
    let (Some(hand), Some(subject), true) = (hand, subject, violations.is_empty()) else {
        return Err(ApiError::Invalid(violations));
    };
    counted(house.store.cancel_delivery(&hand, subject).await?)?;
    info!(endpoint_id = %hand.endpoint_id, subject_id = %subject, "delivery cancelled by hand");
    let delivery = Some(found(gate, house, hand.endpoint_id, subject).await?);
    Ok(proto::CancelDeliveryResponse { delivery })
}

/// Who decides: nothing, and a violation, without an endpoint.
pub(super) fn hand(
    gate: &Gate,
    house: &House,
    endpoint_id: &str,
    reason: String,
    key: Option<RequestKey>,
    violations: &mut Vec<Violation>,
) -> Result<Option<ByHand>, ApiError> {
    let endpoint_id = required_id("endpoint_id", endpoint_id, violations);
    let reason = request::reason(reason, violations);
    endpoint_id.map(|id| super::by_hand(gate, house, id, reason, key)).transpose()
}

fn state(number: i32, violations: &mut Vec<Violation>) -> Option<DeliveryState> {
    let known = convert::state_from_proto(number);
    if known.is_none() && number != 0 {
        violations.push(Violation::new("state", "no state of a delivery"));
    }
    known
}

/// How many a decision was about, or why there was none.
fn counted(steered: DeliverySteered) -> Result<u64, ApiError> {
    match steered {
        DeliverySteered::Done(count) | DeliverySteered::Before(count) => Ok(count),
        DeliverySteered::Already => Ok(0),
        DeliverySteered::OtherBody => Err(ApiError::RequestIdReused),
        DeliverySteered::NoEndpoint => Err(ApiError::NotFound("ENDPOINT")),
        DeliverySteered::NoDelivery => Err(ApiError::NotFound("DELIVERY")),
        DeliverySteered::NoEvent => Err(ApiError::NotFound("EVENT")),
        DeliverySteered::Disabled => Err(ApiError::EndpointDisabled),
        DeliverySteered::NothingToSend => Err(ApiError::NothingToSend),
    }
}

/// Tells whoever sends to the endpoint that there is work.
async fn hint(gate: &Gate, house: &House, id: EndpointId) -> Result<(), ApiError> {
    let endpoint = super::endpoints::find(gate, id).await?;
    house.hints.there_is_work(&crate::store::delivery::queue_of(&endpoint.channel, id.0));
    Ok(())
}

async fn found(
    gate: &Gate,
    house: &House,
    id: EndpointId,
    subject: Uuid,
) -> Result<proto::Delivery, ApiError> {
    let delivery = house.store.delivery(&gate.tenant()?, id, subject).await?;
    delivery.as_ref().map(convert::to_proto).ok_or(ApiError::NotFound("DELIVERY"))
}
