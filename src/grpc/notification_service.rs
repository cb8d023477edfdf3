//! `NotificationService`: owners' destinations, their subscriptions, and what they were told.

mod deliveries;
mod endpoints;
mod secrets;
mod steer;

use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert::endpoint as convert;
use super::gate::Gate;
use super::request;
use super::status::ApiError;
use crate::domain::ids::EndpointId;
use crate::domain::violation::Violation;
use crate::messages::House;
use crate::proto::notification::v1 as proto;
use crate::proto::notification::v1::notification_service_server::NotificationService;
use crate::store::endpoint_steer::ByHand;
use crate::store::request_key::RequestKey;

/// The service.
pub(super) struct Notifications {
    pub gate: Gate,
}

#[tonic::async_trait]
impl NotificationService for Notifications {
    async fn create_endpoint(
        &self,
        request: Request<proto::CreateEndpointRequest>,
    ) -> Result<Response<proto::CreateEndpointResponse>, Status> {
        Ok(Response::new(endpoints::create(&self.gate, request.into_inner()).await?))
    }

    async fn get_endpoint(
        &self,
        request: Request<proto::GetEndpointRequest>,
    ) -> Result<Response<proto::GetEndpointResponse>, Status> {
        let id: EndpointId = request::id("id", &request.into_inner().id)?;
        let endpoint = Some(convert::to_proto(&endpoints::find(&self.gate, id).await?));
        Ok(Response::new(proto::GetEndpointResponse { endpoint }))
    }

    async fn list_endpoints(
        &self,
        request: Request<proto::ListEndpointsRequest>,
    ) -> Result<Response<proto::ListEndpointsResponse>, Status> {
        Ok(Response::new(endpoints::list(&self.gate, request.into_inner()).await?))
    }

    async fn update_endpoint(
        &self,
        request: Request<proto::UpdateEndpointRequest>,
    ) -> Result<Response<proto::UpdateEndpointResponse>, Status> {
        let endpoint = endpoints::update(&self.gate, request.into_inner()).await?;
        Ok(Response::new(proto::UpdateEndpointResponse { endpoint: Some(convert::to_proto(&endpoint)) }))
    }

    async fn disable_endpoint(
        &self,
        request: Request<proto::DisableEndpointRequest>,
    ) -> Result<Response<proto::DisableEndpointResponse>, Status> {
        Ok(Response::new(steer::disable(&self.gate, request.into_inner()).await?))
    }

    async fn enable_endpoint(
        &self,
        request: Request<proto::EnableEndpointRequest>,
    ) -> Result<Response<proto::EnableEndpointResponse>, Status> {
        Ok(Response::new(steer::enable(&self.gate, request.into_inner()).await?))
    }

    async fn rotate_endpoint_secret(
        &self,
        request: Request<proto::RotateEndpointSecretRequest>,
    ) -> Result<Response<proto::RotateEndpointSecretResponse>, Status> {
        Ok(Response::new(secrets::rotate(&self.gate, request.into_inner()).await?))
    }

    async fn test_endpoint(
        &self,
        request: Request<proto::TestEndpointRequest>,
    ) -> Result<Response<proto::TestEndpointResponse>, Status> {
        Ok(Response::new(steer::test(&self.gate, request.into_inner()).await?))
    }

    async fn list_deliveries(
        &self,
        request: Request<proto::ListDeliveriesRequest>,
    ) -> Result<Response<proto::ListDeliveriesResponse>, Status> {
        Ok(Response::new(deliveries::list(&self.gate, request.into_inner()).await?))
    }

    async fn list_delivery_attempts(
        &self,
        request: Request<proto::ListDeliveryAttemptsRequest>,
    ) -> Result<Response<proto::ListDeliveryAttemptsResponse>, Status> {
        Ok(Response::new(deliveries::attempts(&self.gate, request.into_inner()).await?))
    }

    async fn resend_delivery(
        &self,
        request: Request<proto::ResendDeliveryRequest>,
    ) -> Result<Response<proto::ResendDeliveryResponse>, Status> {
        Ok(Response::new(deliveries::resend(&self.gate, request.into_inner()).await?))
    }

    async fn recover_deliveries(
        &self,
        request: Request<proto::RecoverDeliveriesRequest>,
    ) -> Result<Response<proto::RecoverDeliveriesResponse>, Status> {
        Ok(Response::new(deliveries::recover(&self.gate, request.into_inner()).await?))
    }

    async fn cancel_delivery(
        &self,
        request: Request<proto::CancelDeliveryRequest>,
    ) -> Result<Response<proto::CancelDeliveryResponse>, Status> {
        Ok(Response::new(deliveries::cancel(&self.gate, request.into_inner()).await?))
    }
}

/// An id that may not be left out.
fn required_id<T: std::str::FromStr>(field: &str, text: &str, violations: &mut Vec<Violation>) -> Option<T> {
    if text.is_empty() {
        violations.push(Violation::new(field, "required"));
    }
    request::optional_id(field, text, violations)
}

/// A caller's decision about one of its endpoints.
fn by_hand(
    gate: &Gate,
    house: &House,
    id: EndpointId,
    reason: String,
    key: Option<RequestKey>,
) -> Result<ByHand, ApiError> {
    Ok(ByHand {
        id: Uuid::now_v7(),
        tenant_id: gate.tenant()?,
        endpoint_id: id,
        request: key,
        reason,
        traceparent: crate::telemetry::traceparent(),
        delivery_attempts_max: house.delivery_attempts_max,
        now: request::now(),
    })
}
