//! The configuration is read again by signal: in the middle of work, again and again, and while the house is about to end.

use bursar::sandbox::{Behaviour, Party};

use crate::database::Kind;
use crate::judge;
use crate::load;
use crate::process::PATIENCE;
use crate::shop::Shop;
use crate::stage::Stage;

const BOLETOS: usize = 40;
const SIGNALS: usize = 200;

/// Says more in the house's file than it said so far.
fn say(stage: &Stage, before: &str, text: &str) {
    std::fs::write(stage.file("bursar.toml"), format!("{text}\n{before}")).expect("the file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_logged_and_what_is_wrong_are_taken_over_and_told_by_signal() {
    let stage = Stage::open(Kind::Sqlite).await;
    let house = stage.house().await;
    assert!(house.opened().await, "{}", house.program.said());
    let file = std::fs::read_to_string(stage.file("bursar.toml")).expect("the file");
    say(&stage, &file, "breaker.failures_max = 0");
    house.program.signal("HUP");
    let refused = house.program.line(|line| line.contains("configuration refused")).await;
    assert!(refused.is_some_and(|line| line.contains("breaker.failures_max")), "{}", house.program.said());
    say(
        &stage,
        &file.replace("log_format = \"json\"", "log_format = \"json\"\nlog_level = \"info,bursar=debug\""),
        "",
    );
    house.program.signal("HUP");
    let taken = house.program.line(|line| line.contains("configuration reloaded")).await;
    assert!(taken.is_some(), "{}", house.program.said());
    let (shop, channel) = (Shop::of(&stage), house.channel().await.expect("a house that listens"));
    shop.furnish(&channel).await.expect("a bank account");
    load::ask_for(&shop, &[channel], 0..1).await;
    let debug = house.program.line(|line| line.contains("\"DEBUG\"")).await;
    assert!(debug.is_some(), "nothing more is logged than before");
    judge::all_is_well(&stage, house, 1).await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_reloads_under_load_loses_and_doubles_nothing() {
    let stage = Stage::open(Kind::Sqlite).await;
    let house = stage.house().await;
    assert!(house.opened().await, "{}", house.program.said());
    let file = std::fs::read_to_string(stage.file("bursar.toml")).expect("the file");
    let (shop, channel) = (Shop::of(&stage), house.channel().await.expect("a house that listens"));
    shop.furnish(&channel).await.expect("a bank account");
    let storm = async {
        for count in 0..SIGNALS {
            // Every other one is taken over, the rest are refused, whole or half written.
            let text = match count % 4 {
                0 => format!("breaker.failures_max = {}", 5 + count),
                1 => "breaker.failures_max = ".to_owned(),
                2 => format!("limits.page_size_max = {}", 500 + count),
                _ => "nothing.here = 1".to_owned(),
            };
            say(&stage, &file, &text);
            house.program.signal("HUP");
            tokio::task::yield_now().await;
        }
    };
    let channels = [channel];
    tokio::join!(storm, load::ask_for(&shop, &channels, 0..BOLETOS));
    judge::owners_told(&stage, BOLETOS).await;
    assert!(house.program.find(|line| line.contains("configuration reloaded")).is_some());
    assert!(house.program.find(|line| line.contains("configuration refused")).is_some());
    judge::all_is_well(&stage, house, BOLETOS).await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_that_drains_is_not_ended_by_a_reload() {
    let stage = Stage::open(Kind::Sqlite).await;
    let mut house = stage.house().await;
    assert!(house.opened().await, "{}", house.program.said());
    let (shop, channel) = (Shop::of(&stage), house.channel().await.expect("a house that listens"));
    shop.furnish(&channel).await.expect("a bank account");
    stage.world.script().always(Party::BankRegister, Behaviour::Hold);
    shop.create(&channel, 0).await.expect("a boleto that waits for its bank");
    stage.world.wait_for_held(1, PATIENCE).await.expect("a call that the bank holds");
    house.program.signal("TERM");
    house.program.line(|line| line.contains("draining")).await.expect("a word about the drain");
    for _ in 0..3 {
        house.program.signal("HUP");
    }
    assert!(house.program.runs(), "the drain waits for the bank");
    stage.world.script().clear(Party::BankRegister);
    stage.world.script().release();
    let status = house.program.ended().await;
    assert_eq!(status.code(), Some(0), "{}", house.program.said());
    let house = stage.house().await;
    judge::all_is_well(&stage, house, 1).await;
    stage.close().await;
}
