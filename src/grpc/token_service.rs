//! `TokenService`: makes, shows and revokes the tokens by which callers are known.
//!
//! **Owns** nothing: a secret is told in one answer and kept nowhere. **Fails** with every violation at once, with `SCOPE_MISSING` where
//! a caller would give away what they do not hold, and with `HOUSE_ONLY` where they reach for another tenant and are none of the
//! house's own. **Limits**: `access.lifetime_max`.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::boleto_service::split_page;
use super::convert::timestamp;
use super::gate::Gate;
use super::page_token;
use super::request;
use super::status::ApiError;
use crate::access::{Access, mint};
use crate::caller::{self, Caller};
use crate::domain::access::{Scope, Scopes};
use crate::domain::ids::TenantId;
use crate::domain::token::TokenPrefix;
use crate::domain::violation::Violation;
use crate::proto::access::v1 as proto;
use crate::proto::access::v1::token::State;
use crate::proto::access::v1::token_service_server::TokenService;
use crate::store::api_token::{StoredToken, TokenDraft, TokenRevocation, TokenRevoked};

const LIFETIME_MIN: Duration = Duration::from_secs(60);
const NAME_CHARS_MAX: usize = 100;

/// The service.
pub(super) struct Tokens {
    pub gate: Gate,
    pub access: Access,
}

#[tonic::async_trait]
impl TokenService for Tokens {
    async fn create_token(
        &self,
        request: Request<proto::CreateTokenRequest>,
    ) -> Result<Response<proto::CreateTokenResponse>, Status> {
        Ok(Response::new(self.create(request.into_inner()).await?))
    }

    async fn list_tokens(
        &self,
        request: Request<proto::ListTokensRequest>,
    ) -> Result<Response<proto::ListTokensResponse>, Status> {
        Ok(Response::new(self.list(request.into_inner()).await?))
    }

    async fn revoke_token(
        &self,
        request: Request<proto::RevokeTokenRequest>,
    ) -> Result<Response<proto::RevokeTokenResponse>, Status> {
        Ok(Response::new(self.revoke(request.into_inner()).await?))
    }
}

impl Tokens {
    async fn create(
        &self,
        request: proto::CreateTokenRequest,
    ) -> Result<proto::CreateTokenResponse, ApiError> {
        let store = &self.gate.house_for_change()?.store;
        let caller = asking()?;
        let mut violations = Vec::new();
        let name = request::optional_text("name", request.name, NAME_CHARS_MAX, &mut violations);
        if name.as_deref().is_none_or(|name| name.trim().is_empty()) {
            violations.push(Violation::new("name", "required"));
        }
        let reason = request::reason(request.reason, &mut violations);
        let scopes = scopes(&request.scopes, &mut violations);
        let lifetime = self.lifetime(request.lifetime.as_ref(), &mut violations);
        let tenant_id = tenant(&request.tenant_id, &mut violations).unwrap_or(caller.tenant_id.clone());
        if !violations.is_empty() {
            return Err(ApiError::Invalid(violations));
        }
        if let Some(scope) = scopes.iter().find(|scope| !caller.may(*scope)) {
            return Err(ApiError::ScopeMissing(scope));
        }
        if tenant_id != caller.tenant_id && !is_of_the_house(&caller) {
            return Err(ApiError::HouseOnly);
        }
        let token = mint::token().map_err(ApiError::Internal)?;
        // A token ends by the store's clock, and so it begins by it.
        let now = store.now();
        let draft = TokenDraft {
            id: Uuid::now_v7(),
            tenant_id,
            prefix: token.prefix().clone(),
            secret_hash: token.hash(),
            name: name.unwrap_or_default(),
            scopes,
            created_by: caller.name.clone(),
            expires_at: now + lifetime,
            reason,
            traceparent: crate::telemetry::traceparent(),
            now,
        };
        store.create_api_token(&draft).await?;
        let made = StoredToken {
            id: draft.id,
            tenant_id: draft.tenant_id,
            prefix: draft.prefix,
            secret_hash: draft.secret_hash,
            name: draft.name,
            scopes: draft.scopes,
            created_at: now,
            created_by: draft.created_by,
            expires_at: draft.expires_at,
            revoked_at: None,
            last_used_at: None,
        };
        Ok(proto::CreateTokenResponse { token: Some(to_proto(&made, now)), secret: token.reveal() })
    }

    async fn list(&self, request: proto::ListTokensRequest) -> Result<proto::ListTokensResponse, ApiError> {
        let store = &self.gate.house()?.store;
        let caller = asking()?;
        let mut violations = Vec::new();
        let asked = tenant(&request.tenant_id, &mut violations);
        if !violations.is_empty() {
            return Err(ApiError::Invalid(violations));
        }
        let of = match (asked, is_of_the_house(&caller)) {
            (asked, true) => asked,
            (None, false) => Some(caller.tenant_id.clone()),
            (Some(asked), false) if asked == caller.tenant_id => Some(asked),
            (Some(_), false) => return Err(ApiError::HouseOnly),
        };
        let size = self.gate.page_size(request.page_size)?;
        let filters = ("ListTokens", &of);
        let before = page_token::read(&filters, &request.page_token)?;
        let found = store.api_tokens(of.as_ref(), before, size + 1).await?;
        let (page, next_page_token) = split_page(&found, size, |token| token.id, &filters);
        let now = store.now();
        let tokens = page.iter().map(|token| to_proto(token, now)).collect();
        Ok(proto::ListTokensResponse { tokens, next_page_token })
    }

    async fn revoke(
        &self,
        request: proto::RevokeTokenRequest,
    ) -> Result<proto::RevokeTokenResponse, ApiError> {
        let store = &self.gate.house_for_change()?.store;
        let caller = asking()?;
        let mut violations = Vec::new();
        let reason = request::reason(request.reason, &mut violations);
        let prefix = TokenPrefix::parse(&request.prefix);
        if prefix.is_none() {
            violations.push(Violation::new("prefix", "must be 12 digits of 0-9 and a-f"));
        }
        let Some(prefix) = prefix.filter(|_| violations.is_empty()) else {
            return Err(ApiError::Invalid(violations));
        };
        let revocation = TokenRevocation {
            id: Uuid::now_v7(),
            tenant_id: (!is_of_the_house(&caller)).then(|| caller.tenant_id.clone()),
            prefix,
            reason,
            traceparent: crate::telemetry::traceparent(),
            now: store.now(),
        };
        match store.revoke_api_token(&revocation).await? {
            TokenRevoked::Done(token) => {
                self.access.tokens_changed();
                let token = Some(to_proto(&token, store.now()));
                Ok(proto::RevokeTokenResponse { token })
            }
            TokenRevoked::NotFound => Err(ApiError::NotFound("TOKEN")),
        }
    }

    fn lifetime(&self, asked: Option<&prost_types::Duration>, violations: &mut Vec<Violation>) -> Duration {
        let config = self.access.config();
        let Some(asked) = asked else { return config.lifetime };
        // One below zero is no span of time.
        let span = Duration::try_from(*asked).ok();
        if let Some(span) = span.filter(|span| (LIFETIME_MIN..=config.lifetime_max).contains(span)) {
            return span;
        }
        let (least, most) =
            (humantime::format_duration(LIFETIME_MIN), humantime::format_duration(config.lifetime_max));
        violations.push(Violation::new("lifetime", format!("from {least} to {most}")));
        config.lifetime
    }
}

/// Who asks; nothing is done for nobody.
fn asking() -> Result<Arc<Caller>, ApiError> {
    caller::current().ok_or_else(|| ApiError::Internal("a call without a caller".to_owned()))
}

/// Whether a caller may reach for other tenants' tokens.
fn is_of_the_house(caller: &Caller) -> bool {
    caller.tenant_id == TenantId::default()
}

fn tenant(text: &str, violations: &mut Vec<Violation>) -> Option<TenantId> {
    if text.is_empty() {
        return None;
    }
    let tenant = TenantId::parse(text).ok();
    if tenant.is_none() {
        violations.push(Violation::new("tenant_id", "1 to 63 characters of a-z, 0-9 and hyphen"));
    }
    tenant
}

fn scopes(names: &[String], violations: &mut Vec<Violation>) -> Scopes {
    if names.is_empty() {
        violations.push(Violation::new("scopes", "at least one"));
    }
    let mut known: Vec<Scope> = Vec::new();
    for (place, name) in names.iter().enumerate() {
        match name.parse() {
            Ok(scope) => known.push(scope),
            Err(_) => {
                let all = Scope::ALL.map(Scope::as_str).join(", ");
                violations.push(Violation::new(format!("scopes[{place}]"), format!("must be one of {all}")));
            }
        }
    }
    known.into_iter().collect()
}

fn to_proto(token: &StoredToken, now: DateTime<Utc>) -> proto::Token {
    let state = if token.revoked_at.is_some() {
        State::Revoked
    } else if token.holds(now) {
        State::Active
    } else {
        State::Expired
    };
    proto::Token {
        prefix: token.prefix.to_string(),
        tenant_id: token.tenant_id.to_string(),
        name: token.name.clone(),
        scopes: token.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
        state: state.into(),
        create_time: Some(timestamp(token.created_at)),
        created_by: token.created_by.clone(),
        expire_time: Some(timestamp(token.expires_at)),
        revoke_time: token.revoked_at.map(timestamp),
        last_use_time: token.last_used_at.map(timestamp),
    }
}
