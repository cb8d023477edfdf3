//! A shop asks for a boleto and the bank says no.
//! The payer must never see it, the shop must learn why, and nobody asks the bank twice.

use bursar::proto::boleto::v1::BoletoStatus;
use bursar::sandbox::{Behaviour, EffectKind};
use tonic::Code;

use crate::support::house::{House, Refusal as _, a_boleto};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shop_learns_why_the_bank_refused() {
    let house = House::new().open().await;
    house.script().bank_register(Behaviour::refuse("48"));

    let boleto = house.shop().creates(a_boleto()).await;
    assert_eq!(boleto.status(), BoletoStatus::Refused);
    assert!(!boleto.payable);
    assert_eq!(boleto.bank_response.as_ref().expect("the bank's words").code, "48");

    let told = house.owner().hears(&boleto.id, 1).await;
    assert_eq!(told[0].text("status"), "refused");
    assert_eq!(told[0].text("event_type"), "boleto.refused");

    house.operator().sees_all_work_done().await;
    assert_eq!((house.bank().asked(), house.bank().looked_up()), (1, 0));
    assert_eq!(house.bank().effects(EffectKind::BankRegistered, &boleto), 0);
    let again = house.shop().registers_again(&boleto.id).await.expect_err("the bank has decided");
    assert_eq!((again.code(), again.reason().as_str()), (Code::FailedPrecondition, "REGISTRATION_NOT_OPEN"));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anybody_can_try_out_a_refusal_with_an_amount() {
    let house = House::new().open().await;
    let boleto = house.shop().creates(a_boleto().of_cents(5_000_004)).await;
    assert_eq!(boleto.status(), BoletoStatus::Refused);
    assert!(!boleto.bank_response.expect("the bank's words").code.is_empty());
    assert_eq!(house.bank().asked(), 1);
    house.close().await;
}
