//! Two processes on one PostgreSQL: when one is killed with work in hand, the other misses it and takes over.

use bursar::sandbox::{Behaviour, Party};

use crate::database::Kind;
use crate::judge;
use crate::process::PATIENCE;
use crate::shop::Shop;
use crate::stage::Stage;

const BOLETOS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_process_takes_over_what_a_killed_one_had_in_hand() {
    let stage = Stage::open(Kind::PostgreSql).await;
    let shop = Shop::of(&stage);
    let mut first = stage.house().await;
    assert!(first.opened().await, "{}", first.program.said());
    let channel = first.channel().await.expect("a house that listens");
    shop.furnish(&channel).await.expect("a bank account");
    let second = stage.house().await;
    assert!(second.opened().await, "{}", second.program.said());

    // Of what the first has in hand, the bank keeps every other title; the answers do not come back.
    for number in 0..BOLETOS {
        let behaviour = if number % 2 == 0 { Behaviour::Hang } else { Behaviour::accept_then_hold() };
        stage.world.script().once(Party::BankRegister, behaviour);
    }
    for number in 0..BOLETOS {
        shop.create(&channel, number).await.expect("a boleto that waits for its bank");
    }
    stage.world.wait_for_held(BOLETOS, PATIENCE).await.expect("calls that the bank holds");
    first.program.kill().await;

    second.program.line(|line| line.contains("dead process buried")).await.expect("a burial");
    judge::all_is_well(&stage, second, BOLETOS).await;
    assert_eq!(stage.world.script().asked(Party::BankRegister), (BOLETOS + BOLETOS / 2) as u64);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_process_gives_up_in_good_order_the_other_takes_at_once() {
    let stage = Stage::open(Kind::PostgreSql).await;
    let shop = Shop::of(&stage);
    // Nobody is missed within this test: only what is given back can be taken.
    let patient = ["work.reap_after=1h", "work.drain_timeout=100ms"];
    let first = stage.house_with(&patient, &[]).await;
    assert!(first.opened().await, "{}", first.program.said());
    let channel = first.channel().await.expect("a house that listens");
    shop.furnish(&channel).await.expect("a bank account");
    let second = stage.house_with(&patient, &[]).await;
    assert!(second.opened().await, "{}", second.program.said());
    stage.world.script().bank_register(Behaviour::accept_then_hold());
    shop.create(&channel, 1).await.expect("a boleto that waits for its bank");
    stage.world.wait_for_held(1, PATIENCE).await.expect("a call that the bank holds");
    first.close().await;
    judge::all_is_well(&stage, second, 1).await;
    assert_eq!(stage.world.script().asked(Party::BankRegister), 1, "the bank was asked once");
    stage.close().await;
}
