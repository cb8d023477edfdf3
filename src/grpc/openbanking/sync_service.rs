//! `SyncService`: how accounts are refreshed, and the visits at banks by which they are.
//!
//! **Owns** nothing. **Fails** as the status table says.

use tonic::{Request, Response, Status};

use super::{aspsps, plan, sync_user, visits};
use crate::grpc::gate::Gate;
use crate::proto::openbanking::v1 as proto;
use crate::proto::openbanking::v1::sync_service_server::SyncService;

/// The service.
pub(in crate::grpc) struct Syncs {
    pub gate: Gate,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl SyncService for Syncs {
    async fn sync_user(&self, request: Request<proto::SyncUserRequest>) -> Answer<proto::SyncUserResponse> {
        Ok(Response::new(sync_user::sync(&self.gate, request.into_inner()).await?))
    }

    async fn plan_sync(&self, request: Request<proto::PlanSyncRequest>) -> Answer<proto::PlanSyncResponse> {
        Ok(Response::new(plan::plan(&self.gate, &request.into_inner()).await?))
    }

    async fn list_sessions(
        &self,
        request: Request<proto::ListSessionsRequest>,
    ) -> Answer<proto::ListSessionsResponse> {
        Ok(Response::new(visits::sessions(&self.gate, &request.into_inner()).await?))
    }

    async fn list_calls(
        &self,
        request: Request<proto::ListCallsRequest>,
    ) -> Answer<proto::ListCallsResponse> {
        Ok(Response::new(visits::calls(&self.gate, &request.into_inner()).await?))
    }

    async fn list_aspsps(
        &self,
        _request: Request<proto::ListAspspsRequest>,
    ) -> Answer<proto::ListAspspsResponse> {
        Ok(Response::new(aspsps::list(&self.gate).await?))
    }
}
