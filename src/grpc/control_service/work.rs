//! Work: listed, shown, and steered row by row.

use super::{checked, reason};
use crate::domain::ids::WorkId;
use crate::domain::violation::Violation;
use crate::domain::work::WorkState;
use crate::grpc::boleto_service::split_page;
use crate::grpc::convert::work as convert;
use crate::grpc::gate::Gate;
use crate::grpc::page_token;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::proto::control::v1 as proto;
use crate::store::work_steer::{WorkFilter, WorkView};

/// Longer names are nobody's.
const FILTER_CHARS_MAX: usize = 255;

pub(super) async fn list(
    gate: &Gate,
    request: proto::ListWorkRequest,
) -> Result<proto::ListWorkResponse, ApiError> {
    let size = gate.page_size(request.page_size)?;
    let proto::ListWorkRequest { states, kind, queue, subject_id, page_token, .. } = request;
    let mut violations = Vec::new();
    let asked = proto::WorkFilter { states, kind, queue, subject_id };
    let filter = filter("", asked, &mut violations);
    checked(violations)?;
    let before = page_token::read(&filter, &page_token)?.map(WorkId);
    let found = gate.house()?.store.list_work(&filter, before, size + 1).await?;
    let (page, next) = split_page(&found, size, |view| view.id.0, &filter);
    Ok(proto::ListWorkResponse { work: page.iter().map(convert::to_proto).collect(), next_page_token: next })
}

pub(super) async fn get(
    gate: &Gate,
    request: proto::GetWorkRequest,
) -> Result<proto::GetWorkResponse, ApiError> {
    let work = find(gate, request::id("id", &request.id)?).await?;
    Ok(proto::GetWorkResponse { work: Some(convert::to_proto(&work)) })
}

pub(super) async fn retry(
    gate: &Gate,
    request: proto::RetryWorkRequest,
) -> Result<proto::RetryWorkResponse, ApiError> {
    let id = request::id("id", &request.id)?;
    let mut violations = Vec::new();
    let reason = reason(request.reason, "retried by an operator", &mut violations);
    checked(violations)?;
    let house = gate.house_for_change()?;
    <()>::try_from(house.store.retry_work(id, &reason, request::now()).await?)?;
    let work = find(gate, id).await?;
    house.hints.there_is_work(&work.queue);
    Ok(proto::RetryWorkResponse { work: Some(convert::to_proto(&work)) })
}

pub(super) async fn cancel(
    gate: &Gate,
    request: proto::CancelWorkRequest,
) -> Result<proto::CancelWorkResponse, ApiError> {
    let id = request::id("id", &request.id)?;
    let mut violations = Vec::new();
    let reason = reason(request.reason, "", &mut violations);
    checked(violations)?;
    let house = gate.house_for_change()?;
    <()>::try_from(house.store.cancel_work(id, &reason, request::now()).await?)?;
    let work = find(gate, id).await?;
    Ok(proto::CancelWorkResponse { work: Some(convert::to_proto(&work)) })
}

async fn find(gate: &Gate, id: WorkId) -> Result<WorkView, ApiError> {
    gate.house()?.store.work(id).await?.ok_or(ApiError::NotFound("WORK"))
}

/// Reads a filter; the names of its fields in violations begin with `at`.
pub(super) fn filter(at: &str, asked: proto::WorkFilter, violations: &mut Vec<Violation>) -> WorkFilter {
    let mut states = Vec::new();
    for (index, number) in asked.states.iter().enumerate() {
        match convert::state_from_proto(*number) {
            Some(state) => states.push(state),
            None => violations.push(Violation::new(format!("{at}states[{index}]"), "is no state")),
        }
    }
    if asked.states.len() > WorkState::ALL.len() {
        violations.push(Violation::new(format!("{at}states"), "each state once"));
    }
    let mut text = |name: &str, text: String| {
        request::optional_text(&format!("{at}{name}"), text, FILTER_CHARS_MAX, violations)
    };
    let (kind, queue) = (text("kind", asked.kind), text("queue", asked.queue));
    let subject_id = request::optional_id(&format!("{at}subject_id"), &asked.subject_id, violations);
    WorkFilter { states, kind, queue, subject_id }
}
