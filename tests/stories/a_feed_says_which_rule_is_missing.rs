//! A feed's database has no index for what we ask. No waiting mends that, so that an operator reads which rule to add; once it is
//! there the feed is followed, without anybody having touched us.

use bursar::proto::transfer::v1::feed::State;
use bursar::proto::transfer::v1::{Feed, ListFeedsRequest};
use bursar::sandbox::{FirebaseStep, Party};

use crate::support::house::{House, Opened, PATIENCE, eventually};

const STREAM: Party = Party::Firebase(FirebaseStep::Stream);

async fn feed_becomes(house: &Opened, state: State) -> Feed {
    eventually(&format!("a feed that is {state:?}"), async || {
        let answer = house.operator().transfers.clone().list_feeds(ListFeedsRequest {}).await.ok()?;
        answer.into_inner().feeds.into_iter().find(|feed| feed.state() == state)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rule_is_told_and_once_it_is_added_the_feed_is_followed() {
    let house = House::new()
        .with_feed("main")
        .with("supervision.park_retry_base", "100ms")
        .with("supervision.park_retry_cap", "200ms")
        .prepare()
        .await;
    house.world.firebase().set_index("Transfer", None);
    let house = house.open().await;
    let result = house.feed().offers("-NsampleEarly", 2);
    let feed = feed_becomes(&house, State::Refused).await;
    for part in [".indexOn", "processed", "Transfer"] {
        assert!(feed.reason.contains(part), "{feed:?}");
    }
    // It is tried again now and then, by the same actor.
    let asked = house.script().asked(STREAM);
    house.world().wait_for_asked(STREAM, asked + 2, PATIENCE).await.expect("another try");
    assert_eq!(feed_becomes(&house, State::Refused).await.since_time, feed.since_time, "nothing has changed");

    house.feed().database().set_index("Transfer", Some("processed"));
    assert_eq!(house.feed().is_told("-NsampleEarly").await["resultado"], result);
    let feed = feed_becomes(&house, State::Following).await;
    assert!(feed.reason.is_empty() && feed.reconcile_time.is_some(), "{feed:?}");
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_that_is_not_enabled_is_not_listened_to() {
    let house = House::new().with_feed("main").with("transfers.feeds.main.enabled", "false").open().await;
    let feed = feed_becomes(&house, State::Elsewhere).await;
    assert_eq!((feed.name.as_str(), feed.news_time), ("main", None));
    assert_eq!((house.script().asked(STREAM), house.feed().database().listeners()), (0, 0));
    house.close().await;
}
