//! What is signed, how long a token is used, and what a refusal means.

use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

use super::super::test_key;
use super::super::testing::{TokenDoor, settings};
use super::*;
use crate::connectors::http::HttpConfig;
use crate::connectors::scripted::{SecretFile, nobody, reply, reply_with};

fn tokens(credentials: super::super::config::FirebaseCredentials) -> Tokens {
    let config = FirebaseRtdbConfig { credentials, ..settings("127.0.0.1:9".parse().unwrap()) };
    Tokens::new(Arc::new(config), HttpClient::trusted(&HttpConfig::default()).unwrap())
}

async fn bearer(tokens: &Tokens) -> Result<String, FeedError> {
    match tokens.pass().await? {
        Pass::Bearer(token) => Ok(token.secret.expose_secret().to_owned()),
        Pass::Query(_) => panic!("a token was asked for"),
    }
}

#[test]
fn the_statement_says_who_we_are_and_is_signed() {
    let account = ServiceAccount::read(&test_key::file("https://token.example/token")).unwrap();
    let now = DateTime::from_timestamp(1_768_472_430, 0).unwrap();
    let statement = statement(&account, now).unwrap();
    let parts: Vec<&str> = statement.expose_secret().split('.').collect();
    let read = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    assert_eq!(read(parts[0]), json!({"alg": "RS256", "typ": "JWT", "kid": "key-of-the-tests"}));
    assert_eq!(
        read(parts[1]),
        json!({
            "iss": test_key::EMAIL, "scope": SCOPES, "aud": "https://token.example/token",
            "iat": 1_768_472_430, "exp": 1_768_476_030,
        })
    );
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, account.public_key());
    let signed = format!("{}.{}", parts[0], parts[1]);
    assert!(public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(parts[2]).unwrap()).is_ok());
}

#[test]
fn a_token_is_renewed_before_its_end_but_not_before_half_of_its_life() {
    let minutes = Duration::from_mins;
    assert_eq!(usable_for(minutes(60), minutes(10), 0.0), minutes(50));
    assert_eq!(usable_for(minutes(60), minutes(10), 1.0), minutes(48));
    assert_eq!(usable_for(minutes(8), minutes(10), 0.7), minutes(4));
    assert_eq!(usable_for(Duration::ZERO, minutes(10), 0.5), Duration::ZERO);
}

#[tokio::test]
async fn a_token_is_asked_for_once_by_many_and_again_when_its_time_comes() {
    let door = TokenDoor::start(3_600).await;
    let tokens = Arc::new(tokens(door.credentials()));
    let many: Vec<_> = (0..20)
        .map(|_| {
            let tokens = Arc::clone(&tokens);
            tokio::spawn(async move { bearer(&tokens).await.unwrap() })
        })
        .collect();
    for one in many {
        assert_eq!(one.await.unwrap(), "token-0");
    }
    let asked = door.server.seen();
    assert_eq!((asked.len(), asked[0].path.as_str()), (1, "/token"));
    assert!(
        asked[0]
            .body
            .starts_with("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=ey")
    );

    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(51)).await;
    tokio::time::resume();
    assert_eq!(bearer(&tokens).await.unwrap(), "token-1");

    let stale = tokens.pass().await.unwrap();
    assert!(tokens.forget(&stale).await);
    assert_eq!(bearer(&tokens).await.unwrap(), "token-2");
    // News about an older token does not cost us the newer one.
    tokens.forget(&stale).await;
    assert_eq!(bearer(&tokens).await.unwrap(), "token-2");
    assert!(!format!("{tokens:?} {stale:?}").contains("token-"));
}

#[tokio::test]
async fn while_no_other_one_can_be_had_a_token_is_used_until_shortly_before_its_end() {
    let asked = std::sync::atomic::AtomicU32::new(0);
    let door = TokenDoor::answering(move |_| match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => reply(200, r#"{"access_token":"token-0","expires_in":3600}"#),
        _ => reply(503, ""),
    })
    .await;
    let tokens = tokens(door.credentials());
    let after = async |minutes| {
        tokio::time::pause();
        tokio::time::advance(Duration::from_mins(minutes)).await;
        tokio::time::resume();
        bearer(&tokens).await
    };
    assert_eq!(after(0).await.as_deref(), Ok("token-0"));
    assert_eq!(after(51).await.as_deref(), Ok("token-0"));
    // Not everybody who comes asks again.
    assert_eq!((after(1).await.as_deref(), door.server.seen().len()), (Ok("token-0"), 2));
    assert_eq!((after(4).await.as_deref(), door.server.seen().len()), (Ok("token-0"), 3));
    assert!(matches!(after(4).await, Err(FeedError::Unavailable { .. })));
}

#[tokio::test]
async fn a_refused_sign_in_says_its_code_alone() {
    let body = r#"{"error":"invalid_grant","error_description":"Invalid JWT ey123"}"#;
    let door = TokenDoor::answering(move |_| reply(400, body)).await;
    let error = bearer(&tokens(door.credentials())).await.unwrap_err();
    assert_eq!(error, FeedError::SignedOut { reason: "sign-in refused: invalid_grant".to_owned() });

    let busy = TokenDoor::answering(|_| reply_with(503, "retry-after", "9")).await;
    let error = bearer(&tokens(busy.credentials())).await.unwrap_err();
    assert!(
        matches!(error, FeedError::Unavailable { retry_after: Some(wait), .. } if wait.as_secs() == 9),
        "{error}"
    );

    let odd = TokenDoor::answering(|_| reply(200, "<html>")).await;
    assert!(matches!(bearer(&tokens(odd.credentials())).await, Err(FeedError::Unavailable { .. })));
    let nowhere = TokenDoor::answering(|_| reply(404, "")).await;
    assert!(matches!(bearer(&tokens(nowhere.credentials())).await, Err(FeedError::Misconfigured { .. })));
}

#[tokio::test]
async fn a_key_is_sent_nowhere_without_tls_and_a_missing_one_is_named() {
    let with_key = |text: &str| {
        let file = SecretFile::new(text);
        let service_account = Some(SecretRef::parse(&file.reference()).unwrap());
        (tokens(super::super::config::FirebaseCredentials { service_account, ..Default::default() }), file)
    };
    for plain in ["http://token.example/token", "nowhere", "ftp://127.0.0.1/"] {
        let (tokens, _file) = with_key(&test_key::file(plain));
        let error = bearer(&tokens).await.unwrap_err();
        assert!(
            matches!(&error, FeedError::Misconfigured { reason } if reason.contains("token_uri")),
            "{error}"
        );
    }
    let (tokens, _file) = with_key(&test_key::file(&format!("http://{}/", nobody().await)));
    assert!(matches!(bearer(&tokens).await, Err(FeedError::Unavailable { .. })));
    let (tokens, file) = with_key("{}");
    assert!(matches!(bearer(&tokens).await, Err(FeedError::Misconfigured { .. })));
    drop(file);
    let error = bearer(&tokens).await.unwrap_err();
    assert!(
        matches!(&error, FeedError::Misconfigured { reason } if reason.contains("cannot be read")),
        "{error}"
    );
}
