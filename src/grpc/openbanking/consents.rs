//! Consents: shown, and ended here.
//!
//! **Owns** nothing. **Fails** with every violation at once, and with `CONSENT_ENDED` for one that has ended otherwise.
//! **Limits**: pages, newest first.

use tracing::info;
use uuid::Uuid;

use super::{one_more, required_id, user_of_filter};
use crate::domain::ids::ConsentId;
use crate::grpc::boleto_service::split_page;
use crate::grpc::convert::openbanking as convert;
use crate::grpc::gate::Gate;
use crate::grpc::page_token;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::proto::openbanking::v1 as proto;
use crate::store::openbanking::consent::Consent;
use crate::store::openbanking::hand::{ConsentRevocation, ConsentRevoked};

pub(super) async fn get(
    gate: &Gate,
    request: &proto::GetConsentRequest,
) -> Result<proto::GetConsentResponse, ApiError> {
    let mut violations = Vec::new();
    let id = required_id("id", &request.id, &mut violations);
    let Some(id) = id else { return Err(ApiError::Invalid(violations)) };
    Ok(proto::GetConsentResponse { consent: Some(convert::consent(&found(gate, id).await?)) })
}

pub(super) async fn list(
    gate: &Gate,
    request: &proto::ListConsentsRequest,
) -> Result<proto::ListConsentsResponse, ApiError> {
    let size = gate.page_size(request.page_size)?;
    let of = user_of_filter(gate, &request.user_external_id).await?.map(|user| user.id);
    let filter = ("consents", of);
    let after = page_token::read(&filter, &request.page_token)?.map(ConsentId);
    let found = gate.house()?.store.consents(&gate.tenant()?, of, after, one_more(size)).await?;
    let (page, next_page_token) = split_page(&found, size, |consent| consent.id.0, &filter);
    let consents = page.iter().map(convert::consent).collect();
    Ok(proto::ListConsentsResponse { consents, next_page_token })
}

pub(super) async fn revoke(
    gate: &Gate,
    mut request: proto::RevokeConsentRequest,
) -> Result<proto::RevokeConsentResponse, ApiError> {
    let house = gate.house_for_change()?;
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(&gate.tenant()?, "RevokeConsent", &request_id, &request, &mut violations);
    let id = required_id("id", &request.id, &mut violations);
    let reason = request::reason(request.reason, &mut violations);
    let Some(consent_id) = id.filter(|_| violations.is_empty()) else {
        return Err(ApiError::Invalid(violations));
    };
    let wish = ConsentRevocation {
        id: Uuid::now_v7(),
        tenant_id: gate.tenant()?,
        consent_id,
        request: key,
        reason,
        traceparent: crate::telemetry::traceparent(),
        delivery_attempts_max: house.delivery_attempts_max,
        now: request::now(),
    };
    match house.store.revoke_consent(&wish).await? {
        ConsentRevoked::Done => {
            info!(%consent_id, "consent ended by hand");
            house.hints.there_is_work("delivery/");
        }
        ConsentRevoked::Before => {}
        ConsentRevoked::OtherBody => return Err(ApiError::RequestIdReused),
        ConsentRevoked::NotFound => return Err(ApiError::NotFound("CONSENT")),
        ConsentRevoked::HasEnded(status) => return Err(ApiError::ConsentEnded(status)),
    }
    let consent = found(gate, consent_id).await?;
    Ok(proto::RevokeConsentResponse { consent: Some(convert::consent(&consent)) })
}

/// A tenant's consent, or that there is none.
async fn found(gate: &Gate, id: ConsentId) -> Result<Consent, ApiError> {
    let found = gate.house()?.store.consent(&gate.tenant()?, id).await?;
    found.ok_or(ApiError::NotFound("CONSENT"))
}
