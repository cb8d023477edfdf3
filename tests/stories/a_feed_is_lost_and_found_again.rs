//! The line to the feed breaks, its credential ends, it sends us elsewhere, it tells the same thing twice. Whatever was recorded
//! meanwhile is analysed, and nothing is analysed or told twice.

use std::num::NonZeroUsize;

use bursar::proto::transfer::v1::feed;
use bursar::proto::transfer::v1::{ListFeedsRequest, transfer::State};
use bursar::sandbox::{Behaviour, FirebaseStep, LineEnd, Party, StreamNews, StreamPlay, VendorName};
use serde_json::json;

use crate::support::house::{House, Opened, PATIENCE, eventually};

const STREAM: Party = Party::Firebase(FirebaseStep::Stream);

/// The feed has what it has to have, and everything of it was done once.
async fn is_done_once(house: &Opened, key: &str, answers: usize, result: &str) {
    let record = house.feed().is_told(key).await;
    assert_eq!(record["resultado"], result, "{record}");
    house.operator().sees_transfer(key, State::Done).await;
    assert_eq!((house.feed().analysed(key), house.feed().told(key)), (answers, 1), "{key}");
}

async fn is_followed(house: &Opened) {
    eventually("the feed is followed", async || {
        let answer = house.operator().transfers.clone().list_feeds(ListFeedsRequest {}).await.ok()?;
        let feeds = answer.into_inner().feeds;
        (feeds.len() == 1 && feeds[0].state() == feed::State::Following).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_recorded_while_the_line_is_cut_is_found_when_it_is_back() {
    let house = House::new().with_feed("main").open().await;
    let first = house.feed().offers("-NsampleBefore", 2);
    is_done_once(&house, "-NsampleBefore", 2, &first).await;
    is_followed(&house).await;

    house.script().always(STREAM, Behaviour::status(503));
    house.feed().database().tell(StreamNews::Cut);
    let asked = house.script().asked(STREAM);
    house.world().wait_for_asked(STREAM, asked + 2, PATIENCE).await.expect("it comes back by itself");
    let second = house.feed().offers("-NsampleMeanwhile", 3);
    assert!(house.operator().finds_transfer("-NsampleMeanwhile").await.transfer.is_none(), "nobody told us");

    house.script().clear(STREAM);
    is_done_once(&house, "-NsampleMeanwhile", 3, &second).await;
    is_done_once(&house, "-NsampleBefore", 2, &first).await;
    is_followed(&house).await;
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_speaks_badly_ends_early_or_elsewhere_loses_nothing() {
    let house = House::new()
        .with_feed("main")
        .with("transfers.feeds.main.firebase_rtdb.redirect_hosts", r#"["localhost"]"#)
        .with("transfers.feeds.main.firebase_rtdb.idle_timeout", "500ms")
        .prepare()
        .await;
    let port = house.world.addresses().firebase.url.rsplit(':').next().expect("a port").to_owned();
    let plays = [
        StreamPlay { cut_in: Some(0), ..StreamPlay::default() },
        StreamPlay { silent_after: Some(0), ..StreamPlay::default() },
        StreamPlay { noise: Some("event: put\ndata: {\"path\":\n\n".to_owned()), ..StreamPlay::default() },
        StreamPlay {
            bom: true,
            line_end: LineEnd::CrLf,
            piece_bytes: NonZeroUsize::new(1),
            ..StreamPlay::default()
        },
        StreamPlay { redirect_to: Some(format!("http://localhost:{port}")), ..StreamPlay::default() },
    ];
    let count = plays.len() as u64;
    plays.into_iter().for_each(|play| house.world.firebase().play_once(play));
    let house = house.open().await;
    let mut results = Vec::new();
    for number in 0..count {
        let key = format!("-Nsample{number}");
        results.push((key.clone(), house.feed().offers(&key, 2)));
        let asked = house.script().asked(STREAM);
        if house.feed().database().listeners() > 0 {
            house.feed().database().tell(StreamNews::End);
        }
        house
            .world()
            .wait_for_asked(STREAM, (asked + 1).max(number + 1), PATIENCE)
            .await
            .expect("the next stream");
    }
    for (key, result) in &results {
        is_done_once(&house, key, 2, result).await;
    }
    is_followed(&house).await;
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_that_ended_is_replaced_and_nothing_is_missed() {
    let house = House::new().with_feed("main").open().await;
    let first = house.feed().offers("-NsampleBefore", 1);
    is_done_once(&house, "-NsampleBefore", 1, &first).await;
    for (number, quoted) in [(1, false), (2, true)] {
        let asked = house.script().asked(STREAM);
        house.feed().database().tell(StreamNews::AuthRevoked { quoted });
        house.world().wait_for_asked(STREAM, asked + 1, PATIENCE).await.expect("a new stream");
        let key = format!("-NsampleBehind{number}");
        let result = house.feed().offers(&key, 1);
        is_done_once(&house, &key, 1, &result).await;
    }
    // The rules forbid it, and an operator corrects them.
    house.feed().database().tell(StreamNews::Cancel { reason: None });
    let last = house.feed().offers("-NsampleLast", 1);
    is_done_once(&house, "-NsampleLast", 1, &last).await;
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_ended_is_minted_anew_once_for_everybody() {
    let token = Party::Firebase(FirebaseStep::Token);
    let house = House::new().with_feed("main").with_service_account().open().await;
    let first = house.feed().offers("-NsampleBefore", 2);
    is_done_once(&house, "-NsampleBefore", 2, &first).await;
    assert_eq!(house.script().asked(token), 1, "the listener and everybody else share one");
    // In the middle of an analysis all tokens end; the stream is told so, and what comes next is refused.
    house.script().once(Party::Vendor(VendorName::Ra7), Behaviour::Hold);
    let second = house.feed().offers("-NsampleUnder", 2);
    house.world().wait_for_held(1, PATIENCE).await.expect("the vendor is asked");
    house.script().expire_tokens();
    house.script().release();
    is_done_once(&house, "-NsampleUnder", 2, &second).await;
    let third = house.feed().offers("-NsampleBehind", 1);
    is_done_once(&house, "-NsampleBehind", 1, &third).await;
    is_followed(&house).await;
    assert_eq!(house.script().asked(token), 2, "one sign-in for all of them");
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_seen_twice_is_done_once() {
    let house = House::new().with_feed("main").open().await;
    house.operator().subscribes_webhook(&["transfer.*"]).await;
    let result = house.feed().offers("-Nsample", 2);
    is_done_once(&house, "-Nsample", 2, &result).await;
    // Somebody's program writes the mark back, and the front end goes on writing into the record.
    for _ in 0..3 {
        house.feed().puts("Transfer/-Nsample/processed", json!(false));
        house.feed().puts("Transfer/-Nsample/visto", json!(true));
        house.feed().database().tell(StreamNews::End);
    }
    // A key that contains another one is another one.
    let other = house.feed().offers("-Nsample-2", 1);
    is_done_once(&house, "-Nsample-2", 1, &other).await;
    house.operator().sees_all_work_done().await;
    assert_eq!((house.feed().analysed("-Nsample"), house.feed().told("-Nsample")), (2, 1));
    assert_eq!(house.feed().owners_hear("-Nsample", 1).await.len(), 1);
    house.close().await;
}
