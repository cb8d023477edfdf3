//! A shop of the service that this one replaces sends what it always sent, to an account like the one it always had: Bradesco,
//! agency 3381, account 9721, carteira 26. The first number under it gives the codes that the replaced service gave.

use bursar::domain::boleto::barcode::Barcode;
use bursar::proto::boleto::v1::bank_account::Issuer;
use bursar::proto::boleto::v1::{
    BankAccount, BoletoStatus, BradescoIssuer, Charges, Fine, Interest, LatePayment, ListBoletosRequest,
    fine, interest,
};

use crate::support::house::{House, Opened, a_boleto, an_account};

/// The account that the replaced service was installed with, without any bank behind it.
fn as_installed() -> BankAccount {
    BankAccount {
        external_id: "pagarme".to_owned(),
        issuer: Some(Issuer::Bradesco(BradescoIssuer {
            agency: "3381".to_owned(),
            account: "9721".to_owned(),
            carteira: "26".to_owned(),
        })),
        provider: "development".to_owned(),
        ..an_account()
    }
}

async fn house() -> Opened {
    let house = House::new().without_account().with("banks.development.enabled", "true").open().await;
    house.operator().opens_without_credentials(as_installed()).await.expect("the account");
    house
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sample_request_gives_the_sample_codes() {
    let house = house().await;
    let percentage = |text: &str| text.to_owned();
    let wanted = a_boleto().of_cents(2_000).called("ref-1").with(|request| {
        request.due_date = "2031-05-13".to_owned();
        request.token = "test_cj0".to_owned();
        request.instructions = "Não receber após o vencimento".to_owned();
        request.charges = Some(Charges {
            fine: Some(Fine { value: Some(fine::Value::Percentage(percentage("1"))), after_days: 1 }),
            interest: Some(Interest {
                value: Some(interest::Value::PercentagePerMonth(percentage("0.29"))),
                after_days: 1,
            }),
            ..Charges::default()
        });
        request.late_payment = Some(LatePayment { accepted_days: 0 });
    });
    let answer = house.shop().tries(wanted).await.expect("a boleto");
    let issuer = answer.resolved_issuer.expect("an issuer");
    assert_eq!(
        [issuer.bank_code, issuer.agency, issuer.account, issuer.carteira],
        ["237", "3381", "9721", "26"]
    );
    let boleto = answer.boleto.expect("a boleto");
    assert_eq!((boleto.status(), boleto.nosso_numero.as_str()), (BoletoStatus::Registered, "00000000001"));
    // As in the replaced service's own vector, whose due date has gone by.
    let vector = Barcode::parse("23799167000000020003381260000000000100097210").expect("a barcode");
    let barcode = Barcode::parse(&boleto.barcode).expect("a barcode");
    assert_eq!(barcode.campo_livre(), vector.campo_livre());
    assert_eq!(&boleto.barcode[..3], "237");
    assert_eq!(&boleto.barcode[9..19], "0000002000");

    for filter in [
        ListBoletosRequest { token: "test_cj0".to_owned(), ..ListBoletosRequest::default() },
        ListBoletosRequest { nosso_numero: "00000000001".to_owned(), ..ListBoletosRequest::default() },
        ListBoletosRequest { reference_id: "ref-1".to_owned(), ..ListBoletosRequest::default() },
    ] {
        let (found, _) = house.shop().lists(filter).await.expect("a list");
        assert_eq!(found.iter().map(|found| &found.id).collect::<Vec<_>>(), [&boleto.id]);
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn amounts_try_out_every_outcome() {
    let house = House::new()
        .without_account()
        .with("banks.development.enabled", "true")
        .with("registration.inline_deadline", "50ms")
        .open()
        .await;
    house.operator().opens_without_credentials(as_installed()).await.expect("the account");
    let outcomes = [
        (2_000, BoletoStatus::Registered),
        (5_000_003, BoletoStatus::PendingRegistration),
        (5_000_004, BoletoStatus::Refused),
    ];
    for (cents, status) in outcomes {
        let boleto = house.shop().creates(a_boleto().of_cents(cents)).await;
        house.shop().sees(&boleto.id, status).await;
    }
    house.close().await;
}
