//! The PostgreSQL server restarts in the cruellest way under load, and stays away for a while.
//!
//! **Limits**: away for two seconds; `BURSAR_FAULTS_AWAY_SECONDS` makes it longer, for example
//! `BURSAR_FAULTS_AWAY_SECONDS=60 .ci/test -- --test faults postgres_restarts`.

use std::time::Duration;

use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};

use crate::cluster::Cluster;
use crate::judge;
use crate::load;
use crate::shop::Shop;
use crate::stage::Stage;

const BOLETOS: usize = 200;
/// Callers are asked now and then while the server is away.
const LOOK_EVERY: Duration = Duration::from_millis(200);

fn away() -> Duration {
    let seconds = std::env::var("BURSAR_FAULTS_AWAY_SECONDS");
    Duration::from_secs(seconds.map_or(2, |text| text.parse().expect("a number of seconds")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_immediate_restarts_under_load_lose_and_repeat_nothing() {
    let cluster = Cluster::start().await;
    let stage = Stage::on(cluster.url.clone()).await;
    let shop = Shop::of(&stage);
    let mut first = stage.house().await;
    assert!(first.opened().await, "{}", first.program.said());
    let channel = first.channel().await.expect("a house that listens");
    shop.furnish(&channel).await.expect("a bank account");
    let mut second = stage.house().await;
    assert!(second.opened().await, "{}", second.program.said());
    let doors = [channel, second.channel().await.expect("a house that listens")];
    let asking = load::ask_for(&shop, &doors, 0..BOLETOS);
    let restarting = async {
        for restart in 1..=3 {
            load::registered(&stage, restart * BOLETOS / 5).await;
            cluster.restart().await;
        }
    };
    tokio::join!(asking, restarting);
    assert!(first.program.runs() && second.program.runs(), "a process has ended");
    judge::owners_told(&stage, BOLETOS).await;
    first.close().await;
    judge::all_is_well(&stage, second, BOLETOS).await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_for_a_while_is_waited_for() {
    let cluster = Cluster::start().await;
    let stage = Stage::on(cluster.url.clone()).await;
    let shop = Shop::of(&stage);
    let mut house = stage.house().await;
    assert!(house.opened().await, "{}", house.program.said());
    let channel = house.channel().await.expect("a house that listens");
    shop.furnish(&channel).await.expect("a bank account");
    let doors = [channel.clone()];
    load::ask_for(&shop, &doors, 0..BOLETOS / 2).await;
    cluster.crash().await;
    house.healthy("", NotServing).await;
    let until = tokio::time::Instant::now() + away();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    while looks.tick().await < until {
        let refused = shop.create(&channel, BOLETOS).await.expect_err("no boleto without a database");
        assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
        assert_eq!(house.health("liveness").await, Some(Serving), "{}", house.program.said());
    }
    assert!(house.program.runs(), "the process has ended");
    cluster.come_back().await;
    house.healthy("", Serving).await;
    load::ask_for(&shop, &doors, BOLETOS / 2..BOLETOS).await;
    judge::all_is_well(&stage, house, BOLETOS).await;
    stage.close().await;
}
