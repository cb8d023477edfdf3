//! Visits at banks, and the requests of each.
//!
//! **Owns** nothing. **Fails** with every violation at once; what nobody has ever opened has no requests. **Limits**: pages.

use super::{checked, one_more, required_id};
use crate::domain::ids::{ApiSessionId, ConsentId, JobRunId};
use crate::domain::violation::Violation;
use crate::grpc::boleto_service::split_page;
use crate::grpc::convert::openbanking as convert;
use crate::grpc::gate::Gate;
use crate::grpc::page_token;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::proto::openbanking::v1 as proto;
use crate::store::openbanking::look::CallsOf;

pub(super) async fn sessions(
    gate: &Gate,
    request: &proto::ListSessionsRequest,
) -> Result<proto::ListSessionsResponse, ApiError> {
    let size = gate.page_size(request.page_size)?;
    let mut violations = Vec::new();
    let consent: Option<ConsentId> = request::optional_id("consent_id", &request.consent_id, &mut violations);
    let run: Option<JobRunId> = request::optional_id("run_id", &request.run_id, &mut violations);
    if consent.is_some() && run.is_some() {
        violations.push(Violation::new("run_id", "must be empty with consent_id"));
    }
    checked(violations)?;
    let (store, tenant, limit) = (&gate.house()?.store, gate.tenant()?, one_more(size));
    let filter = ("sessions", consent, run);
    let after = page_token::read(&filter, &request.page_token)?.map(ApiSessionId);
    let found = match run {
        Some(run) => store.api_sessions_of_run(run.0, after, limit).await?,
        None => store.api_sessions(&tenant, consent, after, limit).await?,
    };
    let (page, next_page_token) = split_page(&found, size, |session| session.id.0, &filter);
    // A run is about the customers of every tenant.
    let own = page.iter().filter(|session| session.tenant_id == tenant);
    Ok(proto::ListSessionsResponse { sessions: own.map(convert::session).collect(), next_page_token })
}

pub(super) async fn calls(
    gate: &Gate,
    request: &proto::ListCallsRequest,
) -> Result<proto::ListCallsResponse, ApiError> {
    let size = gate.page_size(request.page_size)?;
    let mut violations = Vec::new();
    let of = match (request.session_id.as_str(), request.run_id.as_str()) {
        (_, "") => required_id("session_id", &request.session_id, &mut violations).map(CallsOf::Session),
        ("", run) => required_id("run_id", run, &mut violations).map(CallsOf::Run),
        _ => {
            violations.push(Violation::new("run_id", "must be empty with session_id"));
            None
        }
    };
    let Some(of) = of else { return Err(ApiError::Invalid(violations)) };
    let filter = ("calls", of);
    let after = page_token::read(&filter, &request.page_token)?;
    let found = gate.house()?.store.api_calls_page(&gate.tenant()?, of, after, one_more(size)).await?;
    let (page, next_page_token) = split_page(&found, size, |call| call.id, &filter);
    Ok(proto::ListCallsResponse { calls: page.iter().map(convert::call).collect(), next_page_token })
}
