//! The bank answers, and says how it wants to be asked: with another token, or later. Nothing of that is the boleto's
//! fault, and none of it reaches the shop as a refusal.

use std::time::{Duration, Instant};

use bursar::proto::boleto::v1::BoletoStatus;
use bursar::proto::control::v1::WorkState;
use bursar::sandbox::Behaviour;

use crate::support::house::{House, a_boleto};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_lost_its_validity_is_replaced_within_the_call() {
    let house = House::new().open().await;
    house.shop().creates(a_boleto()).await;
    assert_eq!(house.bank().signed_in(), 1);
    house.shop().creates(a_boleto()).await;
    assert_eq!(house.bank().signed_in(), 1, "one token serves many calls");

    house.script().expire_tokens();
    let boleto = house.shop().creates(a_boleto()).await;
    assert_eq!(boleto.status(), BoletoStatus::Registered);
    assert_eq!(house.bank().signed_in(), 2);

    house.script().bank_register(Behaviour::status(401));
    let boleto = house.shop().creates(a_boleto()).await;
    assert_eq!(boleto.status(), BoletoStatus::Registered);
    assert_eq!((house.bank().signed_in(), house.bank().asked()), (3, 6), "once more each, and no more");
    house.bank().keeps_one(&boleto);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bank_that_takes_no_token_is_left_alone_for_a_while() {
    let house = House::new().open().await;
    house.script().bank_register(Behaviour::status(401));
    house.script().bank_register(Behaviour::status(401));
    let boleto = house.shop().creates(a_boleto()).await;
    assert_eq!(boleto.status(), BoletoStatus::PendingRegistration);
    assert_eq!(house.bank().signed_in(), 2);
    house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    house.bank().keeps_one(&boleto);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_that_fails_leaves_the_boleto_pending() {
    let house = House::new().open().await;
    for trouble in [Behaviour::status(500), Behaviour::Reset, Behaviour::Html, Behaviour::status(401)] {
        house.script().expire_tokens();
        // The call finds its token void, and the new one is not to be had.
        house.script().bank_token(trouble.clone());
        let boleto = house.shop().creates(a_boleto()).await;
        assert_eq!(boleto.status(), BoletoStatus::PendingRegistration, "{trouble:?}");
        house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
        house.bank().keeps_one(&boleto);
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bank_that_is_too_busy_says_when_to_come_back_and_it_costs_no_attempt() {
    let house = House::new().open().await;
    house.script().bank_register(Behaviour::status_retry_after(429, 1));
    let begun = Instant::now();
    let boleto = house.shop().creates(a_boleto()).await;
    assert_eq!(boleto.status(), BoletoStatus::PendingRegistration);
    let work = house.operator().finds_work(&boleto.id, &[]).await;
    assert_eq!((work.len(), work[0].state(), work[0].attempt), (1, WorkState::Retryable, 0));
    assert!(work[0].last_error.contains("too many requests"), "{}", work[0].last_error);

    house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    // Without the bank's word the next attempt would have followed within 20 ms.
    assert!(begun.elapsed() >= Duration::from_secs(1), "asked again after {:?}", begun.elapsed());
    assert_eq!(house.bank().asked(), 2);
    house.bank().keeps_one(&boleto);
    house.close().await;
}
