//! `PaymentService`: payments, followed to their end at the bank.
//!
//! **Owns** nothing. **Fails** as the status table says.

use tonic::{Request, Response, Status};

use super::{payments, payments_track, payments_watch};
use crate::grpc::gate::Gate;
use crate::grpc::seats::ApiSeats;
use crate::proto::openbanking::v1 as proto;
use crate::proto::openbanking::v1::payment_service_server::PaymentService;

/// The service.
pub(in crate::grpc) struct Payments {
    pub gate: Gate,
    pub seats: ApiSeats,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl PaymentService for Payments {
    async fn track_payments(
        &self,
        request: Request<proto::TrackPaymentsRequest>,
    ) -> Answer<proto::TrackPaymentsResponse> {
        Ok(Response::new(payments_track::track(&self.gate, request.into_inner()).await?))
    }

    async fn get_payment(
        &self,
        request: Request<proto::GetPaymentRequest>,
    ) -> Answer<proto::GetPaymentResponse> {
        Ok(Response::new(payments::get(&self.gate, request.into_inner()).await?))
    }

    async fn list_payments(
        &self,
        request: Request<proto::ListPaymentsRequest>,
    ) -> Answer<proto::ListPaymentsResponse> {
        Ok(Response::new(payments::list(&self.gate, request.into_inner()).await?))
    }

    type WatchPaymentsStream = payments_watch::Changes;

    async fn watch_payments(
        &self,
        request: Request<proto::WatchPaymentsRequest>,
    ) -> Answer<Self::WatchPaymentsStream> {
        let seat = self.seats.stream(request.remote_addr())?;
        Ok(Response::new(payments_watch::watch(&self.gate, &request.into_inner(), seat).await?))
    }

    async fn resolve_payment(
        &self,
        request: Request<proto::ResolvePaymentRequest>,
    ) -> Answer<proto::ResolvePaymentResponse> {
        Ok(Response::new(payments::resolve(&self.gate, request.into_inner()).await?))
    }
}
