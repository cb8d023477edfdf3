//! Customers: written down, shown, changed by hand, erased.
//!
//! **Owns** nothing. **Fails** with every violation at once, and with `USER_NOT_FOUND` for a name that is nobody's, or of one who was
//! erased. **Limits**: a batch is written in groups, each a transaction; the same batch again writes what is left.

use std::collections::HashSet;

use tracing::info;
use uuid::Uuid;

use super::{GROUP, check_endpoints, checked, checked_size, moment, name, one_more, user};
use crate::domain::ids::{EndpointId, PsuUserId};
use crate::domain::violation::Violation;
use crate::grpc::boleto_service::split_page;
use crate::grpc::convert::{openbanking as convert, timestamp};
use crate::grpc::gate::Gate;
use crate::grpc::page_token;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::proto::openbanking::v1 as proto;
use crate::store::openbanking::erase::{UserErased, UserErasure};
use crate::store::openbanking::user::{UserChange, UserChanged, UserDraft};

pub(super) async fn put(
    gate: &Gate,
    request: proto::PutUsersRequest,
) -> Result<proto::PutUsersResponse, ApiError> {
    let house = gate.house_for_change()?;
    checked_size("users", request.users.len())?;
    let (tenant, now) = (gate.tenant()?, request::now());
    let (mut violations, mut endpoints) = (Vec::new(), Vec::new());
    let mut drafts = Vec::with_capacity(request.users.len());
    let mut names = HashSet::new();
    for (place, given) in request.users.into_iter().enumerate() {
        let field = |field: &str| format!("users[{place}].{field}");
        let external_id = name(&field("external_id"), given.external_id, &mut violations);
        if external_id.starts_with("erased:") {
            violations.push(Violation::new(field("external_id"), "must not begin with erased:"));
        }
        if !names.insert(external_id.clone()) {
            violations.push(Violation::new(field("external_id"), "named twice"));
        }
        let synced = moment(&field("sync_time"), given.sync_time.as_ref(), &mut violations);
        if synced.is_some_and(|at| at > now) {
            violations.push(Violation::new(field("sync_time"), "must not lie in the future"));
        }
        let endpoint: Option<EndpointId> =
            request::optional_id(&field("endpoint_id"), &given.endpoint_id, &mut violations);
        endpoints.extend(endpoint.map(|id| (field("endpoint_id"), id)));
        drafts.push(UserDraft {
            id: PsuUserId(Uuid::now_v7()),
            tenant_id: tenant.clone(),
            external_id,
            update_offline: given.update_offline,
            active: given.active.unwrap_or(true),
            last_synced_at: synced,
            endpoint_id: endpoint,
            now,
        });
    }
    check_endpoints(house, &tenant, endpoints, &mut violations).await?;
    checked(violations)?;
    let mut results = Vec::with_capacity(drafts.len());
    for group in drafts.chunks(GROUP) {
        for put in house.store.put_psu_users(group).await {
            let put = put?;
            results.push(proto::PutUserResult { id: put.id.to_string(), written: put.is_written });
        }
    }
    Ok(proto::PutUsersResponse { results })
}

pub(super) async fn get(
    gate: &Gate,
    request: &proto::GetUserRequest,
) -> Result<proto::GetUserResponse, ApiError> {
    let found = user(gate, &request.external_id).await?;
    Ok(proto::GetUserResponse { user: Some(convert::user(&found)) })
}

pub(super) async fn list(
    gate: &Gate,
    request: &proto::ListUsersRequest,
) -> Result<proto::ListUsersResponse, ApiError> {
    let size = gate.page_size(request.page_size)?;
    let filter = "users";
    let after = page_token::read(&filter, &request.page_token)?.map(PsuUserId);
    let found = gate.house()?.store.psu_users(&gate.tenant()?, after, one_more(size)).await?;
    let (page, next_page_token) = split_page(&found, size, |user| user.id.0, &filter);
    Ok(proto::ListUsersResponse { users: page.iter().map(convert::user).collect(), next_page_token })
}

pub(super) async fn update(
    gate: &Gate,
    mut request: proto::UpdateUserRequest,
) -> Result<proto::UpdateUserResponse, ApiError> {
    let house = gate.house_for_change()?;
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(&gate.tenant()?, "UpdateUser", &request_id, &request, &mut violations);
    let external_id = name("external_id", request.external_id, &mut violations);
    if request.update_offline.is_none() && request.active.is_none() {
        violations.push(Violation::new("update_offline", "required, unless active is given"));
    }
    let reason = request::reason(request.reason, &mut violations);
    checked(violations)?;
    user(gate, &external_id).await?;
    let change = UserChange {
        id: Uuid::now_v7(),
        tenant_id: gate.tenant()?,
        external_id,
        update_offline: request.update_offline,
        active: request.active,
        request: key,
        reason,
        traceparent: crate::telemetry::traceparent(),
        now: request::now(),
    };
    let after = match house.store.change_psu_user(&change).await? {
        UserChanged::Done(after) => {
            info!(user_id = %after.id, "customer changed by hand");
            after
        }
        UserChanged::Before => user(gate, &change.external_id).await?,
        UserChanged::OtherBody => return Err(ApiError::RequestIdReused),
        UserChanged::NotFound => return Err(ApiError::NotFound("USER")),
    };
    Ok(proto::UpdateUserResponse { user: Some(convert::user(&after)) })
}

pub(super) async fn erase(
    gate: &Gate,
    mut request: proto::EraseUserRequest,
) -> Result<proto::EraseUserResponse, ApiError> {
    let house = gate.house_for_change()?;
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(&gate.tenant()?, "EraseUser", &request_id, &request, &mut violations);
    let external_id = name("external_id", request.external_id, &mut violations);
    let reason = request::reason(request.reason, &mut violations);
    checked(violations)?;
    let erasure = UserErasure {
        id: Uuid::now_v7(),
        tenant_id: gate.tenant()?,
        external_id,
        request: key,
        reason,
        traceparent: crate::telemetry::traceparent(),
        now: request::now(),
    };
    match house.store.erase_psu_user(&erasure).await? {
        UserErased::Done => info!("customer erased by hand"),
        UserErased::Before => {}
        UserErased::OtherBody => return Err(ApiError::RequestIdReused),
        UserErased::NotFound => return Err(ApiError::NotFound("USER")),
    }
    Ok(proto::EraseUserResponse { erase_time: Some(timestamp(erasure.now)) })
}
