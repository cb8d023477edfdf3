//! Work steered by a filter, a slice a call.
//!
//! **Fails** with violations for states that cannot be steered so, and for a filter that names nothing: emptying the whole
//! house takes a word more than forgetting one. **Limits**: 1,000 rows a call, in one transaction.

use tracing::info;

use super::work::filter;
use super::{checked, reason};
use crate::domain::violation::Violation;
use crate::domain::work::WorkState;
use crate::grpc::gate::Gate;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::proto::control::v1 as proto;
use crate::store::work_steer::WorkFilter;

/// Rows of a slice at most.
const LIMIT_MAX: u32 = 1_000;

pub(super) async fn retry(
    gate: &Gate,
    request: proto::BatchRetryWorkRequest,
) -> Result<proto::BatchRetryWorkResponse, ApiError> {
    let mut violations = Vec::new();
    let filter = filter("filter.", request.filter.unwrap_or_default(), &mut violations);
    use WorkState::{Discarded, Retryable, Running, Scheduled};
    check_states(&filter, &[Scheduled, Retryable, Discarded, Running], &mut violations);
    if !filter.states.iter().any(|state| matches!(state, Scheduled | Retryable | Discarded)) {
        let rule = "name at least one of scheduled, retryable and discarded";
        violations.push(Violation::new("filter.states", rule));
    }
    let reason = reason(request.reason, "retried by an operator", &mut violations);
    let limit = limit(request.limit, &mut violations);
    checked(violations)?;
    let house = gate.house_for_change()?;
    let batch = house.store.batch_retry_work(&filter, &reason, limit, request::now()).await?;
    for queue in &batch.queues {
        house.hints.there_is_work(queue);
    }
    info!(rows = batch.changed, "work retried by an operator");
    Ok(proto::BatchRetryWorkResponse {
        retried: i32::try_from(batch.changed).unwrap_or(i32::MAX),
        in_hand: count(batch.in_hand),
        superseded: count(batch.superseded),
        more: batch.more,
    })
}

pub(super) async fn cancel(
    gate: &Gate,
    request: proto::BatchCancelWorkRequest,
) -> Result<proto::BatchCancelWorkResponse, ApiError> {
    let mut violations = Vec::new();
    let filter = filter("filter.", request.filter.unwrap_or_default(), &mut violations);
    use WorkState::{Available, Retryable, Running, Scheduled};
    check_states(&filter, &[Scheduled, Available, Retryable, Running], &mut violations);
    if filter == WorkFilter::default() {
        violations.push(Violation::new("filter", "name a state, a kind, a queue or a subject"));
    }
    let reason = reason(request.reason, "", &mut violations);
    let limit = limit(request.limit, &mut violations);
    checked(violations)?;
    let house = gate.house_for_change()?;
    let batch = house.store.batch_cancel_work(&filter, &reason, limit, request::now()).await?;
    info!(rows = batch.changed, "work cancelled by an operator");
    Ok(proto::BatchCancelWorkResponse {
        cancelled: i32::try_from(batch.changed).unwrap_or(i32::MAX),
        in_hand: count(batch.in_hand),
        more: batch.more,
    })
}

fn check_states(filter: &WorkFilter, steerable: &[WorkState], violations: &mut Vec<Violation>) {
    for state in filter.states.iter().filter(|state| !steerable.contains(state)) {
        let why = format!("{} work cannot be steered so", state.as_str());
        violations.push(Violation::new("filter.states", why));
    }
}

fn limit(asked: i32, violations: &mut Vec<Violation>) -> u64 {
    match u32::try_from(asked) {
        Ok(0) => u64::from(LIMIT_MAX),
        Ok(asked) if asked <= LIMIT_MAX => u64::from(asked),
        _ => {
            violations.push(Violation::new("limit", format!("1 to {LIMIT_MAX}, or 0 for {LIMIT_MAX}")));
            0
        }
    }
}

fn count(rows: u64) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
