//! `ConsentService`: what customers have allowed at their banks.
//!
//! **Owns** nothing. **Fails** as the status table says.

use tonic::{Request, Response, Status};

use super::{consents, consents_import};
use crate::grpc::gate::Gate;
use crate::proto::openbanking::v1 as proto;
use crate::proto::openbanking::v1::consent_service_server::ConsentService;

/// The service.
pub(in crate::grpc) struct Consents {
    pub gate: Gate,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl ConsentService for Consents {
    async fn import_consents(
        &self,
        request: Request<proto::ImportConsentsRequest>,
    ) -> Answer<proto::ImportConsentsResponse> {
        Ok(Response::new(consents_import::import(&self.gate, request.into_inner()).await?))
    }

    async fn get_consent(
        &self,
        request: Request<proto::GetConsentRequest>,
    ) -> Answer<proto::GetConsentResponse> {
        Ok(Response::new(consents::get(&self.gate, &request.into_inner()).await?))
    }

    async fn list_consents(
        &self,
        request: Request<proto::ListConsentsRequest>,
    ) -> Answer<proto::ListConsentsResponse> {
        Ok(Response::new(consents::list(&self.gate, &request.into_inner()).await?))
    }

    async fn revoke_consent(
        &self,
        request: Request<proto::RevokeConsentRequest>,
    ) -> Answer<proto::RevokeConsentResponse> {
        Ok(Response::new(consents::revoke(&self.gate, request.into_inner()).await?))
    }
}
