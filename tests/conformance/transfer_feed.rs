//! Our feed against the sandbox's Firebase, which Google's own client has judged: whatever its stream does to us, everything
//! that is offered is told, and nothing is sent to strangers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bursar::config::Config;
use bursar::connectors::http::{HttpConfig, HttpUrl};
use bursar::connectors::transfer_feeds::firebase_rtdb::FirebaseRtdb;
use bursar::connectors::transfer_feeds::firebase_rtdb::config::{FirebaseRtdbConfig, Paging};
use bursar::connectors::transfer_feeds::{
    Claim, ClaimAnswer, FeedError, FeedNews, RelatedNode, TransferFeed as _, WriteBack, WrittenBack,
};
use bursar::domain::transfer::TransferKey;
use bursar::sandbox::{
    Behaviour, EffectKind, FirebaseOptions, FirebaseStep, LineEnd, Oversized, Party, StreamNews, StreamPlay,
    World, WorldOptions,
};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::peers::PATIENCE;
use crate::small_house::Folder;

const STREAM: Party = Party::Firebase(FirebaseStep::Stream);

/// The database, and the settings by which we reach it.
struct Stage {
    world: World,
    config: FirebaseRtdbConfig,
    _folder: Folder,
}

impl Stage {
    async fn open() -> Self {
        Self::with(FirebaseOptions::default()).await
    }

    async fn with(firebase: FirebaseOptions) -> Self {
        let folder = Folder::new();
        let world = World::open(WorldOptions { firebase, ..WorldOptions::in_dir(folder.path()) }).await;
        let world = world.expect("a world");
        let mut config = Config::default().transfers.feed.firebase_rtdb;
        config.database_url = Some(HttpUrl::parse(&world.addresses().firebase.url).expect("an address"));
        config.credentials.emulator = true;
        config.allow_loopback = true;
        config.reconnect_base = Duration::from_millis(1);
        config.reconnect_cap = Duration::from_millis(20);
        Self { world, config, _folder: folder }
    }

    fn offer(&self, keys: &[&str]) {
        for key in keys {
            self.world.firebase().put(&format!("Transfer/{key}"), pending()).expect("a record");
        }
    }

    fn feed(&self) -> FirebaseRtdb {
        feed(&self.config)
    }

    fn listen(&self) -> Listener {
        listen(&self.config)
    }
}

fn pending() -> Value {
    json!({"processed": false, "resultado": "", "date": "2026/01/15 - 10:20:30"})
}

fn key(text: &str) -> TransferKey {
    TransferKey::parse(text).expect("a key")
}

fn feed(config: &FirebaseRtdbConfig) -> FirebaseRtdb {
    FirebaseRtdb::new(config.clone(), &HttpConfig::default()).expect("a feed")
}

fn listen(config: &FirebaseRtdbConfig) -> Listener {
    let (sender, news) = mpsc::channel(16);
    let feed = feed(config);
    Listener { news, task: tokio::spawn(async move { feed.listen(sender).await }), records: 0 }
}

struct Listener {
    news: mpsc::Receiver<FeedNews>,
    task: JoinHandle<Result<(), FeedError>>,
    /// What was last said to be offered in all.
    records: usize,
}

impl Listener {
    async fn next(&mut self) -> FeedNews {
        timeout(PATIENCE, self.news.recv()).await.expect("news in time").expect("a feed that goes on")
    }

    /// The keys that are told before everything has been told once.
    async fn snapshot(&mut self) -> Vec<String> {
        let mut keys = Vec::new();
        loop {
            match self.next().await {
                FeedNews::Offered(records) => {
                    keys.extend(records.iter().map(|record| record.key.to_string()));
                }
                FeedNews::Reconciled { records } => {
                    self.records = records;
                    return keys;
                }
                FeedNews::Following | FeedNews::Lost { .. } | FeedNews::Left(_) => {}
                FeedNews::Changed(key) => panic!("{key} changed before the snapshot"),
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

    async fn offered(&mut self) -> Vec<String> {
        match self.next().await {
            FeedNews::Offered(records) => records.iter().map(|record| record.key.to_string()).collect(),
            other => panic!("{other:?} instead of an offer"),
        }
    }

    /// Hears until the feed stops by itself.
    async fn stopped(mut self) -> FeedError {
        let ended = async {
            while self.news.recv().await.is_some() {}
            self.task.await.expect("no panic")
        };
        timeout(PATIENCE, ended).await.expect("an end in time").expect_err("a feed that stopped")
    }
}

#[tokio::test]
async fn a_stream_in_every_form_tells_the_same() {
    let stage = Stage::open().await;
    stage.offer(&["a", "ñ€", "c"]);
    let one = |line_end, bom| StreamPlay {
        bom,
        line_end,
        piece_bytes: std::num::NonZeroUsize::new(1),
        ..StreamPlay::default()
    };
    for (line_end, bom) in [(LineEnd::Lf, true), (LineEnd::CrLf, false), (LineEnd::Cr, true)] {
        stage.world.firebase().play_once(one(line_end, bom));
        let mut listener = stage.listen();
        assert_eq!(listener.snapshot().await, ["a", "c", "ñ€"], "{line_end:?}");
        stage.offer(&["later"]);
        assert_eq!(listener.offered().await, ["later"], "{line_end:?}");
        stage.world.firebase().put("Transfer/later", Value::Null).expect("a deletion");
        assert_eq!(listener.next().await, FeedNews::Left(key("later")), "{line_end:?}");
    }
}

#[tokio::test]
async fn what_is_processed_and_what_is_deleted_has_left_the_window() {
    let stage = Stage::open().await;
    stage.offer(&["a", "b"]);
    let mut listener = stage.listen();
    listener.snapshot().await;
    let firebase = stage.world.firebase();
    firebase.patch("Transfer", json!({"a/processed": true, "a/resultado": "22"})).expect("a result");
    assert_eq!(listener.next().await, FeedNews::Left(key("a")));
    firebase.put("Transfer/b", Value::Null).expect("a deletion");
    assert_eq!(listener.next().await, FeedNews::Left(key("b")));
    // Only reading tells the two apart.
    assert_eq!(stage.feed().read(&key("a")).await.expect("an answer").expect("a record")["resultado"], "22");
    assert_eq!(stage.feed().read(&key("b")).await, Ok(None));
    firebase.patch("Transfer/a", json!({"processed": false})).expect("a change of mind");
    assert_eq!(listener.offered().await, ["a"], "a record that begins to match comes whole");
    firebase.tell(StreamNews::KeepAlive);
    firebase.patch("Transfer/a", json!({"visto": true})).expect("a change");
    assert_eq!(listener.next().await, FeedNews::Changed(key("a")), "a sign of life tells nothing");
}

#[tokio::test]
async fn what_happens_while_nobody_listens_is_in_the_next_snapshot() {
    let stage = Stage::open().await;
    stage.offer(&["stays", "goes"]);
    let mut listener = stage.listen();
    assert_eq!(listener.snapshot().await.len(), 2);
    // Nobody gets in until the gap is over.
    stage.world.script().always(STREAM, Behaviour::status(503));
    stage.world.firebase().tell(StreamNews::Cut);
    listener.lost().await;
    stage.world.firebase().put("Transfer/goes", Value::Null).expect("a deletion");
    stage.offer(&["comes"]);
    stage.world.script().clear(STREAM);
    let mut left = Vec::new();
    let mut offered = Vec::new();
    loop {
        match listener.next().await {
            FeedNews::Offered(records) => offered.extend(records.iter().map(|record| record.key.to_string())),
            FeedNews::Left(key) => left.push(key.to_string()),
            FeedNews::Reconciled { records } => break assert_eq!(records, 2),
            FeedNews::Following | FeedNews::Lost { .. } => {}
            FeedNews::Changed(key) => panic!("{key} changed"),
        }
    }
    assert_eq!((offered, left), (vec!["comes".to_owned(), "stays".to_owned()], vec!["goes".to_owned()]));
}

#[tokio::test]
async fn a_stream_cut_in_the_middle_of_its_snapshot_is_begun_anew() {
    let stage = Stage::open().await;
    stage.offer(&["a"]);
    stage.world.firebase().play_once(StreamPlay { cut_in: Some(0), ..StreamPlay::default() });
    let mut listener = stage.listen();
    assert!(listener.lost().await.contains("ended"));
    assert_eq!(listener.snapshot().await, ["a"]);
}

#[tokio::test]
async fn a_stream_that_stays_silent_is_given_up() {
    let mut stage = Stage::open().await;
    stage.config.idle_timeout = Duration::from_millis(200);
    stage.offer(&["a"]);
    stage.world.firebase().play_once(StreamPlay { silent_after: Some(1), ..StreamPlay::default() });
    let mut listener = stage.listen();
    assert_eq!(listener.snapshot().await, ["a"]);
    assert!(listener.lost().await.contains("silent"));
    assert_eq!(listener.snapshot().await, ["a"]);
}

#[tokio::test]
async fn an_event_beyond_all_bounds_has_the_backlog_read_by_pages() {
    let mut stage = Stage::open().await;
    stage.config.event_bytes_max = 64 * 1024;
    stage.config.group_records_max = 4;
    let keys: Vec<String> = (10..31).map(|number| format!("k{number}")).collect();
    stage.offer(&keys.iter().map(String::as_str).collect::<Vec<_>>());
    stage.world.firebase().patch("Transfer/k15", json!({"processed": true})).expect("a result");
    let wanted: Vec<String> = keys.iter().filter(|key| *key != "k15").cloned().collect();
    for (in_lines, paging) in [(false, Paging::ByKey), (true, Paging::ByKey), (false, Paging::Filtered)] {
        stage.config.paging = paging;
        let oversized = Some(Oversized { bytes: 10_000_000_000, in_lines });
        stage.world.firebase().play_once(StreamPlay { oversized, ..StreamPlay::default() });
        let mut listener = stage.listen();
        assert_eq!(listener.snapshot().await, wanted, "what the stream itself could tell");
        assert_eq!(listener.snapshot().await, wanted, "what the pages tell, {paging:?}");
        // Behind the backlog only what is new is followed.
        listener.snapshot().await;
        assert_eq!(listener.records, wanted.len(), "the backlog is offered still");
        stage.offer(&["k99"]);
        assert_eq!(listener.offered().await, ["k99"]);
        stage.world.firebase().put("Transfer/k99", Value::Null).expect("a deletion");
    }
}

#[tokio::test]
async fn pages_are_the_same_in_either_way_of_asking() {
    let mut stage = Stage::open().await;
    stage.offer(&["9", "10", "-3", "B", "a", "-Nb", "007", "z\"quoted"]);
    stage.world.firebase().put("Transfer/10/processed", json!(true)).expect("a result");
    stage.world.firebase().put("Transfer/absent", json!({"x": 1})).expect("a record");
    let mut told = Vec::new();
    for paging in [Paging::ByKey, Paging::Filtered] {
        stage.config.paging = paging;
        let feed = stage.feed();
        let (mut keys, mut after) = (Vec::new(), None);
        loop {
            let page = feed.page(after.as_ref(), 2).await.expect("a page");
            keys.extend(page.records.iter().map(|record| record.key.to_string()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        told.push(keys);
    }
    assert_eq!(told[0], ["-3", "9", "-Nb", "007", "B", "a", "z\"quoted"]);
    assert_eq!(told[1], told[0]);
}

#[tokio::test]
async fn a_redirect_is_followed_to_listed_hosts_and_tells_strangers_nothing() {
    let mut stage = Stage::open().await;
    stage.offer(&["a"]);
    let own = stage.world.addresses().firebase.url.replace("127.0.0.1", "localhost");
    let listed = own.trim_start_matches("http://").to_owned();
    stage.config.redirect_hosts = vec![listed];
    stage.world.firebase().play_once(StreamPlay { redirect_to: Some(own.clone()), ..StreamPlay::default() });
    assert_eq!(stage.listen().snapshot().await, ["a"], "signed in there as well");

    let stranger = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = stranger.local_addr().expect("an address");
    let met = Arc::new(AtomicUsize::new(0));
    let counting = met.clone();
    let door = tokio::spawn(async move {
        while stranger.accept().await.is_ok() {
            counting.fetch_add(1, Ordering::SeqCst);
        }
    });
    for target in [format!("http://{address}"), own] {
        stage.config.redirect_hosts = Vec::new();
        let play = StreamPlay { redirect_to: Some(target.clone()), ..StreamPlay::default() };
        stage.world.firebase().play_once(play);
        let stopped = stage.listen().stopped().await;
        assert!(matches!(stopped, FeedError::Refused { .. }), "{target}: {stopped:?}");
    }
    assert_eq!(met.load(Ordering::SeqCst), 0, "not so much as a connection");
    door.abort();
}

#[tokio::test]
async fn whoever_is_not_let_in_is_told_so_and_tries_again_later() {
    let stage = Stage::with(FirebaseOptions { owner: false, ..FirebaseOptions::default() }).await;
    let mut listener = stage.listen();
    assert!(listener.lost().await.contains("signed out"));
    assert!(matches!(stage.feed().read(&key("a")).await, Err(FeedError::SignedOut { .. })));
}

#[tokio::test]
async fn a_sign_in_that_has_ended_is_made_anew_and_a_cancelled_stream_stops() {
    let stage = Stage::open().await;
    stage.offer(&["a"]);
    let mut listener = stage.listen();
    for quoted in [false, true] {
        assert_eq!(listener.snapshot().await, ["a"]);
        stage.world.firebase().tell(StreamNews::AuthRevoked { quoted });
    }
    assert_eq!(listener.snapshot().await, ["a"]);
    stage.world.firebase().tell(StreamNews::Cancel { reason: Some("permission_denied".to_owned()) });
    let stopped = listener.stopped().await;
    assert!(
        matches!(&stopped, FeedError::Refused { reason } if reason.contains("permission_denied")),
        "{stopped:?}"
    );
}

#[tokio::test]
async fn a_missing_rule_is_named_and_can_be_done_without() {
    let mut stage = Stage::open().await;
    stage.offer(&["a", "b"]);
    stage.world.firebase().set_index("Transfer", None);
    let stopped = stage.listen().stopped().await;
    let FeedError::Misconfigured { reason } = &stopped else { panic!("{stopped:?}") };
    assert!(
        reason.contains(".indexOn") && reason.contains("processed") && reason.contains("Transfer"),
        "{reason}"
    );
    stage.config.allow_unindexed = true;
    let mut listener = stage.listen();
    assert_eq!(listener.snapshot().await, ["a", "b"]);
    // From here on everything behind the last key is followed.
    listener.snapshot().await;
    stage.offer(&["c"]);
    assert_eq!(listener.offered().await, ["c"]);
}

#[tokio::test]
async fn noise_between_events_is_borne() {
    let stage = Stage::open().await;
    stage.offer(&["a"]);
    let noise = ": a remark\n\nevent: rules_debug\ndata: x\n\nid: 7\nretry: 10\n\n";
    let play = StreamPlay { noise: Some(noise.to_owned()), ..StreamPlay::default() };
    stage.world.firebase().play_once(play);
    let mut listener = stage.listen();
    assert_eq!(listener.snapshot().await, ["a"]);
    stage.offer(&["b"]);
    assert_eq!(listener.offered().await, ["b"], "the same stream goes on");
    stage.world.firebase().tell(StreamNews::Raw("event: put\ndata: {\"path\n\n".to_owned()));
    assert!(listener.lost().await.contains("cannot be read"));
    assert_eq!(listener.snapshot().await, ["a", "b"]);
}

#[tokio::test]
async fn one_claims_and_writes_back_and_the_other_finds_it_done() {
    let stage = Stage::open().await;
    stage.offer(&["a"]);
    stage
        .world
        .firebase()
        .put("Encuestas/s", json!({"cuestionario": [{"tipo": "pregunta"}]}))
        .expect("questions");
    let (feed, now) = (stage.feed(), Utc::now());
    let questions = feed.read_related(RelatedNode::Questionnaire, "s").await.expect("an answer");
    assert_eq!(questions, Some(json!([{"tipo": "pregunta"}])));
    let by =
        |owner: &str| Claim { owner: owner.to_owned(), attempt: 1, lease_until: now + TimeDelta::minutes(5) };
    let (ours, theirs, a) = (by("ours"), by("theirs"), key("a"));
    assert_eq!(feed.claim(&a, &ours, now).await, Ok(ClaimAnswer::Claimed));
    assert!(
        matches!(feed.claim(&a, &theirs, now).await, Ok(ClaimAnswer::HeldBy(Some(holder))) if holder.owner == "ours")
    );
    stage
        .world
        .firebase()
        .patch("Transfer/a", json!({"visto": true, "nota": "x"}))
        .expect("a front end's change");
    let result = |claim| WriteBack { key: &a, claim, result: "22|40", codec: "ra7", finished_at: now };
    // The answer of the first try is lost on its way.
    stage.world.script().once(Party::Firebase(FirebaseStep::Write), Behaviour::accept_then_drop());
    let lost = feed.write_back(&result(&ours), now).await;
    assert!(matches!(lost, Ok(WrittenBack::Written) | Err(FeedError::OutcomeUnknown { .. })), "{lost:?}");
    assert_eq!(feed.write_back(&result(&ours), now).await, Ok(WrittenBack::Written));
    let record = feed.read(&a).await.expect("an answer").expect("a record");
    let fields = ["processed", "resultado", "codec", "visto", "nota"].map(|field| record[field].clone());
    assert_eq!(fields, [json!(true), json!("22|40"), json!("ra7"), json!(true), json!("x")]);
    assert_eq!(feed.read_claim(&a).await, Ok(None));
    let writes = stage.world.effects();
    let writes = writes.iter().filter(|effect| effect.kind == EffectKind::FeedWritten && effect.key == "a");
    assert_eq!(writes.count(), 1, "one write-back in effect");
}
