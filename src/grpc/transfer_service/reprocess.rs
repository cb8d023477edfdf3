//! `ReprocessTransfer`: transfers that have ended are analysed once more, one by its id or all that a filter finds.
//!
//! **Owns** nothing. **Fails** with every violation at once, with `TRANSFER_UNDER_WAY` or `TRANSFER_ERASED` for one whose state
//! does not allow it, and with `FEED_NOT_FOUND` for one whose feed is configured no longer. **Limits**: of a filter 1,000
//! transfers unless the caller says more, [`LIMIT_MAX`] at most; one that names nothing is refused, for taking up the whole house
//! takes a word more than forgetting one. What a caller who hung up left, the next call takes up.

use tracing::info;
use uuid::Uuid;

use super::erase::required_id;
use super::{convert, feed_of, found, list, there_is_work};
use crate::domain::ids::TransferId;
use crate::domain::transfer::TransferState;
use crate::domain::violation::Violation;
use crate::grpc::gate::Gate;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::messages::House;
use crate::proto::transfer::v1 as proto;
use crate::proto::transfer::v1::reprocess_transfer_request::Which;
use crate::store::transfer_list::TransferFilter;
use crate::store::transfer_steer::{Again, TransferDecision, TransferSteered};

const METHOD: &str = "ReprocessTransfer";
const LIMIT_MAX: i32 = 100_000;
const LIMIT_DEFAULT: i32 = 1_000;
/// One that an operator asks for goes before what feeds offer by themselves.
const PRIORITY_OF_ONE: i64 = -50;
/// Many at once go behind it.
const PRIORITY_OF_MANY: i64 = 50;
/// Where all analyses wait.
const QUEUES: &str = "analysis/";

pub(super) async fn reprocess(
    gate: &Gate,
    mut request: proto::ReprocessTransferRequest,
) -> Result<proto::ReprocessTransferResponse, ApiError> {
    let house = gate.house_for_change()?;
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(&gate.tenant()?, METHOD, &request_id, &request, &mut violations);
    let reason = request::reason(request.reason, &mut violations);
    let limit = limit(request.limit, &mut violations);
    let which = match request.which {
        Some(Which::Id(id)) => required_id(&id, &mut violations).map(Asked::One),
        Some(Which::Filter(filter)) => {
            let before = violations.len();
            let filter = list::filter(filter, &mut violations);
            if filter == TransferFilter::default() && violations.len() == before {
                violations.push(Violation::new("filter", "name something of them"));
            }
            Some(Asked::Many(filter))
        }
        None => {
            violations.push(Violation::new("id", "required, unless filter is given"));
            None
        }
    };
    let Some(which) = which.filter(|_| violations.is_empty()) else {
        return Err(ApiError::Invalid(violations));
    };
    let tenant_id = gate.tenant()?;
    let decision = |transfer_id, request| TransferDecision {
        id: Uuid::now_v7(),
        tenant_id: tenant_id.clone(),
        transfer_id,
        request,
        reason,
        traceparent: crate::telemetry::traceparent(),
        now: request::now(),
    };
    let again = |priority| Again {
        tells_owners: request.tell_owners,
        attempts_max: house.transfers.analysis_attempts_max,
        priority,
    };
    match which {
        Asked::One(id) if request.dry_run => would_be(gate, house, id).await,
        Asked::One(id) => one(gate, house, &decision(id, key), &again(PRIORITY_OF_ONE)).await,
        Asked::Many(filter) => {
            let decision = decision(TransferId(Uuid::nil()), None);
            many(house, &decision, &filter, &again(PRIORITY_OF_MANY), limit, request.dry_run).await
        }
    }
}

enum Asked {
    One(TransferId),
    Many(TransferFilter),
}

fn limit(asked: i32, violations: &mut Vec<Violation>) -> i64 {
    match asked {
        0 => i64::from(LIMIT_DEFAULT),
        1..=LIMIT_MAX => i64::from(asked),
        _ => {
            let rule = format!("1 to {LIMIT_MAX}, or 0 for {LIMIT_DEFAULT}");
            violations.push(Violation::new("limit", rule));
            0
        }
    }
}

/// What would come of it.
async fn would_be(
    gate: &Gate,
    house: &House,
    id: TransferId,
) -> Result<proto::ReprocessTransferResponse, ApiError> {
    let seen = found(gate, id).await?;
    feed_of(house, &seen)?;
    if !seen.transfer.state.can_be_reprocessed() {
        return Err(not_now(seen.transfer.state));
    }
    let transfer = Some(convert::to_proto(&seen));
    Ok(proto::ReprocessTransferResponse { transfers: 1, more: false, transfer })
}

async fn one(
    gate: &Gate,
    house: &House,
    decision: &TransferDecision,
    again: &Again,
) -> Result<proto::ReprocessTransferResponse, ApiError> {
    let id = decision.transfer_id;
    feed_of(house, &found(gate, id).await?)?;
    match house.store.reprocess_transfer(decision, again, &queue_of(house, decision)).await? {
        TransferSteered::Done => {
            there_is_work(house, QUEUES);
            info!(transfer_id = %id, "transfer reprocessed by hand");
        }
        TransferSteered::Before => {}
        TransferSteered::OtherBody => return Err(ApiError::RequestIdReused),
        TransferSteered::NotFound => return Err(ApiError::NotFound("TRANSFER")),
        TransferSteered::NotNow(state) => return Err(not_now(state)),
    }
    let transfer = Some(convert::to_proto(&found(gate, id).await?));
    Ok(proto::ReprocessTransferResponse { transfers: 1, more: false, transfer })
}

async fn many(
    house: &House,
    decision: &TransferDecision,
    filter: &TransferFilter,
    again: &Again,
    limit: i64,
    dry_run: bool,
) -> Result<proto::ReprocessTransferResponse, ApiError> {
    let queue_of = queue_of(house, decision);
    let done = house.store.reprocess_transfers(decision, filter, again, &queue_of, limit, dry_run).await?;
    if !dry_run && done.transfers > 0 {
        there_is_work(house, QUEUES);
        info!(transfers = done.transfers, "transfers reprocessed by hand");
    }
    Ok(proto::ReprocessTransferResponse { transfers: done.transfers, more: done.more, transfer: None })
}

/// Where a transfer of a feed and a company waits; nothing for a feed that is configured no longer.
fn queue_of(
    house: &House,
    decision: &TransferDecision,
) -> impl Fn(&str, Option<&str>) -> Option<String> + Sync {
    move |feed, company| {
        let feed = house.transfers.feeds.get(feed).filter(|feed| feed.tenant == decision.tenant_id)?;
        Some(feed.queue(company))
    }
}

fn not_now(state: TransferState) -> ApiError {
    match state {
        TransferState::Erased => ApiError::TransferErased,
        state => ApiError::TransferUnderWay(state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_within_its_bounds_or_left_to_us() {
        let mut violations = Vec::new();
        assert_eq!([0, 1, LIMIT_MAX].map(|asked| limit(asked, &mut violations)), [1_000, 1, 100_000]);
        assert_eq!(violations, []);
        limit(-1, &mut violations);
        limit(LIMIT_MAX + 1, &mut violations);
        assert_eq!(violations.len(), 2);
    }
}
