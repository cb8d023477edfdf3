//! What a listener is told, whatever the stream does to us.

use serde_json::json;
use tokio::task::JoinHandle;

use super::super::config::Paging;
use super::super::testing::{DEADLINE, Step, TokenDoor, Wire, event, feed, opening, put, said, settings};
use super::*;
use crate::connectors::transfer_feeds::TransferFeed;

struct Listener {
    news: mpsc::Receiver<FeedNews>,
    task: JoinHandle<Result<(), FeedError>>,
    /// What was last said to be offered in all.
    records: usize,
}

impl Listener {
    fn of(config: FirebaseRtdbConfig, room: usize) -> Self {
        let (sender, news) = mpsc::channel(room);
        let feed = feed(config);
        Self { news, task: tokio::spawn(async move { feed.listen(sender).await }), records: 0 }
    }

    async fn next(&mut self) -> FeedNews {
        timeout(DEADLINE, self.news.recv()).await.expect("news in time").expect("a feed that goes on")
    }

    /// The keys that are told before everything has been told once.
    async fn snapshot(&mut self) -> Vec<String> {
        let mut keys = Vec::new();
        loop {
            match self.next().await {
                FeedNews::Offered(records) => {
                    keys.extend(records.iter().map(|record| record.key.to_string()))
                }
                FeedNews::Reconciled { records } => {
                    assert!(records >= keys.len());
                    self.records = records;
                    return keys;
                }
                FeedNews::Following | FeedNews::Lost { .. } => {}
                other => panic!("{other:?} before the snapshot"),
            }
        }
    }

    async fn lost(&mut self) -> String {
        loop {
            if let FeedNews::Lost { reason, .. } = self.next().await {
                return reason;
            }
        }
    }

    async fn stopped(self) -> FeedError {
        // The news that nobody takes any more must not keep it waiting.
        let mut news = self.news;
        let drain = tokio::spawn(async move { while news.recv().await.is_some() {} });
        let ended = timeout(DEADLINE, self.task).await.expect("an end in time").unwrap();
        drain.abort();
        ended.expect_err("the feed stopped by itself")
    }
}

fn key(text: &str) -> TransferKey {
    TransferKey::parse(text).unwrap()
}

fn pending(keys: &[&str]) -> Value {
    keys.iter()
        .map(|key| ((*key).to_owned(), json!({"processed": false})))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn stays(steps: &[Step]) -> Vec<Step> {
    [&[opening()], steps, &[Step::Hold]].concat()
}

fn query(head: &str) -> String {
    let target = head.split(' ').nth(1).unwrap();
    let url = reqwest::Url::parse(&format!("http://x{target}")).unwrap();
    url.query_pairs().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

#[tokio::test]
async fn a_snapshot_is_told_and_then_every_change() {
    let wire = Wire::start(|_, _| {
        stays(&[
            put("/", &pending(&["a", "b"])),
            event("keep-alive", "null"),
            event("unheard-of", "x"),
            event("unheard-of", "x"),
            event("patch", &json!({"path": "/", "data": {"a/visto": true, "c/visto": true}}).to_string()),
            put("/d", &json!({"processed": false, "resultado": ""})),
            put("/b", &Value::Null),
        ])
    })
    .await;
    let mut listener = Listener::of(settings(wire.address), 8);
    assert_eq!(listener.next().await, FeedNews::Following);
    assert_eq!(listener.snapshot().await, ["a", "b"]);
    assert_eq!(listener.next().await, FeedNews::Changed(key("a")));
    assert_eq!(listener.next().await, FeedNews::Changed(key("c")));
    let record = json!({"processed": false, "resultado": ""});
    assert_eq!(listener.next().await, FeedNews::Offered(vec![FeedRecord { key: key("d"), record }]));
    assert_eq!(listener.next().await, FeedNews::Left(key("b")));
    let head = &wire.heads()[0];
    assert!(head.starts_with("GET /Transfer.json?"), "{head}");
    assert_eq!(query(head), r#"ns=demo&orderBy="processed"&equalTo=false"#);
    assert!(
        head.contains("authorization: Bearer owner") && head.contains("accept: text/event-stream"),
        "{head}"
    );

    drop(listener.news);
    assert_eq!(timeout(DEADLINE, listener.task).await.expect("it ends with its listener").unwrap(), Ok(()));
}

#[tokio::test]
async fn a_stream_in_single_bytes_with_other_line_ends_is_the_same() {
    let text = "\u{feff}: hi\r\nevent: put\r\ndata: {\"path\":\"/\",\r\ndata: \"data\":{\"ação\":{\"processed\":false}}}\r\n\r\n";
    let wire = Wire::start(move |_, _| stays(&[Step::Spell(text.into())])).await;
    let mut listener = Listener::of(settings(wire.address), 8);
    assert_eq!(listener.snapshot().await, ["ação"]);
}

#[tokio::test]
async fn a_lost_stream_is_begun_anew_and_what_left_meanwhile_is_told() {
    let wire = Wire::start(|number, _| match number {
        0 => vec![opening(), put("/", &pending(&["a", "b"])), Step::Say(b"event: put\ndata: {\"pa".to_vec())],
        1 => vec![said("503 Service Unavailable", "")],
        2 => vec![said("200 OK", "<html>welcome</html>")],
        3 => vec![opening(), Step::Say(b"event: put\ndata: {\"path\":\n\n".to_vec()), Step::Hold],
        _ => stays(&[put("/", &pending(&["b", "c"]))]),
    })
    .await;
    let mut listener = Listener::of(settings(wire.address), 8);
    assert_eq!(listener.snapshot().await, ["a", "b"]);
    assert!(listener.lost().await.contains("the stream ended"));
    assert!(listener.lost().await.contains("503"));
    assert!(listener.lost().await.contains("no stream"));
    assert!(listener.lost().await.contains("cannot be read"));
    assert_eq!(listener.snapshot().await, ["b", "c"]);
    assert_eq!(wire.heads().len(), 5);
}

#[tokio::test]
async fn what_is_gone_at_the_next_snapshot_has_left() {
    let wire = Wire::start(|number, _| match number {
        0 => vec![opening(), put("/", &pending(&["a", "b"]))],
        _ => stays(&[put("/", &pending(&["b"]))]),
    })
    .await;
    let mut listener = Listener::of(settings(wire.address), 8);
    assert_eq!(listener.snapshot().await, ["a", "b"]);
    listener.lost().await;
    let mut news = Vec::new();
    while !matches!(news.last(), Some(FeedNews::Reconciled { .. })) {
        news.push(listener.next().await);
    }
    assert!(news.contains(&FeedNews::Left(key("a"))), "{news:?}");
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_given_up() {
    let wire = Wire::start(|number, _| match number {
        0 => stays(&[put("/", &Value::Null)]),
        _ => stays(&[put("/", &pending(&["a"]))]),
    })
    .await;
    let config = FirebaseRtdbConfig { idle_timeout: Duration::from_millis(500), ..settings(wire.address) };
    let mut listener = Listener::of(config, 8);
    assert!(listener.snapshot().await.is_empty());
    assert!(listener.lost().await.contains("silent"));
    assert_eq!(listener.snapshot().await, ["a"]);
}

#[tokio::test]
async fn a_revoked_token_is_replaced_by_another_one() {
    let door = TokenDoor::start(3_600).await;
    let wire = Wire::start(|number, _| match number {
        0 => stays(&[put("/", &Value::Null), event("auth_revoked", "credential is no longer valid")]),
        1 => stays(&[put("/", &Value::Null), event("auth_revoked", "\"credential is no longer valid\"")]),
        _ => stays(&[put("/", &pending(&["a"]))]),
    })
    .await;
    let config = FirebaseRtdbConfig { credentials: door.credentials(), ..settings(wire.address) };
    let mut listener = Listener::of(config, 8);
    assert!(listener.snapshot().await.is_empty());
    assert!(listener.snapshot().await.is_empty());
    assert_eq!(listener.snapshot().await, ["a"]);
    for (number, head) in wire.heads().iter().enumerate() {
        assert!(head.contains(&format!("authorization: Bearer token-{number}")), "{head}");
    }
}

#[tokio::test]
async fn a_stream_is_made_anew_before_its_token_ends() {
    let door = TokenDoor::start(1).await;
    let wire = Wire::start(|_, _| stays(&[put("/", &Value::Null)])).await;
    let config = FirebaseRtdbConfig { credentials: door.credentials(), ..settings(wire.address) };
    let mut listener = Listener::of(config, 8);
    while wire.heads().len() < 2 {
        let news = listener.next().await;
        assert!(!matches!(news, FeedNews::Lost { .. }), "{news:?}");
    }
    assert!(wire.heads()[1].contains("Bearer token-1"));
}

#[tokio::test]
async fn a_cancelled_stream_stops_and_so_does_a_wrong_address() {
    for data in ["null", "Permission denied", "\"Permission denied\""] {
        let wire = Wire::start(move |_, _| stays(&[put("/", &Value::Null), event("cancel", data)])).await;
        let error = Listener::of(settings(wire.address), 8).stopped().await;
        assert!(matches!(&error, FeedError::Refused { reason } if reason.contains("rules")), "{error}");
        assert_eq!(error.to_string().contains("Permission denied"), data != "null", "{error}");
        assert_eq!(wire.heads().len(), 1);
    }
    let wire = Wire::start(|_, _| vec![said("404 Not Found", "")]).await;
    assert!(matches!(
        Listener::of(settings(wire.address), 8).stopped().await,
        FeedError::Misconfigured { .. }
    ));
}

const NO_INDEX: &str = r#"{"error": "Index not defined, add \".indexOn\": \"processed\", for path \"/Transfer\", to the rules"}"#;

#[tokio::test]
async fn a_missing_index_stops_unless_reading_without_it_is_allowed() {
    let script = |_: usize, head: &str| {
        let query = query(head);
        match () {
            () if query.contains("processed") => vec![said("400 Bad Request", NO_INDEX)],
            () if head.contains("text/event-stream") => stays(&[put("/", &pending(&["b", "c"]))]),
            () => vec![said(
                "200 OK",
                &json!({"a": {"processed": false}, "b": {"processed": true}}).to_string(),
            )],
        }
    };
    let wire = Wire::start(script).await;
    let error = Listener::of(settings(wire.address), 8).stopped().await;
    assert!(
        matches!(&error, FeedError::Misconfigured { reason } if reason.contains(r#"".indexOn": ["processed"]"#))
    );

    let wire = Wire::start(script).await;
    let config = FirebaseRtdbConfig { allow_unindexed: true, ..settings(wire.address) };
    let mut listener = Listener::of(config, 8);
    assert_eq!(listener.snapshot().await, ["a"]);
    assert_eq!(listener.snapshot().await, ["b", "c"]);
    assert_eq!(query(&wire.heads()[2]), r#"ns=demo&orderBy="$key"&startAt="b""#);
}

/// Thirty records of 100 bytes, each third one processed; the last key is k29.
fn backlog(head: &str) -> Vec<Step> {
    let record = |n: usize| json!({"processed": n.is_multiple_of(3), "text": "x".repeat(70)});
    let all = (0..30).map(|n| (format!("k{n:02}"), record(n)));
    let query = query(head);
    let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let from =
        parameter("startAt").map(|text| text.trim_start_matches("false,").trim_matches('"').to_owned());
    let only_pending = query.contains(r#"orderBy="processed""#);
    let found = all
        .filter(|(key, _)| from.as_ref().is_none_or(|from| key >= from))
        .filter(|(_, record)| !only_pending || record["processed"] == json!(false));
    let limit = parameter("limitToFirst").map_or(usize::MAX, |limit| limit.parse().unwrap());
    let found: serde_json::Map<String, Value> = found.take(limit).collect();
    if head.contains("text/event-stream") {
        stays(&[put("/", &Value::Object(found)), put("/k30", &json!({"processed": false}))])
    } else {
        vec![said("200 OK", &Value::Object(found).to_string())]
    }
}

#[tokio::test]
async fn a_backlog_that_no_event_can_hold_is_paged_and_then_only_what_is_new_is_followed() {
    for paging in [Paging::ByKey, Paging::Filtered] {
        let wire = Wire::start(|_, head| backlog(head)).await;
        let config = FirebaseRtdbConfig {
            event_bytes_max: 1_000,
            // A page of four does not fit and is asked for again by halves.
            answer_bytes_max: 420,
            group_records_max: 4,
            paging,
            ..settings(wire.address)
        };
        let mut listener = Listener::of(config, 2);
        let wanted: Vec<String> =
            (0..30).filter(|n: &usize| !n.is_multiple_of(3)).map(|n| format!("k{n:02}")).collect();
        assert_eq!(listener.snapshot().await, wanted, "{paging:?}");
        assert_eq!(listener.records, wanted.len());
        assert_eq!(listener.snapshot().await, ["k29"]);
        assert_eq!(listener.records, wanted.len(), "the backlog is still there");
        let entered = listener.next().await;
        assert!(
            matches!(&entered, FeedNews::Offered(records) if records[0].key == key("k30")),
            "{entered:?}"
        );
        let heads = wire.heads();
        assert_eq!(query(heads.last().unwrap()), r#"ns=demo&orderBy="$key"&startAt="k29""#);
    }
}

#[tokio::test]
async fn everything_is_looked_through_again_after_a_while() {
    let wire = Wire::start(|_, head| backlog(head)).await;
    let config = FirebaseRtdbConfig {
        event_bytes_max: 1_000,
        backlog_interval: Duration::from_millis(20),
        ..settings(wire.address)
    };
    let mut listener = Listener::of(config, 64);
    let filtered = |wire: &Wire| wire.heads().iter().filter(|head| query(head).contains("equalTo")).count();
    while filtered(&wire) < 2 {
        listener.next().await;
    }
}

#[tokio::test]
async fn a_page_is_one_of_the_feed_s_own_verbs() {
    let wire = Wire::start(|_, head| backlog(head)).await;
    let feed = feed(settings(wire.address));
    let (mut after, mut keys) = (None, Vec::new());
    loop {
        let page = feed.page(after.as_ref(), 7).await.unwrap();
        keys.extend(page.records.into_iter().map(|record| record.key.to_string()));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(
        keys,
        (0..30).filter(|n: &usize| !n.is_multiple_of(3)).map(|n| format!("k{n:02}")).collect::<Vec<_>>()
    );
    let small = FirebaseRtdbConfig { answer_bytes_max: 20, ..settings(wire.address) };
    assert_eq!(
        super::super::testing::feed(small).page(None, 7).await,
        Err(FeedError::TooLarge { limit_bytes: 20 })
    );
}

#[tokio::test]
async fn a_listener_that_does_not_keep_up_is_told_everything_later() {
    let wire = Wire::start(|_, _| stays(&[put("/", &pending(&["a", "b", "c", "d"]))])).await;
    let config = FirebaseRtdbConfig {
        listener_patience: Duration::from_millis(200),
        group_records_max: 1,
        ..settings(wire.address)
    };
    let mut listener = Listener::of(config, 1);
    // Nobody listens: the stream is given up, and no other one is opened.
    wire.hung_up(1).await;
    assert_eq!(wire.heads().len(), 1);
    assert_eq!(listener.next().await, FeedNews::Following);
    let mut keys = Vec::new();
    loop {
        match listener.next().await {
            FeedNews::Offered(records) => keys.push(records[0].key.to_string()),
            FeedNews::Reconciled { .. } => break,
            _ => keys.clear(),
        }
    }
    assert_eq!(keys, ["a", "b", "c", "d"]);
    assert!(wire.heads().len() > 1);
}

#[tokio::test]
async fn a_stream_that_is_sent_on_begins_at_the_configured_address_each_time() {
    let wire = Wire::start(|number, _| match number {
        0 | 2 => {
            let head =
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere.json?s=1\r\nContent-Length: 0\r\n";
            vec![Step::Say(format!("{head}Connection: close\r\n\r\n").into_bytes())]
        }
        1 => vec![opening(), put("/", &pending(&["a"]))],
        _ => stays(&[put("/", &pending(&["a"]))]),
    })
    .await;
    let mut listener = Listener::of(settings(wire.address), 8);
    assert_eq!(listener.snapshot().await, ["a"]);
    assert_eq!(listener.snapshot().await, ["a"]);
    let targets: Vec<String> =
        wire.heads().iter().map(|head| head.split('?').next().unwrap().to_owned()).collect();
    assert_eq!(
        targets,
        ["GET /Transfer.json", "GET /elsewhere.json", "GET /Transfer.json", "GET /elsewhere.json"]
    );
}
