//! The bank has something on file under the number that we gave out: a number was given out twice, or a counter was set
//! back. If it is not what was asked for, a person must decide; nobody may pay it, and the owner is told.

use bursar::proto::boleto::v1::{Boleto, BoletoStatus};
use bursar::sandbox::EffectKind;

use crate::support::database::{Kind, TestDatabase};
use crate::support::house::{House, Opened, a_boleto};

/// A house with an empty store, among those who remember a first boleto of 125.90 under its first number.
async fn open_again() -> (Opened, Boleto) {
    let house = House::new().open().await;
    let first = house.shop().creates(a_boleto()).await;
    let mut surroundings = house.leave().await;
    surroundings.database = TestDatabase::create(Kind::Sqlite).await;
    surroundings.has_account = true;
    (surroundings.open().await, first)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_agree_needs_a_person() {
    let (house, first) = open_again().await;
    let boleto = house.shop().creates(a_boleto().of_cents(12_591)).await;
    assert_eq!(boleto.nosso_numero, first.nosso_numero);
    assert_eq!(boleto.status(), BoletoStatus::NeedsReview);
    assert!(!boleto.payable, "nobody pays what the bank has under another amount");
    let told = house.owner().hears(&boleto.id, 1).await;
    assert_eq!(told[0].text("event_type"), "boleto.needs_review");
    house.operator().sees_all_work_done().await;
    assert_eq!(house.bank().effects(EffectKind::BankRegistered, &boleto), 1, "the first one's");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_agrees_is_registered() {
    let (house, first) = open_again().await;
    let boleto = house.shop().creates(a_boleto()).await;
    assert_eq!((&boleto.nosso_numero, &boleto.barcode), (&first.nosso_numero, &first.barcode));
    assert_eq!(boleto.status(), BoletoStatus::Registered);
    house.close().await;
}
