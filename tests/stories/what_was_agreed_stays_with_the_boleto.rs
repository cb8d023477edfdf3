//! A shop agrees with its customer on charges, on whose behalf it collects, and on late payment. All of it is kept, shown again,
//! and sent to the bank; whatever of it breaks a rule is said at once, with everything else that is wrong.

use bursar::proto::boleto::v1::{
    Address, Charges, CreateBoletoRequest, Discount, Fine, Guarantor, Interest, LatePayment, discount, fine,
    interest,
};
use tonic::Code;

use crate::support::house::{House, Refusal as _, a_boleto};

type Mistake = fn(&mut CreateBoletoRequest);

fn percent_fine(percentage: &str, after_days: i32) -> Fine {
    Fine { value: Some(fine::Value::Percentage(percentage.to_owned())), after_days }
}

fn monthly(percentage: &str) -> Interest {
    Interest { value: Some(interest::Value::PercentagePerMonth(percentage.to_owned())), after_days: 1 }
}

fn discount_of(until: &str, cents: i64) -> Discount {
    Discount { until: until.to_owned(), value: Some(discount::Value::AmountCents(cents)) }
}

fn guarantor() -> Guarantor {
    Guarantor {
        name: "Fábrica Exemplo S.A.".to_owned(),
        tax_id: "11222333000181".to_owned(),
        address: Some(Address {
            street: "Avenida Central".to_owned(),
            number: "1".to_owned(),
            complement: String::new(),
            district: "Centro".to_owned(),
            city: "Campinas".to_owned(),
            state: "SP".to_owned(),
            postal_code: "13010000".to_owned(),
        }),
    }
}

/// A boleto of 125.90 due on a day that is far away, with everything that can be agreed.
fn agreed(request: &mut CreateBoletoRequest) {
    request.due_date = "2031-05-13".to_owned();
    request.charges = Some(Charges {
        fine: Some(percent_fine("2", 1)),
        interest: Some(monthly("0.29")),
        discounts: vec![discount_of("2031-05-01", 500), discount_of("2031-05-05", 200)],
        abatement_cents: 100,
    });
    request.guarantor = Some(guarantor());
    request.late_payment = Some(LatePayment { accepted_days: 60 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_agreed_is_kept_and_shown_again() {
    let house = House::new().open().await;
    let mut wanted = CreateBoletoRequest::default();
    agreed(&mut wanted);
    // Held back, so that this is about what is kept and not about what this bank takes.
    let boleto = house.shop().creates(a_boleto().with(agreed).with(|r| r.hold_registration = true)).await;
    assert_eq!(boleto.charges, wanted.charges);
    assert_eq!(boleto.guarantor, wanted.guarantor);
    assert_eq!(boleto.late_payment, wanted.late_payment);
    assert_eq!((boleto.paid_amount_cents, boleto.paid_on.as_str(), boleto.overdue), (0, "", false));
    assert_eq!(house.shop().gets(&boleto.id).await, boleto);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_agreed_is_nothing_shown() {
    let house = House::new().open().await;
    let boleto = house.shop().creates(a_boleto()).await;
    assert_eq!((boleto.charges, boleto.guarantor, boleto.late_payment), (None, None, None));
    house.close().await;
}

/// Each mistake alone, and the fields that must be named.
const MISTAKES: &[(&str, &[&str], Mistake)] = &[
    ("a fine of nothing", &["charges.fine"], |request| {
        charges(request).fine = Some(Fine { value: None, after_days: 1 });
    }),
    ("a fine of more than the whole", &["charges.fine.percentage"], |request| {
        charges(request).fine = Some(percent_fine("100.1", 1));
    }),
    ("a percentage with a comma", &["charges.fine.percentage"], |request| {
        charges(request).fine = Some(percent_fine("2,5", 1));
    }),
    ("a percentage too fine for banks", &["charges.interest.percentage_per_month"], |request| {
        charges(request).interest = Some(monthly("0.000001"));
    }),
    ("a fine before the due date", &["charges.fine.after_days"], |request| {
        charges(request).fine = Some(percent_fine("2", -1));
    }),
    ("a fine after more than a year", &["charges.fine.after_days"], |request| {
        charges(request).fine = Some(percent_fine("2", 366));
    }),
    ("a discount without a day", &["charges.discounts[0].until"], |request| {
        charges(request).discounts = vec![discount_of("", 1)];
    }),
    ("a discount after the due date", &["charges.discounts[0].until"], |request| {
        charges(request).discounts = vec![discount_of("2031-05-14", 1)];
    }),
    ("four discounts", &["charges.discounts"], |request| {
        charges(request).discounts = vec![discount_of("2031-05-01", 1); 4];
    }),
    ("an abatement of all", &["charges.abatement_cents"], |request| {
        charges(request).abatement_cents = request_amount();
        charges(request).discounts.clear();
    }),
    ("a guarantor without a name", &["guarantor.name"], |request| {
        request.guarantor = Some(Guarantor { name: String::new(), ..guarantor() });
    }),
    ("a guarantor with half an address", &["guarantor.address.city"], |request| {
        let mut half = guarantor();
        half.address.as_mut().expect("an address").city.clear();
        request.guarantor = Some(half);
    }),
    ("late payment for ever", &["late_payment.accepted_days"], |request| {
        request.late_payment = Some(LatePayment { accepted_days: 366 });
    }),
    ("two mistakes far apart", &["late_payment.accepted_days", "payer"], |request| {
        request.late_payment = Some(LatePayment { accepted_days: -1 });
        request.payer = None;
    }),
];

fn request_amount() -> i64 {
    12_590
}

fn charges(request: &mut CreateBoletoRequest) -> &mut Charges {
    request.charges.as_mut().expect("charges")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mistake_is_named_by_its_field() {
    let house = House::new().open().await;
    for (mistake, fields, make) in MISTAKES {
        let wanted = a_boleto().with(agreed).with(|request| request.hold_registration = true).with(make);
        let status = house.shop().tries(wanted).await.expect_err(mistake);
        assert_eq!((status.code(), status.reason().as_str()), (Code::InvalidArgument, "INVALID_FIELDS"));
        assert_eq!(status.fields(), *fields, "{mistake}");
    }
    assert_eq!(house.bank().asked(), 0);
    house.close().await;
}
