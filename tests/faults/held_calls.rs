//! `kill -9` while the bank holds the call: before it kept the title, and after.
//!
//! Nobody knows what came of the call, so the house looks before it asks again, and takes "not found" for an answer
//! only when what was sent can no longer arrive.

use bursar::proto::boleto::v1::BoletoStatus;
use bursar::sandbox::{Behaviour, Party};

use crate::database::Kind;
use crate::judge;
use crate::process::PATIENCE;
use crate::shop::Shop;
use crate::stage::Stage;

/// Long enough that a look-up comes before it is over, also where the dead process must be missed first.
const SETTLE_AFTER: &str = "banks.banco_do_brasil.settle_after=4s";

/// Makes a boleto whose call the bank holds, kills the process meanwhile, and starts another.
async fn killed_meanwhile(kind: Kind, behaviour: Behaviour) -> (Stage, crate::stage::House) {
    let stage = Stage::open(kind).await;
    stage.world.script().bank_register(behaviour);
    let mut house = stage.house_with(&[SETTLE_AFTER], &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    let channel = house.channel().await.expect("a house that listens");
    let boleto = Shop::of(&stage).trade(&channel).await.expect("a boleto that waits for its bank");
    assert_eq!(boleto.status(), BoletoStatus::PendingRegistration);
    assert!(!boleto.payable);
    stage.world.wait_for_held(1, PATIENCE).await.expect("a call that the bank holds");
    house.program.kill().await;
    let house = stage.house_with(&[SETTLE_AFTER], &[]).await;
    (stage, house)
}

/// The bank kept the title before the process died: a look-up finds it.
async fn kept_before_the_kill(kind: Kind) {
    let (stage, house) = killed_meanwhile(kind, Behaviour::accept_then_hold()).await;
    judge::all_is_well(&stage, house, 1).await;
    assert_eq!(stage.world.script().asked(Party::BankRegister), 1, "the bank was asked once");
    stage.close().await;
}

/// The call never arrives: the look-up finds nothing, and after `settle_after` the bank is asked again.
async fn never_kept(kind: Kind) {
    let (stage, house) = killed_meanwhile(kind, Behaviour::Hang).await;
    judge::all_is_well(&stage, house, 1).await;
    assert_eq!(stage.world.script().asked(Party::BankRegister), 2, "the bank was asked again");
    stage.close().await;
}

/// The call arrives late, after a look-up has found nothing: the next look-up finds it, and nothing is sent twice.
async fn kept_after_the_first_look(kind: Kind) {
    let (stage, house) = killed_meanwhile(kind, Behaviour::Hold).await;
    stage.world.wait_for_asked(Party::BankLookUp, 1, PATIENCE).await.expect("a look-up");
    stage.world.script().release();
    judge::all_is_well(&stage, house, 1).await;
    assert_eq!(stage.world.script().asked(Party::BankRegister), 1, "the bank was asked once");
    stage.close().await;
}

macro_rules! on_both_databases {
    ($($check:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                super::$check(super::Kind::Sqlite).await;
            })*
        }
        mod on_postgresql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                super::$check(super::Kind::PostgreSql).await;
            })*
        }
    };
}

on_both_databases!(kept_before_the_kill, never_kept, kept_after_the_first_look);
