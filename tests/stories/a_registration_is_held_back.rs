//! A shop wants a boleto that no bank is to know yet. It is issued and stays as it is, whoever asks for it again, until
//! the shop has it registered: then the bank is asked, once, without being asked first what it has.

use bursar::proto::boleto::v1::{Boleto, BoletoStatus};
use bursar::proto::control::v1::WorkState;

use crate::support::database::Kind;
use crate::support::house::{House, Opened, PATIENCE, a_boleto};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_embedded_store() {
    it_is_registered_when_the_shop_says_so(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql() {
    it_is_registered_when_the_shop_says_so(Kind::PostgreSql).await;
}

async fn it_is_registered_when_the_shop_says_so(kind: Kind) {
    let house = House::new().on(kind).open().await;
    let held = holds_back(&house, "order-1").await;
    assert_eq!((held.status(), held.version, held.payable), (BoletoStatus::Issued, 1, false));
    assert!(!held.barcode.is_empty() && !held.linha_digitavel.is_empty());
    let every_state = [WorkState::Completed, WorkState::Cancelled, WorkState::Discarded];
    assert!(
        house.operator().work(&[]).await.is_empty() && house.operator().work(&every_state).await.is_empty()
    );

    let registered = house.shop().registers_again(&held.id).await.expect("a registration");
    assert_eq!(registered.status(), BoletoStatus::Registered);
    assert_eq!(registered.version, 3, "issued, pending, registered");
    assert_eq!((house.bank().asked(), house.bank().looked_up()), (1, 0), "nothing had left before");
    assert_eq!(registered.barcode, held.barcode);
    assert_eq!(house.owner().hears(&held.id, 1).await[0].text("status"), "registered");
    house.operator().sees_all_work_done().await;
    house.bank().keeps_one(&registered);
    house.close().await;
}

/// The house would keep callers for minutes where it waits for a bank; here nobody is asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_again_waits_for_nobody() {
    let house = House::new()
        .with("registration.inline_deadline", "5min")
        .with("registration.attempt_timeout", "6min")
        .open()
        .await;
    let held = holds_back(&house, "order-2").await;
    let again = tokio::time::timeout(PATIENCE, holds_back(&house, "order-2")).await;
    assert_eq!(again.expect("an answer at once"), held);
    assert_eq!(house.bank().asked(), 0);
    house.close().await;
}

async fn holds_back(house: &Opened, request_id: &str) -> Boleto {
    let wanted = a_boleto().asked_as(request_id).with(|request| request.hold_registration = true);
    house.shop().creates(wanted).await
}
