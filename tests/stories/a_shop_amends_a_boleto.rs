//! A shop and its payer agree on another date. The bank is told, the codes change with it, the old ones are nobody's, and
//! whoever was told of the boleto is told of the change.

use bursar::proto::boleto::v1::{BoletoOrderState, BoletoStatus, Charges, Fine, fine};
use bursar::sandbox::{Behaviour, EffectKind, Party};
use chrono::{Days, NaiveDate, Utc};
use chrono_tz::America::Sao_Paulo;
use tonic::Code;

use crate::support::database::Kind;
use crate::support::house::{House, Refusal as _, a_boleto};

/// So many days from today, as text.
fn in_days(days: u64) -> String {
    let today: NaiveDate = Utc::now().with_timezone(&Sao_Paulo).date_naive();
    (today + Days::new(days)).to_string()
}

async fn another_due_date(kind: Kind) {
    let house = House::new().on(kind).open().await;
    let shop = house.shop();
    let boleto = shop.creates(a_boleto()).await;
    let answer = shop.amends(&boleto.id, |request| request.due_date = in_days(20)).await.expect("amended");
    let amended = answer.boleto.expect("a boleto");
    assert_eq!(answer.order.expect("an order").state(), BoletoOrderState::Done);
    assert_eq!(
        (amended.status(), amended.due_date.as_str()),
        (BoletoStatus::Registered, in_days(20).as_str())
    );
    assert_ne!(amended.barcode, boleto.barcode);
    assert_ne!(amended.linha_digitavel, boleto.linha_digitavel);
    assert_eq!(amended.barcode[19..], boleto.barcode[19..], "the bank's own digits stay");
    assert_eq!((amended.version, &amended.nosso_numero), (boleto.version + 1, &boleto.nosso_numero));
    assert!(amended.payable);
    assert_eq!(house.bank().effects(EffectKind::BankAmended, &boleto), 1);
    let told = house.owner().hears(&boleto.id, 2).await;
    assert_eq!(told[1].text("event_type"), "boleto.amended");
    assert_eq!(shop.reads_history(&boleto.id).await.changes[2].reason, "agreed by telephone");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_due_date_gives_other_codes_on_the_embedded_store() {
    another_due_date(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_due_date_gives_other_codes_on_postgresql() {
    another_due_date(Kind::PostgreSql).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_bank_cannot_change_is_said_and_never_sent() {
    let house = House::new().open().await;
    let shop = house.shop();
    let boleto = shop.creates(a_boleto()).await;
    let status =
        shop.amends(&boleto.id, |request| request.amount_cents = Some(1)).await.expect_err("refused");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.reason(), "NOT_SUPPORTED_BY_BANK");
    assert!(status.message().contains("amount_cents"), "{}", status.message());
    let charges = Charges { abatement_cents: 100, ..Charges::default() };
    let both = shop.amends(&boleto.id, |request| {
        request.due_date = in_days(20);
        request.charges = Some(charges);
    });
    let status = both.await.expect_err("one part at a time");
    assert_eq!(status.reason(), "NOT_SUPPORTED_BY_BANK");
    assert_eq!(shop.gets(&boleto.id).await, boleto, "nothing has changed");
    assert_eq!(house.script().asked(Party::BankAmend), 0);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_amendment_is_checked_as_a_boleto_is() {
    let house = House::new().open().await;
    let shop = house.shop();
    let boleto = shop.creates(a_boleto()).await;
    let fine = Fine { value: Some(fine::Value::Percentage("200".to_owned())), after_days: 1 };
    let bad = shop.amends(&boleto.id, |request| {
        request.reason = String::new();
        request.amount_cents = Some(0);
        request.due_date = "2020-01-01".to_owned();
        request.charges = Some(Charges { fine: Some(fine), ..Charges::default() });
    });
    let fields = bad.await.expect_err("nothing of it is right").fields();
    for field in ["amount_cents", "due_date", "reason", "charges.fine.percentage"] {
        assert!(fields.iter().any(|found| found == field), "{field} is not among {fields:?}");
    }
    let status = shop.amends(&boleto.id, |_| {}).await.expect_err("nothing changes");
    assert_eq!(status.code(), Code::InvalidArgument);
    let stale = shop.amends(&boleto.id, |request| {
        request.version = 1;
        request.due_date = in_days(20);
    });
    assert_eq!(stale.await.expect_err("it is registered by now").reason(), "VERSION_CHANGED");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_registered_is_amended() {
    let house = House::new().with("registration.inline_deadline", "20ms").open().await;
    let shop = house.shop();
    house.script().bank_register(Behaviour::Hold);
    let boleto = shop.creates(a_boleto()).await;
    house.bank().holds(1).await;
    let amend = || shop.amends(&boleto.id, |request| request.due_date = in_days(20));
    let status = amend().await.expect_err("the bank has not decided");
    assert_eq!((status.code(), status.reason().as_str()), (Code::FailedPrecondition, "AMEND_NOT_OPEN"));
    house.script().release();
    shop.sees(&boleto.id, BoletoStatus::Registered).await;
    house.script().once(Party::BankAmend, Behaviour::Hold);
    let order = amend().await.expect("an order").order.expect("an order");
    assert_eq!(order.state(), BoletoOrderState::Pending);
    house.bank().holds(1).await;
    let status = shop.cancels(&boleto.id, "sold twice").await.expect_err("one at a time");
    assert_eq!(status.reason(), "ORDER_PENDING");
    house.script().release();
    shop.sees_order(&boleto.id, BoletoOrderState::Done).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_looked_for_and_a_lost_request_sent_again() {
    let house = House::new().with("banks.banco_do_brasil.timeout", "300ms").open().await;
    let shop = house.shop();
    for (lost, asked) in [(Behaviour::accept_then_drop(), 1), (Behaviour::Reset, 2), (Behaviour::Garbage, 2)]
    {
        let before = house.script().asked(Party::BankAmend);
        let boleto = shop.creates(a_boleto()).await;
        house.script().once(Party::BankAmend, lost.clone());
        let answer =
            shop.amends(&boleto.id, |request| request.due_date = in_days(20)).await.expect("amended");
        assert_eq!(answer.order.expect("an order").state(), BoletoOrderState::Done, "{lost:?}");
        assert_eq!(answer.boleto.expect("a boleto").due_date, in_days(20), "{lost:?}");
        assert_eq!(house.bank().effects(EffectKind::BankAmended, &boleto), 1, "{lost:?}");
        assert_eq!(house.script().asked(Party::BankAmend) - before, asked, "{lost:?}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_no_of_the_bank_ends_the_order_and_the_owner_hears_of_it() {
    let house = House::new().open().await;
    let shop = house.shop();
    let boleto = shop.creates(a_boleto()).await;
    house.script().once(Party::BankAmend, Behaviour::refuse("77"));
    let answer = shop.amends(&boleto.id, |request| request.due_date = in_days(20)).await.expect("an answer");
    let order = answer.order.expect("an order");
    assert_eq!(order.state(), BoletoOrderState::Refused);
    assert_eq!(order.bank_response.expect("a reason").code, "77");
    let after = answer.boleto.expect("a boleto");
    assert_eq!((after.due_date.as_str(), &after.barcode), (boleto.due_date.as_str(), &boleto.barcode));
    let told = house.owner().hears(&boleto.id, 2).await;
    assert_eq!(told[1].text("event_type"), "boleto.order_refused");
    assert_eq!(told[1].text("status"), "registered");
    house.close().await;
}
