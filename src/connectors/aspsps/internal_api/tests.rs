//! What the internal service is asked, and what its answers mean, on loopback.

use super::*;
use crate::connectors::aspsps::testing::{Bank, Said, said};
use crate::connectors::http::HttpUrl;
use crate::connectors::scripted::SecretFile;
use crate::connectors::secret::SecretRef;

fn config(bank: &Bank) -> InternalApiConfig {
    InternalApiConfig {
        base_url: Some(HttpUrl::parse(&format!("http://{}/api/", bank.address)).unwrap()),
        user_parameter: "userId".to_owned(),
        ..InternalApiConfig::default()
    }
}

async fn refresh(config: InternalApiConfig, user: &str) -> Told<()> {
    InternalApi::new(config, &HttpConfig::default()).unwrap().refresh_active_accounts(user).await
}

#[tokio::test]
async fn the_route_of_the_replaced_scheduler_is_taken() {
    let bank = Bank::saying(said(200, "[]")).await;
    let secret = SecretFile::new("Bearer t");
    let mut config = config(&bank);
    config.authorization = Some(SecretRef::parse(&secret.reference()).unwrap());
    config.user_header = "X-User".to_owned();
    let told = refresh(config, "a b&c").await;
    assert_eq!(told.outcome, Ok(()));
    assert_eq!(
        (told.call.operation, told.call.method),
        (Operation::RefreshActiveAccounts, "GET bankaccount")
    );
    let seen = bank.only();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", "/api/bankaccount"));
    assert_eq!(seen.query, "RefreshActiveAccounts=true&userId=a+b%26c");
    assert_eq!((seen.header("authorization"), seen.header("x-user")), ("Bearer t", "a b&c"));
    assert_eq!(seen.header("x-request-id"), told.call.request_id.to_string());
    assert!(!seen.headers.keys().any(|name| name.as_str().starts_with("psu-")));
}

#[tokio::test]
async fn its_answers_mean_what_their_statuses_say() {
    let kind = |answer: Said| async move {
        let bank = Bank::saying(answer).await;
        let error = refresh(config(&bank), "u").await.outcome.unwrap_err();
        (error.kind(), error.retry_after().map(|wait| wait.as_secs()))
    };
    assert_eq!(kind(said(404, "")).await, ("not_found", None));
    assert_eq!(kind(said(401, "")).await, ("unauthorised", None));
    assert_eq!(kind(said(429, "").with("retry-after", "9")).await, ("rate_limited", Some(9)));
    assert_eq!(kind(said(503, "").with("retry-after", "9")).await, ("unavailable", Some(9)));
    assert_eq!(kind(said(302, "").with("location", "http://127.0.0.1:1/")).await, ("misconfigured", None));
}

#[tokio::test]
async fn nobody_in_particular_is_never_refreshed() {
    let bank = Bank::saying(said(200, "")).await;
    let nameless = InternalApiConfig { user_parameter: String::new(), ..config(&bank) };
    for (config, user, kind) in [
        (nameless, "u", "misconfigured"),
        (InternalApiConfig::default(), "u", "misconfigured"),
        (config(&bank), " ", "unsupported"),
    ] {
        let told = refresh(config, user).await;
        assert!(!told.call.may_have_been_sent);
        assert_eq!(told.outcome.unwrap_err().kind(), kind);
    }
    assert!(bank.seen().is_empty());
}
