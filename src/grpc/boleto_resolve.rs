//! `ResolveBoleto`: ends a boleto's review by a person's decision.
//!
//! **Owns** nothing. **Fails** with every violation at once, with `NOT_IN_REVIEW` for a boleto that needs no review, and
//! with `NO_CODES` for one that nobody could pay as registered. **Limits**: no bank is asked; the person has done so.

use uuid::Uuid;

use super::boleto_order::Asked;
use super::convert::boleto as convert;
use super::gate::Gate;
use super::request;
use super::status::ApiError;
use crate::domain::boleto::status::{Resolution, Status};
use crate::domain::ids::EventId;
use crate::domain::violation::Violation;
use crate::proto::boleto::v1 as proto;
use crate::store::audit::{ResolveDraft, Resolved};

const METHOD: &str = "ResolveBoleto";

pub(super) async fn resolve(
    gate: &Gate,
    mut request: proto::ResolveBoletoRequest,
) -> Result<proto::ResolveBoletoResponse, ApiError> {
    let house = gate.house_for_change()?;
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(&gate.tenant()?, METHOD, &request_id, &request, &mut violations);
    let resolution = match convert::status_from_proto(request.resolution) {
        Some(Status::Registered) => Some(Resolution::Registered),
        Some(Status::Refused) => Some(Resolution::Refused),
        Some(Status::Cancelled) => Some(Resolution::Cancelled),
        _ => {
            violations.push(Violation::new("resolution", "one of REGISTERED, REFUSED, CANCELLED"));
            None
        }
    };
    let asked = Asked::read(&request.id, request.version, request.reason, key, &mut violations);
    let (Some(id), Some(resolution), true) = (asked.id, resolution, violations.is_empty()) else {
        return Err(ApiError::Invalid(violations));
    };
    let draft = ResolveDraft {
        id: Uuid::now_v7(),
        event_id: EventId(Uuid::now_v7()),
        tenant_id: gate.tenant()?,
        boleto_id: id,
        version: asked.version,
        request: asked.key,
        resolution,
        reason: asked.reason,
        traceparent: crate::telemetry::traceparent(),
        delivery_attempts_max: house.delivery_attempts_max,
        now: request::now(),
    };
    match house.store.resolve_boleto(&draft).await? {
        Resolved::Done => {
            house.hints.there_is_work("delivery/");
            house.changes.send_modify(|count| *count += 1);
        }
        Resolved::Before => {}
        Resolved::OtherBody => return Err(ApiError::RequestIdReused),
        Resolved::NotFound => return Err(ApiError::NotFound("BOLETO")),
        Resolved::VersionChanged { version } => return Err(ApiError::VersionChanged { version }),
        Resolved::NotInReview(status) => return Err(ApiError::NotInReview(status)),
        Resolved::NoCodes => return Err(ApiError::NoCodes),
    }
    let boleto = super::boleto_service::find(gate, id).await?;
    Ok(proto::ResolveBoletoResponse { boleto: Some(convert::to_proto(&boleto)) })
}
