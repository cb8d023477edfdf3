//! A shop hears that a boleto was paid and writes it down: once, whoever tells it again, and in one truth with whatever else
//! happens to the boleto. The owner is told.

use bursar::proto::boleto::v1::{BoletoStatus, RecordPaymentRequest, RecordPaymentResponse};
use bursar::sandbox::Behaviour;
use chrono::Utc;
use chrono_tz::America::Sao_Paulo;
use tonic::{Code, Status};

use crate::support::database::Kind;
use crate::support::house::{House, Opened, Refusal as _, a_boleto};

const UNKNOWN: &str = "00000000-0000-7000-8000-000000000000";

fn payment(id: &str, payment_id: &str, cents: i64) -> RecordPaymentRequest {
    RecordPaymentRequest {
        id: id.to_owned(),
        payment_id: payment_id.to_owned(),
        paid_amount_cents: cents,
        ..RecordPaymentRequest::default()
    }
}

async fn records(house: &Opened, request: RecordPaymentRequest) -> Result<RecordPaymentResponse, Status> {
    Ok(house.shop().boletos.record_payment(request).await?.into_inner())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_embedded_store() {
    a_payment_settles_a_boleto(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql() {
    a_payment_settles_a_boleto(Kind::PostgreSql).await;
}

async fn a_payment_settles_a_boleto(kind: Kind) {
    let house = House::new().on(kind).open().await;
    let boleto = house.shop().creates(a_boleto().of_cents(12_590)).await;
    let told =
        RecordPaymentRequest { bank_response_code: "6".to_owned(), ..payment(&boleto.id, "p-1", 12_590) };
    let answer = records(&house, told.clone()).await.expect("a payment");
    let (paid, written) = (answer.boleto.expect("a boleto"), answer.payment.expect("a payment"));
    assert_eq!((paid.status(), paid.payable, paid.version), (BoletoStatus::Paid, false, boleto.version + 1));
    let today = Utc::now().with_timezone(&Sao_Paulo).date_naive().to_string();
    assert_eq!((paid.paid_amount_cents, paid.paid_on.len()), (12_590, today.len()));
    assert_eq!((written.source.as_str(), written.payment_id.as_str()), ("owner", "p-1"));
    assert_eq!((written.bank_response_code.as_str(), written.partial), ("6", false));

    let again = records(&house, told).await.expect("the same payment");
    assert_eq!((again.boleto, again.payment), (Some(paid.clone()), Some(written)));
    let heard = house.owner().hears(&boleto.id, 2).await;
    assert_eq!(heard[1].text("event_type"), "boleto.paid");
    assert_eq!(heard[1].body["version"], paid.version);

    let other =
        records(&house, payment(&boleto.id, "p-1", 1)).await.expect_err("another payment of that name");
    assert_eq!((other.code(), other.reason().as_str()), (Code::AlreadyExists, "PAYMENT_ID_REUSED"));
    assert_eq!(house.shop().gets(&boleto.id).await, paid);
    house.operator().sees_all_work_done().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_add_up_and_more_than_all_is_taken() {
    let house = House::new().open().await;
    let boleto = house.shop().creates(a_boleto().of_cents(1_000)).await;
    let part = |name: &str, cents, day: &str| RecordPaymentRequest {
        partial: true,
        paid_on: day.to_owned(),
        ..payment(&boleto.id, name, cents)
    };
    let first = records(&house, part("p-1", 300, "2026-02-03")).await.expect("a part");
    let first = first.boleto.expect("a boleto");
    assert_eq!((first.status(), first.paid_amount_cents), (BoletoStatus::Registered, 300));
    // Told later and paid earlier: the last day stays the last day.
    let second = records(&house, part("p-2", 200, "2026-02-01")).await.expect("a part");
    let second = second.boleto.expect("a boleto");
    assert_eq!((second.paid_amount_cents, second.paid_on.as_str()), (500, "2026-02-03"));
    let nothing = records(&house, payment(&boleto.id, "p-3", 0)).await.expect("nothing at all");
    assert_eq!(nothing.boleto.expect("a boleto").status(), BoletoStatus::Registered);
    let rest = records(&house, payment(&boleto.id, "p-4", 900)).await.expect("the rest and more");
    let rest = rest.boleto.expect("a boleto");
    assert_eq!((rest.status(), rest.paid_amount_cents), (BoletoStatus::Paid, 1_400));

    let heard = house.owner().hears(&boleto.id, 5).await;
    let types: Vec<&str> = heard.iter().map(|message| message.text("event_type")).collect();
    let part = "boleto.payment_recorded";
    assert_eq!(types, ["boleto.registered", part, part, part, "boleto.paid"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_nobody_should_have_made_is_written_down_beside_what_is_true() {
    let house = House::new().open().await;
    house.script().bank_register(Behaviour::refuse("48"));
    let refused = house.shop().creates(a_boleto()).await;
    assert_eq!(refused.status(), BoletoStatus::Refused);
    let held = house.shop().creates(a_boleto().with(|request| request.hold_registration = true)).await;
    for (boleto, status) in [(&refused, BoletoStatus::Refused), (&held, BoletoStatus::Issued)] {
        let answer = records(&house, payment(&boleto.id, "p-1", 12_590)).await.expect("a payment");
        let paid = answer.boleto.expect("a boleto");
        assert_eq!((paid.status(), paid.paid_amount_cents), (status, 12_590));
        let heard = house.owner().hears(&boleto.id, 1).await;
        let last = heard.last().expect("news");
        assert!(["boleto.payment_recorded", "boleto.refused"].contains(&last.text("event_type")));
    }
    house.operator().sees_all_work_done().await;
    let last = house.owner().heard(&refused.id).pop().expect("news");
    assert_eq!((last.text("event_type"), last.text("status")), ("boleto.payment_recorded", "refused"));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_versions_and_mistakes() {
    let house = House::new().open().await;
    let boleto = house.shop().creates(a_boleto()).await;
    let named = RecordPaymentRequest {
        request_id: "r-1".to_owned(),
        version: boleto.version,
        partial: true,
        ..payment(&boleto.id, "", 100)
    };
    let first = records(&house, named.clone()).await.expect("a payment");
    assert_eq!(first.payment.as_ref().expect("a payment").payment_id, "r-1");
    // The version that it names has gone by meanwhile, and by itself.
    assert_eq!(records(&house, named.clone()).await.expect("the same answer"), first);
    let other = RecordPaymentRequest { paid_amount_cents: 7, ..named.clone() };
    assert_eq!(records(&house, other).await.expect_err("another body").reason(), "REQUEST_ID_REUSED");
    let stale = RecordPaymentRequest { version: boleto.version, ..payment(&boleto.id, "p-2", 100) };
    let stale = records(&house, stale).await.expect_err("it has changed");
    assert_eq!((stale.code(), stale.reason().as_str()), (Code::Aborted, "VERSION_CHANGED"));

    let unknown = records(&house, payment(UNKNOWN, "p-3", 100)).await.expect_err("no such boleto");
    assert_eq!((unknown.code(), unknown.reason().as_str()), (Code::NotFound, "BOLETO_NOT_FOUND"));
    let wrong = RecordPaymentRequest {
        id: "7".to_owned(),
        paid_amount_cents: -1,
        paid_on: "2999-01-01".to_owned(),
        bank_response_code: "x".repeat(65),
        version: -1,
        ..RecordPaymentRequest::default()
    };
    let fields = ["bank_response_code", "id", "paid_amount_cents", "paid_on", "payment_id", "version"];
    assert_eq!(records(&house, wrong).await.expect_err("all wrong").fields(), fields);
    house.close().await;
}

/// The bank has it on file all the same, but a payer who was shown its codes would pay twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_paid_before_its_registration_is_not_payable_after_it() {
    let house = House::new().open().await;
    let held = house.shop().creates(a_boleto().with(|request| request.hold_registration = true)).await;
    records(&house, payment(&held.id, "early", held.amount_cents)).await.expect("a payment");
    let registered = house.shop().registers_again(&held.id).await.expect("a registration");
    assert_eq!((registered.status(), registered.payable), (BoletoStatus::Registered, false));
    assert_eq!(registered.paid_amount_cents, held.amount_cents);
    house.operator().sees_all_work_done().await;
    house.close().await;
}
