//! The bank takes its time. The shop is answered within the inline deadline that the boleto is pending, and the bank call
//! goes on without it.

use std::time::{Duration, Instant};

use bursar::proto::boleto::v1::BoletoStatus;
use bursar::sandbox::Behaviour;

use crate::support::house::{House, a_boleto, an_account};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_bank_does_not_keep_the_shop_waiting() {
    let house = House::new().with("registration.inline_deadline", "50ms").open().await;
    house.script().bank_register(Behaviour::Hold);
    let asked = Instant::now();
    let boleto = house.shop().creates(a_boleto()).await;
    // Far less than the bank's own deadline of ten seconds, and far more than a busy machine needs.
    assert!(asked.elapsed() < Duration::from_secs(5), "kept waiting for {:?}", asked.elapsed());
    house.bank().holds(1).await;
    assert_eq!(boleto.status(), BoletoStatus::PendingRegistration);
    assert!(!boleto.payable);
    assert_eq!(house.shop().gets(&boleto.id).await, boleto);
    assert!(house.owner().heard(&boleto.id).is_empty(), "nothing is decided yet");

    house.script().release();
    let registered = house.shop().sees(&boleto.id, BoletoStatus::Registered).await;
    assert_eq!((boleto.version, registered.version), (2, 3));
    assert!(registered.payable);
    let told = house.owner().hears(&boleto.id, 1).await;
    assert_eq!(told[0].body["version"], 3);
    house.operator().sees_all_work_done().await;
    assert_eq!(house.owner().heard(&boleto.id).len(), 1);
    assert_eq!((house.bank().asked(), house.bank().looked_up()), (1, 0), "one call, which went on");
    house.bank().keeps_one(&boleto);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_bank_account_holds_back_no_other() {
    let house = House::new()
        .with("registration.inline_deadline", "50ms")
        .with("registration.in_flight_max", "1")
        .open()
        .await;
    let mut other = an_account();
    other.external_id = "other".to_owned();
    other.is_default = false;
    house.operator().opens(other).await.expect("a second account");

    house.script().bank_register(Behaviour::Hold);
    let held = house.shop().creates(a_boleto()).await;
    house.bank().holds(1).await;
    let behind = house.shop().creates(a_boleto()).await;
    assert_eq!(
        behind.status(),
        BoletoStatus::PendingRegistration,
        "its account has one place, and it is taken"
    );
    let on_other = a_boleto().with(|request| request.bank_account_external_id = "other".to_owned());
    let beside = house.shop().creates(on_other).await;
    house.shop().sees(&beside.id, BoletoStatus::Registered).await;
    assert_eq!(house.shop().gets(&held.id).await.status(), BoletoStatus::PendingRegistration);
    assert_eq!(house.shop().gets(&behind.id).await.status(), BoletoStatus::PendingRegistration);

    house.script().release();
    house.shop().sees(&held.id, BoletoStatus::Registered).await;
    house.shop().sees(&behind.id, BoletoStatus::Registered).await;
    assert_eq!(house.bank().asked(), 3);
    house.close().await;
}
