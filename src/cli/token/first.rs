//! The first token of a house: made in the store, for there is nobody yet whom the service would let make one.
//!
//! **Owns** the open store while it works. **Fails** as `bursar store` does; an address may hold a password and is not said back.
//! **Limits**: a lifetime of 1 minute to ten years, 90 days when nobody says.

use std::time::Duration;

use tonic::Code;
use uuid::Uuid;

use crate::access::mint;
use crate::caller::{self, CONSOLE, Caller};
use crate::cli::failure::{Failure, Violation};
use crate::cli::store::opening;
use crate::domain::access::{Scope, Scopes};
use crate::domain::ids::TenantId;
use crate::proto::access::v1::{Token, token::State};
use crate::store::api_token::TokenDraft;
use crate::store::{Store, StoreConfig};

const LIFETIME: Duration = Duration::from_secs(90 * 24 * 60 * 60);
const LIFETIME_MIN: Duration = Duration::from_secs(60);
const LIFETIME_MAX: Duration = Duration::from_secs(3_650 * 24 * 60 * 60);
const TEXT_CHARS_MAX: usize = 100;
const REASON_CHARS_MAX: usize = 255;
/// One that writes, one that reads.
const CONNECTIONS: u32 = 2;

/// What is asked for.
pub(super) struct Asked {
    pub url: String,
    pub name: String,
    pub scopes: Vec<Scope>,
    pub lifetime: Option<Duration>,
    /// Empty for the one that there is from the start.
    pub tenant: String,
    pub reason: String,
}

/// Makes the token.
pub(super) async fn create(asked: Asked, timeout: Duration) -> Result<(Token, String), Failure> {
    let (tenant_id, lifetime) = checked(&asked)?;
    let scopes: Scopes = asked.scopes.into_iter().collect();
    let token = mint::token().map_err(|error| Failure::found(Code::Internal, error))?;
    let config = StoreConfig { url: asked.url, connections_max: CONNECTIONS, timeout };
    let store = Store::open(&config).await.map_err(|error| opening(&error))?;
    let now = store.now();
    let draft = TokenDraft {
        id: Uuid::now_v7(),
        tenant_id,
        prefix: token.prefix().clone(),
        secret_hash: token.hash(),
        name: asked.name,
        scopes,
        created_by: CONSOLE.to_owned(),
        expires_at: now + lifetime,
        reason: asked.reason,
        traceparent: None,
        now,
    };
    let console = Caller::console(TenantId::default());
    let made = caller::within(console, store.create_api_token(&draft)).await;
    let closed = store.close().await;
    made.and(closed).map_err(|error| Failure::found(Code::Unavailable, error.to_string()))?;
    let time = |at: chrono::DateTime<chrono::Utc>| prost_types::Timestamp {
        seconds: at.timestamp(),
        nanos: i32::try_from(at.timestamp_subsec_nanos()).unwrap_or_default(),
    };
    let shown = Token {
        prefix: draft.prefix.to_string(),
        tenant_id: draft.tenant_id.to_string(),
        name: draft.name,
        scopes: scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
        state: State::Active.into(),
        create_time: Some(time(now)),
        created_by: draft.created_by,
        expire_time: Some(time(draft.expires_at)),
        revoke_time: None,
        last_use_time: None,
    };
    Ok((shown, token.reveal()))
}

/// Every rule that is broken, at once.
fn checked(asked: &Asked) -> Result<(TenantId, Duration), Failure> {
    let mut violations = Vec::new();
    let mut refuse = |field: &str, description: String| {
        violations.push(Violation { field: field.to_owned(), description });
    };
    for (field, text, chars_max) in
        [("name", &asked.name, TEXT_CHARS_MAX), ("reason", &asked.reason, REASON_CHARS_MAX)]
    {
        if text.trim().is_empty() || text.chars().count() > chars_max || text.chars().any(char::is_control) {
            refuse(field, format!("1 to {chars_max} characters"));
        }
    }
    let tenant = match asked.tenant.as_str() {
        "" => Ok(TenantId::default()),
        text => TenantId::parse(text),
    };
    if let Err(error) = &tenant {
        refuse("tenant", error.to_string());
    }
    let lifetime = asked.lifetime.unwrap_or(LIFETIME);
    if !(LIFETIME_MIN..=LIFETIME_MAX).contains(&lifetime) {
        refuse("lifetime", "from 1m to 10years".to_owned());
    }
    match tenant {
        Ok(tenant) if violations.is_empty() => Ok((tenant, lifetime)),
        _ => Err(Failure::violated(Code::InvalidArgument, "the token cannot be made", violations)),
    }
}
