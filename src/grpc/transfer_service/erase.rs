//! `EraseTransfer`: takes away everything of a transfer but that it was there.
//!
//! **Owns** nothing. **Fails** with every violation at once, and with `TRANSFER_UNDER_WAY` for one that is being worked on;
//! erasing what is erased is no failure. **Limits**: the feed's own record is its producer's, and is left alone.

use tracing::info;
use uuid::Uuid;

use super::{changed, convert, found};
use crate::domain::ids::TransferId;
use crate::domain::transfer::TransferState;
use crate::domain::violation::Violation;
use crate::grpc::gate::Gate;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::proto::transfer::v1 as proto;
use crate::store::transfer_steer::{TransferDecision, TransferSteered};

const METHOD: &str = "EraseTransfer";

pub(super) async fn erase(
    gate: &Gate,
    mut request: proto::EraseTransferRequest,
) -> Result<proto::EraseTransferResponse, ApiError> {
    let house = gate.house_for_change()?;
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(&gate.tenant()?, METHOD, &request_id, &request, &mut violations);
    let id = required_id(&request.id, &mut violations);
    let reason = request::reason(request.reason, &mut violations);
    let Some(transfer_id) = id.filter(|_| violations.is_empty()) else {
        return Err(ApiError::Invalid(violations));
    };
    let decision = TransferDecision {
        id: Uuid::now_v7(),
        tenant_id: gate.tenant()?,
        transfer_id,
        request: key,
        reason,
        traceparent: crate::telemetry::traceparent(),
        now: request::now(),
    };
    match house.store.erase_transfer(&decision).await? {
        TransferSteered::Done => {
            changed(house);
            info!(%transfer_id, "transfer erased by hand");
        }
        TransferSteered::Before | TransferSteered::NotNow(TransferState::Erased) => {}
        TransferSteered::OtherBody => return Err(ApiError::RequestIdReused),
        TransferSteered::NotFound => return Err(ApiError::NotFound("TRANSFER")),
        TransferSteered::NotNow(state) => return Err(ApiError::TransferUnderWay(state)),
    }
    let transfer = Some(convert::to_proto(&found(gate, transfer_id).await?));
    Ok(proto::EraseTransferResponse { transfer })
}

/// A transfer's id, which may not be left out.
pub(super) fn required_id(text: &str, violations: &mut Vec<Violation>) -> Option<TransferId> {
    if text.is_empty() {
        violations.push(Violation::new("id", "required"));
    }
    request::optional_id("id", text, violations)
}
