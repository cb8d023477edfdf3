//! `BatchCreateBoletos`: many boletos in one call, each by the same checks and through the same lane as one alone.
//!
//! No bank is waited for: the rows are anybody's, and the claim loops are woken when all are written.
//!
//! **Owns** nothing. **Fails** per item, with what `CreateBoleto` would have said; as a whole only for a batch of the wrong
//! size. **Limits**: 1,000 requests, [`AT_ONCE`] of them under way, which fills the lane's groups; the whole message is
//! bound by `api.batch_bytes_max`, which fits a thousand of the longest requests. What waits for an account is bound by `registration.backlog_max`, item by item.

use std::collections::BTreeSet;

use futures_util::stream::{FuturesOrdered, StreamExt as _};
use tonic::Status;
use tonic_types::StatusExt as _;

use super::boleto_create::{Prepared, Subscriptions, answer, known, made_before, prepare};
use super::gate::Gate;
use super::status::ApiError;
use crate::domain::ids::BoletoId;
use crate::messages::House;
use crate::proto::boleto::v1 as proto;
use crate::proto::boleto::v1::batch_create_result::Result as ItemResult;
use crate::store::boleto::Created;

const REQUESTS_MAX: usize = 1_000;
/// Four of the lane's largest groups: one is written while the next ones form.
const AT_ONCE: usize = 256;

/// An answer, and the queue in which its registration waits if there is one.
type Made = (proto::CreateBoletoResponse, Option<String>);

pub(super) async fn create(
    gate: &Gate,
    request: proto::BatchCreateBoletosRequest,
) -> Result<proto::BatchCreateBoletosResponse, ApiError> {
    let house = gate.house_for_change()?;
    let requests = request.requests;
    if !(1..=REQUESTS_MAX).contains(&requests.len()) {
        return Err(ApiError::field("requests", &format!("1 to {REQUESTS_MAX}")));
    }
    let subscriptions = Subscriptions::default();
    let mut results = Vec::with_capacity(requests.len());
    let mut queues = BTreeSet::new();
    let mut waiting = requests.into_iter();
    let mut under_way = FuturesOrdered::new();
    loop {
        while under_way.len() < AT_ONCE
            && let Some(request) = waiting.next()
        {
            under_way.push_back(one(gate, house, request, &subscriptions));
        }
        let Some(made) = under_way.next().await else { break };
        let result = match made {
            Ok((answer, queue)) => {
                queues.extend(queue);
                ItemResult::Created(answer)
            }
            Err(error) => ItemResult::Error(told(error)),
        };
        results.push(proto::BatchCreateResult { result: Some(result) });
    }
    for queue in &queues {
        house.hints.there_is_work(queue);
    }
    Ok(proto::BatchCreateBoletosResponse { results })
}

async fn one(
    gate: &Gate,
    house: &House,
    request: proto::CreateBoletoRequest,
    subscriptions: &Subscriptions,
) -> Result<Made, ApiError> {
    let hold = request.hold_registration;
    let (draft, found) = match prepare(house, &gate.tenant()?, request, subscriptions).await? {
        Prepared::New(draft, found) => (draft, found),
        Prepared::Before(id) => return before(gate, house, id).await,
    };
    let queue = draft.work.queue.clone();
    if !hold && !house.backlogs.has_room(&queue).await? {
        let id = made_before(house, draft.request.as_ref(), ApiError::BacklogFull).await?;
        return before(gate, house, id).await;
    }
    match house.creations.run(*draft).await? {
        (Created::New { boleto, .. }, _) => Ok((answer(&boleto, &found), (!hold).then_some(queue))),
        (Created::Before(id), _) => before(gate, house, id).await,
        (Created::OtherBody, _) => Err(ApiError::RequestIdReused),
        (Created::NotIssued(error), _) => Err(ApiError::NotIssued(error)),
    }
}

async fn before(gate: &Gate, house: &House, id: BoletoId) -> Result<Made, ApiError> {
    let boleto = super::boleto_service::find(gate, id).await?;
    Ok((known(house, &boleto).await?, None))
}

/// The error as a status would have said it.
fn told(error: ApiError) -> proto::BatchError {
    let status = Status::from(error);
    let details = status.get_error_details();
    let violations = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
    proto::BatchError {
        code: status.code().into(),
        message: status.message().to_owned(),
        reason: details.error_info().map(|info| info.reason.clone()).unwrap_or_default(),
        violations: violations
            .iter()
            .map(|violation| proto::FieldViolation {
                field: violation.field.clone(),
                description: violation.description.clone(),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::violation::Violation;

    #[test]
    fn an_items_error_says_all_that_a_calls_error_says() {
        let told = told(ApiError::Invalid(vec![Violation::new("amount_cents", "too small")]));
        assert_eq!(
            (told.code, told.reason.as_str()),
            (tonic::Code::InvalidArgument.into(), "INVALID_FIELDS")
        );
        assert_eq!(told.violations[0].field, "amount_cents");
        assert!(told.message.contains("too small"));
    }
}
