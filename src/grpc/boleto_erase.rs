//! `EraseBoleto`: takes away who was to pay a boleto that has ended.
//!
//! **Owns** nothing. **Fails** with every violation at once; with `BOLETO_STILL_OPEN` for one that has not ended, with
//! `KEPT_BY_LAW` within the years that its tenant keeps them, and with `ORDER_PENDING` while its bank is being asked about it; erasing
//! what is erased is no failure. **Limits**: what an owner was sent,
//! and what the bank has on file, are theirs.

use tracing::info;
use uuid::Uuid;

use super::boleto_service::find;
use super::convert::boleto as convert;
use super::gate::Gate;
use super::request;
use super::status::ApiError;
use crate::domain::ids::BoletoId;
use crate::domain::violation::Violation;
use crate::proto::boleto::v1 as proto;
use crate::store::boleto_erase::{BoletoErased, BoletoErasure};

const METHOD: &str = "EraseBoleto";

pub(super) async fn erase(
    gate: &Gate,
    mut request: proto::EraseBoletoRequest,
) -> Result<proto::EraseBoletoResponse, ApiError> {
    let house = gate.house_for_change()?;
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(&gate.tenant()?, METHOD, &request_id, &request, &mut violations);
    let id: Option<BoletoId> = request.id.parse().ok();
    if id.is_none() {
        violations.push(Violation::new("id", "must be a UUID"));
    }
    let reason = request::reason(request.reason, &mut violations);
    let Some(boleto_id) = id.filter(|_| violations.is_empty()) else {
        return Err(ApiError::Invalid(violations));
    };
    let tenant_id = gate.tenant()?;
    let erasure = BoletoErasure {
        id: Uuid::now_v7(),
        kept_years: house.retention.of(&tenant_id).boleto_years,
        tenant_id,
        boleto_id,
        request: key,
        reason,
        traceparent: crate::telemetry::traceparent(),
        // By the store's clock: a machine whose clock is set ahead must not erase what the law wants kept.
        now: house.store.now(),
    };
    match house.store.erase_boleto(&erasure).await? {
        BoletoErased::Done => info!(%boleto_id, "boleto erased by hand"),
        BoletoErased::Before | BoletoErased::Already => {}
        BoletoErased::OtherBody => return Err(ApiError::RequestIdReused),
        BoletoErased::NotFound => return Err(ApiError::NotFound("BOLETO")),
        BoletoErased::StillOpen(status) => return Err(ApiError::BoletoStillOpen(status)),
        BoletoErased::UnderWay => return Err(ApiError::OrderPending),
        BoletoErased::KeptUntil(until) => return Err(ApiError::KeptUntil(until)),
    }
    let boleto = Some(convert::to_proto(&find(gate, boleto_id).await?));
    Ok(proto::EraseBoletoResponse { boleto })
}
