//! Callers with tokens of their own, made in the store while no house is open on it.

use bursar::access::mint;
use bursar::domain::ids::TenantId;
use bursar::domain::token::ApiToken;
use bursar::proto::access::v1::RevokeTokenRequest;
use bursar::proto::access::v1::token_service_client::TokenServiceClient;
use bursar::store::Store;
use bursar::store::api_token::{TokenDraft, TokenRevocation};
use chrono::TimeDelta;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};
use uuid::Uuid;

/// Makes a token that ends so long from now; one in the past has ended.
pub async fn make(store: &Store, tenant: &str, scopes: &str, holds_for: TimeDelta) -> ApiToken {
    let token = mint::token().expect("random bits");
    let now = store.now();
    let draft = TokenDraft {
        id: Uuid::now_v7(),
        tenant_id: TenantId::parse(tenant).expect("a tenant"),
        prefix: token.prefix().clone(),
        secret_hash: token.hash(),
        name: "a test".to_owned(),
        scopes: scopes.parse().expect("scopes"),
        created_by: "a test".to_owned(),
        expires_at: now + holds_for,
        reason: "a test".to_owned(),
        traceparent: None,
        now,
    };
    store.create_api_token(&draft).await.expect("a token");
    token
}

/// Closes a store, and lets a house have it: one that is embedded is held for as long as anybody has it in hand.
pub async fn leave(store: Store) {
    store.close().await.expect("the store closes");
}

/// Has a token open nothing more.
pub async fn revoke(store: &Store, token: &ApiToken) {
    let revocation = TokenRevocation {
        id: Uuid::now_v7(),
        tenant_id: None,
        prefix: token.prefix().clone(),
        reason: "a test".to_owned(),
        traceparent: None,
        now: store.now(),
    };
    store.revoke_api_token(&revocation).await.expect("revoked");
}

/// Has a house let nobody in any more who shows this token, by an administrator's word.
pub async fn ends(house: Channel, admin: &ApiToken, token: &ApiToken) {
    let way = InterceptedService::new(house, Showing::token(admin));
    let revoke = RevokeTokenRequest { prefix: token.prefix().to_string(), reason: "a test".to_owned() };
    TokenServiceClient::new(way).revoke_token(revoke).await.expect("revoked");
}

/// Shows a token with every call.
#[derive(Clone)]
pub struct Showing(Option<MetadataValue<Ascii>>);

impl Showing {
    /// This text, whether it is a token or not.
    pub fn text(text: &str) -> Self {
        Self(Some(format!("Bearer {text}").parse().expect("visible text")))
    }

    pub fn token(token: &ApiToken) -> Self {
        Self::text(&token.reveal())
    }

    pub fn nothing() -> Self {
        Self(None)
    }

    /// The value of `authorization`, if there is any.
    pub fn value(&self) -> Option<MetadataValue<Ascii>> {
        self.0.clone()
    }
}

impl Interceptor for Showing {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = self.value() {
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }
}
