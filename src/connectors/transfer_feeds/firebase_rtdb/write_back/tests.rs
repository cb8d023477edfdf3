//! Claims and results against a small database with versions, and what others do to it in between.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::connectors::scripted::{Reply, Seen, reply};
use crate::connectors::transfer_feeds::{Claim, ClaimAnswer, TransferFeed};
use crate::domain::transfer::TransferKey;

use super::super::FirebaseRtdb;
use super::super::testing::{Database, feed, set, settings};
use super::*;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_768_472_430, 0).unwrap()
}

fn key() -> TransferKey {
    TransferKey::parse("-Nsample0000000000A1").unwrap()
}

fn by(owner: &str, attempt: u32) -> Claim {
    Claim { owner: owner.to_owned(), attempt, lease_until: now() + Duration::from_mins(5) }
}

fn pending() -> Value {
    json!({"Transfer": {"-Nsample0000000000A1": {"processed": false, "resultado": "0|0", "visto": false, "date": 5}}})
}

async fn quiet(tree: Value) -> (Database, FirebaseRtdb) {
    meddled(tree, |_, _| None, |_| None).await
}

async fn meddled(
    tree: Value,
    meddle: impl Fn(&Seen, &mut Value) -> Option<Reply> + Send + Sync + 'static,
    lose: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static,
) -> (Database, FirebaseRtdb) {
    let database = Database::start(tree, meddle, lose).await;
    let config =
        FirebaseRtdbConfig { zone: "America/Mexico_City".to_owned(), ..settings(database.server.address) };
    (database, feed(config))
}

async fn write_22_40(feed: &FirebaseRtdb, claim: &Claim) -> Result<WrittenBack, FeedError> {
    let key = key();
    let result = WriteBack { key: &key, claim, result: "22|40", codec: "ra7", finished_at: now() };
    feed.write_back(&result, now()).await
}

#[tokio::test]
async fn a_claim_is_one_s_until_its_lease_ends() {
    let (database, feed) = quiet(pending()).await;
    let (first, other) = (by("house-a", 1), by("house-b", 1));
    assert_eq!(feed.read_claim(&key()).await, Ok(None));
    assert_eq!(feed.claim(&key(), &first, now()).await, Ok(ClaimAnswer::Claimed));
    assert_eq!(feed.read_claim(&key()).await, Ok(Some(first.clone())));
    assert_eq!(feed.claim(&key(), &other, now()).await, Ok(ClaimAnswer::HeldBy(Some(first.clone()))));
    // The same owner's next attempt takes it, and an earlier one does not take it back.
    assert_eq!(feed.claim(&key(), &by("house-a", 2), now()).await, Ok(ClaimAnswer::Claimed));
    assert_eq!(feed.claim(&key(), &first, now()).await, Ok(ClaimAnswer::HeldBy(Some(by("house-a", 2)))));
    let later = now() + Duration::from_mins(5);
    assert_eq!(feed.claim(&key(), &other, later).await, Ok(ClaimAnswer::Claimed));
    assert_eq!(database.at("/claims/-Nsample0000000000A1/owner"), json!("house-b"));
    feed.release(&key(), &first).await.unwrap();
    assert_eq!(feed.read_claim(&key()).await, Ok(Some(other.clone())));
    feed.release(&key(), &other).await.unwrap();
    assert_eq!(database.at("/claims"), Value::Null);
    assert_eq!(database.at("/Transfer"), pending()["Transfer"], "a claim changes no record");
}

#[tokio::test]
async fn what_is_no_claim_is_not_taken_over() {
    let (database, feed) = quiet(json!({"claims": {"-Nsample0000000000A1": "mine"}})).await;
    assert_eq!(feed.claim(&key(), &by("a", 1), now()).await, Ok(ClaimAnswer::HeldBy(None)));
    assert_eq!(database.at("/claims/-Nsample0000000000A1"), json!("mine"));
}

#[tokio::test]
async fn a_result_is_written_with_the_claim_s_release_and_nothing_else_is_touched() {
    let (database, feed) = quiet(pending()).await;
    let claim = by("house-a", 1);
    feed.claim(&key(), &claim, now()).await.unwrap();
    assert_eq!(write_22_40(&feed, &claim).await, Ok(WrittenBack::Written));
    assert_eq!(
        database.at("/Transfer/-Nsample0000000000A1"),
        json!({"processed": true, "resultado": "22|40", "date_final": "2026/01/15 - 04:20:30 CST", "codec": "ra7",
            "visto": false, "date": 5})
    );
    assert_eq!(database.at("/claims"), Value::Null);
    let patches =
        |database: &Database| database.server.seen().iter().filter(|seen| seen.method == "PATCH").count();
    assert_eq!(patches(&database), 1);
    // Its answer may have been lost: told again, it is the same.
    assert_eq!(write_22_40(&feed, &claim).await, Ok(WrittenBack::Written));
    assert_eq!(patches(&database), 1);
}

#[tokio::test]
async fn without_the_claim_nothing_is_written() {
    let (database, feed) = quiet(pending()).await;
    let claim = by("house-a", 1);
    assert_eq!(write_22_40(&feed, &claim).await, Ok(WrittenBack::ClaimLost(None)));
    let other = by("house-b", 7);
    feed.claim(&key(), &other, now()).await.unwrap();
    assert_eq!(write_22_40(&feed, &claim).await, Ok(WrittenBack::ClaimLost(Some(other.clone()))));
    let ended = Claim { lease_until: now(), ..other };
    feed.claim(&key(), &ended, now()).await.unwrap();
    assert_eq!(write_22_40(&feed, &ended).await, Ok(WrittenBack::ClaimLost(Some(ended.clone()))));
    assert_eq!(database.at("/Transfer"), pending()["Transfer"]);
}

#[tokio::test]
async fn a_record_changed_meanwhile_is_merged() {
    let (database, feed) = meddled(
        pending(),
        |seen, tree| {
            if seen.method == "PATCH" {
                set(tree, "Transfer/-Nsample0000000000A1/visto", json!(true));
            }
            None
        },
        |_| None,
    )
    .await;
    let claim = by("house-a", 1);
    feed.claim(&key(), &claim, now()).await.unwrap();
    assert_eq!(write_22_40(&feed, &claim).await, Ok(WrittenBack::Written));
    assert_eq!(database.at("/Transfer/-Nsample0000000000A1/visto"), json!(true));
    assert_eq!(database.at("/Transfer/-Nsample0000000000A1/resultado"), json!("22|40"));
}

#[tokio::test]
async fn a_record_deleted_meanwhile_stays_deleted() {
    let (before, feed_before) = quiet(json!({})).await;
    let claim = by("house-a", 1);
    feed_before.claim(&key(), &claim, now()).await.unwrap();
    assert_eq!(write_22_40(&feed_before, &claim).await, Ok(WrittenBack::Gone));
    assert_eq!(before.at(""), Value::Null, "the claim is given back, and no record made");

    // Between the look and the write.
    let (during, feed_during) = meddled(
        pending(),
        |seen, tree| {
            if seen.method == "PATCH" {
                set(tree, "Transfer", Value::Null);
            }
            None
        },
        |_| None,
    )
    .await;
    feed_during.claim(&key(), &claim, now()).await.unwrap();
    assert_eq!(write_22_40(&feed_during, &claim).await, Ok(WrittenBack::Gone));
    assert_eq!(during.at(""), Value::Null);
}

#[tokio::test]
async fn a_lost_answer_is_found_out_by_writing_again() {
    let loses = AtomicBool::new(true);
    let (database, feed) = meddled(
        pending(),
        |_, _| None,
        move |seen| (seen.method == "PATCH" && loses.swap(false, Ordering::SeqCst)).then(|| reply(500, "")),
    )
    .await;
    let claim = by("house-a", 1);
    feed.claim(&key(), &claim, now()).await.unwrap();
    assert!(matches!(write_22_40(&feed, &claim).await, Err(FeedError::OutcomeUnknown { .. })));
    assert_eq!(write_22_40(&feed, &claim).await, Ok(WrittenBack::Written));
    assert_eq!(database.server.seen().iter().filter(|seen| seen.method == "PATCH").count(), 1);

    let loses = AtomicBool::new(true);
    let (_database, feed) = meddled(
        json!({}),
        |_, _| None,
        move |seen| (seen.method == "PUT" && loses.swap(false, Ordering::SeqCst)).then(|| reply(500, "")),
    )
    .await;
    assert!(matches!(feed.claim(&key(), &claim, now()).await, Err(FeedError::OutcomeUnknown { .. })));
    assert_eq!(feed.claim(&key(), &claim, now()).await, Ok(ClaimAnswer::Claimed));
}

#[tokio::test]
async fn a_write_whose_effect_could_not_be_seen_is_unknown() {
    let blind = AtomicBool::new(false);
    let (_database, feed) = meddled(
        pending(),
        move |seen, _| {
            if seen.method == "PATCH" {
                blind.store(true, Ordering::SeqCst);
                return None;
            }
            (seen.header("x-firebase-etag") == "true" && blind.swap(false, Ordering::SeqCst))
                .then(|| reply(503, ""))
        },
        |_| None,
    )
    .await;
    let claim = by("house-a", 1);
    feed.claim(&key(), &claim, now()).await.unwrap();
    assert!(matches!(write_22_40(&feed, &claim).await, Err(FeedError::OutcomeUnknown { .. })));
    assert_eq!(write_22_40(&feed, &claim).await, Ok(WrittenBack::Written));
}
