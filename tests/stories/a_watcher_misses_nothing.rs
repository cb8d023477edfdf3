//! Somebody follows every change of the boletos, goes away and comes back: each change is seen once, in the order in which
//! it was committed.

use std::collections::HashSet;
use std::time::Duration;

use bursar::proto::boleto::v1::boleto_service_client::BoletoServiceClient;
use bursar::proto::boleto::v1::{BoletoChange, BoletoStatus, WatchBoletosRequest, WatchBoletosResponse};
use bursar::sandbox::Behaviour;
use tokio::task::JoinSet;
use tonic::{Code, Streaming};

use crate::support::database::Kind;
use crate::support::house::{House, PATIENCE, Refusal as _, a_boleto, eventually};

/// Somebody who watches.
struct Watcher {
    stream: Streaming<WatchBoletosResponse>,
    seen: Vec<BoletoChange>,
    cursor: String,
}

impl Watcher {
    /// Begins; the first message says from where.
    async fn begin(stream: Streaming<WatchBoletosResponse>) -> Self {
        let mut watcher = Self { stream, seen: Vec::new(), cursor: String::new() };
        watcher.reads().await;
        watcher
    }

    async fn reads(&mut self) {
        let message = tokio::time::timeout(PATIENCE, self.stream.message()).await.expect("news");
        let message = message.expect("no error").expect("no end");
        if let Some(last) = message.changes.last() {
            assert_eq!(last.cursor, message.cursor, "the cursor of a message is that of its last change");
        }
        self.cursor = message.cursor;
        self.seen.extend(message.changes);
    }

    async fn reads_until(&mut self, changes: usize) {
        while self.seen.len() < changes {
            self.reads().await;
        }
        assert_eq!(self.seen.len(), changes, "{:?}", self.seen);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_begins_now_sees_what_comes_and_who_begins_at_zero_sees_all() {
    let house = House::new().open().await;
    let shop = house.shop();
    let before = shop.creates(a_boleto()).await;
    let mut from_now = Watcher::begin(shop.watches("", "").await.expect("a stream")).await;
    assert!(from_now.seen.is_empty());

    house.script().bank_register(Behaviour::Reset);
    let after = shop.creates(a_boleto().called("order-1")).await;
    shop.sees(&after.id, BoletoStatus::Registered).await;
    from_now.reads_until(3).await;
    let statuses: Vec<BoletoStatus> = from_now.seen.iter().map(BoletoChange::status).collect();
    assert_eq!(statuses, [BoletoStatus::Issued, BoletoStatus::PendingRegistration, BoletoStatus::Registered]);
    let versions: Vec<i64> = from_now.seen.iter().map(|change| change.version).collect();
    assert_eq!(versions, [1, 2, 3]);
    assert!(
        from_now.seen.iter().all(|change| change.boleto_id == after.id && change.reference_id == "order-1")
    );
    assert_eq!(from_now.seen[2].event_type, "boleto.registered");
    let told = house.owner().hears(&after.id, 1).await;
    assert_eq!(from_now.seen[2].event_id, told[0].text("event_id"), "the owner's news is the same news");

    let mut all = Watcher::begin(shop.watches("0", "").await.expect("a stream")).await;
    all.reads_until(5).await;
    let mut one = Watcher::begin(shop.watches("0", &before.id).await.expect("a stream")).await;
    one.reads_until(2).await;
    assert!(one.seen.iter().all(|change| change.boleto_id == before.id));

    // From each change the rest follows, and nothing else.
    for (index, change) in all.seen.iter().enumerate() {
        let mut rest = Watcher::begin(shop.watches(&change.cursor, "").await.expect("a stream")).await;
        rest.reads_until(4 - index).await;
        assert_eq!(rest.seen, all.seen[index + 1..]);
    }
    drop((from_now, all, one));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_skipped_under_load_on_the_embedded_store() {
    nothing_is_skipped_under_load(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_skipped_under_load_on_postgresql() {
    nothing_is_skipped_under_load(Kind::PostgreSql).await;
}

/// A watcher that comes back after every message, while boletos are made side by side.
async fn nothing_is_skipped_under_load(kind: Kind) {
    const BOLETOS: usize = 120;
    let house = House::new().on(kind).open().await;
    let shop = house.shop();
    let start = Watcher::begin(shop.watches("", "").await.expect("a stream")).await.cursor;
    let watching = tokio::spawn({
        let shop = house.shop();
        async move {
            let (mut cursor, mut seen) = (start, Vec::new());
            while seen.len() < 2 * BOLETOS {
                let stream = shop.watches(&cursor, "").await.expect("a stream");
                let mut watcher = Watcher::begin(stream).await;
                if watcher.seen.is_empty() {
                    watcher.reads().await;
                }
                cursor = watcher.cursor;
                seen.extend(watcher.seen);
            }
            seen
        }
    });
    let mut making = JoinSet::new();
    for _ in 0..8 {
        let shop = house.shop();
        making.spawn(async move {
            for _ in 0..BOLETOS / 8 {
                shop.creates(a_boleto().told_to_nobody()).await;
            }
        });
    }
    making.join_all().await;
    let seen =
        tokio::time::timeout(PATIENCE, watching).await.expect("all changes in time").expect("no panic");
    let events: HashSet<&str> = seen.iter().map(|change| change.event_id.as_str()).collect();
    assert_eq!((seen.len(), events.len()), (2 * BOLETOS, 2 * BOLETOS), "each change once");
    let mut known: HashSet<(&str, i64)> = HashSet::new();
    for change in &seen {
        let is_next = change.version == 1 || known.contains(&(change.boleto_id.as_str(), change.version - 1));
        assert!(is_next, "out of order: {change:?}");
        known.insert((&change.boleto_id, change.version));
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_watches_too_often_is_told_to_wait() {
    let house =
        House::new().with("api.streams_max", "3").with("api.streams_per_caller_max", "2").open().await;
    let shop = house.shop();
    let first = shop.watches("", "").await.expect("a stream");
    let _second = shop.watches("", "").await.expect("a stream");
    let third = shop.watches("", "").await.expect_err("two a caller");
    assert_eq!((third.code(), third.reason().as_str()), (Code::ResourceExhausted, "TOO_MANY_STREAMS"));
    assert!(third.retry_after().is_some_and(|wait| wait > Duration::ZERO));

    let mut others = BoletoServiceClient::new(house.another_connection().await);
    let other = others.watch_boletos(WatchBoletosRequest::default()).await.expect("another caller's stream");
    let fourth = BoletoServiceClient::new(house.another_connection().await)
        .watch_boletos(WatchBoletosRequest::default())
        .await
        .expect_err("three in all");
    assert_eq!(fourth.reason(), "TOO_MANY_STREAMS");

    drop(first);
    eventually("a place is free again", async || shop.watches("", "").await.ok()).await;
    drop(other);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_of_somewhere_else_is_refused() {
    let house = House::new().open().await;
    let status = house.shop().watches("yesterday", "7").await.expect_err("no cursor");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.fields(), ["boleto_id", "cursor"]);
    house.close().await;
}
