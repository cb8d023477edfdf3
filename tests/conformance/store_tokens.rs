//! Tokens in the store: what is kept of them, whom they are shown to, and that a revocation is seen by whoever counts.

use bursar::domain::ids::TenantId;
use bursar::domain::token::{ApiToken, TokenPrefix};
use bursar::store::Store;
use bursar::store::api_token::{StoredToken, TokenRevocation, TokenRevoked};
use chrono::TimeDelta;
use uuid::Uuid;

use crate::callers;
use crate::on_both_databases;
use crate::support::database::{Kind, TestDatabase};

on_both_databases!(
    a_token_is_found_by_its_prefix_and_its_secret_is_not_kept,
    tokens_are_listed_newest_first_and_by_tenant,
    a_revocation_counts_once_and_only_for_its_tenant,
    the_last_use_is_kept,
);

async fn find(store: &Store, token: &ApiToken) -> StoredToken {
    store.find_api_token(token.prefix()).await.expect("an answer").token.expect("a token")
}

fn revocation(store: &Store, token: &ApiToken, tenant: Option<&str>) -> TokenRevocation {
    TokenRevocation {
        id: Uuid::now_v7(),
        tenant_id: tenant.map(|tenant| TenantId::parse(tenant).expect("a tenant")),
        prefix: token.prefix().clone(),
        reason: "it has leaked".to_owned(),
        traceparent: None,
        now: store.now(),
    }
}

async fn a_token_is_found_by_its_prefix_and_its_secret_is_not_kept(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let token = callers::make(&store, "elsewhere", "boleto.write pii.read", TimeDelta::hours(1)).await;
    let found = find(&store, &token).await;
    assert!(found.secret_hash.is(&token.hash()) && found.holds(store.now()));
    assert!(!found.holds(store.now() + TimeDelta::hours(2)), "it ends");
    assert_eq!(
        (found.tenant_id.as_str(), found.scopes.to_string().as_str()),
        ("elsewhere", "boleto.write pii.read")
    );
    let nobody = TokenPrefix::parse("000000000000").expect("a prefix");
    assert!(store.find_api_token(&nobody).await.expect("an answer").token.is_none());
    store.close().await.expect("it closes");
    let text = token.reveal();
    let secret = text.rsplit('_').next().expect("a secret");
    let rows = database.everything().await;
    assert!(rows.iter().any(|row| row.contains(token.prefix().as_str())), "the prefix is kept");
    assert!(rows.iter().all(|row| !row.to_lowercase().contains(secret)), "the secret is not");
}

async fn tokens_are_listed_newest_first_and_by_tenant(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let mut made = Vec::new();
    for tenant in ["default", "elsewhere", "default"] {
        made.push(callers::make(&store, tenant, "admin", TimeDelta::hours(1)).await.prefix().clone());
    }
    let prefixes = |found: Vec<StoredToken>| found.into_iter().map(|token| token.prefix).collect::<Vec<_>>();
    let all = store.api_tokens(None, None, 10).await.expect("a list");
    let second = all[1].id;
    assert_eq!(prefixes(all), [made[2].clone(), made[1].clone(), made[0].clone()]);
    let rest = store.api_tokens(None, Some(second), 10).await.expect("a list");
    assert_eq!(prefixes(rest), [made[0].clone()]);
    let own = store.api_tokens(Some(&TenantId::default()), None, 1).await.expect("a list");
    assert_eq!(prefixes(own), [made[2].clone()]);
    store.close().await.expect("it closes");
}

async fn a_revocation_counts_once_and_only_for_its_tenant(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let token = callers::make(&store, "elsewhere", "admin", TimeDelta::hours(1)).await;
    assert_eq!(store.access_revision().await.expect("a count"), 0);
    for tenant in [Some("default"), Some("nowhere")] {
        let strangers = store.revoke_api_token(&revocation(&store, &token, tenant)).await.expect("an answer");
        assert!(matches!(strangers, TokenRevoked::NotFound), "{strangers:?}");
    }
    assert!(find(&store, &token).await.holds(store.now()));
    assert_eq!(store.access_revision().await.expect("a count"), 0);
    for tenant in [Some("elsewhere"), None] {
        let revoked = store.revoke_api_token(&revocation(&store, &token, tenant)).await.expect("an answer");
        assert!(matches!(revoked, TokenRevoked::Done(token) if token.revoked_at.is_some()));
        assert_eq!(store.access_revision().await.expect("a count"), 1, "once");
    }
    let found = store.find_api_token(token.prefix()).await.expect("an answer");
    assert_eq!(found.revision, 1);
    assert!(found.token.is_some_and(|token| !token.holds(store.now())));
    let methods = database.texts("select method as text from audit order by at_us, method").await;
    assert_eq!(methods, ["CreateToken", "RevokeToken"], "each deed once");
    store.close().await.expect("it closes");
}

async fn the_last_use_is_kept(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let one = callers::make(&store, "default", "admin", TimeDelta::hours(1)).await;
    let other = callers::make(&store, "default", "admin", TimeDelta::hours(1)).await;
    let id = find(&store, &one).await.id;
    let at = store.now();
    store.note_token_uses(&[]).await.expect("nothing to write");
    store.note_token_uses(&[(id, at)]).await.expect("written");
    assert_eq!(
        find(&store, &one).await.last_used_at.map(|at| at.timestamp_micros()),
        Some(at.timestamp_micros())
    );
    assert_eq!(find(&store, &other).await.last_used_at, None);
    store.close().await.expect("it closes");
}
