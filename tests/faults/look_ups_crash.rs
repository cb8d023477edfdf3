//! A crash in the middle of asking a bank about one open boleto after the other: the next process goes on behind the last
//! slice that was written down, every payment is written down once, and nobody is asked about all of them again.

use std::os::unix::process::ExitStatusExt as _;

use bursar::proto::boleto::v1::bank_account_service_client::BankAccountServiceClient;
use bursar::proto::boleto::v1::{Boleto, BoletoStatus, ListBankAccountsRequest, ReconcileBankAccountRequest};
use bursar::sandbox::{Party, Payment};
use tonic::transport::Channel;

use crate::database::Kind;
use crate::judge;
use crate::process::eventually;
use crate::shop::{self, Shop};
use crate::stage::Stage;

const ASKING: [&str; 2] = ["reconciliation.enabled=true", "reconciliation.every=1h"];
/// More than one slice of look-ups, and less than two.
const BOLETOS: usize = 40;
const SLICE: u64 = 32;
/// The signal by which a process that aborts is ended.
const ABORTED: i32 = 6;

/// Has the bank of the one account asked; the process may end meanwhile.
async fn reconcile(channel: &Channel) {
    let mut accounts = BankAccountServiceClient::new(channel.clone());
    let listed = accounts.list_bank_accounts(ListBankAccountsRequest::default()).await;
    let Ok(listed) = listed else { return };
    for account in listed.into_inner().bank_accounts {
        let _ = accounts
            .reconcile_bank_account(ReconcileBankAccountRequest { id: account.id, ..Default::default() })
            .await;
    }
}

async fn paid(channel: &Channel) -> Option<Vec<Boleto>> {
    let found = shop::boletos(channel).await.ok()?;
    found.iter().all(|boleto| boleto.status() == BoletoStatus::Paid).then_some(found)
}

/// `asked_again`: what the crash cost.
async fn crash_at(kind: Kind, point: &str, asked_again: u64) {
    let stage = Stage::open(kind).await;
    let house = stage.house().await;
    assert!(house.opened().await, "{}", house.program.said());
    let channel = house.channel().await.expect("a house that listens");
    let shop = Shop::that_is_listed_nothing(&stage);
    shop.furnish(&channel).await.expect("an account");
    for number in 1..=BOLETOS {
        shop.create(&channel, number).await.expect("a boleto");
    }
    judge::no_work_left(&house).await;
    let today = chrono::Utc::now().date_naive();
    for boleto in shop::boletos(&channel).await.expect("boletos") {
        assert_eq!(boleto.status(), BoletoStatus::Registered);
        let payment = Payment::of(&boleto.barcode, 12_590, today);
        stage.world.pay(&payment).await.expect("the bank takes it");
    }
    drop(channel);
    house.close().await;
    let before = stage.world.script().asked(Party::BankLookUp);

    let armed = ("BURSAR_FAILPOINT", format!("{point}:1"));
    let mut house = stage.house_with(&ASKING, &[armed]).await;
    // It may end before it has opened for callers: the account is due at once.
    if house.opened().await
        && let Some(channel) = house.channel().await
    {
        reconcile(&channel).await;
    }
    let status = house.program.ended().await;
    assert_eq!(status.signal(), Some(ABORTED), "{status}:\n{}", house.program.said());
    assert_eq!(stage.world.script().asked(Party::BankLookUp) - before, SLICE);

    let house = stage.house_with(&ASKING, &[]).await;
    assert!(house.opened().await, "{}", house.program.said());
    let channel = house.channel().await.expect("a house that listens");
    let found = eventually("every payment is known", async || paid(&channel).await).await;
    assert_eq!(found.len(), BOLETOS);
    for boleto in found {
        assert_eq!((boleto.paid_amount_cents, boleto.version), (12_590, 3), "written down once");
    }
    let asked = stage.world.script().asked(Party::BankLookUp) - before;
    assert_eq!(
        asked,
        BOLETOS as u64 + asked_again,
        "who was asked about before the crash was not asked about again"
    );
    judge::owners_told(&stage, BOLETOS).await;
    drop(channel);
    house.close().await;
    stage.close().await;
}

macro_rules! points {
    ($($name:ident: $point:literal, $asked_again:expr),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::crash_at(super::Kind::Sqlite, $point, $asked_again).await;
            })*
        }
        mod on_postgresql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::crash_at(super::Kind::PostgreSql, $point, $asked_again).await;
            })*
        }
    };
}

points! {
    a_crash_before_a_slice_costs_the_slice: "reconcile.apply.before", super::SLICE,
    a_crash_after_a_slice_costs_nothing: "reconcile.apply.after", 0,
}
