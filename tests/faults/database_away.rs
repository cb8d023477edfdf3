//! The database goes away under a running house, or is not there yet when it starts.
//!
//! Readiness fails and liveness holds, callers are told to come back, and when it is there again everything goes on by
//! itself, in the same process.

use bursar::proto::boleto::v1::BoletoStatus;
use bursar::sandbox::Behaviour;
use tonic::{Code, Status};
use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};
use tonic_types::StatusExt as _;

use crate::cluster::Cluster;
use crate::judge;
use crate::process::{PATIENCE, eventually};
use crate::shop::Shop;
use crate::stage::{House, Stage};

const LIVENESS: &str = "liveness";
const SERVICES: [&str; 11] = [
    "",
    "bursar.boleto.v1.BoletoService",
    "bursar.boleto.v1.BankAccountService",
    "bursar.control.v1.ControlService",
    "bursar.notification.v1.NotificationService",
    "bursar.openbanking.v1.AccountService",
    "bursar.openbanking.v1.ConsentService",
    "bursar.openbanking.v1.PaymentService",
    "bursar.openbanking.v1.SyncService",
    "bursar.openbanking.v1.UserService",
    "bursar.transfer.v1.TransferService",
];

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

/// What everybody sees while the database is away.
async fn is_away(house: &House) {
    for service in SERVICES {
        house.healthy(service, NotServing).await;
    }
    house.healthy(LIVENESS, Serving).await;
}

async fn is_back(house: &House) {
    for service in SERVICES {
        house.healthy(service, Serving).await;
    }
}

/// The bank answers while the database is away for longer than the lease holds. Nobody else can bury this process, so
/// what it could not write down must come back to itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_outlives_its_database_and_goes_on_by_itself() {
    let cluster = Cluster::start().await;
    let stage = Stage::on(cluster.url.clone()).await;
    let mut house = stage.house_with(&["work.fence_after=4s", "work.reap_after=1h"], &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    is_back(&house).await;
    let shop = Shop::of(&stage);
    let channel = house.channel().await.expect("a house that listens");
    shop.furnish(&channel).await.expect("a bank account");
    stage.world.script().bank_register(Behaviour::accept_then_hold());
    let boleto = shop.create(&channel, 1).await.expect("a boleto that waits for its bank");
    assert_eq!(boleto.status(), BoletoStatus::PendingRegistration);
    stage.world.wait_for_held(1, PATIENCE).await.expect("a call that the bank holds");

    cluster.crash().await;
    stage.world.script().release();
    house
        .program
        .line(|line| line.contains("outcome not written down yet"))
        .await
        .expect("an answer that waits");
    is_away(&house).await;
    let refused = shop.create(&channel, 2).await.expect_err("no boleto without a database");
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert_eq!(reason(&refused), "STORE_UNAVAILABLE", "{refused:?}");
    assert!(refused.get_error_details().retry_info().is_some(), "when to come back: {refused:?}");
    stage.world.script().release();
    house
        .program
        .line(|line| line.contains("outcome not written down yet"))
        .await
        .expect("an answer that waits");
    house.program.line(|line| line.contains("outcome dropped")).await.expect("a lease that is lost");
    assert!(house.program.runs(), "the process has ended");

    cluster.come_back().await;
    is_back(&house).await;
    judge::owners_told(&stage, 1).await;
    shop.create(&channel, 2).await.expect("a boleto");
    judge::all_is_well(&stage, house, 2).await;
    stage.close().await;
}

/// A short absence, within the lease: the outcome in hand is written down when the database is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_in_hand_is_kept_over_a_short_absence() {
    let cluster = Cluster::start().await;
    let stage = Stage::on(cluster.url.clone()).await;
    let house = stage.house_with(&["work.fence_after=30s", "work.reap_after=1h"], &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    let shop = Shop::of(&stage);
    let channel = house.channel().await.expect("a house that listens");
    shop.furnish(&channel).await.expect("a bank account");
    stage.world.script().bank_register(Behaviour::accept_then_hold());
    shop.create(&channel, 1).await.expect("a boleto that waits for its bank");
    stage.world.wait_for_held(1, PATIENCE).await.expect("a call that the bank holds");
    cluster.crash().await;
    stage.world.script().release();
    house
        .program
        .line(|line| line.contains("outcome not written down yet"))
        .await
        .expect("an answer that waits");
    cluster.come_back().await;
    judge::all_is_well(&stage, house, 1).await;
    assert_eq!(stage.world.script().asked(bursar::sandbox::Party::BankLookUp), 0, "the answer was not lost");
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_that_starts_without_its_database_waits_for_it() {
    let cluster = Cluster::start().await;
    cluster.crash().await;
    let stage = Stage::on(cluster.url.clone()).await;
    let mut house = stage.house().await;
    house.program.line(|line| line.contains("store away")).await.expect("a word about the store");
    is_away(&house).await;
    let shop = Shop::of(&stage);
    let channel = house.channel().await.expect("a house that listens");
    let refused = shop.create(&channel, 1).await.expect_err("no boleto without a database");
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unavailable, "NOT_READY"), "{refused:?}");
    assert!(house.program.runs(), "the process has ended");
    cluster.come_back().await;
    is_back(&house).await;
    shop.trade(&channel).await.expect("a boleto");
    judge::all_is_well(&stage, house, 1).await;
    stage.close().await;
}

/// The database goes again and again while shops ask; a caller who was told to come back does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_crashes_under_load_costs_time_and_nothing_else() {
    const BOLETOS: usize = 200;
    let cluster = Cluster::start().await;
    let stage = Stage::on(cluster.url.clone()).await;
    let house = stage.house().await;
    assert!(house.opened().await, "{}", house.program.said());
    let shop = Shop::of(&stage);
    let channel = house.channel().await.expect("a house that listens");
    shop.furnish(&channel).await.expect("a bank account");
    let asking = async {
        let ask = async |number| {
            eventually("an answer to a shop", async || match shop.create(&channel, number).await {
                Ok(_) => Some(()),
                Err(status) => {
                    assert_eq!(status.code(), Code::Unavailable, "boleto {number}: {status:?}");
                    None
                }
            })
            .await;
        };
        for first in (0..BOLETOS).step_by(16) {
            let numbers = first..BOLETOS.min(first + 16);
            futures_util::future::join_all(numbers.map(ask)).await;
        }
    };
    let crashing = async {
        for crash in 1..=3 {
            let registered = |effects: &[bursar::sandbox::Effect]| effects.len() >= crash * BOLETOS / 2;
            stage.world.wait_for_effects(registered, PATIENCE).await.expect("the work goes on");
            cluster.crash().await;
            cluster.come_back().await;
        }
    };
    tokio::join!(asking, crashing);
    judge::all_is_well(&stage, house, BOLETOS).await;
    stage.close().await;
}
