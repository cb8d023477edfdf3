//! The line to the database falls silent: nothing passes, and nothing says that it does not.
//!
//! Callers are told to come back, health is answered, the process lives; when the line is there again, or only new
//! connections get through, everything goes on by itself. The same where connections are cut again and again.

use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};

use crate::database::Kind;
use crate::judge;
use crate::load;
use crate::proxy::Proxy;
use crate::shop::Shop;
use crate::stage::{House, Stage};

const BOLETOS: usize = 160;
/// The house is alone, so that nobody buries it, and it must find its way back itself.
const ALONE: [&str; 2] = ["work.fence_after=1200ms", "work.reap_after=1h"];

/// A house that reaches its database by this line.
async fn house_on(stage: &Stage, line: &Proxy) -> House {
    let store = format!("store.url={}", line.url);
    let house = stage.house_with(&[&store, ALONE[0], ALONE[1]], &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    house
}

#[derive(Clone, Copy)]
enum Return {
    AsItWas,
    ForNewConnections,
}

async fn silent_under_load(returns: Return) {
    let stage = Stage::open(Kind::PostgreSql).await;
    let line = Proxy::to(&stage.database_url).await;
    let mut house = house_on(&stage, &line).await;
    let shop = Shop::of(&stage);
    let channel = house.channel().await.expect("a house that listens");
    shop.furnish(&channel).await.expect("a bank account");
    let doors = [channel.clone()];
    let asking = load::ask_for(&shop, &doors, 0..BOLETOS);
    let silence = async {
        load::registered(&stage, BOLETOS / 4).await;
        line.fall_silent();
        let refused = shop.create(&channel, BOLETOS).await.expect_err("no boleto without a database");
        assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
        house.healthy("", NotServing).await;
        house.healthy("liveness", Serving).await;
        // Its lease has run out by then, and a new pool has been tried.
        let replaced = |line: &str| line.contains("connections to the database replaced");
        house.program.line(replaced).await.expect("a line that is given up");
        house.program.line(|line| line.contains("heartbeat not answered")).await.expect("a lost heartbeat");
        match returns {
            Return::AsItWas => line.come_back(),
            Return::ForNewConnections => line.come_back_for_new_ones(),
        }
        house.healthy("", Serving).await;
    };
    tokio::join!(asking, silence);
    load::ask_for(&shop, &doors, [BOLETOS]).await;
    assert!(house.program.runs(), "the process has ended");
    judge::all_is_well(&stage, house, BOLETOS + 1).await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_line_that_comes_back_costs_time_and_nothing_else() {
    silent_under_load(Return::AsItWas).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_stay_silent_for_good_are_replaced() {
    silent_under_load(Return::ForNewConnections).await;
}

/// A firewall forgets idle connections, which nobody notices before they are used: then all of them are replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_that_were_forgotten_are_replaced() {
    let stage = Stage::open(Kind::PostgreSql).await;
    let line = Proxy::to(&stage.database_url).await;
    let house = house_on(&stage, &line).await;
    let shop = Shop::of(&stage);
    let channel = house.channel().await.expect("a house that listens");
    shop.furnish(&channel).await.expect("a bank account");
    let doors = [channel];
    load::ask_for(&shop, &doors, 0..32).await;
    judge::owners_told(&stage, 32).await;
    let before = line.connections();
    line.come_back_for_new_ones();
    load::ask_for(&shop, &doors, 32..64).await;
    assert!(line.connections() > before, "the old connections were used again");
    judge::all_is_well(&stage, house, 64).await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_cut_again_and_again_lose_and_repeat_nothing() {
    const CUTS: usize = 20;
    let stage = Stage::open(Kind::PostgreSql).await;
    let line = Proxy::to(&stage.database_url).await;
    let mut house = house_on(&stage, &line).await;
    let shop = Shop::of(&stage);
    let channel = house.channel().await.expect("a house that listens");
    shop.furnish(&channel).await.expect("a bank account");
    let doors = [channel];
    let asking = load::ask_for(&shop, &doors, 0..BOLETOS);
    let cutting = async {
        for cut in 1..=CUTS {
            load::registered(&stage, cut * BOLETOS / (CUTS + 1)).await;
            line.cut();
        }
    };
    tokio::join!(asking, cutting);
    assert!(house.program.runs(), "the process has ended");
    judge::all_is_well(&stage, house, BOLETOS).await;
    stage.close().await;
}
