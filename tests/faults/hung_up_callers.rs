//! A caller hangs up before its boleto is written: the boleto is there all the same, and goes its way.
//!
//! The test holds the range of numbers locked, so that the group which makes the boleto waits in the database while its
//! caller goes away.

use std::time::Duration;

use bursar::sandbox::Party;
use bursar::store::pool;
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};

use crate::database::Kind;
use crate::judge::{self, count};
use crate::process::eventually;
use crate::shop::Shop;
use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_hangs_up_before_the_commit_changes_nothing() {
    let stage = Stage::open(Kind::PostgreSql).await;
    let shop = Shop::of(&stage);
    // Nobody buries anybody here: what has been claimed and let fall must come back by itself.
    let long = ["store.timeout=20s", "work.fence_after=1min", "work.reap_after=1h"];
    let house = stage.house_with(&long, &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    let channel = house.channel().await.expect("a house that listens");
    shop.furnish(&channel).await.expect("a bank account");

    let observer = pool::connect(&stage.database_url).await.expect("the database");
    let lock = observer.begin().await.expect("a transaction");
    lock.execute_unprepared("select * from nosso_numero_range for update").await.expect("the range");
    let waiting = "select count(*) as n from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'";
    let call = shop.create(&channel, 1);
    tokio::select! {
        answer = call => panic!("an answer before the number was there: {answer:?}"),
        () = eventually("the group that waits", async || (count(&observer, waiting).await == 1).then_some(())) => {}
    }
    // The call has been dropped: its caller is gone. A call that comes after it knows that the house has heard of that.
    drop(channel);
    let other = house.channel().await.expect("a house that listens");
    crate::shop::boletos(&other).await.expect("an answer");
    lock.rollback().await.expect("the range is free");
    observer.close().await.expect("the database lets go");

    judge::all_is_well(&stage, house, 1).await;
    assert_eq!(stage.world.script().asked(Party::BankRegister), 1, "the bank was asked once");
    stage.close().await;
}

/// The same for a caller whose deadline passes: it asks again, and gets the boleto that its first call made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_was_too_impatient_asks_again_and_gets_the_same() {
    let stage = Stage::open(Kind::PostgreSql).await;
    let shop = Shop::of(&stage);
    let long = ["store.timeout=20s", "work.fence_after=1min", "work.reap_after=1h"];
    let house = stage.house_with(&long, &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    let channel = house.channel().await.expect("a house that listens");
    shop.furnish(&channel).await.expect("a bank account");
    let observer = pool::connect(&stage.database_url).await.expect("the database");
    let lock = observer.begin().await.expect("a transaction");
    lock.execute_unprepared("select * from nosso_numero_range for update").await.expect("the range");
    let late = tokio::time::timeout(Duration::from_millis(300), shop.create(&channel, 1)).await;
    assert!(late.is_err(), "an answer before the number was there: {late:?}");
    lock.rollback().await.expect("the range is free");
    observer.close().await.expect("the database lets go");
    shop.create(&channel, 1).await.expect("the boleto of the first call");
    judge::all_is_well(&stage, house, 1).await;
    stage.close().await;
}
