//! One of two processes is parted from their database for longer than it is missed.
//!
//! It has fenced itself by then: what the bank answers it meanwhile it does not write down. The other takes its work over
//! and looks before it asks. When the line is back, the first goes on under a new identity.

use bursar::sandbox::{Behaviour, Party};

use crate::database::Kind;
use crate::judge;
use crate::load;
use crate::process::PATIENCE;
use crate::proxy::Proxy;
use crate::shop::Shop;
use crate::stage::Stage;

const IN_HAND: usize = 6;
const LATER: usize = 24;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parted_process_fences_itself_and_comes_back_as_another() {
    let stage = Stage::open(Kind::PostgreSql).await;
    let shop = Shop::of(&stage);
    let line = Proxy::to(&stage.database_url).await;
    let parted = format!("store.url={}", line.url);
    let mut first = stage.house_with(&[&parted], &[]).await;
    assert!(first.opened().await, "{}", first.program.said());
    let channel = first.channel().await.expect("a house that listens");
    shop.furnish(&channel).await.expect("a bank account");

    // Of what the first has in hand, the bank keeps every other title; the answers come too late.
    for number in 0..IN_HAND {
        let behaviour = if number % 2 == 0 { Behaviour::Hang } else { Behaviour::accept_then_hold() };
        stage.world.script().once(Party::BankRegister, behaviour);
    }
    let made = (0..IN_HAND).map(|number| shop.create(&channel, number));
    futures_util::future::try_join_all(made).await.expect("boletos that wait for their bank");
    stage.world.wait_for_held(IN_HAND, PATIENCE).await.expect("calls that the bank holds");
    let second = stage.house().await;
    assert!(second.opened().await, "{}", second.program.said());

    line.fall_silent();
    second.program.line(|line| line.contains("dead process buried")).await.expect("a burial");
    stage.world.script().release();
    judge::owners_told(&stage, IN_HAND).await;
    line.come_back();
    let is_new = |line: &str| line.contains("entering again under a new identity");
    first.program.line(is_new).await.expect("a process that learns of its death");
    let doors = [channel, second.channel().await.expect("a house that listens")];
    load::ask_for(&shop, &doors, IN_HAND..IN_HAND + LATER).await;
    assert!(first.program.runs(), "the process has ended");
    judge::owners_told(&stage, IN_HAND + LATER).await;
    first.close().await;
    judge::all_is_well(&stage, second, IN_HAND + LATER).await;
    // Those that the bank had kept were looked up, and only the others asked for again.
    assert_eq!(stage.world.script().asked(Party::BankRegister), (IN_HAND + IN_HAND / 2 + LATER) as u64);
    stage.close().await;
}
