//! A vendor is down. After a few failures in a row, whosever transfers they were, nothing more is asked but a probe now and then;
//! what waits spends no attempt. When the vendor is back everything is analysed, and what was heard before is not asked again.

use bursar::proto::control::v1::WorkState;
use bursar::proto::transfer::v1::transfer::State;
use bursar::sandbox::{Behaviour, Party, Times, VendorName};
use serde_json::{Value, json};

use crate::support::house::feed::a_record;
use crate::support::house::{House, Opened, eventually};

const VENDOR: Party = Party::Vendor(VendorName::Ra7);

fn of_company(company: usize) -> Value {
    let mut record = a_record(1);
    record["key_empresa"] = json!(format!("-NsampleCompany{company:05}"));
    record
}

async fn offers(house: &Opened, number: usize) -> (String, String) {
    let key = format!("-Nsample{number}");
    let result = house.feed().offers_record(&key, 1, of_company(number));
    eventually("the transfer is known", async || house.operator().finds_transfer(&key).await.transfer).await;
    (key, result)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_behind_an_open_breaker_of_a_vendor_is_not_asked_about() {
    let house = House::new()
        .with_feed("main")
        .with("breaker.failures_max", "3")
        .with("breaker.wait_base", "1h")
        .with("breaker.wait_cap", "1h")
        .with("transfers.analysis.retry_base", "1h")
        .with("transfers.analysis.retry_cap", "1h")
        .open()
        .await;
    house.script().always(VENDOR, Behaviour::status(503));
    for number in 0..3 {
        let (key, _) = offers(&house, number).await;
        let found = house.operator().finds_transfer(&key).await.transfer.expect("it is known");
        let failed = house.operator().finds_work_in(&found.id, WorkState::Retryable).await;
        assert!(!failed.last_error.is_empty(), "{failed:?}");
    }
    assert_eq!(house.script().asked(VENDOR), 3);
    // Another company's, which the vendor has never been asked about.
    let (behind, _) = offers(&house, 3).await;
    let found = house.operator().finds_transfer(&behind).await.transfer.expect("it is known");
    assert_eq!(found.state(), State::Queued);
    let waiting = house.operator().finds_work_in(&found.id, WorkState::Available).await;
    assert_eq!((waiting.attempt, waiting.runner_id.as_str()), (0, ""), "it waits untouched");
    assert_eq!(house.script().asked(VENDOR), 3, "and the vendor is left alone");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_vendor_is_back_a_probe_finds_it_and_everything_is_analysed() {
    let house = House::new()
        .with_feed("main")
        .with("breaker.failures_max", "2")
        .with("breaker.wait_base", "20ms")
        .with("breaker.wait_cap", "200ms")
        .open()
        .await;
    // The first answer is heard, and then the vendor falls silent.
    let first = house.feed().offers("-NsampleFirst", 3);
    house.script().add(VENDOR, Behaviour::Normal, Times::Count(1));
    house.script().always(VENDOR, Behaviour::status(503));
    let mut offered = vec![("-NsampleFirst".to_owned(), first)];
    for number in 0..6 {
        offered.push(offers(&house, number).await);
    }
    eventually("another probe", async || (house.script().asked(VENDOR) >= 6).then_some(())).await;

    house.script().clear_all();
    for (key, result) in &offered {
        assert_eq!(house.feed().is_told(key).await["resultado"], *result, "{key}");
        house.operator().sees_transfer(key, State::Done).await;
    }
    house.operator().sees_all_work_done().await;
    let analysed: usize = offered.iter().map(|(key, _)| house.feed().analysed(key)).sum();
    assert_eq!(analysed, 3 + 6, "no answer was heard twice");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_last_attempt_it_has_failed_and_says_what_the_vendor_said() {
    let house = House::new()
        .with_feed("main")
        .with("transfers.analysis.attempts_max", "3")
        .with("breaker.failures_max", "100")
        .open()
        .await;
    house.operator().subscribes_webhook(&["transfer.failed"]).await;
    house.script().once(VENDOR, Behaviour::Normal);
    // It hears, and nobody learns what: that may be the recording's own doing, and costs attempts.
    house.script().always(VENDOR, Behaviour::Reset);
    house.feed().offers("-Nsample", 2);
    let failed = house.operator().sees_transfer("-Nsample", State::Failed).await;
    assert!(failed.reason.starts_with("gave_up: "), "{failed:?}");
    assert_eq!(house.script().asked(VENDOR), 1 + 3);
    let news = house.feed().owners_hear("-Nsample", 1).await;
    let scores = &news[0]["data"]["vendor_risk_scores"];
    assert!(scores[0].is_number() && scores[1].is_null(), "{scores}");
    assert_eq!(news[0]["data"]["result"], Value::Null);
    assert_eq!(house.feed().record("-Nsample")["resultado"], "0|0");

    // An operator tries the dead letter again, and only what has no outcome is asked about.
    house.script().clear_all();
    let letter = house.operator().finds_work_in(&failed.id, WorkState::Discarded).await;
    house.operator().retries(&letter.id, "the vendor is back").await.expect("a dead letter can be retried");
    house.operator().sees_transfer("-Nsample", State::Done).await;
    assert_eq!(house.feed().analysed("-Nsample"), 2);
    house.close().await;
}
