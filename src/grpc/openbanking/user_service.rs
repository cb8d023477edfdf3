//! `UserService`: the customers whose accounts and payments are followed.
//!
//! **Owns** nothing. **Fails** as the status table says.

use tonic::{Request, Response, Status};

use super::users;
use crate::grpc::gate::Gate;
use crate::proto::openbanking::v1 as proto;
use crate::proto::openbanking::v1::user_service_server::UserService;

/// The service.
pub(in crate::grpc) struct Users {
    pub gate: Gate,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl UserService for Users {
    async fn put_users(&self, request: Request<proto::PutUsersRequest>) -> Answer<proto::PutUsersResponse> {
        Ok(Response::new(users::put(&self.gate, request.into_inner()).await?))
    }

    async fn get_user(&self, request: Request<proto::GetUserRequest>) -> Answer<proto::GetUserResponse> {
        Ok(Response::new(users::get(&self.gate, &request.into_inner()).await?))
    }

    async fn list_users(
        &self,
        request: Request<proto::ListUsersRequest>,
    ) -> Answer<proto::ListUsersResponse> {
        Ok(Response::new(users::list(&self.gate, &request.into_inner()).await?))
    }

    async fn update_user(
        &self,
        request: Request<proto::UpdateUserRequest>,
    ) -> Answer<proto::UpdateUserResponse> {
        Ok(Response::new(users::update(&self.gate, request.into_inner()).await?))
    }

    async fn erase_user(
        &self,
        request: Request<proto::EraseUserRequest>,
    ) -> Answer<proto::EraseUserResponse> {
        Ok(Response::new(users::erase(&self.gate, request.into_inner()).await?))
    }
}
