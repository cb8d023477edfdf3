//! A vendor takes its time, and an operator has the pool ask about more transfers at once, or about fewer. What is under way goes on.

use bursar::proto::control::v1::{ResizePoolRequest, ResizePoolResponse};
use bursar::proto::transfer::v1::transfer::State;
use bursar::sandbox::{Behaviour, Party, VendorName};
use tonic::{Code, Status};

use crate::support::house::{House, Opened, PATIENCE, Refusal as _};

const VENDOR: Party = Party::Vendor(VendorName::Ra7);
const KEYS: [&str; 3] = ["-Nsample0000000000A1", "-Nsample0000000000A2", "-Nsample0000000000A3"];

async fn resizes(house: &Opened, pool: &str, slots: i32) -> Result<ResizePoolResponse, Status> {
    let request = ResizePoolRequest { pool: pool.to_owned(), slots, ..Default::default() };
    Ok(house.operator().control.clone().resize_pool(request).await?.into_inner())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_is_begun_at_once_and_what_is_too_much_goes_on() {
    let house = House::new().with_feed("main").with("transfers.analysis.slots", "1").open().await;
    house.script().always(VENDOR, Behaviour::Hold);
    let results = KEYS.map(|key| house.feed().offers(key, 1));
    house.world().wait_for_held(1, PATIENCE).await.expect("one is asked about");
    let resized = resizes(&house, "analysis", 3).await.expect("a pool of that name");
    assert_eq!((resized.slots_before, resized.slots, resized.in_hand), (1, 3, 1));
    house.world().wait_for_held(3, PATIENCE).await.expect("all are asked about");
    let resized = resizes(&house, "analysis", 1).await.expect("a pool of that name");
    assert_eq!((resized.slots_before, resized.slots, resized.in_hand), (3, 1, 3));

    house.script().clear(VENDOR);
    house.script().release();
    for (key, result) in KEYS.into_iter().zip(results) {
        assert_eq!(house.feed().is_told(key).await["resultado"], result);
        house.operator().sees_transfer(key, State::Done).await;
    }
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_is_none_or_has_nothing_to_do_is_not_resized() {
    let house = House::new().open().await;
    let refused = resizes(&house, "registrars", 0).await.expect_err("there is one pool, and it has slots");
    assert_eq!(
        (refused.code(), refused.fields()),
        (Code::InvalidArgument, vec!["pool".into(), "slots".into()])
    );
    let refused = resizes(&house, "analysis", 10_001).await.expect_err("that is too many");
    assert_eq!(refused.fields(), ["slots"]);
    let disabled = resizes(&house, "analysis", 2).await.expect_err("no feed is configured");
    assert_eq!(disabled.code(), Code::FailedPrecondition);
    assert!(disabled.message().contains("transfers.feeds"), "{}", disabled.message());
    house.close().await;
}
