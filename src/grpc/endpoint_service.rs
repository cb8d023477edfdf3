//! `EndpointService`: owners' destinations and their subscriptions.

use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::boleto_service::split_page;
use super::convert::endpoint as convert;
use super::gate::Gate;
use super::page_token;
use super::request;
use super::status::ApiError;
use crate::connectors::channels::Channel as _;
use crate::domain::boleto::event::EventType;
use crate::domain::ids::EndpointId;
use crate::domain::violation::Violation;
use crate::proto::notification::v1 as proto;
use crate::proto::notification::v1::endpoint_service_server::EndpointService;
use crate::store::endpoint::StoredEndpoint;

const LIST: &str = "ListEndpoints";

/// The service.
pub(super) struct Endpoints {
    pub gate: Gate,
}

#[tonic::async_trait]
impl EndpointService for Endpoints {
    async fn create_endpoint(
        &self,
        request: Request<proto::CreateEndpointRequest>,
    ) -> Result<Response<proto::CreateEndpointResponse>, Status> {
        let endpoint = self.create(request.into_inner()).await?;
        Ok(Response::new(proto::CreateEndpointResponse { endpoint: Some(convert::to_proto(&endpoint)) }))
    }

    async fn get_endpoint(
        &self,
        request: Request<proto::GetEndpointRequest>,
    ) -> Result<Response<proto::GetEndpointResponse>, Status> {
        let id: EndpointId = request::id("id", &request.into_inner().id)?;
        let found = self.gate.house()?.store.endpoint(id).await.map_err(ApiError::from)?;
        let endpoint = found
            .filter(|endpoint| endpoint.tenant_id == self.gate.tenant())
            .ok_or(ApiError::NotFound("ENDPOINT"))?;
        Ok(Response::new(proto::GetEndpointResponse { endpoint: Some(convert::to_proto(&endpoint)) }))
    }

    async fn list_endpoints(
        &self,
        request: Request<proto::ListEndpointsRequest>,
    ) -> Result<Response<proto::ListEndpointsResponse>, Status> {
        let request = request.into_inner();
        let size = self.gate.page_size(request.page_size)?;
        let before = page_token::read(&LIST, &request.page_token)?.map(EndpointId);
        let store = &self.gate.house()?.store;
        let found = store.endpoints(&self.gate.tenant(), before, size + 1).await.map_err(ApiError::from)?;
        let (page, next) = split_page(&found, size, |endpoint| endpoint.id.0, &LIST);
        let endpoints = page.iter().map(convert::to_proto).collect();
        Ok(Response::new(proto::ListEndpointsResponse { endpoints, next_page_token: next }))
    }
}

impl Endpoints {
    async fn create(&self, request: proto::CreateEndpointRequest) -> Result<StoredEndpoint, ApiError> {
        let house = self.gate.house_for_change()?;
        let tenant = self.gate.tenant();
        let given = request.endpoint.unwrap_or_default();
        let mut violations = Vec::new();
        if !given.id.is_empty() {
            violations.push(Violation::new("endpoint.id", "is made by the service and must be empty"));
        }
        let mut event_types = given.event_types;
        event_types.sort();
        event_types.dedup();
        check_event_types(&event_types, &mut violations);
        let destination = convert::destination_from_proto(given.destination, &house.secrets, &mut violations);
        if let Some((destination, _)) = &destination
            && let Some(channel) = house.channels.get(&destination.kind())
        {
            let prefix = format!("endpoint.{}", destination.kind().as_str());
            let found = channel.check(&tenant, destination);
            for v in found {
                let field = format!("{prefix}.{}", v.field);
                // A secret that may not be named was said already, and is not also missing.
                if !violations.iter().any(|known| known.field.starts_with(&field)) {
                    violations.push(Violation::new(field, v.description));
                }
            }
        }
        let Some((destination, target)) = destination.filter(|_| violations.is_empty()) else {
            return Err(ApiError::Invalid(violations));
        };
        let endpoint = StoredEndpoint {
            id: EndpointId(Uuid::now_v7()),
            tenant_id: tenant,
            channel: destination.kind().as_str().to_owned(),
            destination: serde_json::to_string(&destination)
                .map_err(|error| ApiError::Internal(error.to_string()))?,
            target,
            event_types,
            disabled: None,
            created_at: request::now(),
        };
        Ok(house.store.renew_endpoint(&endpoint).await?)
    }
}

fn check_event_types(event_types: &[String], violations: &mut Vec<Violation>) {
    let known = |name: &str| name == "*" || EventType::parse(name).is_some_and(EventType::is_for_owners);
    if event_types.is_empty() {
        violations.push(Violation::new("endpoint.event_types", "at least one, or `*` for all"));
    }
    if event_types.len() > 1 && event_types.iter().any(|name| name == "*") {
        violations.push(Violation::new("endpoint.event_types", "`*` stands alone"));
    }
    for (index, name) in event_types.iter().enumerate() {
        if !known(name) {
            let rule = "one of boleto.registered, boleto.refused, boleto.needs_review, boleto.cancelled, boleto.paid, \
                boleto.amended, boleto.payment_recorded, boleto.order_refused, *";
            violations.push(Violation::new(format!("endpoint.event_types[{index}]"), rule));
        }
    }
}
