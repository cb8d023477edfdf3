//! `CreateEndpoint`, `GetEndpoint`, `ListEndpoints` and `UpdateEndpoint`.
//!
//! **Owns** nothing. **Fails** with every violation at once, with `VERSION_CHANGED` for an etag that is not the endpoint's any
//! more, and with `ENDPOINT_TAKEN` where another endpoint is that destination for the same events. **Limits**: the kind of a
//! destination never changes; an endpoint that a boleto named is told of that boleto only, and wants no other events.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{required_id, secrets};
use crate::connectors::channels::{Channel as _, Destination};
use crate::domain::event::{self, EVENT_TYPES_MAX, EventFilter};
use crate::domain::ids::{EndpointId, TenantId};
use crate::domain::violation::Violation;
use crate::grpc::boleto_service::split_page;
use crate::grpc::convert::endpoint as convert;
use crate::grpc::gate::Gate;
use crate::grpc::page_token;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::messages::House;
use crate::proto::notification::v1 as proto;
use crate::proto::notification::v1::endpoint::Destination as ProtoDestination;
use crate::store::endpoint::StoredEndpoint;
use crate::store::endpoint_steer::{EndpointChange, EndpointSteered};

const LIST: &str = "ListEndpoints";
const UPDATE: &str = "UpdateEndpoint";
/// How often an update begins anew because somebody else changed the endpoint meanwhile.
const TRIES_MAX: usize = 5;
/// What an update may name.
const PATHS: [&str; 3] = ["destination", "event_types", "filters"];

pub(super) async fn create(
    gate: &Gate,
    request: proto::CreateEndpointRequest,
) -> Result<proto::CreateEndpointResponse, ApiError> {
    let house = gate.house_for_change()?;
    let given = request.endpoint.unwrap_or_default();
    let mut violations = Vec::new();
    for (field, is_set) in [("id", !given.id.is_empty()), ("etag", !given.etag.is_empty())] {
        if is_set {
            let rule = "is made by the service and must be empty";
            violations.push(Violation::new(format!("endpoint.{field}"), rule));
        }
    }
    let event_types = checked_event_types(given.event_types, &mut violations);
    let filters = checked_filters(given.filters, &event_types, &mut violations);
    let destination = checked_destination(&gate.tenant()?, house, given.destination, None, &mut violations);
    let lacks_secret =
        destination.as_ref().is_some_and(|(it, _)| secrets::is_lacking(house, it, &mut violations));
    let Some((destination, target)) = destination.filter(|_| violations.is_empty()) else {
        return Err(ApiError::Invalid(violations));
    };
    let channel = destination.kind().as_str();
    let made = StoredEndpoint::new(gate.tenant()?, channel, written(&destination)?, target, request::now());
    let endpoint = StoredEndpoint { event_types, filters, ..made };
    let (endpoint, secret) = match destination {
        Destination::Webhook { url, .. } if lacks_secret => {
            secrets::keep_with_a_new_one(house, endpoint, url).await?
        }
        _ => (house.store.renew_endpoint(&endpoint).await?, String::new()),
    };
    Ok(proto::CreateEndpointResponse { endpoint: Some(convert::to_proto(&endpoint)), secret })
}

/// One of the caller's own.
pub(super) async fn find(gate: &Gate, id: EndpointId) -> Result<StoredEndpoint, ApiError> {
    let found = gate.house()?.store.endpoint(id).await?;
    let tenant = gate.tenant()?;
    found.filter(|endpoint| endpoint.tenant_id == tenant).ok_or(ApiError::NotFound("ENDPOINT"))
}

pub(super) async fn list(
    gate: &Gate,
    request: proto::ListEndpointsRequest,
) -> Result<proto::ListEndpointsResponse, ApiError> {
    let size = gate.page_size(request.page_size)?;
    let before = page_token::read(&LIST, &request.page_token)?.map(EndpointId);
    let found = gate.house()?.store.endpoints(&gate.tenant()?, before, size + 1).await?;
    let (page, next) = split_page(&found, size, |endpoint| endpoint.id.0, &LIST);
    let endpoints = page.iter().map(convert::to_proto).collect();
    Ok(proto::ListEndpointsResponse { endpoints, next_page_token: next })
}

/// Changes an endpoint. What its caller has not read may be changed by somebody else meanwhile, such as the secrets of its
/// webhook, which stay: then it is tried anew.
pub(super) async fn update(
    gate: &Gate,
    request: proto::UpdateEndpointRequest,
) -> Result<StoredEndpoint, ApiError> {
    let insists = request.endpoint.as_ref().is_some_and(|endpoint| !endpoint.etag.is_empty());
    for _ in 1..TRIES_MAX {
        match try_to_update(gate, request.clone()).await {
            Err(ApiError::VersionChanged { .. }) if !insists => {}
            outcome => return outcome,
        }
    }
    try_to_update(gate, request).await
}

async fn try_to_update(
    gate: &Gate,
    mut request: proto::UpdateEndpointRequest,
) -> Result<StoredEndpoint, ApiError> {
    let house = gate.house_for_change()?;
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(&gate.tenant()?, UPDATE, &request_id, &request, &mut violations);
    let reason = request::optional_reason(request.reason, &mut violations);
    let given = request.endpoint.unwrap_or_default();
    let mask = request.update_mask.unwrap_or_default().paths;
    let names = |path: &str| mask.is_empty() || mask.iter().any(|known| known == path);
    for path in mask.iter().filter(|path| !PATHS.contains(&path.as_str())) {
        let path: String = path.chars().take(40).collect();
        violations
            .push(Violation::new("update_mask", format!("no `{path}` can be changed: {}", PATHS.join(", "))));
    }
    let Some(id) = required_id("endpoint.id", &given.id, &mut violations) else {
        return Err(ApiError::Invalid(violations));
    };
    let known = find(gate, id).await?;
    if let Some(key) = &key
        && let Some(earlier) = house.store.find_request(key).await?
    {
        return if earlier.same_body { Ok(known) } else { Err(ApiError::RequestIdReused) };
    }
    let mut change = EndpointChange { version: version(&given.etag, &mut violations), ..Default::default() };
    if names("destination") {
        let stands = Destination::read(known.id, &known.destination).ok();
        let destination =
            checked_destination(&gate.tenant()?, house, given.destination, stands.as_ref(), &mut violations);
        if let Some((destination, target)) = destination {
            if destination.kind().as_str() != known.channel {
                let rule = format!("the kind cannot change: this endpoint is {}", known.channel);
                violations.push(Violation::new("endpoint.destination", rule));
            }
            if let Destination::Webhook { .. } = &destination
                && change.version == 0
            {
                // The secrets that stay are those of this version: a rotation meanwhile is not to be undone.
                change.version = known.version;
            }
            change.destination = Some((written(&destination)?, target));
            change.version = if change.version == 0 { known.version } else { change.version };
        }
    }
    let of_a_boleto = known.event_types.is_empty();
    if names("event_types") && !(of_a_boleto && given.event_types.is_empty()) {
        change.event_types = Some(checked_event_types(given.event_types, &mut violations));
    }
    let event_types = change.event_types.as_ref().unwrap_or(&known.event_types);
    if names("filters") && !(of_a_boleto && given.filters.is_empty()) {
        change.filters = Some(checked_filters(given.filters, event_types, &mut violations));
    }
    if of_a_boleto && (change.event_types.is_some() || change.filters.is_some()) {
        let rule = "an endpoint that a boleto named is told of that boleto only; make another one";
        violations.push(Violation::new("endpoint.event_types", rule));
    }
    if !violations.is_empty() {
        return Err(ApiError::Invalid(violations));
    }
    let hand = super::by_hand(gate, house, id, reason, key)?;
    let steered = house.store.update_endpoint(&hand, &change).await?;
    if steered == EndpointSteered::Done {
        tracing::info!(endpoint_id = %id, "endpoint changed by hand");
    }
    settled(steered)?;
    find(gate, id).await
}

/// Why a decision about an endpoint was not carried out, if it was not.
pub(super) fn settled(steered: EndpointSteered) -> Result<(), ApiError> {
    match steered {
        EndpointSteered::Done | EndpointSteered::Already | EndpointSteered::Before => Ok(()),
        EndpointSteered::OtherBody => Err(ApiError::RequestIdReused),
        EndpointSteered::NotFound => Err(ApiError::NotFound("ENDPOINT")),
        EndpointSteered::VersionChanged { version } => Err(ApiError::VersionChanged { version }),
        EndpointSteered::Taken => Err(ApiError::EndpointTaken),
    }
}

/// The version that an etag stands for; 0 for none. One that is no version is none of ours.
fn version(etag: &str, violations: &mut Vec<Violation>) -> i64 {
    if etag.is_empty() {
        return 0;
    }
    let version = etag.parse().ok().filter(|version| *version > 0);
    if version.is_none() {
        violations.push(Violation::new("endpoint.etag", "is none of this service's"));
    }
    version.unwrap_or_default()
}

pub(super) fn written(destination: &Destination) -> Result<String, ApiError> {
    serde_json::to_string(destination).map_err(|error| ApiError::Internal(error.to_string()))
}

/// Where to, and what makes it one; with every rule that it breaks. `stands` is what is there already.
fn checked_destination(
    tenant: &TenantId,
    house: &House,
    given: Option<ProtoDestination>,
    stands: Option<&Destination>,
    violations: &mut Vec<Violation>,
) -> Option<(Destination, String)> {
    let destination = convert::destination_from_proto(given, stands, &house.secrets, violations);
    if let Some((destination, _)) = &destination
        && let Some(channel) = house.channels.get(&destination.kind())
    {
        let prefix = format!("endpoint.{}", destination.kind().as_str());
        for v in channel.check(tenant, destination) {
            let field = format!("{prefix}.{}", v.field);
            // A secret that may not be named was said already, and is not also missing.
            if !violations.iter().any(|known| known.field.starts_with(&field)) {
                violations.push(Violation::new(field, v.description));
            }
        }
    }
    destination
}

/// Each once, in their order.
fn checked_event_types(given: Vec<String>, violations: &mut Vec<Violation>) -> Vec<String> {
    if given.is_empty() {
        violations.push(Violation::new("endpoint.event_types", "at least one, or `*` for all"));
    }
    if given.len() > EVENT_TYPES_MAX {
        violations.push(Violation::new("endpoint.event_types", format!("at most {EVENT_TYPES_MAX}")));
        return vec![];
    }
    for (index, name) in given.iter().enumerate() {
        if !event::can_be_asked_for(name) {
            let rule =
                format!("one of {}, all of a kind as boleto.*, or *", event::types_for_owners().join(", "));
            violations.push(Violation::new(format!("endpoint.event_types[{index}]"), rule));
        }
    }
    let event_types: BTreeSet<String> = given.into_iter().collect();
    if event_types.len() > 1 && event_types.contains("*") {
        violations.push(Violation::new("endpoint.event_types", "`*` stands alone"));
    }
    event_types.into_iter().collect()
}

/// The rules in an order of their own, so that the same ones are the same endpoint.
fn checked_filters(
    given: Vec<proto::EventFilter>,
    event_types: &[String],
    violations: &mut Vec<Violation>,
) -> Vec<EventFilter> {
    let mut filters = convert::filters_from_proto(given);
    for v in event::filter_violations(&filters, event_types) {
        violations.push(Violation::new(format!("endpoint.{}", v.field), v.description));
    }
    for filter in filters.iter_mut().filter(|filter| filter.attribute == "bank_account_id") {
        for value in &mut filter.values {
            // An id may be written in several ways; the events have it in one.
            if let Ok(id) = value.parse::<Uuid>() {
                *value = id.to_string();
            }
        }
    }
    for filter in &mut filters {
        filter.values.sort();
        filter.values.dedup();
    }
    filters.sort_by(|one, other| (&one.attribute, &one.values).cmp(&(&other.attribute, &other.values)));
    filters
}
