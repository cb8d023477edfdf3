//! The database over its socket: what Google's client does not show, or does not look at.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::auth::Credential;
use super::stream::Streaming;
use super::*;
use crate::sandbox::client::{Answer, Client, TempDir};
use crate::sandbox::{Behaviour, EffectKind, FirebaseStep, Party, World, WorldOptions};

const PATIENCE: Duration = Duration::from_secs(5);

/// The world, and somebody who asks the database in it.
struct Asker {
    world: World,
    client: Client,
    _dir: TempDir,
}

fn owner() -> Vec<(&'static str, String)> {
    vec![("authorization", "Bearer owner".to_owned())]
}

impl Asker {
    async fn new() -> Self {
        Self::with(FirebaseOptions::default()).await
    }

    async fn with(firebase: FirebaseOptions) -> Self {
        let dir = TempDir::new();
        let options = WorldOptions { firebase, ..WorldOptions::in_dir(dir.path()) };
        Asker { world: World::open(options).await.unwrap(), client: Client::new(), _dir: dir }
    }

    fn firebase(&self) -> &Firebase {
        self.world.firebase()
    }

    fn url(&self, target: &str) -> String {
        format!("{}/{target}", self.world.addresses().firebase.url)
    }

    async fn call(&self, method: Method, target: &str, more: &[(&'static str, &str)], body: Value) -> Answer {
        let mut headers = owner();
        headers.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.client.call(method, &self.url(target), headers, &body).await.unwrap()
    }

    async fn get(&self, target: &str) -> Answer {
        self.call(Method::GET, target, &[], Value::Null).await
    }

    async fn listen(&self, target: &str) -> Listening {
        let mut headers = owner();
        headers.push(("accept", "text/event-stream".to_owned()));
        let response = self.client.open(&self.url(target), headers).await.unwrap();
        assert_eq!(response.status(), 200);
        Listening { response, read: Vec::new() }
    }
}

/// A stream as bytes.
struct Listening {
    response: reqwest::Response,
    read: Vec<u8>,
}

impl Listening {
    /// Everything so far, once it ends so.
    async fn until(&mut self, end: &str) -> String {
        while !self.read.ends_with(end.as_bytes()) {
            let next = tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("it comes in time");
            self.read.extend(next.expect("a whole chunk").expect("it goes on"));
        }
        String::from_utf8(std::mem::take(&mut self.read)).unwrap()
    }

    /// Everything to the end, and whether it was an orderly one.
    async fn rest(mut self) -> (String, bool) {
        loop {
            match tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("it ends in time") {
                Ok(Some(chunk)) => self.read.extend(chunk),
                Ok(None) => return (String::from_utf8(self.read).unwrap(), true),
                Err(_) => return (String::from_utf8(self.read).unwrap(), false),
            }
        }
    }
}

#[tokio::test]
async fn values_are_written_read_and_taken_away() {
    let asker = Asker::new().await;
    let put = asker.call(Method::PUT, "a/b.json", &[], json!({"x": [1, null], "none": {}})).await;
    assert_eq!((put.status, put.json()), (200, json!({"x": [1]})));
    let silent =
        asker.call(Method::PATCH, "a.json?print=silent", &[], json!({"b/y": "São", "c": true})).await;
    assert_eq!((silent.status, silent.body.as_str()), (204, ""));
    let patched = asker.call(Method::PATCH, "a.json", &[], json!({"b/x": null})).await;
    assert_eq!(patched.json(), json!({"b/x": null}));
    assert_eq!(asker.get(".json").await.json(), json!({"a": {"b": {"y": "São"}, "c": true}}));
    assert_eq!(asker.get("a/b/y.json?ns=sandbox-transfers").await.json(), json!("São"));
    assert_eq!(asker.get("a.json?shallow=true").await.json(), json!({"b": true, "c": true}));
    assert!(asker.get("a.json?print=pretty").await.body.contains("\n  \"b\""));
    let name = asker.call(Method::POST, "list.json", &[], json!(7)).await.json()["name"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(asker.get(&format!("list/{name}.json")).await.json(), json!(7));
    let deleted = asker.call(Method::DELETE, "list.json", &[], Value::Null).await;
    assert_eq!((deleted.status, deleted.json()), (200, Value::Null));
    assert_eq!(asker.get("list.json").await.json(), Value::Null);
    asker.world.close().await;
}

#[tokio::test]
async fn what_is_not_understood_changes_nothing() {
    let asker = Asker::new().await;
    let cases = [
        (Method::PUT, "a.json", json!({"b.c": 1}), 400),
        (Method::PUT, "a$.json", json!(1), 400),
        (Method::PATCH, "a.json", json!([1]), 400),
        (Method::PATCH, "a.json", json!({"b": 1, "b/c": 2}), 400),
        (Method::PUT, "a.json?shout=true", json!(1), 400),
        (Method::PUT, "a", json!(1), 404),
        (Method::PUT, "a.json?ns=another", json!(1), 404),
        (Method::OPTIONS, "a.json", json!(1), 405),
        (Method::PUT, "a.json", Value::Null, 400),
    ];
    for (method, target, body, status) in cases {
        let answer = asker.call(method.clone(), target, &[], body).await;
        assert_eq!(answer.status, status, "{method} {target}");
        assert!(answer.json()["error"].is_string());
    }
    assert_eq!(asker.firebase().read("/"), Value::Null);
    asker.world.close().await;
}

#[tokio::test]
async fn versions_guard_writes_and_spare_reads() {
    let asker = Asker::new().await;
    let absent = asker.call(Method::GET, "claims/k.json", &[("x-firebase-etag", "true")], Value::Null).await;
    assert_eq!((absent.headers["etag"].to_str().unwrap(), absent.body.as_str()), ("null_etag", "null"));
    assert!(!asker.get("claims/k.json").await.headers.contains_key("etag"));
    let created =
        asker.call(Method::PUT, "claims/k.json", &[("if-match", "null_etag")], json!({"owner": "a"})).await;
    assert_eq!(created.status, 200);
    let etag = created.headers["etag"].to_str().unwrap().to_owned();
    let late =
        asker.call(Method::PUT, "claims/k.json", &[("if-match", "null_etag")], json!({"owner": "b"})).await;
    assert_eq!(
        (late.status, late.json(), late.headers["etag"].to_str().unwrap()),
        (412, json!({"owner": "a"}), etag.as_str())
    );
    let same = asker.call(Method::GET, "claims/k.json", &[("if-none-match", &etag)], Value::Null).await;
    assert_eq!((same.status, same.body.as_str()), (304, ""));
    let other = asker.call(Method::GET, "claims/k.json", &[("if-none-match", "old")], Value::Null).await;
    assert_eq!((other.status, other.headers["etag"].to_str().unwrap()), (200, etag.as_str()));
    let gone = asker.call(Method::DELETE, "claims/k.json", &[("if-match", &etag)], Value::Null).await;
    assert_eq!(gone.status, 200);
    let kinds: Vec<EffectKind> = asker.world.effects().iter().map(|effect| effect.kind).collect();
    assert_eq!(kinds, [EffectKind::FeedClaimed, EffectKind::FeedClaimRefused, EffectKind::FeedClaimReleased]);
    asker.world.close().await;
}

#[tokio::test]
async fn only_who_may_is_let_in() {
    let asker = Asker::with(FirebaseOptions { owner: false, ..FirebaseOptions::default() }).await;
    asker.firebase().put("a", json!(1)).unwrap();
    let cases: [(&str, Option<&str>, u16); 7] = [
        ("a.json", None, 401),
        ("a.json", Some("Bearer owner"), 401),
        ("a.json", Some("Bearer sandbox.0"), 401),
        ("a.json?auth=guess", None, 401),
        ("a.json?access_token=guess", None, 401),
        ("a.json?auth=sandbox-database-secret", None, 200),
        ("a.json?auth=sandbox-database-secret", Some("Bearer owner"), 401),
    ];
    for (target, authorization, status) in cases {
        let headers =
            authorization.map(|value| vec![("authorization", value.to_owned())]).unwrap_or_default();
        let answer = asker.client.get(&asker.url(target), headers).await.unwrap();
        assert_eq!(answer.status, status, "{target} {authorization:?}");
    }
    asker.world.close().await;
}

#[tokio::test]
async fn a_filtered_stream_follows_its_window_and_effects_are_put_down() {
    let asker = Asker::new().await;
    asker.firebase().put("Transfer", json!({"a": {"processed": false}, "b": {"processed": true}})).unwrap();
    let target = "Transfer.json?orderBy=%22processed%22&equalTo=false";
    let mut stream = asker.listen(target).await;
    let first = stream.until("\n\n").await;
    assert_eq!(first, "event: put\ndata: {\"path\":\"/\",\"data\":{\"a\":{\"processed\":false}}}\n\n");
    asker.firebase().wait_for_listeners(1, PATIENCE).await.unwrap();
    let body = json!({"Transfer/a/processed": true, "Transfer/a/resultado": "9", "claims/a": null});
    assert_eq!(asker.call(Method::PATCH, ".json", &[], body).await.status, 200);
    assert_eq!(stream.until("\n\n").await, "event: put\ndata: {\"path\":\"/a\",\"data\":null}\n\n");
    let effects = asker.world.effects();
    let written = effects.iter().find(|effect| effect.kind == EffectKind::FeedWritten).unwrap();
    assert_eq!(
        (written.key.as_str(), &written.detail["fields"]),
        ("a", &json!({"processed": true, "resultado": "9"}))
    );

    asker.firebase().set_index("Transfer", None);
    let refused = asker.get(target).await;
    let words = r#"Index not defined, add ".indexOn": "processed", for path "/Transfer", to the rules"#;
    assert_eq!((refused.status, refused.json()), (400, json!({"error": words})));
    drop(stream);
    asker.firebase().wait_for_listeners(0, PATIENCE).await.unwrap();
    asker.world.close().await;
}

#[tokio::test]
async fn streams_speak_in_the_form_they_are_told_to() {
    let asker = Asker::new().await;
    asker.firebase().put("a", json!("€")).unwrap();
    let piece = std::num::NonZeroUsize::new(1);
    let forms = [
        (
            StreamPlay { bom: true, ..StreamPlay::default() },
            "\u{feff}event: put\ndata: {\"path\":\"/\",\"data\":\"€\"}\n\n",
        ),
        (
            StreamPlay { line_end: LineEnd::CrLf, piece_bytes: piece, ..StreamPlay::default() },
            "event: put\r\ndata: {\"path\":\"/\",\"data\":\"€\"}\r\n\r\n",
        ),
        (
            StreamPlay { line_end: LineEnd::Cr, ..StreamPlay::default() },
            "event: put\rdata: {\"path\":\"/\",\"data\":\"€\"}\r\r",
        ),
    ];
    for (play, expected) in forms {
        asker.firebase().play_once(play);
        let mut stream = asker.listen("a.json").await;
        assert_eq!(stream.until(&expected[expected.rfind('}').unwrap()..]).await, expected);
    }
    let cut = StreamPlay { cut_in: Some(0), ..StreamPlay::default() };
    asker.firebase().play_once(cut);
    let (half, orderly) = asker.listen("a.json").await.rest().await;
    assert!(
        "event: put\ndata: {\"path\":\"/\"".starts_with(&half) && !half.is_empty() && !orderly,
        "{half:?}"
    );
    asker.firebase().play_once(StreamPlay {
        oversized: Some(Oversized { bytes: 100_000, in_lines: true }),
        noise: Some(": noise\n".to_owned()),
        ..StreamPlay::default()
    });
    let mut stream = asker.listen("a.json").await;
    let large = stream.until("xx\n\n").await;
    assert!(large.contains("\n\n: noise\nevent: put\ndata: xxx") && large.matches("\ndata: ").count() > 90);
    assert_eq!(large.matches('x').count(), 100_000);
    asker.world.close().await;
}

#[tokio::test]
async fn live_streams_are_told_of_their_end() {
    let asker = Asker::new().await;
    let cases = [
        (StreamNews::Cancel { reason: None }, "event: cancel\ndata: null\n\n", true),
        (StreamNews::Cancel { reason: Some("no".into()) }, "event: cancel\ndata: no\n\n", true),
        (
            StreamNews::AuthRevoked { quoted: false },
            "event: auth_revoked\ndata: credential is no longer valid\n\n",
            true,
        ),
        (
            StreamNews::AuthRevoked { quoted: true },
            "event: auth_revoked\ndata: \"credential is no longer valid\"\n\n",
            true,
        ),
        (StreamNews::End, "", true),
        (StreamNews::Cut, "", false),
    ];
    for (news, expected, orderly) in cases {
        let mut stream = asker.listen("a.json").await;
        stream.until("\n\n").await;
        asker.firebase().tell(StreamNews::KeepAlive);
        asker.firebase().tell(StreamNews::Raw(": hello\n".to_owned()));
        assert_eq!(stream.until(": hello\n").await, "event: keep-alive\ndata: null\n\n: hello\n");
        asker.firebase().tell(news.clone());
        assert_eq!(stream.rest().await, (expected.to_owned(), orderly), "{news:?}");
    }
    asker.world.close().await;
}

#[tokio::test]
async fn a_stream_ends_with_the_token_that_opened_it() {
    let asker = Asker::new().await;
    let service = &asker.firebase().0;
    let opened = service.database().listen(Vec::new(), None).unwrap();
    let (_epoch, epochs) = tokio::sync::watch::channel(0);
    let credential = Credential::Token { expires: tokio::time::Instant::now(), epochs };
    let play = StreamPlay::default();
    let stream = Streaming::new(service.clone(), opened, play, PATIENCE, credential);
    let said = axum::body::to_bytes(stream.body(), 10_000).await.unwrap();
    let expected = "event: put\ndata: {\"path\":\"/\",\"data\":null}\n\n\
                    event: auth_revoked\ndata: credential is no longer valid\n\n";
    assert_eq!(said, expected);
    assert_eq!(asker.firebase().listeners(), 0);
    asker.world.close().await;
}

#[tokio::test]
async fn a_quiet_stream_lives_and_a_silent_one_does_not_say_so() {
    let options = FirebaseOptions { keep_alive: Duration::from_millis(20), ..FirebaseOptions::default() };
    let asker = Asker::with(options).await;
    let mut quiet = asker.listen("a.json").await;
    let alive = quiet.until("keep-alive\ndata: null\n\n").await;
    assert!(alive.starts_with("event: put\ndata: {\"path\":\"/\",\"data\":null}\n\n"), "{alive}");
    asker.firebase().play_once(StreamPlay { silent_after: Some(1), ..StreamPlay::default() });
    let mut silent = asker.listen("a.json").await;
    silent.until("\n\n").await;
    // The quiet one is told again and again meanwhile, the silent one not even of a write.
    asker.firebase().put("a", json!(1)).unwrap();
    quiet.until("keep-alive\ndata: null\n\n").await;
    quiet.until("keep-alive\ndata: null\n\n").await;
    asker.firebase().tell(StreamNews::End);
    assert_eq!(silent.rest().await, (String::new(), true));
    asker.world.close().await;
}

#[tokio::test]
async fn a_stream_is_sent_to_another_host_by_its_name() {
    let asker = Asker::new().await;
    let url = asker.world.addresses().firebase.url.clone();
    let origin = url.replace("127.0.0.1", "localhost");
    asker.firebase().play_always(StreamPlay { redirect_to: Some(origin.clone()), ..StreamPlay::default() });
    // The client follows on its own, and drops the authorisation at the other name, which is what our own must not do.
    let headers = vec![("accept", "text/event-stream".to_owned())];
    let target = asker.url("a.json?auth=sandbox-database-secret&ns=sandbox-transfers");
    let followed = asker.client.open(&target, headers).await.unwrap();
    assert_eq!(followed.status(), 200);
    assert_eq!(followed.url().as_str(), target.replace(&url, &origin));
    asker.world.close().await;
}

#[tokio::test]
async fn each_door_misbehaves_by_itself() {
    let asker = Asker::new().await;
    asker.firebase().put("a", json!(1)).unwrap();
    let script = asker.world.script();
    script.once(Party::Firebase(FirebaseStep::Read), Behaviour::status(503));
    script.once(Party::Firebase(FirebaseStep::Write), Behaviour::accept_then_drop());
    script.once(Party::Firebase(FirebaseStep::Stream), Behaviour::status(401));
    assert_eq!(asker.get("a.json").await.status, 503);
    assert_eq!(asker.get("a.json").await.json(), json!(1));
    let lost = asker.client.call(Method::PUT, &asker.url("a.json"), owner(), "2").await;
    assert!(lost.is_err());
    assert_eq!(asker.firebase().read("a"), json!(2));
    let mut headers = owner();
    headers.push(("accept", "text/event-stream".to_owned()));
    assert_eq!(asker.client.open(&asker.url("a.json"), headers).await.unwrap().status(), 401);
    assert_eq!(asker.world.script().asked(Party::Firebase(FirebaseStep::Stream)), 1);
    asker.world.close().await;
}

#[tokio::test]
async fn recorded_answers_are_handed_out_whole() {
    let asker = Asker::new().await;
    asker.firebase().put_audio(BUCKET, "cloud/k/0.wav", &b"RIFF"[..]);
    let base = format!("{}/{BUCKET}/o/cloud%2Fk%2F0.wav", asker.world.addresses().firebase.audio_url);
    let found = asker.client.get(&format!("{base}?alt=media&token=x"), vec![]).await.unwrap();
    assert_eq!((found.status, found.body.as_str()), (200, "RIFF"));
    assert_eq!(asker.client.get(&base, vec![]).await.unwrap().status, 400);
    let missing = format!("{}?alt=media", base.replace("0.wav", "1.wav"));
    assert_eq!(asker.client.get(&missing, vec![]).await.unwrap().status, 404);
    asker.world.close().await;
}

#[tokio::test]
async fn another_process_steers_it_by_the_control() {
    let asker = Asker::new().await;
    let control = asker.world.addresses().control_url.clone();
    let post = async |path: &str, body: Value| {
        let headers = vec![("content-type", "application/json".to_owned())];
        asker
            .client
            .post(&format!("{control}/firebase/{path}"), headers, &body.to_string())
            .await
            .unwrap()
            .status
    };
    let get = async |path: &str| {
        asker.client.get(&format!("{control}/firebase/{path}"), vec![]).await.unwrap().json()
    };
    assert_eq!(post("put", json!({"path": "T", "value": {"a": {"n": 1}}})).await, 204);
    assert_eq!(post("patch", json!({"path": "T", "value": {"a/n": 2, "b/n": 3}})).await, 204);
    assert_eq!(post("patch", json!({"path": "T", "value": {"a$": 2}})).await, 400);
    assert_eq!(get("read?path=T/a").await, json!({"n": 2}));
    assert_eq!(asker.get("T.json?orderBy=%22n%22").await.status, 400);
    assert_eq!(post("index", json!({"path": "T", "field": "n"})).await, 204);
    assert_eq!(asker.get("T.json?orderBy=%22n%22&startAt=3").await.json(), json!({"b": {"n": 3}}));

    assert_eq!(post("play", json!({"play": {"line_end": "cr_lf"}, "always": true})).await, 204);
    assert_eq!(post("play", json!({"play": {"line_end": "sometimes"}})).await, 422);
    let mut stream = asker.listen("T/a/n.json").await;
    assert_eq!(stream.until("\r\n\r\n").await, "event: put\r\ndata: {\"path\":\"/\",\"data\":2}\r\n\r\n");
    assert_eq!(get("listeners").await, json!({"listeners": 1}));
    assert_eq!(post("tell", json!("end")).await, 204);
    assert_eq!(stream.rest().await, (String::new(), true));

    let place = format!("{control}/firebase/audio?bucket={BUCKET}&object=cloud/k/0.wav");
    assert_eq!(asker.client.post(&place, vec![], "RIFF").await.unwrap().status, 204);
    let url =
        format!("{}/{BUCKET}/o/cloud%2Fk%2F0.wav?alt=media", asker.world.addresses().firebase.audio_url);
    assert_eq!(asker.client.get(&url, vec![]).await.unwrap().body, "RIFF");
    // Whatever was steered is nobody's doing, and is not put down.
    assert_eq!(asker.world.effects(), []);
    asker.world.close().await;
}
