//! `CreateDocumentLink` and `RevokeDocumentLinks`: addresses by which a payer without an account of ours sees a boleto.
//!
//! **Owns** nothing: the token is told in the answer and kept nowhere. **Fails** with every violation at once, and with
//! `DOCUMENT_LINKS_DISABLED` where links are off; what there is may be revoked even then.
//! **Limits**: a link holds for `documents.links.lifetime_max` at most. A request that is repeated gets its link again, and
//! not its address: who lost that asks for another.

use std::time::Duration;

use rand::TryRng as _;
use rand::rngs::SysRng;
use uuid::Uuid;

use super::convert::timestamp;
use super::gate::Gate;
use super::request;
use super::status::ApiError;
use crate::domain::document_link::{LinkFormat, Token};
use crate::domain::ids::BoletoId;
use crate::domain::violation::Violation;
use crate::messages::document_links::LinkTerms;
use crate::proto::boleto::v1 as proto;
use crate::store::document_link::{DocumentLink, LinkDraft, LinkMade, LinksRevoked, Revocation};

const CREATE: &str = "CreateDocumentLink";
const REVOKE: &str = "RevokeDocumentLinks";
const LIFETIME_MIN: Duration = Duration::from_secs(1);

pub(super) async fn create(
    gate: &Gate,
    mut request: proto::CreateDocumentLinkRequest,
) -> Result<proto::CreateDocumentLinkResponse, ApiError> {
    let house = gate.house_for_change()?;
    let terms = house.links.as_ref().ok_or(ApiError::DocumentLinksDisabled)?;
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(&gate.tenant()?, CREATE, &request_id, &request, &mut violations);
    let format = format(request.format, &mut violations);
    let lifetime = lifetime(request.lifetime.as_ref(), terms, &mut violations);
    let id: Option<BoletoId> = request.id.parse().ok();
    if id.is_none() {
        violations.push(Violation::new("id", "must be a UUID"));
    }
    let Some(boleto_id) = id.filter(|_| violations.is_empty()) else {
        return Err(ApiError::Invalid(violations));
    };
    let token = token()?;
    // A link ends by the store's clock, and so it begins by it.
    let now = house.store.now();
    let draft = LinkDraft {
        id: Uuid::now_v7(),
        tenant_id: gate.tenant()?,
        boleto_id,
        token_hash: token.hash(),
        format,
        created_at: now,
        expires_at: now + lifetime,
        request: key,
    };
    match house.store.create_document_link(&draft).await? {
        LinkMade::New(link) => Ok(proto::CreateDocumentLinkResponse {
            link: Some(to_proto(&link)),
            url: terms.url(&token, format),
        }),
        LinkMade::Before(link) => {
            Ok(proto::CreateDocumentLinkResponse { link: Some(to_proto(&link)), url: String::new() })
        }
        LinkMade::OtherBody => Err(ApiError::RequestIdReused),
        LinkMade::NotFound => Err(ApiError::NotFound("BOLETO")),
    }
}

pub(super) async fn revoke(
    gate: &Gate,
    mut request: proto::RevokeDocumentLinksRequest,
) -> Result<proto::RevokeDocumentLinksResponse, ApiError> {
    let house = gate.house_for_change()?;
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(&gate.tenant()?, REVOKE, &request_id, &request, &mut violations);
    let id: Option<BoletoId> = request.id.parse().ok();
    if id.is_none() {
        violations.push(Violation::new("id", "must be a UUID"));
    }
    let Some(boleto_id) = id.filter(|_| violations.is_empty()) else {
        return Err(ApiError::Invalid(violations));
    };
    let revocation = Revocation {
        id: Uuid::now_v7(),
        tenant_id: gate.tenant()?,
        boleto_id,
        request: key,
        now: house.store.now(),
    };
    match house.store.revoke_document_links(&revocation).await? {
        LinksRevoked::Done(links) => Ok(proto::RevokeDocumentLinksResponse {
            // More than that fit into no database.
            revoked: i64::try_from(links).unwrap_or(i64::MAX),
        }),
        LinksRevoked::OtherBody => Err(ApiError::RequestIdReused),
        LinksRevoked::NotFound => Err(ApiError::NotFound("BOLETO")),
    }
}

/// A token of 256 bits that the system itself vouches for.
fn token() -> Result<Token, ApiError> {
    let mut bits = [0; 32];
    SysRng
        .try_fill_bytes(&mut bits)
        .map_err(|error| ApiError::Internal(format!("the system gives no random bits: {error}")))?;
    Ok(Token::of_bits(bits))
}

/// The format that is meant; none for all of them.
fn format(number: i32, violations: &mut Vec<Violation>) -> Option<LinkFormat> {
    match proto::DocumentFormat::try_from(number) {
        Ok(proto::DocumentFormat::Unspecified) => None,
        Ok(proto::DocumentFormat::Pdf) => Some(LinkFormat::Pdf),
        Ok(proto::DocumentFormat::Png) => Some(LinkFormat::Png),
        Ok(proto::DocumentFormat::Svg) => Some(LinkFormat::Svg),
        Ok(proto::DocumentFormat::Html) => Some(LinkFormat::Html),
        Err(_) => {
            violations.push(Violation::new("format", "is no format"));
            None
        }
    }
}

fn lifetime(
    asked: Option<&prost_types::Duration>,
    terms: &LinkTerms,
    violations: &mut Vec<Violation>,
) -> Duration {
    let Some(asked) = asked else { return terms.lifetime };
    // One below zero is no span of time.
    let span = Duration::try_from(*asked).ok();
    if let Some(span) = span.filter(|span| (LIFETIME_MIN..=terms.lifetime_max).contains(span)) {
        return span;
    }
    let (least, most) =
        (humantime::format_duration(LIFETIME_MIN), humantime::format_duration(terms.lifetime_max));
    violations.push(Violation::new("lifetime", format!("from {least} to {most}")));
    terms.lifetime
}

fn to_proto(link: &DocumentLink) -> proto::DocumentLink {
    let format = match link.format {
        None => proto::DocumentFormat::Unspecified,
        Some(LinkFormat::Pdf) => proto::DocumentFormat::Pdf,
        Some(LinkFormat::Png) => proto::DocumentFormat::Png,
        Some(LinkFormat::Svg) => proto::DocumentFormat::Svg,
        Some(LinkFormat::Html) => proto::DocumentFormat::Html,
    };
    proto::DocumentLink {
        id: link.id.to_string(),
        boleto_id: link.boleto_id.to_string(),
        format: format.into(),
        create_time: Some(timestamp(link.created_at)),
        expire_time: Some(timestamp(link.expires_at)),
    }
}
