//! A commit goes out and no answer comes back: whether it was made is found out, and not guessed.
//!
//! The line itself sees to it, for the one transaction that is meant: it cuts or falls silent just before the commit gets
//! through, or just after. A caller asks again by its name for the request; an outcome is read again before it is written
//! again. The bank is asked once in every case.

use bursar::sandbox::{Behaviour, Party};

use crate::database::Kind;
use crate::judge;
use crate::load;
use crate::process::PATIENCE;
use crate::proxy::{Fate, Proxy};
use crate::shop::Shop;
use crate::stage::Stage;

const FATES: [Fate; 4] = [Fate::AnswerLost, Fate::CommitLost, Fate::AnswerSilent, Fate::CommitSilent];
/// Nobody is missed here, and what is in hand is kept through the silence.
const PATIENT: [&str; 2] = ["work.fence_after=30s", "work.reap_after=1h"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_boleto_is_made_once_whatever_became_of_the_commit() {
    let stage = Stage::open(Kind::PostgreSql).await;
    let line = Proxy::to(&stage.database_url).await;
    let store = format!("store.url={}", line.url);
    let house = stage.house_with(&[&store, PATIENT[0], PATIENT[1]], &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    let shop = Shop::of(&stage);
    let doors = [house.channel().await.expect("a house that listens")];
    shop.furnish(&doors[0]).await.expect("a bank account");
    for (number, fate) in FATES.into_iter().enumerate() {
        line.doom(&format!("boleto-{number}"), fate);
        load::ask_for(&shop, &doors, [number]).await;
        line.met(number + 1).await;
    }
    judge::all_is_well(&stage, house, FATES.len()).await;
    assert_eq!(stage.world.script().asked(Party::BankRegister), FATES.len() as u64);
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_is_written_once_whatever_became_of_the_commit() {
    let stage = Stage::open(Kind::PostgreSql).await;
    let line = Proxy::to(&stage.database_url).await;
    let store = format!("store.url={}", line.url);
    let house = stage.house_with(&[&store, PATIENT[0], PATIENT[1]], &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    let shop = Shop::of(&stage);
    let channel = house.channel().await.expect("a house that listens");
    shop.furnish(&channel).await.expect("a bank account");
    for (number, fate) in FATES.into_iter().enumerate() {
        stage.world.script().once(Party::BankRegister, Behaviour::accept_then_hold());
        shop.create(&channel, number).await.expect("a boleto that waits for its bank");
        stage.world.wait_for_held(1, PATIENCE).await.expect("a call that the bank holds");
        // The boleto is there already, so the next transaction that names its order is the one of its outcome.
        line.doom(&format!("order-{number}"), fate);
        stage.world.script().release();
        line.met(number + 1).await;
        judge::owners_told(&stage, number + 1).await;
    }
    judge::all_is_well(&stage, house, FATES.len()).await;
    assert_eq!(stage.world.script().asked(Party::BankRegister), FATES.len() as u64);
    assert_eq!(stage.world.script().asked(Party::BankLookUp), 0, "no answer of the bank was lost");
    stage.close().await;
}
