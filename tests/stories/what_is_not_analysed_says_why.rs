//! Some records are not to be analysed: too old, of tomorrow, without a time, of a person who did not agree, or no transfer at all.
//! Each says why, its owner hears of it, no vendor hears a word of it, and one that is put right is analysed after all.

use bursar::proto::transfer::v1::transfer::State;
use bursar::sandbox::{Party, VendorName};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::house::feed::a_record;
use crate::support::house::{House, Opened};

const VENDOR: Party = Party::Vendor(VendorName::Ra7);

fn dated(date: Value) -> Value {
    let mut record = a_record(1);
    record["date"] = date;
    record
}

async fn is_not_analysed(house: &Opened, key: &str, state: State, reason: &str) {
    let found = house.operator().sees_transfer(key, state).await;
    assert_eq!(found.reason.split(':').next(), Some(reason), "{found:?}");
    assert!(found.run.is_none(), "{found:?}");
    let news = house.feed().owners_hear(key, 1).await;
    let event_type = format!("transfer.{}", if state == State::Skipped { "skipped" } else { "failed" });
    assert_eq!(news[0]["event_type"], event_type);
    assert_eq!(news[0]["data"]["reason"], found.reason);
    assert_eq!(news[0]["data"]["vendor_risk_scores"], Value::Null, "a failure is never a number");
    assert_ne!(house.feed().record(key)["processed"], true, "the feed is told nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_that_is_not_analysed_has_its_reason() {
    let house = House::new().with_feed("main").open().await;
    house.operator().subscribes_webhook(&["transfer.*"]).await;
    let now = Utc::now();
    let text = |time: chrono::DateTime<Utc>| json!(time.format("%Y/%m/%d - %H:%M:%S").to_string());
    let skipped = [
        ("-NsampleOld", dated(text(now - TimeDelta::days(4))), "too_old"),
        ("-NsampleOldSeconds", dated(json!((now - TimeDelta::days(4)).timestamp())), "too_old"),
        ("-NsampleTomorrow", dated(json!((now + TimeDelta::days(1)).timestamp_millis())), "in_the_future"),
        ("-NsampleTimeless", dated(Value::Null), "no_time"),
        ("-NsampleGibberish", dated(json!("yesterday")), "no_time"),
    ];
    for (key, record, _) in &skipped {
        house.feed().offers_record(key, 1, record.clone());
    }
    for (key, _, reason) in &skipped {
        is_not_analysed(&house, key, State::Skipped, reason).await;
    }
    // In milliseconds, and in seconds as text, an hour ago is an hour ago.
    let hour_ago = now - TimeDelta::hours(1);
    for (key, date) in [
        ("-NsampleMilliseconds", json!(hour_ago.timestamp_millis())),
        ("-NsampleSeconds", json!(hour_ago.timestamp().to_string())),
    ] {
        let result = house.feed().offers_record(key, 1, dated(date));
        assert_eq!(house.feed().is_told(key).await["resultado"], result);
    }
    house.operator().sees_all_work_done().await;
    assert_eq!(house.script().asked(VENDOR), 2);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_right_is_analysed_after_all() {
    let house = House::new().with_feed("main").open().await;
    house.operator().subscribes_webhook(&["transfer.*"]).await;
    let result = house.feed().offers_record("-Nsample", 1, dated(json!("yesterday")));
    is_not_analysed(&house, "-Nsample", State::Skipped, "no_time").await;
    house.feed().puts("Transfer/-Nsample", a_record(1));
    assert_eq!(house.feed().is_told("-Nsample").await["resultado"], result);
    let news = house.feed().owners_hear("-Nsample", 2).await;
    assert_eq!(news[1]["event_type"], "transfer.done");
    assert!(news[1]["version"].as_i64() > news[0]["version"].as_i64());
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_can_analyse_has_failed_and_is_no_number() {
    let house = House::new().with_feed("main").open().await;
    house.operator().subscribes_webhook(&["transfer.*"]).await;
    let refers = |field: &str, to: Value| {
        let mut record = a_record(1);
        record[field] = to;
        record
    };
    let failed = [
        ("-NsampleNoKey", refers("key_persona", json!({"not": "a key"})), "unreadable"),
        ("-NsampleItself", refers("key", json!("-NsampleItself")), "unreadable"),
        ("-NsampleNowhere", refers("key", json!("-NsampleNobody")), "alias"),
        ("-NsampleChain", refers("key", json!("-NsampleNowhere")), "alias"),
        ("-NsampleUnasked", refers("key_encuesta", json!("-NsampleNoSurvey")), "questionnaire_missing"),
        ("-NsampleNoQuestion", refers("key_encuesta", json!("-NsampleTitles")), "no_questions"),
    ];
    house.feed().puts("Encuestas/-NsampleTitles/cuestionario", json!([{"tipo": "titulo"}]));
    for (key, record, _) in &failed {
        house.feed().offers_record(key, 1, record.clone());
    }
    for (key, _, reason) in &failed {
        let found = house.operator().sees_transfer(key, State::Failed).await;
        assert_eq!(found.reason.split(':').next(), Some(*reason), "{found:?}");
        let news = house.feed().owners_hear(key, 1).await;
        assert_eq!(news[0]["event_type"], "transfer.failed");
        assert_eq!(news[0]["data"]["vendor_risk_scores"], Value::Null);
        assert_eq!(
            house.feed().record(key)["resultado"],
            "0",
            "what producers write before there is any stays"
        );
    }
    assert_eq!(house.feed().database().read("claims"), Value::Null, "no claim is left behind");
    assert_eq!(house.script().asked(VENDOR), 0);
    house.close().await;
}
