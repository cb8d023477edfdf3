//! `AccountService`: what is known of customers' accounts.
//!
//! **Owns** nothing. **Fails** as the status table says. **Limits**: whoever reads what stands on an account is written down first.

use tonic::{Request, Response, Status};

use super::{accounts, transactions};
use crate::grpc::gate::Gate;
use crate::grpc::seats::ApiSeats;
use crate::proto::openbanking::v1 as proto;
use crate::proto::openbanking::v1::account_service_server::AccountService;

/// The service.
pub(in crate::grpc) struct Accounts {
    pub gate: Gate,
    pub seats: ApiSeats,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl AccountService for Accounts {
    async fn list_accounts(
        &self,
        request: Request<proto::ListAccountsRequest>,
    ) -> Answer<proto::ListAccountsResponse> {
        Ok(Response::new(accounts::list(&self.gate, &request.into_inner()).await?))
    }

    async fn get_account(
        &self,
        request: Request<proto::GetAccountRequest>,
    ) -> Answer<proto::GetAccountResponse> {
        Ok(Response::new(accounts::get(&self.gate, request.into_inner()).await?))
    }

    async fn enable_account(
        &self,
        request: Request<proto::EnableAccountRequest>,
    ) -> Answer<proto::EnableAccountResponse> {
        Ok(Response::new(accounts::enable(&self.gate, request.into_inner()).await?))
    }

    async fn list_balances(
        &self,
        request: Request<proto::ListBalancesRequest>,
    ) -> Answer<proto::ListBalancesResponse> {
        Ok(Response::new(accounts::balances(&self.gate, request.into_inner()).await?))
    }

    async fn list_transactions(
        &self,
        request: Request<proto::ListTransactionsRequest>,
    ) -> Answer<proto::ListTransactionsResponse> {
        Ok(Response::new(transactions::list(&self.gate, request.into_inner()).await?))
    }

    type StreamTransactionsStream = transactions::Messages;

    async fn stream_transactions(
        &self,
        request: Request<proto::StreamTransactionsRequest>,
    ) -> Answer<Self::StreamTransactionsStream> {
        let seat = self.seats.stream(request.remote_addr())?;
        Ok(Response::new(transactions::stream(&self.gate, request.into_inner(), seat).await?))
    }

    async fn list_pending_transactions(
        &self,
        request: Request<proto::ListPendingTransactionsRequest>,
    ) -> Answer<proto::ListPendingTransactionsResponse> {
        Ok(Response::new(transactions::pending(&self.gate, request.into_inner()).await?))
    }
}
