//! What goes over the wire, byte for byte, and every class of answer, against a server on loopback.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::connectors::banks::shop::{Kind, Shop, kind, on_file};
use crate::connectors::http::{HttpConfig, HttpUrl};
use crate::connectors::scripted::{Reply, Scripted, any_secret, hanging_up, nobody, reply, reply_with};
use crate::domain::bank_account::Provider;
use crate::domain::boleto::charges::{Discount, DiscountValue, Fine, FineValue, Interest, InterestValue};
use crate::domain::boleto::issuer::Issuer;
use crate::domain::boleto::terms::{Guarantor, LatePayment};
use crate::domain::money::Cents;
use crate::domain::tax_id::TaxId;

fn shop() -> Shop {
    let issuer = Issuer::Bradesco { agency: "3381".into(), account: "9721".into(), carteira: "26".into() };
    Shop::of(issuer, Provider::BradescoApiregistro, &[("merchant_id", "90000"), ("api_key", "chave")])
}

fn connector(address: &SocketAddr, patience: Duration) -> BradescoApiregistro {
    let config = BradescoApiregistroConfig {
        api_url: Some(HttpUrl::parse(&format!("http://{address}/before/")).unwrap()),
        timeout: patience,
    };
    BradescoApiregistro::new(config, any_secret(), HttpClient::trusted(&HttpConfig::default()).unwrap())
}

/// More than a busy machine needs for an answer that does come, and little for one that never does.
fn patience(answer: &Reply) -> Duration {
    if matches!(answer, Reply::Hang) { Duration::from_millis(50) } else { Duration::from_secs(10) }
}

fn saying(code: &str) -> String {
    format!(r#"{{"status":{{"codigo":{code},"mensagem":"words"}}}}"#)
}

async fn answered(shop: &Shop, answer: Reply) -> Result<RegisterAnswer, BankError> {
    let scripted = answer.clone();
    let server = Scripted::start(move |_| scripted.clone()).await;
    let answer = connector(&server.address, patience(&answer)).register(&shop.request()).await;
    assert_eq!(server.seen().len(), 1, "the bank is asked once");
    answer
}

async fn sent(shop: &Shop) -> (String, crate::connectors::scripted::Seen) {
    let server = Scripted::start(|_| reply(200, saying("0"))).await;
    connector(&server.address, Duration::from_secs(10)).register(&shop.request()).await.unwrap();
    let [seen] = &server.seen()[..] else { panic!("one call was expected") };
    (seen.body.clone(), seen.clone())
}

#[tokio::test]
async fn a_registration_reads_as_the_sheet_says() {
    let mut shop = shop();
    shop.boleto.payer.name = "Conceição Kőszegi 😀".into();
    let (body, seen) = sent(&shop).await;
    let expected = concat!(
        r#"{"merchant_id":"90000","boleto":{"carteira":"26","nosso_numero":1,"numero_documento":1,"#,
        r#""data_emissao":"2026-03-01","data_vencimento":"2026-04-10","valor_titulo":12590,"#,
        r#""pagador":{"nome":"Conceição Koszegi ","documento":"52998224725","tipo_documento":"1","#,
        r#""endereco":{"cep":"01001000","logradouro":"Rua das Flores","numero":"308","complemento":"apto 12","#,
        r#""bairro":"Centro","cidade":"Sao Paulo","uf":"SP"}}}}"#,
    );
    assert_eq!(body, expected);
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/before/apiregistro/api"));
    // base64 of 90000:chave
    assert_eq!(seen.header("authorization"), "Basic OTAwMDA6Y2hhdmU=");
    assert_eq!(seen.header("content-type"), "application/json");
}

#[tokio::test]
async fn what_was_agreed_for_a_late_payment_goes_along() {
    let mut shop = shop();
    shop.boleto.terms.charges.interest =
        Some(Interest { value: InterestValue::PercentagePerMonth("0.29".parse().unwrap()), after_days: 1 });
    shop.boleto.terms.charges.fine = Some(Fine { value: FineValue::Amount(Cents(250)), after_days: 3 });
    shop.boleto.terms.guarantor = Some(Guarantor {
        name: "Loja do João".into(),
        tax_id: TaxId::parse("11222333000181").unwrap(),
        address: Some(shop.boleto.payer.address.clone()),
    });
    let (body, _) = sent(&shop).await;
    let expected = concat!(
        r#","informacoes_opcionais":{"perc_juros":"00029000","qtde_dias_juros":1,"#,
        r#""valor_multa_atraso":250,"qtde_dias_multa_atraso":3,"#,
        r#""sacador_avalista":{"nome":"Loja do João","documento":"11222333000181","tipo_documento":"2","#,
        r#""endereco":{"cep":"01001000","logradouro":"Rua das Flores","numero":"308","complemento":"apto 12","#,
        r#""bairro":"Centro","cidade":"Sao Paulo","uf":"SP"}}}}}"#,
    );
    assert!(body.ends_with(expected), "{body}");

    shop.boleto.terms.charges.interest =
        Some(Interest { value: InterestValue::AmountPerDay(Cents(7)), after_days: 2 });
    shop.boleto.terms.charges.fine =
        Some(Fine { value: FineValue::Percentage("2".parse().unwrap()), after_days: 1 });
    shop.boleto.terms.guarantor = None;
    let (body, _) = sent(&shop).await;
    let expected = concat!(
        r#","informacoes_opcionais":{"valor_juros":7,"qtde_dias_juros":2,"#,
        r#""perc_multa_atraso":"00200000","qtde_dias_multa_atraso":1}}}"#,
    );
    assert!(body.ends_with(expected), "{body}");
}

#[tokio::test]
async fn every_answer_has_its_class() {
    let shop = shop();
    let refused = || Kind::Refused("930052".into());
    let on_file = || Kind::AlreadyOnFile("9300574".into());
    let cases = [
        (reply(200, saying("930052")), refused()),
        (reply(201, saying("\"930052\"")), refused()),
        (reply(400, saying("930052")), refused()),
        (reply(422, saying("930052")), refused()),
        (reply(404, saying("930052")), Kind::OutcomeUnknown),
        (reply(500, saying("930052")), Kind::OutcomeUnknown),
        (reply(200, saying("9300574")), on_file()),
        (reply(409, saying("9300574")), on_file()),
        (reply(200, saying("93005999")), Kind::OutcomeUnknown),
        (reply(200, saying("93005116")), Kind::OutcomeUnknown),
        (reply(200, saying("93005129")), Kind::OutcomeUnknown),
        (reply(200, saying("-393")), Kind::OutcomeUnknown),
        (reply(400, saying("0")), Kind::OutcomeUnknown),
        (reply(400, "{}"), Kind::OutcomeUnknown),
        (reply(200, "{}"), Kind::OutcomeUnknown),
        (reply(200, ""), Kind::OutcomeUnknown),
        (reply(200, "<html>ok</html>"), Kind::OutcomeUnknown),
        (reply(200, r#"{"status":{"mensagem":"no code"}}"#), Kind::OutcomeUnknown),
        (reply(200, r#"{"status":{"codigo":null}}"#), Kind::OutcomeUnknown),
        (reply(200, r#"{"status":"0"}"#), Kind::OutcomeUnknown),
        (reply(401, saying("930052")), Kind::Misconfigured),
        (reply(403, ""), Kind::Misconfigured),
        (reply(408, saying("930052")), Kind::OutcomeUnknown),
        (reply_with(429, "retry-after", "9"), Kind::Unavailable(Some(Duration::from_secs(9)))),
        (reply_with(503, "retry-after", "9"), Kind::OutcomeUnknown),
        (reply_with(302, "location", "http://127.0.0.1/"), Kind::OutcomeUnknown),
        (Reply::Hang, Kind::OutcomeUnknown),
    ];
    for (answer, expected) in cases {
        let shown = format!("{answer:?}");
        assert_eq!(kind(answered(&shop, answer).await.unwrap_err()), expected, "{shown}");
    }
}

#[tokio::test]
async fn a_documented_yes_registers_under_our_own_codes() {
    let shop = shop();
    for code in ["0", "\"0\"", "930051", "\"930053\"", "93005119"] {
        let registration = on_file(answered(&shop, reply(200, saying(code))).await.unwrap());
        assert_eq!(registration.response.code, code.trim_matches('"'));
        assert_eq!(registration.response.message, "words");
        assert_eq!((registration.codes, registration.url), (None, None));
    }
}

#[tokio::test]
async fn what_is_lost_on_the_way_is_unknown_only_if_it_may_have_left() {
    let shop = shop();
    let dropped = connector(&hanging_up().await, Duration::from_secs(10));
    assert_eq!(kind(dropped.register(&shop.request()).await.unwrap_err()), Kind::OutcomeUnknown);
    let away = connector(&nobody().await, Duration::from_secs(10));
    assert_eq!(kind(away.register(&shop.request()).await.unwrap_err()), Kind::Unavailable(None));
}

#[tokio::test]
async fn what_the_bank_cannot_take_never_leaves() {
    let mut shop = shop();
    let server = Scripted::start(|_| reply(200, saying("0"))).await;
    let bank = connector(&server.address, Duration::from_secs(10));
    let alphanumeric = TaxId::parse("12.ABC.345/01DE-35").unwrap();
    shop.boleto.payer.tax_id = alphanumeric;
    let terms = &mut shop.boleto.terms;
    terms.guarantor = Some(Guarantor { name: "Loja".into(), tax_id: alphanumeric, address: None });
    let until = shop.boleto.due_date;
    terms.charges.discounts = vec![Discount { until, value: DiscountValue::Amount(Cents(1)) }];
    terms.charges.abatement = Some(Cents(1));
    terms.late_payment = Some(LatePayment::Refused);
    let found = bank.supports(&shop.proposal());
    assert_eq!(
        found.iter().map(|found| found.field.as_str()).collect::<Vec<_>>(),
        ["payer.tax_id", "guarantor.tax_id", "charges.discounts", "charges.abatement", "late_payment"]
    );
    assert_eq!(kind(bank.register(&shop.request()).await.unwrap_err()), Kind::Unsupported);
    assert_eq!(kind(bank.look_up(&shop.question()).await.unwrap_err()), Kind::Unsupported);
    assert_eq!(kind(bank.cancel(&shop.cancellation()).await.unwrap_err()), Kind::Unsupported);
    assert!(server.seen().is_empty());
}

/// 25 is strict, 26 is not; what is agreed must be what the carteira says.
#[test]
fn a_late_payment_is_the_carteiras_to_decide() {
    let bank = connector(&"127.0.0.1:1".parse().unwrap(), Duration::from_secs(1));
    let accepted = |days| Some(LatePayment::Accepted { days });
    for (carteira, late_payment, fits) in [
        ("25", None, true),
        ("25", Some(LatePayment::Refused), true),
        ("25", accepted(60), false),
        ("26", Some(LatePayment::Refused), false),
        ("26", accepted(60), true),
        ("26", accepted(30), false),
        ("09", accepted(60), false),
        ("09", None, true),
    ] {
        let mut shop = shop();
        shop.account.issuer =
            Issuer::Bradesco { agency: "3381".into(), account: "9721".into(), carteira: carteira.into() };
        shop.boleto.terms.late_payment = late_payment;
        assert_eq!(bank.supports(&shop.proposal()).is_empty(), fits, "{carteira} {late_payment:?}");
    }
}

#[tokio::test]
async fn a_missing_secret_is_named_and_nothing_is_sent() {
    let mut shop = shop();
    shop.account.credentials.insert("api_key".into(), "env:BURSAR_TEST_NO_SUCH_VARIABLE".into());
    let server = Scripted::start(|_| reply(200, saying("0"))).await;
    let bank = connector(&server.address, Duration::from_secs(10));
    let error = bank.register(&shop.request()).await.unwrap_err();
    assert!(error.to_string().contains("env:BURSAR_TEST_NO_SUCH_VARIABLE"), "{error}");
    assert_eq!(kind(error), Kind::Misconfigured);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn an_account_hears_of_all_that_it_lacks() {
    let mut shop = shop();
    let bank = connector(&"127.0.0.1:1".parse().unwrap(), Duration::from_secs(1));
    assert_eq!(bank.check(&shop.account), []);
    let nowhere = BradescoApiregistro { config: BradescoApiregistroConfig::default(), ..bank };
    shop.account.issuer = Issuer::Caixa { beneficiary: "1103388".into(), agency: None };
    shop.account.credentials.remove("merchant_id");
    let fields: Vec<_> = nowhere.check(&shop.account).into_iter().map(|found| found.field).collect();
    assert_eq!(fields, ["issuer", "provider", "credentials[merchant_id]"]);
    let error = nowhere.register(&self::shop().request()).await.unwrap_err();
    assert_eq!(kind(error), Kind::Misconfigured);
}
