//! A payer pays while the shop takes the boleto back. There is one truth in the end, and the other is written down.

use bursar::proto::boleto::v1::{BoletoOrderState, BoletoStatus, RecordPaymentRequest};
use bursar::sandbox::{Behaviour, EffectKind, Party, Payment};
use chrono::Utc;
use chrono_tz::America::Sao_Paulo;

use crate::support::house::{House, Refusal as _, a_boleto};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_payer_has_paid_is_not_cancelled() {
    let house = House::new().open().await;
    let boleto = house.shop().creates(a_boleto()).await;
    let today = Utc::now().with_timezone(&Sao_Paulo).date_naive();
    let payment = Payment::of(&boleto.barcode, 12_590, today);
    house.world().pay(&payment).await.expect("paid");

    let answer = house.shop().cancels(&boleto.id, "sold twice").await.expect("an answer");
    assert_eq!(answer.order.expect("an order").state(), BoletoOrderState::Refused);
    let paid = answer.boleto.expect("a boleto");
    assert_eq!((paid.status(), paid.paid_amount_cents), (BoletoStatus::Paid, 12_590));
    assert_eq!(paid.paid_on, today.to_string());
    let told = house.owner().hears(&boleto.id, 2).await;
    assert_eq!(told[1].text("event_type"), "boleto.paid");
    let history = house.shop().reads_history(&boleto.id).await;
    assert_eq!((history.payments.len(), history.orders.len()), (1, 1));
    assert_eq!((history.payments[0].source.as_str(), history.payments[0].amount_cents), ("bank", 12_590));
    assert_eq!(house.bank().effects(EffectKind::BankWrittenOff, &boleto), 0);

    let status = house.shop().cancels(&boleto.id, "again").await.expect_err("it is paid");
    assert_eq!(status.reason(), "CANCEL_NOT_OPEN");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_is_recorded_first_stays_and_the_bank_is_left_alone() {
    let house = House::new().with("registration.inline_deadline", "20ms").open().await;
    let shop = house.shop();
    let boleto = shop.creates(a_boleto()).await;
    shop.sees(&boleto.id, BoletoStatus::Registered).await;
    house.script().once(Party::BankWriteOff, Behaviour::Hold);
    shop.cancels(&boleto.id, "sold twice").await.expect("an order");
    house.bank().holds(1).await;
    let request = RecordPaymentRequest {
        id: boleto.id.clone(),
        paid_amount_cents: 12_590,
        payment_id: "cash desk 7".to_owned(),
        ..RecordPaymentRequest::default()
    };
    let recorded = shop.boletos.clone().record_payment(request).await.expect("recorded").into_inner();
    assert_eq!(recorded.boleto.expect("a boleto").status(), BoletoStatus::Paid);
    house.script().release();
    // The bank took it off file; the boleto was paid before anybody knew.
    let order = shop.sees_order(&boleto.id, BoletoOrderState::Done).await;
    assert_eq!(order.reason, "sold twice");
    assert_eq!(shop.gets(&boleto.id).await.status(), BoletoStatus::Paid);
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_of_a_cancelled_boleto_is_written_down_beside_it() {
    let house = House::new().open().await;
    let shop = house.shop();
    let boleto = shop.creates(a_boleto()).await;
    shop.cancels(&boleto.id, "sold twice").await.expect("cancelled");
    let request = RecordPaymentRequest {
        id: boleto.id.clone(),
        paid_amount_cents: 12_590,
        payment_id: "cash desk 7".to_owned(),
        ..RecordPaymentRequest::default()
    };
    shop.boletos.clone().record_payment(request).await.expect("recorded");
    let after = shop.gets(&boleto.id).await;
    assert_eq!((after.status(), after.paid_amount_cents), (BoletoStatus::Cancelled, 12_590));
    let wanted = ["boleto.issued", "boleto.registered", "boleto.cancelled", "boleto.payment_recorded"];
    assert_eq!(shop.reads_events(&boleto.id).await, wanted);
    let told = house.owner().hears(&boleto.id, 3).await;
    assert_eq!(told[2].text("event_type"), "boleto.payment_recorded");
    house.close().await;
}
