//! `DisableEndpoint`, `EnableEndpoint` and `TestEndpoint`.
//!
//! **Owns** nothing. **Fails** with every violation at once; asking for what is so already is no failure. **Limits**: a test is
//! one attempt, `notification.attempt_timeout` long at most. It takes none of the endpoint's places and asks no breaker, nor
//! tells it anything: it is how a person finds out about an endpoint that is held back or disabled. No row tells of it but the
//! audit's, which is written before anything is sent.

use serde_json::json;
use tracing::info;
use uuid::Uuid;

use super::required_id;
use crate::connectors::channels::{Channel as _, ChannelError, Destination, Notice, Receipt};
use crate::domain::event::{ENDPOINT_TEST, SubjectKind};
use crate::domain::ids::{EndpointId, EventId};
use crate::grpc::convert::{delivery as convert, endpoint as convert_endpoint};
use crate::grpc::gate::Gate;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::messages::{House, notice};
use crate::proto::notification::v1 as proto;
use crate::store::audit_act::Act;
use crate::store::audit_list::Subject;
use crate::store::delivery::{DueDelivery, DueEvent, EventContent};
use crate::store::endpoint::StoredEndpoint;
use crate::store::endpoint_steer::EndpointSteered;

const DISABLE: &str = "DisableEndpoint";
const ENABLE: &str = "EnableEndpoint";
/// What a test says.
const TEST_TEXT: &str = "somebody asked whether this endpoint takes what it is sent; nothing has happened";

pub(super) async fn disable(
    gate: &Gate,
    mut request: proto::DisableEndpointRequest,
) -> Result<proto::DisableEndpointResponse, ApiError> {
    let house = gate.house_for_change()?;
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(&gate.tenant()?, DISABLE, &request_id, &request, &mut violations);
    let id: Option<EndpointId> = required_id("id", &request.id, &mut violations);
    let reason = request::reason(request.reason, &mut violations);
    let Some(id) = id.filter(|_| violations.is_empty()) else { return Err(ApiError::Invalid(violations)) };
    let hand = super::by_hand(gate, house, id, reason, key)?;
    let steered = house.store.disable_endpoint_by_hand(&hand).await?;
    if steered == EndpointSteered::Done {
        // Whoever else is told of it is told now.
        house.hints.there_is_work("delivery/");
        info!(endpoint_id = %id, "endpoint disabled by hand");
    }
    super::endpoints::settled(steered)?;
    let endpoint = Some(convert_endpoint::to_proto(&super::endpoints::find(gate, id).await?));
    Ok(proto::DisableEndpointResponse { endpoint })
}

pub(super) async fn enable(
    gate: &Gate,
    mut request: proto::EnableEndpointRequest,
) -> Result<proto::EnableEndpointResponse, ApiError> {
    let house = gate.house_for_change()?;
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(&gate.tenant()?, ENABLE, &request_id, &request, &mut violations);
    let id: Option<EndpointId> = required_id("id", &request.id, &mut violations);
    let reason = request::reason(request.reason, &mut violations);
    let Some(id) = id.filter(|_| violations.is_empty()) else { return Err(ApiError::Invalid(violations)) };
    let hand = super::by_hand(gate, house, id, reason, key)?;
    let steered = house.store.enable_endpoint(&hand).await?;
    if steered == EndpointSteered::Done {
        info!(endpoint_id = %id, "endpoint enabled by hand");
    }
    super::endpoints::settled(steered)?;
    let endpoint = Some(convert_endpoint::to_proto(&super::endpoints::find(gate, id).await?));
    Ok(proto::EnableEndpointResponse { endpoint })
}

pub(super) async fn test(
    gate: &Gate,
    request: proto::TestEndpointRequest,
) -> Result<proto::TestEndpointResponse, ApiError> {
    let reason = request::only_reason(request.reason)?;
    let house = gate.house_for_change()?;
    let id: EndpointId = request::id("id", &request.id)?;
    let endpoint = super::endpoints::find(gate, id).await?;
    let act = Act {
        method: "TestEndpoint",
        subject: Subject::Id(id.0),
        reason,
        before: json!({ "version": endpoint.version, "disabled": endpoint.disabled.is_some() }),
        after: json!({ "asked": "one attempt" }),
        now: request::now(),
    };
    house.store.audit_act(act).await?;
    let due = test_delivery(&endpoint);
    let event = &due.events[0];
    let started_at = request::now();
    let sending = tokio::time::timeout(house.delivery_attempt_timeout, send(house, &endpoint, &due, event));
    let result = sending.await.unwrap_or_else(|_| {
        Err(ChannelError::OutcomeUnknown { reason: "no end within the attempt's time".to_owned() })
    });
    let attempt = notice::attempt(event, &result, false, started_at, request::now());
    info!(endpoint_id = %id, outcome = attempt.outcome.as_str(), "endpoint tested by hand");
    Ok(proto::TestEndpointResponse { attempt: Some(convert::attempt(&attempt)) })
}

/// What is sent, as if the endpoint were owed it.
fn test_delivery(endpoint: &StoredEndpoint) -> DueDelivery {
    let event = DueEvent {
        id: Uuid::now_v7(),
        event_type: ENDPOINT_TEST.to_owned(),
        version: endpoint.version,
        occurred_at: request::now(),
        content: EventContent::Data(
            json!({ "endpoint_id": endpoint.id.to_string(), "text": TEST_TEXT }).to_string(),
        ),
    };
    DueDelivery {
        endpoint_id: endpoint.id,
        subject_kind: SubjectKind::Endpoint,
        subject_id: endpoint.id.0,
        legacy_id: None,
        wanted_version: endpoint.version,
        destination: endpoint.destination.clone(),
        disabled: endpoint.disabled.is_some(),
        failing_since: endpoint.failing_since,
        resend: None,
        events: vec![event],
    }
}

async fn send(
    house: &House,
    endpoint: &StoredEndpoint,
    due: &DueDelivery,
    event: &DueEvent,
) -> Result<Receipt, ChannelError> {
    let broken = |reason: String| ChannelError::Misconfigured { reason };
    let destination =
        Destination::read(endpoint.id, &endpoint.destination).map_err(|error| broken(error.to_string()))?;
    let kind = destination.kind();
    let not_set_up = || broken(format!("the channel {} is not set up", kind.as_str()));
    let channel = house.channels.get(&kind).ok_or_else(not_set_up)?;
    let body = notice::body(due, event).ok_or_else(|| broken("the test is no JSON".to_owned()))?;
    let (subject, traceparent) = (endpoint.id.to_string(), crate::telemetry::traceparent());
    let notice = Notice {
        tenant: &endpoint.tenant_id,
        event_id: EventId(event.id),
        event_type: &event.event_type,
        subject: &subject,
        version: event.version,
        occurred_at: event.occurred_at,
        body: &body,
        traceparent: traceparent.as_deref(),
    };
    let silent = || ChannelError::OutcomeUnknown { reason: "the channel gave no answer".to_owned() };
    channel.deliver(&destination, &[notice]).await.pop().unwrap_or_else(|| Err(silent()))
}
