//! A transfer takes a while, and the feed does not stand still. What the front end writes meanwhile stays beside the result; a
//! record that was deleted stays deleted; and what somebody else has processed is left to them.

use bursar::proto::transfer::v1::transfer::State;
use bursar::sandbox::{Behaviour, Party, VendorName};
use serde_json::{Value, json};

use crate::support::house::{House, Opened, PATIENCE};

const VENDOR: Party = Party::Vendor(VendorName::Ra7);
const KEY: &str = "-Nsample0000000000A1";

/// A house in which the vendor holds the first answer of the transfer back.
async fn under_analysis(slots: &str) -> (Opened, String) {
    let house = House::new().with_feed("main").with("transfers.analysis.slots", slots).open().await;
    house.operator().subscribes_webhook(&["transfer.*"]).await;
    house.script().once(VENDOR, Behaviour::Hold);
    let result = house.feed().offers(KEY, 2);
    house.world().wait_for_held(1, PATIENCE).await.expect("the vendor is asked");
    house.operator().sees_transfer(KEY, State::Analysing).await;
    (house, result)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_meanwhile_stays() {
    let (house, result) = under_analysis("16").await;
    let before = house.feed().record(KEY);
    house.feed().puts(&format!("Transfer/{KEY}/visto"), json!(true));
    house.feed().puts(&format!("Transfer/{KEY}/nota"), json!({"de": "front end"}));
    house.script().release();
    let record = house.feed().is_told(KEY).await;
    house.operator().sees_all_work_done().await;
    assert_eq!((&record["resultado"], &record["visto"]), (&json!(result), &json!(true)));
    assert_eq!(record["nota"], json!({"de": "front end"}));
    for field in ["date", "key_empresa", "key_persona", "key_usuario", "status"] {
        assert_eq!(record[field], before[field], "{field}");
    }
    assert_eq!(
        house.feed().database().read(&format!("claims/{KEY}")),
        Value::Null,
        "the claim was given back"
    );
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deleted_meanwhile_stays_deleted_and_its_result_is_kept_here() {
    let (house, result) = under_analysis("16").await;
    house.feed().puts(&format!("Transfer/{KEY}"), Value::Null);
    house.script().release();
    let done = house.operator().sees_transfer(KEY, State::Done).await;
    house.operator().sees_all_work_done().await;
    let run = done.run.expect("a run");
    assert_eq!((run.write_back.as_str(), run.result.as_str()), ("gone", result.as_str()));
    assert_eq!(house.feed().record(KEY), Value::Null, "nobody brings it back");
    assert_eq!(house.feed().database().read("claims"), Value::Null, "nor leaves a claim");
    assert_eq!(house.feed().owners_hear(KEY, 1).await[0]["event_type"], "transfer.done");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_deleted_or_processed_by_others_before_its_turn_is_skipped() {
    let (house, _) = under_analysis("1").await;
    for key in ["-NsampleDeleted", "-NsampleProcessed"] {
        house.feed().offers(key, 1);
        house.operator().sees_transfer(key, State::Queued).await;
    }
    house.feed().puts("Transfer/-NsampleDeleted", Value::Null);
    house
        .feed()
        .database()
        .patch("Transfer/-NsampleProcessed", json!({"processed": true, "resultado": "77"}))
        .expect("written");
    house.script().release();
    for (key, reason) in [("-NsampleDeleted", "deleted"), ("-NsampleProcessed", "processed_elsewhere")] {
        let skipped = house.operator().sees_transfer(key, State::Skipped).await;
        assert_eq!(skipped.reason.split(':').next(), Some(reason), "{skipped:?}");
        let news = house.feed().owners_hear(key, 1).await;
        assert_eq!(news[0]["event_type"], "transfer.skipped");
        assert_eq!(house.feed().analysed(key), 0);
    }
    assert_eq!(house.feed().record("-NsampleProcessed")["resultado"], "77", "theirs stands");
    house.operator().sees_all_work_done().await;
    house.close().await;
}
