//! Signing, redirects and answers, against a server on loopback.

use serde_json::json;

use super::super::config::FirebaseCredentials;
use super::super::testing::{TokenDoor, settings};
use super::*;
use crate::connectors::http::HttpConfig;
use crate::connectors::scripted::{Reply, Scripted, SecretFile, hanging_up, nobody, reply, reply_with};
use crate::connectors::secret::SecretRef;

fn client(config: FirebaseRtdbConfig) -> Client {
    let database = config.database_url.clone().unwrap();
    Client::new(Arc::new(config), database, HttpClient::trusted(&HttpConfig::default()).unwrap())
}

fn moved(to: String) -> Reply {
    reply_with(307, "location", to)
}

#[tokio::test]
async fn a_call_names_its_node_and_is_signed() {
    let server = Scripted::start(|_| reply(200, r#"{"a":1}"#)).await;
    let client = client(settings(server.address));
    assert_eq!(client.read("Encuestas/-N a/cuestionario").await.unwrap(), json!({"a": 1}));
    client.patch(&json!({"a/b": null})).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].path, "/Encuestas/-N%20a/cuestionario.json");
    assert_eq!((seen[0].query.as_str(), seen[0].header("authorization")), ("ns=demo", "Bearer owner"));
    assert_eq!((seen[1].method.as_str(), seen[1].path.as_str()), ("PATCH", "/.json"));
    assert_eq!((seen[1].json(), seen[1].header("content-type")), (json!({"a/b": null}), "application/json"));
}

#[tokio::test]
async fn a_redirect_to_a_listed_host_takes_the_signature_along() {
    let target = Scripted::start(|seen| reply(200, json!(seen.header("authorization")).to_string())).await;
    let location = target.url("/x.json?ns=demo&s=1");
    let server = Scripted::start(move |_| moved(location.clone())).await;
    let mut config = settings(server.address);
    config.redirect_hosts = vec![target.address.to_string()];
    assert_eq!(client(config).read("Transfer/a").await.unwrap(), json!("Bearer owner"));
    assert_eq!((target.seen()[0].path.as_str(), target.seen()[0].query.as_str()), ("/x.json", "ns=demo&s=1"));
}

#[tokio::test]
async fn a_redirect_to_a_foreign_host_sends_nothing_there() {
    let target = Scripted::start(|_| reply(200, "1")).await;
    let location = target.url("/x.json");
    let server = Scripted::start(move |_| moved(location.clone())).await;
    let client = client(settings(server.address));
    let error = client.read("Transfer/a").await.unwrap_err();
    assert!(matches!(&error, FeedError::Refused { reason } if reason.contains("127.0.0.1")), "{error}");
    let written = client.patch(&json!({"a": 1})).await;
    assert!(matches!(written, Err(FeedError::Refused { .. })));
    assert!(target.seen().is_empty());
}

#[tokio::test]
async fn redirects_have_an_end_and_a_write_stays_one() {
    let server = Scripted::start(|_| moved("/again.json".to_owned())).await;
    let error = client(settings(server.address)).read("a").await.unwrap_err();
    assert!(matches!(&error, FeedError::Refused { reason } if reason.contains("more than 5")), "{error}");
    assert_eq!(server.seen().len(), HOPS_MAX + 1);

    let server =
        Scripted::start(
            |seen| if seen.path == "/.json" { moved("/b.json".to_owned()) } else { reply(204, "") },
        )
        .await;
    client(settings(server.address)).patch(&json!({"a": 1})).await.unwrap();
    let seen = &server.seen()[1];
    assert_eq!(
        (seen.method.as_str(), seen.path.as_str(), seen.json()),
        ("PATCH", "/b.json", json!({"a": 1}))
    );
}

#[tokio::test]
async fn an_old_secret_travels_in_the_query_and_shows_nowhere() {
    let server = Scripted::start(|seen| match seen.path.as_str() {
        "/a.json" => moved(format!("/b.json?{}", seen.query)),
        "/c.json" => moved("/b.json".to_owned()),
        _ => reply(400, r#"{"error":"no"}"#),
    })
    .await;
    let file = SecretFile::new("olds3cret");
    let legacy_secret = Some(SecretRef::parse(&file.reference()).unwrap());
    let credentials = FirebaseCredentials { legacy_secret, ..FirebaseCredentials::default() };
    let client = client(FirebaseRtdbConfig { credentials, ..settings(server.address) });
    for path in ["a", "c"] {
        let error = client.read(path).await.unwrap_err();
        assert!(!format!("{error} {error:?} {client:?}").contains("olds3cret"));
    }
    let queries: Vec<String> = server.seen().into_iter().map(|seen| seen.query).collect();
    assert_eq!(
        queries,
        ["ns=demo&auth=olds3cret", "ns=demo&auth=olds3cret", "ns=demo&auth=olds3cret", "auth=olds3cret"]
    );
    assert!(server.seen().iter().all(|seen| seen.header("authorization").is_empty()));
}

#[tokio::test]
async fn a_token_that_is_no_longer_taken_is_replaced_once() {
    let door = TokenDoor::start(3_600).await;
    let server = Scripted::start(|seen| match seen.header("authorization") {
        "Bearer token-1" => reply(200, "7"),
        _ => reply(401, r#"{"error":"Unauthorized request."}"#),
    })
    .await;
    let with_door =
        client(FirebaseRtdbConfig { credentials: door.credentials(), ..settings(server.address) });
    assert_eq!(with_door.read("a").await.unwrap(), json!(7));
    assert_eq!((server.seen().len(), door.server.seen().len()), (2, 2));

    let closed = Scripted::start(|_| reply(401, r#"{"error":"Permission denied"}"#)).await;
    let with_door =
        client(FirebaseRtdbConfig { credentials: door.credentials(), ..settings(closed.address) });
    assert!(matches!(with_door.read("a").await, Err(FeedError::SignedOut { .. })));
    assert_eq!(closed.seen().len(), 2, "a third try would not help");
    let as_owner = client(settings(closed.address));
    assert!(matches!(as_owner.read("a").await, Err(FeedError::SignedOut { .. })));
    assert_eq!(closed.seen().len(), 3, "there is no other token to be had");
}

#[tokio::test]
async fn a_lost_write_is_unknown_and_a_lost_read_is_not() {
    let lost = client(settings(hanging_up().await));
    assert!(matches!(lost.read("a").await, Err(FeedError::Unavailable { .. })));
    assert!(matches!(lost.patch(&json!({"a": 1})).await, Err(FeedError::OutcomeUnknown { .. })));
    let away = client(settings(nobody().await));
    assert!(matches!(away.patch(&json!({"a": 1})).await, Err(FeedError::Unavailable { .. })));
    let silent = Scripted::start(|_| Reply::Hang).await;
    let mut config = settings(silent.address);
    config.timeout = std::time::Duration::from_millis(30);
    let silent = client(config);
    assert!(matches!(silent.patch(&json!({"a": 1})).await, Err(FeedError::OutcomeUnknown { .. })));
}

#[tokio::test]
async fn an_answer_has_a_limit_and_a_stream_is_a_stream() {
    let server = Scripted::start(|_| reply(200, format!("\"{}\"", "x".repeat(100)))).await;
    let mut config = settings(server.address);
    config.answer_bytes_max = 64;
    assert_eq!(client(config).read("a").await, Err(FeedError::TooLarge { limit_bytes: 64 }));
    let error = client(settings(server.address)).stream(Call::get("Transfer")).await.unwrap_err();
    assert!(
        matches!(&error, FeedError::Unavailable { reason, .. } if reason.contains("no stream")),
        "{error}"
    );
    assert_eq!(server.seen()[1].header("accept"), "text/event-stream");
}
