//! A shop asks what is owed for a boleto on a day: early, in time, late, after a part was paid; on a day that only the shop's
//! own town keeps as a holiday; by the rounding of the account.

use bursar::proto::boleto::v1::{
    BankAccount, Boleto, Charges, Discount, Fine, Interest, QuoteBoletoRequest, QuoteBoletoResponse,
    RecordPaymentRequest, discount, fine, interest,
};
use tonic::{Code, Status};

use crate::support::house::{House, Opened, Refusal as _, a_boleto, an_account};

/// Due on Tuesday, 13 May 2031: 2 % fine, 1 % a month, ten reais less until the fifth.
async fn a_boleto_with_charges(house: &Opened, account: &str) -> Boleto {
    let account = account.to_owned();
    let percentage = |text: &str| text.to_owned();
    let charges = Charges {
        fine: Some(Fine { value: Some(fine::Value::Percentage(percentage("2"))), after_days: 1 }),
        interest: Some(Interest {
            value: Some(interest::Value::PercentagePerMonth(percentage("1"))),
            after_days: 1,
        }),
        discounts: vec![Discount {
            until: "2031-05-05".to_owned(),
            value: Some(discount::Value::AmountCents(1_000)),
        }],
        abatement_cents: 0,
    };
    let wanted = a_boleto().of_cents(10_000).with(|request| {
        request.due_date = "2031-05-13".to_owned();
        request.charges = Some(charges);
        request.hold_registration = true;
        request.bank_account_external_id = account;
    });
    house.shop().creates(wanted).await
}

async fn quote(house: &Opened, id: &str, on: &str) -> Result<QuoteBoletoResponse, Status> {
    let request = QuoteBoletoRequest { id: id.to_owned(), on: on.to_owned() };
    Ok(house.shop().boletos.quote_boleto(request).await?.into_inner())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn early_in_time_and_late() {
    let house = House::new().open().await;
    let boleto = a_boleto_with_charges(&house, "").await;
    // The day, discount, fine, interest, total, days late.
    let cases = [
        ("2031-05-05", 1_000, 0, 0, 9_000, 0),
        ("2031-05-06", 0, 0, 0, 10_000, 0),
        ("2031-05-13", 0, 0, 0, 10_000, 0),
        ("2031-05-14", 0, 200, 3, 10_203, 1),
        ("2031-05-18", 0, 200, 16, 10_216, 5),
    ];
    for (on, discount, fine, interest, total, days_late) in cases {
        let quoted = quote(&house, &boleto.id, on).await.expect("a quote");
        let sums = (quoted.discount_cents, quoted.fine_cents, quoted.interest_cents, quoted.total_cents);
        assert_eq!((sums, quoted.days_late), ((discount, fine, interest, total), days_late), "{on}");
        assert_eq!((quoted.on.as_str(), quoted.principal_cents), (on, 10_000));
        assert_eq!((quoted.effective_due_date.as_str(), quoted.payable), ("2031-05-13", false));
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_paid_is_taken_off_and_the_day_is_today_unless_it_is_named() {
    let house = House::new().open().await;
    let boleto = house.shop().creates(a_boleto().of_cents(10_000)).await;
    let part = RecordPaymentRequest {
        id: boleto.id.clone(),
        payment_id: "p-1".to_owned(),
        paid_amount_cents: 4_000,
        partial: true,
        ..RecordPaymentRequest::default()
    };
    house.shop().boletos.record_payment(part).await.expect("a part");
    let quoted = quote(&house, &boleto.id, "").await.expect("a quote");
    assert_eq!((quoted.paid_cents, quoted.total_cents, quoted.days_late), (4_000, 6_000, 0));
    assert!(quoted.payable && quoted.on.len() == 10);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_accounts_rounding_and_the_towns_holidays_count() {
    let house = House::new().with("calendar.extra_holidays", r#"["2031-05-13"]"#).open().await;
    let half_even = BankAccount {
        external_id: "half-even".to_owned(),
        rounding: "half_even".to_owned(),
        is_default: false,
        ..an_account()
    };
    house.operator().opens(half_even).await.expect("an account");
    let truncated = a_boleto_with_charges(&house, "shop").await;
    let rounded = a_boleto_with_charges(&house, "half-even").await;
    let next_day = quote(&house, &truncated.id, "2031-05-14").await.expect("a quote");
    assert_eq!((next_day.effective_due_date.as_str(), next_day.total_cents), ("2031-05-14", 10_000));
    // Paid later than that, it is late since its own due date: 16.67 cents of interest.
    for (boleto, interest) in [(truncated, 16), (rounded, 17)] {
        let late = quote(&house, &boleto.id, "2031-05-18").await.expect("a quote");
        assert_eq!((late.days_late, late.interest_cents), (5, interest));
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_quoted_is_said() {
    let house = House::new().open().await;
    let wrong = quote(&house, "7", "soon").await.expect_err("neither an id nor a day");
    assert_eq!(
        (wrong.code(), wrong.fields()),
        (Code::InvalidArgument, vec!["id".to_owned(), "on".to_owned()])
    );
    let unknown =
        quote(&house, "00000000-0000-7000-8000-000000000000", "").await.expect_err("no such boleto");
    assert_eq!(unknown.reason(), "BOLETO_NOT_FOUND");
    house.close().await;
}
