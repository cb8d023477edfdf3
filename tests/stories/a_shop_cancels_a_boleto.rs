//! A shop takes a boleto back, at every moment of its life. Nobody may pay it afterwards, the bank is asked where it has
//! it and left alone where it never heard of it, and the owner is told once.

use bursar::proto::boleto::v1::{BoletoOrderState, BoletoStatus, CancelBoletoRequest};
use bursar::proto::control::v1::{PauseQueueRequest, ResumeQueueRequest, WorkState};
use bursar::sandbox::{Behaviour, EffectKind, Party};
use tonic::Code;
use uuid::Uuid;

use crate::support::database::Kind;
use crate::support::house::{House, Opened, Refusal as _, a_boleto, eventually};

const REGISTRATIONS: &str = "registration/banco_do_brasil/";

async fn pause(house: &Opened, name: &str) {
    let request = PauseQueueRequest { name: name.to_owned(), reason: "maintenance".to_owned() };
    house.operator().control.clone().pause_queue(request).await.expect("a pause");
}

async fn resume(house: &Opened, name: &str) {
    let request = ResumeQueueRequest { name: name.to_owned(), ..Default::default() };
    house.operator().control.clone().resume_queue(request).await.expect("an end of the pause");
}

fn written_off(house: &Opened, boleto: &bursar::proto::boleto::v1::Boleto) -> usize {
    house.bank().effects(EffectKind::BankWrittenOff, boleto)
}

async fn one_that_is_registered(kind: Kind) {
    let house = House::new().on(kind).open().await;
    let boleto = house.shop().creates(a_boleto()).await;
    let answer = house.shop().cancels(&boleto.id, "sold twice").await.expect("cancelled");
    let (cancelled, order) = (answer.boleto.expect("a boleto"), answer.order.expect("an order"));
    assert_eq!((cancelled.status(), order.state()), (BoletoStatus::Cancelled, BoletoOrderState::Done));
    assert!(!cancelled.payable && cancelled.pending_order.is_none() && order.end_time.is_some());
    assert_eq!(written_off(&house, &boleto), 1);
    let told = house.owner().hears(&boleto.id, 2).await;
    assert_eq!(told[1].text("event_type"), "boleto.cancelled");
    let events = house.shop().reads_history(&boleto.id).await.changes;
    assert_eq!(events.last().expect("an event").reason, "sold twice");

    let status = house.shop().cancels(&boleto.id, "again").await.expect_err("it has ended");
    assert_eq!((status.code(), status.reason().as_str()), (Code::FailedPrecondition, "CANCEL_NOT_OPEN"));
    house.operator().sees_all_work_done().await;
    assert_eq!(house.script().asked(Party::BankWriteOff), 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_registered_is_taken_off_file_on_the_embedded_store() {
    one_that_is_registered(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_registered_is_taken_off_file_on_postgresql() {
    one_that_is_registered(Kind::PostgreSql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_never_left_is_cancelled_without_a_bank() {
    let house = House::new().open().await;
    pause(&house, REGISTRATIONS).await;
    let waiting = house.shop().creates(a_boleto()).await;
    let held = house.shop().creates(a_boleto().with(|request| request.hold_registration = true)).await;
    for boleto in [&waiting, &held] {
        let answer = house.shop().cancels(&boleto.id, "changed their mind").await.expect("cancelled");
        assert!(answer.order.is_none(), "no bank had to be asked");
        assert_eq!(answer.boleto.expect("a boleto").status(), BoletoStatus::Cancelled);
        let told = house.owner().hears(&boleto.id, 1).await;
        assert_eq!(told[0].text("event_type"), "boleto.cancelled");
    }
    let work = house.operator().finds_work_in(&waiting.id, WorkState::Cancelled).await;
    assert_eq!(work.last_error, "changed their mind");
    resume(&house, REGISTRATIONS).await;
    house.operator().sees_all_work_done().await;
    assert_eq!((house.bank().asked(), house.script().asked(Party::BankWriteOff)), (0, 0));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_whose_registration_is_under_way_waits_for_its_outcome() {
    let house = House::new().with("registration.inline_deadline", "20ms").open().await;
    house.script().bank_register(Behaviour::Hold);
    let boleto = house.shop().creates(a_boleto()).await;
    house.bank().holds(1).await;
    let answer = house.shop().cancels(&boleto.id, "sold twice").await.expect("an order");
    assert_eq!(answer.order.expect("an order").state(), BoletoOrderState::Pending);
    let pending = answer.boleto.expect("a boleto");
    assert_eq!(pending.status(), BoletoStatus::PendingRegistration);
    assert!(pending.pending_order.is_some());
    let status = house.shop().cancels(&boleto.id, "again").await.expect_err("one is pending");
    assert_eq!(status.reason(), "ORDER_PENDING");
    let status = house.shop().registers_again(&boleto.id).await.expect_err("it is to be cancelled");
    assert_eq!(status.reason(), "ORDER_PENDING");
    assert_eq!(house.script().asked(Party::BankWriteOff), 0, "nothing is taken off that may come on later");

    house.script().release();
    house.shop().sees(&boleto.id, BoletoStatus::Cancelled).await;
    assert_eq!(written_off(&house, &boleto), 1);
    let events = house.shop().reads_events(&boleto.id).await;
    let wanted = ["boleto.issued", "boleto.pending_registration", "boleto.registered", "boleto.cancelled"];
    assert_eq!(events, wanted);
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_the_bank_refuses_meanwhile_leaves_nothing_to_cancel() {
    let house = House::new().with("registration.inline_deadline", "20ms").open().await;
    house.script().bank_register(Behaviour::Hold);
    let boleto = house.shop().creates(a_boleto().of_cents(5_000_004)).await;
    house.bank().holds(1).await;
    house.shop().cancels(&boleto.id, "sold twice").await.expect("an order");
    house.script().release();
    let order = house.shop().sees_order(&boleto.id, BoletoOrderState::Refused).await;
    assert_eq!(order.bank_response.expect("a reason").code, "refused");
    assert_eq!(house.shop().gets(&boleto.id).await.status(), BoletoStatus::Refused);
    assert_eq!(house.script().asked(Party::BankWriteOff), 0);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_whose_registration_was_given_up_is_looked_up_first() {
    let house = House::new().with("registration.attempts_max", "1").open().await;
    let shop = house.shop();
    for (lost, on_file) in [(Behaviour::accept_then_drop(), 1), (Behaviour::Reset, 0)] {
        house.script().bank_register(lost);
        let boleto = shop.creates(a_boleto()).await;
        house.operator().finds_work_in(&boleto.id, WorkState::Discarded).await;
        shop.cancels(&boleto.id, "sold twice").await.expect("an order");
        shop.sees(&boleto.id, BoletoStatus::Cancelled).await;
        assert_eq!(shop.sees_order(&boleto.id, BoletoOrderState::Done).await.reason, "sold twice");
        assert_eq!(written_off(&house, &boleto), on_file, "only what is on file is taken off");
    }
    assert_eq!(house.script().asked(Party::BankWriteOff), 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_bank_is_looked_at_before_it_is_asked_again() {
    let house = House::new().with("banks.banco_do_brasil.timeout", "300ms").open().await;
    let shop = house.shop();
    let kept = |then: Behaviour| Behaviour::AcceptThen(Box::new(then));
    // What the bank does, and how often it is asked until the title is off file.
    let days = [
        (Behaviour::accept_then_drop(), 1),
        (kept(Behaviour::Hang), 1),
        (kept(Behaviour::Garbage), 1),
        (kept(Behaviour::status(500)), 1),
        (Behaviour::Reset, 2),
        (Behaviour::Hang, 2),
        (Behaviour::status(503), 2),
        (Behaviour::Empty, 2),
    ];
    for (day, asked) in days {
        let before = house.script().asked(Party::BankWriteOff);
        let boleto = shop.creates(a_boleto()).await;
        house.script().once(Party::BankWriteOff, day.clone());
        shop.cancels(&boleto.id, "sold twice").await.expect("an order");
        shop.sees(&boleto.id, BoletoStatus::Cancelled).await;
        assert_eq!(written_off(&house, &boleto), 1, "{day:?}");
        assert_eq!(house.script().asked(Party::BankWriteOff) - before, asked, "{day:?}");
        house.owner().hears(&boleto.id, 2).await;
    }
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_was_given_up_goes_on_when_it_is_retried() {
    let house = House::new().with("registration.attempts_max", "1").open().await;
    let boleto = house.shop().creates(a_boleto()).await;
    house.script().once(Party::BankWriteOff, Behaviour::Reset);
    house.shop().cancels(&boleto.id, "sold twice").await.expect("an order");
    house.shop().sees_order(&boleto.id, BoletoOrderState::GivenUp).await;
    let work = house.operator().finds_work_in(&boleto.id, WorkState::Discarded).await;
    assert_eq!(house.shop().gets(&boleto.id).await.status(), BoletoStatus::Registered);

    house.operator().retries(&work.id, "the bank is back").await.expect("tried again");
    house.shop().sees(&boleto.id, BoletoStatus::Cancelled).await;
    house.shop().sees_order(&boleto.id, BoletoOrderState::Done).await;
    assert_eq!(written_off(&house, &boleto), 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_is_one_order_and_a_changed_boleto_is_read_again() {
    let house = House::new().open().await;
    let shop = house.shop();
    let boleto = shop.creates(a_boleto()).await;
    let request = |version: i64, reason: &str| CancelBoletoRequest {
        request_id: "cancel-1".to_owned(),
        id: boleto.id.clone(),
        version,
        reason: reason.to_owned(),
    };
    let stale = shop.asks_to_cancel(request(1, "sold twice")).await.expect_err("it is registered by now");
    assert_eq!((stale.code(), stale.reason().as_str()), (Code::Aborted, "VERSION_CHANGED"));
    let first = shop.asks_to_cancel(request(boleto.version, "sold twice")).await.expect("cancelled");
    let again = shop.asks_to_cancel(request(boleto.version, "sold twice")).await.expect("the same answer");
    assert_eq!((&first.boleto, &first.order), (&again.boleto, &again.order));
    let other = shop.asks_to_cancel(request(boleto.version, "another reason")).await.expect_err("reused");
    assert_eq!((other.code(), other.reason().as_str()), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    assert_eq!(house.script().asked(Party::BankWriteOff), 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_wrong_is_said_at_once_and_an_unknown_boleto_is_not_found() {
    let house = House::new().open().await;
    let bad = CancelBoletoRequest {
        request_id: "with a blank".to_owned(),
        id: "no id".to_owned(),
        version: -1,
        reason: " ".to_owned(),
    };
    let status = house.shop().asks_to_cancel(bad).await.expect_err("nothing of it is right");
    assert_eq!(status.fields(), ["id", "reason", "request_id", "version"]);
    let unknown = Uuid::now_v7().to_string();
    let status = house.shop().cancels(&unknown, "sold twice").await.expect_err("nobody's");
    assert_eq!((status.code(), status.reason().as_str()), (Code::NotFound, "BOLETO_NOT_FOUND"));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_bank_holds_orders_back_and_loses_none() {
    let house = House::new().with("breaker.failures_max", "2").with("breaker.wait_base", "50ms").open().await;
    let shop = house.shop();
    let boleto = shop.creates(a_boleto()).await;
    house.script().always(Party::BankWriteOff, Behaviour::status(503));
    house.script().always(Party::BankLookUp, Behaviour::status(503));
    let asking = tokio::spawn({
        let (shop, id) = (shop.clone(), boleto.id.clone());
        async move { shop.cancels(&id, "sold twice").await }
    });
    eventually("the bank is asked", async || (house.script().asked(Party::BankLookUp) >= 2).then_some(()))
        .await;
    house.script().clear(Party::BankWriteOff);
    house.script().clear(Party::BankLookUp);
    let answer = asking.await.expect("no panic").expect("cancelled in the end");
    assert_eq!(answer.order.expect("an order").state(), BoletoOrderState::Done);
    assert_eq!(written_off(&house, &boleto), 1);
    house.close().await;
}
