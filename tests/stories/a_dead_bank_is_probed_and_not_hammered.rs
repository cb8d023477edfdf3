//! A bank is down. After a few failures in a row nothing more is asked but a probe now and then; what waits behind it
//! spends no attempt, the owners of other boletos are told as ever, and when the bank is back everything is registered.

use bursar::proto::boleto::v1::BoletoStatus;
use bursar::proto::control::v1::WorkState;
use bursar::sandbox::{Behaviour, Party};

use crate::support::house::{House, a_boleto, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_behind_an_open_breaker_is_not_asked_about() {
    let house = House::new()
        .with("breaker.failures_max", "3")
        .with("breaker.wait_base", "1h")
        .with("breaker.wait_cap", "1h")
        .with("registration.inline_deadline", "50ms")
        .with("registration.retry_base", "1h")
        .with("registration.retry_cap", "1h")
        .open()
        .await;
    house.script().always(Party::BankRegister, Behaviour::status(503));
    for _ in 0..3 {
        let failed = house.shop().creates(a_boleto()).await;
        house.operator().finds_work_in(&failed.id, WorkState::Retryable).await;
    }
    assert_eq!(house.bank().asked(), 3);
    let behind = house.shop().creates(a_boleto()).await;
    assert_eq!(behind.status(), BoletoStatus::PendingRegistration);
    let waiting = house.operator().finds_work_in(&behind.id, WorkState::Available).await;
    assert_eq!((waiting.attempt, waiting.runner_id.as_str()), (0, ""), "it waits untouched");
    assert_eq!(house.bank().asked(), 3, "and the bank is left alone");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_bank_is_back_a_probe_finds_it_and_everything_goes_out() {
    let house = House::new()
        .with("breaker.failures_max", "2")
        .with("registration.inline_deadline", "20ms")
        .open()
        .await;
    let before = house.shop().creates(a_boleto()).await;
    house.shop().sees(&before.id, BoletoStatus::Registered).await;
    house.script().always(Party::BankRegister, Behaviour::status(503));
    let mut pending = Vec::new();
    for _ in 0..12 {
        pending.push(house.shop().creates(a_boleto()).await);
    }
    eventually("a second probe", async || (house.bank().asked() >= 5).then_some(())).await;
    house.owner().hears(&before.id, 1).await;

    house.script().clear_all();
    for boleto in &pending {
        let registered = house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
        house.bank().keeps_one(&registered);
        house.owner().hears(&boleto.id, 1).await;
    }
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agreed_rate_is_kept_and_nobody_is_lost_by_it() {
    let house = House::new()
        .with("registration.rate_per_minute", "120")
        .with("registration.inline_deadline", "20ms")
        .open()
        .await;
    let mut boletos = Vec::new();
    for _ in 0..4 {
        boletos.push(house.shop().creates(a_boleto()).await);
    }
    let pending =
        boletos.iter().filter(|boleto| boleto.status() == BoletoStatus::PendingRegistration).count();
    assert!(pending >= 1, "two a second, and two at once: of four made at once somebody waits");
    for boleto in &boletos {
        house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    }
    assert_eq!(house.bank().asked(), 4);
    house.close().await;
}
