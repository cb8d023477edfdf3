//! `ResizePool`: how many things a pool of this process works on at a time, until the process ends.
//!
//! **Fails** with a violation for a pool that is none, and as disabled where the pool has nothing to do.
//! **Limits**: one to [`SLOTS_MAX`] slots; what the configuration says holds again in the next process.

use std::ops::RangeInclusive;

use serde_json::json;
use tracing::info;

use super::checked;
use crate::domain::violation::Violation;
use crate::grpc::gate::Gate;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::proto::control::v1 as proto;
use crate::store::audit_act::Act;
use crate::store::audit_list::Subject;
use crate::supervision::{ControlError, Status};

/// The one pool there is, and where it stands in the tree.
const POOL: &str = "analysis";
const PATH: &str = "house/workers/analysis";

const SLOTS_MAX: i32 = 10_000;
const SLOTS: RangeInclusive<i32> = 1..=SLOTS_MAX;

/// Has the pool work on more or fewer things at a time.
pub(super) async fn resize(
    gate: &Gate,
    request: proto::ResizePoolRequest,
) -> Result<proto::ResizePoolResponse, ApiError> {
    let mut violations = Vec::new();
    if request.pool != POOL {
        violations.push(Violation::new("pool", format!("must be {POOL}, the one pool there is")));
    }
    if !SLOTS.contains(&request.slots) {
        violations.push(Violation::new("slots", format!("1 to {SLOTS_MAX}")));
    }
    let reason = request::optional_reason(request.reason, &mut violations);
    checked(violations)?;
    let house = gate.house_for_change()?;
    if let Some(node) = gate.tree()?.snapshot().find(PATH)
        && node.status == Status::Disabled
    {
        let why = node.disabled_because.clone().unwrap_or_default();
        return Err(ControlError::Disabled(why).into());
    }
    let act = Act {
        method: "ResizePool",
        subject: Subject::Named(POOL.to_owned()),
        reason,
        before: json!({ "slots": house.transfers.analysis.total_max() }),
        after: json!({ "slots": request.slots }),
        now: request::now(),
    };
    house.store.audit_act(act).await?;
    let resized = house.transfers.analysis.resize(usize::try_from(request.slots).unwrap_or(1));
    info!(pool = POOL, slots = request.slots, "pool resized by an operator");
    Ok(proto::ResizePoolResponse {
        slots_before: count(resized.before),
        slots: request.slots,
        in_hand: count(resized.in_hand),
    })
}

fn count(things: usize) -> i32 {
    i32::try_from(things).unwrap_or(i32::MAX)
}
