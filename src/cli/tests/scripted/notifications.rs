//! Scripted answers about endpoints and what they were told.

use tonic::{Request, Response, Status};

use super::{Answer, Scripted, unasked};
use crate::proto::notification::v1::delivery::State;
use crate::proto::notification::v1::delivery_attempt::Outcome;
use crate::proto::notification::v1::notification_service_server::NotificationService;
use crate::proto::notification::v1::*;

/// An endpoint of this name takes nothing, for good.
pub const GONE: &str = "gone";
/// An endpoint of this name takes nothing now.
pub const AWAY: &str = "away";

fn delivery(endpoint_id: String, subject_id: String, state: State) -> Delivery {
    let channel = "webhook".to_owned();
    Delivery {
        endpoint_id,
        subject_id,
        channel,
        state: state.into(),
        wanted_version: 3,
        ..Delivery::default()
    }
}

#[tonic::async_trait]
impl NotificationService for Scripted {
    /// As it was asked for; where no secret is named the service makes one.
    async fn create_endpoint(
        &self,
        request: Request<CreateEndpointRequest>,
    ) -> Answer<CreateEndpointResponse> {
        let endpoint = request.into_inner().endpoint.unwrap_or_default();
        let names_none = matches!(&endpoint.destination, Some(endpoint::Destination::Webhook(it)) if it.secrets.is_empty());
        let secret = if names_none { "whsec_made" } else { "" }.to_owned();
        Ok(Response::new(CreateEndpointResponse { endpoint: Some(endpoint), secret }))
    }

    async fn get_endpoint(&self, _: Request<GetEndpointRequest>) -> Answer<GetEndpointResponse> {
        unasked()
    }

    async fn list_endpoints(&self, _: Request<ListEndpointsRequest>) -> Answer<ListEndpointsResponse> {
        unasked()
    }

    /// As it was asked for; an etag is always an old one.
    async fn update_endpoint(
        &self,
        request: Request<UpdateEndpointRequest>,
    ) -> Answer<UpdateEndpointResponse> {
        let endpoint = request.into_inner().endpoint.unwrap_or_default();
        if !endpoint.etag.is_empty() {
            return Err(Status::aborted("it changed since it was read"));
        }
        Ok(Response::new(UpdateEndpointResponse { endpoint: Some(endpoint) }))
    }

    async fn disable_endpoint(
        &self,
        request: Request<DisableEndpointRequest>,
    ) -> Answer<DisableEndpointResponse> {
        let DisableEndpointRequest { id, reason, .. } = request.into_inner();
        let endpoint = Endpoint { id, disabled: true, disabled_reason: reason, ..Endpoint::default() };
        Ok(Response::new(DisableEndpointResponse { endpoint: Some(endpoint) }))
    }

    async fn enable_endpoint(
        &self,
        request: Request<EnableEndpointRequest>,
    ) -> Answer<EnableEndpointResponse> {
        let endpoint = Endpoint { id: request.into_inner().id, ..Endpoint::default() };
        Ok(Response::new(EnableEndpointResponse { endpoint: Some(endpoint) }))
    }

    async fn rotate_endpoint_secret(
        &self,
        _: Request<RotateEndpointSecretRequest>,
    ) -> Answer<RotateEndpointSecretResponse> {
        unasked()
    }

    async fn test_endpoint(&self, request: Request<TestEndpointRequest>) -> Answer<TestEndpointResponse> {
        let (outcome, answer) = match request.into_inner().id.as_str() {
            GONE => (Outcome::Gone, "destination is gone"),
            AWAY => (Outcome::Unavailable, "status 500"),
            _ => (Outcome::Accepted, "thanks"),
        };
        let attempt = DeliveryAttempt {
            event_id: "e".to_owned(),
            event_type: "endpoint.test".to_owned(),
            outcome: outcome.into(),
            answer: answer.to_owned(),
            ..DeliveryAttempt::default()
        };
        Ok(Response::new(TestEndpointResponse { attempt: Some(attempt) }))
    }

    /// A page without anything, and one with a delivery behind it.
    async fn list_deliveries(
        &self,
        request: Request<ListDeliveriesRequest>,
    ) -> Answer<ListDeliveriesResponse> {
        let request = request.into_inner();
        if request.page_token.is_empty() {
            let next_page_token = "2".to_owned();
            return Ok(Response::new(ListDeliveriesResponse { deliveries: vec![], next_page_token }));
        }
        let deliveries = vec![delivery(request.endpoint_id, "b".to_owned(), State::GivenUp)];
        Ok(Response::new(ListDeliveriesResponse { deliveries, next_page_token: String::new() }))
    }

    async fn list_delivery_attempts(
        &self,
        _: Request<ListDeliveryAttemptsRequest>,
    ) -> Answer<ListDeliveryAttemptsResponse> {
        let attempt = DeliveryAttempt {
            event_type: "boleto.paid".to_owned(),
            outcome: Outcome::Refused.into(),
            status: 404,
            resend: true,
            ..DeliveryAttempt::default()
        };
        let attempts = vec![attempt];
        Ok(Response::new(ListDeliveryAttemptsResponse { attempts, next_page_token: String::new() }))
    }

    async fn resend_delivery(
        &self,
        request: Request<ResendDeliveryRequest>,
    ) -> Answer<ResendDeliveryResponse> {
        let request = request.into_inner();
        if request.endpoint_id == GONE {
            return Err(Status::failed_precondition("this endpoint is disabled"));
        }
        let delivery = Some(delivery(request.endpoint_id, request.subject_id, State::Pending));
        Ok(Response::new(ResendDeliveryResponse { delivery }))
    }

    /// As many as seconds have passed since 1970 at the time that is asked for.
    async fn recover_deliveries(
        &self,
        request: Request<RecoverDeliveriesRequest>,
    ) -> Answer<RecoverDeliveriesResponse> {
        let recovered = request.into_inner().since.unwrap_or_default().seconds;
        Ok(Response::new(RecoverDeliveriesResponse { recovered }))
    }

    async fn cancel_delivery(
        &self,
        request: Request<CancelDeliveryRequest>,
    ) -> Answer<CancelDeliveryResponse> {
        let CancelDeliveryRequest { endpoint_id, subject_id, .. } = request.into_inner();
        let delivery = Some(delivery(endpoint_id, subject_id, State::Cancelled));
        Ok(Response::new(CancelDeliveryResponse { delivery }))
    }
}
