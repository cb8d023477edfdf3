//! One of two processes is frozen (SIGSTOP) with work in hand for longer than it is missed, then goes on.
//!
//! It wakes up believing that no time has passed. Its clock says otherwise before it does anything, and its row says that it
//! is dead: nothing that it had in hand is written down under the old identity.

use bursar::sandbox::{Behaviour, Party};

use crate::database::Kind;
use crate::judge;
use crate::load;
use crate::process::PATIENCE;
use crate::shop::Shop;
use crate::stage::Stage;

const IN_HAND: usize = 6;
const LATER: usize = 24;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_process_wakes_up_fenced_and_comes_back_as_another() {
    let stage = Stage::open(Kind::PostgreSql).await;
    let shop = Shop::of(&stage);
    let mut first = stage.house().await;
    assert!(first.opened().await, "{}", first.program.said());
    let channel = first.channel().await.expect("a house that listens");
    shop.furnish(&channel).await.expect("a bank account");
    for number in 0..IN_HAND {
        let behaviour = if number % 2 == 0 { Behaviour::Hang } else { Behaviour::accept_then_hold() };
        stage.world.script().once(Party::BankRegister, behaviour);
    }
    let made = (0..IN_HAND).map(|number| shop.create(&channel, number));
    futures_util::future::try_join_all(made).await.expect("boletos that wait for their bank");
    stage.world.wait_for_held(IN_HAND, PATIENCE).await.expect("calls that the bank holds");
    let second = stage.house().await;
    assert!(second.opened().await, "{}", second.program.said());

    first.program.signal("STOP");
    second.program.line(|line| line.contains("dead process buried")).await.expect("a burial");
    // The answers lie at the frozen process's door when it wakes up.
    stage.world.script().release();
    judge::owners_told(&stage, IN_HAND).await;
    first.program.signal("CONT");
    let is_new = |line: &str| line.contains("entering again under a new identity");
    first.program.line(is_new).await.expect("a process that learns of its death");
    let doors = [channel, second.channel().await.expect("a house that listens")];
    load::ask_for(&shop, &doors, IN_HAND..IN_HAND + LATER).await;
    assert!(first.program.runs(), "the process has ended");
    judge::owners_told(&stage, IN_HAND + LATER).await;
    first.close().await;
    judge::all_is_well(&stage, second, IN_HAND + LATER).await;
    assert_eq!(stage.world.script().asked(Party::BankRegister), (IN_HAND + IN_HAND / 2 + LATER) as u64);
    stage.close().await;
}
