//! A boleto waits for its next attempt, and the shop knows that the bank is back: it asks for the attempt now.

use bursar::proto::boleto::v1::BoletoStatus;
use bursar::sandbox::{Behaviour, Party};
use tonic::Code;

use crate::support::house::{House, Refusal as _, a_boleto, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shop_asks_to_try_again_now() {
    let house =
        House::new().with("registration.retry_base", "1h").with("registration.retry_cap", "1h").open().await;
    house.script().bank_register(Behaviour::status(500));
    let boleto = house.shop().creates(a_boleto()).await;
    assert_eq!(boleto.status(), BoletoStatus::PendingRegistration);
    let work = house.operator().finds_work(&boleto.id, &[]).await;

    house.shop().registers_again(&boleto.id).await.expect("asked again");
    let registered = house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    house.bank().keeps_one(&registered);
    assert_eq!(house.bank().asked(), 2);
    assert!(house.bank().looked_up() >= 1, "asked again without looking");
    let done = house.operator().gets_work(&work[0].id).await.expect("the same work");
    assert_eq!(done.attempt, 2, "hastened, not doubled");
    let status = house.shop().registers_again(&boleto.id).await.expect_err("the bank has decided");
    assert_eq!(
        (status.code(), status.reason().as_str()),
        (Code::FailedPrecondition, "REGISTRATION_NOT_OPEN")
    );
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_tells_what_the_new_attempt_came_to() {
    let house = House::new()
        .with("registration.retry_base", "1h")
        .with("registration.retry_cap", "1h")
        .with("banks.banco_do_brasil.settle_after", "0s")
        .open()
        .await;
    house.script().bank_register(Behaviour::status(500));
    let boleto = house.shop().creates(a_boleto()).await;
    assert_eq!(boleto.status(), BoletoStatus::PendingRegistration);
    let answer = house.shop().registers_again(&boleto.id).await.expect("asked again");
    assert_eq!(answer.status(), BoletoStatus::Registered, "who asks now waits for the answer");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asking_again_while_the_bank_is_being_asked_changes_nothing() {
    let house = House::new().with("registration.inline_deadline", "10ms").open().await;
    house.script().bank_register(Behaviour::Hold);
    let boleto = house.shop().creates(a_boleto()).await;
    house.bank().holds(1).await;
    for _ in 0..3 {
        let answer = house.shop().registers_again(&boleto.id).await.expect("it is under way");
        assert_eq!(answer.status(), BoletoStatus::PendingRegistration);
    }
    house.script().release();
    house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    house.operator().sees_all_work_done().await;
    assert_eq!(house.script().asked(Party::BankRegister), 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_boleto_that_was_given_up_can_be_asked_for_again() {
    let house = House::new().with("registration.attempts_max", "1").open().await;
    house.script().bank_register(Behaviour::accept_then_drop());
    let boleto = house.shop().creates(a_boleto()).await;
    eventually("the work is given up", async || house.operator().work(&[]).await.is_empty().then_some(()))
        .await;
    assert_eq!(house.shop().gets(&boleto.id).await.status(), BoletoStatus::PendingRegistration);

    house.shop().registers_again(&boleto.id).await.expect("asked again");
    house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    // The bank had kept it: what was sent in another life of the work is looked up, not sent again.
    house.bank().keeps_one(&boleto);
    assert_eq!(house.bank().asked(), 1);
    house.close().await;
}
