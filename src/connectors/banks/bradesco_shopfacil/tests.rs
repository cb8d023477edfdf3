//! What goes over the wire, byte for byte, and every class of answer, against a server on loopback.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::connectors::banks::shop::{Kind, Shop, both, kind, on_file};
use crate::connectors::http::{HttpConfig, HttpUrl};
use crate::connectors::scripted::{Reply, Scripted, any_secret, hanging_up, nobody, reply, reply_with};
use crate::domain::bank_account::Provider;
use crate::domain::boleto::charges::{Fine, FineValue, Interest, InterestValue};
use crate::domain::boleto::issuer::Issuer;
use crate::domain::boleto::terms::{Guarantor, LatePayment};
use crate::domain::money::Cents;
use crate::domain::tax_id::TaxId;

const PAGE: &str = "https://loja.example/boleto?token=1";

fn shop() -> Shop {
    let issuer = Issuer::Bradesco { agency: "3381".into(), account: "9721".into(), carteira: "25".into() };
    Shop::of(issuer, Provider::BradescoShopfacil, &[("merchant_id", "90000"), ("api_key", "chave")])
}

fn connector(address: &SocketAddr, patience: Duration) -> BradescoShopfacil {
    let config = BradescoShopfacilConfig {
        api_url: Some(HttpUrl::parse(&format!("http://{address}/where/it/is")).unwrap()),
        timeout: patience,
    };
    BradescoShopfacil::new(config, any_secret(), HttpClient::trusted(&HttpConfig::default()).unwrap())
}

/// More than a busy machine needs for an answer that does come, and little for one that never does.
fn patience(answer: &Reply) -> Duration {
    if matches!(answer, Reply::Hang) { Duration::from_millis(50) } else { Duration::from_secs(10) }
}

fn saying(code: &str, line: &str, url: &str) -> String {
    serde_json::json!({
        "boleto": {"linha_digitavel": line, "url_acesso": url},
        "status": {"codigo": code, "mensagem": "words"},
    })
    .to_string()
}

async fn answered(shop: &Shop, answer: Reply) -> Result<RegisterAnswer, BankError> {
    let scripted = answer.clone();
    let server = Scripted::start(move |_| scripted.clone()).await;
    let answer = connector(&server.address, patience(&answer)).register(&shop.request()).await;
    assert_eq!(server.seen().len(), 1, "the bank is asked once");
    answer
}

#[tokio::test]
async fn a_registration_reads_as_the_page_says() {
    let shop = shop();
    let (_, line) = both(&shop.boleto.codes);
    let server = Scripted::start(move |_| reply(201, saying("0", &line, PAGE))).await;
    let bank = connector(&server.address, Duration::from_secs(10));
    let registration = on_file(bank.register(&shop.request()).await.unwrap());
    assert_eq!((registration.response.code.as_str(), registration.url.as_deref()), ("0", Some(PAGE)));
    assert_eq!(registration.codes, None);
    let [seen] = &server.seen()[..] else { panic!("one call was expected") };
    let expected = concat!(
        r#"{"merchant_id":"90000","meio_pagamento":"300","boleto":{"carteira":"25","nosso_numero":1,"#,
        r#""numero_documento":1,"data_emissao":"2026-03-01","data_vencimento":"2026-04-10","#,
        r#""valor_titulo":12590,"pagador":{"nome":"Ana Maria","documento":"52998224725","tipo_documento":"1","#,
        r#""endereco":{"cep":"01001000","logradouro":"Rua das Flores","numero":"308","complemento":"apto 12","#,
        r#""bairro":"Centro","cidade":"Sao Paulo","uf":"SP"}}}}"#,
    );
    assert_eq!(seen.body, expected);
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/where/it/is"));
    assert_eq!(seen.header("authorization"), "Basic OTAwMDA6Y2hhdmU=");
}

#[tokio::test]
async fn every_answer_has_its_class() {
    let shop = shop();
    let (_, line) = both(&shop.boleto.codes);
    let says = |code: &str| saying(code, &line, PAGE);
    let cases = [
        (reply(200, says("930054")), Kind::Refused("930054".into())),
        (reply(200, says("-395")), Kind::Refused("-395".into())),
        (reply(400, says("-5163")), Kind::Refused("-5163".into())),
        // The bank holds the title.
        (reply(200, says("9300574")), Kind::AlreadyOnFile("9300574".into())),
        (reply(200, says("-393")), Kind::AlreadyOnFile("-393".into())),
        (reply(200, says("-394")), Kind::AlreadyOnFile("-394".into())),
        (reply(200, says("-401")), Kind::AlreadyOnFile("-401".into())),
        (reply(409, says("-999")), Kind::AlreadyOnFile("-999".into())),
        (reply(200, says("93005999")), Kind::OutcomeUnknown),
        (reply(200, says("93005116")), Kind::OutcomeUnknown),
        (reply(200, says("-548")), Kind::OutcomeUnknown),
        (reply(200, says("9300590")), Kind::OutcomeUnknown),
        (reply(202, says("0")), Kind::OutcomeUnknown),
        (reply(400, says("0")), Kind::OutcomeUnknown),
        (reply(200, saying("0", "", PAGE)), Kind::OutcomeUnknown),
        (reply(200, r#"{"status":{"codigo":0}}"#), Kind::OutcomeUnknown),
        (reply(200, r#"{"status":{"codigo":0},"boleto":{"linha_digitavel":1}}"#), Kind::OutcomeUnknown),
        (reply(200, "{}"), Kind::OutcomeUnknown),
        (reply(400, "{}"), Kind::OutcomeUnknown),
        (reply(200, ""), Kind::OutcomeUnknown),
        (reply(401, "{}"), Kind::Misconfigured),
        (reply(403, says("930054")), Kind::Misconfigured),
        (reply_with(429, "retry-after", "9"), Kind::Unavailable(Some(Duration::from_secs(9)))),
        (reply(500, says("930054")), Kind::OutcomeUnknown),
        (reply(503, ""), Kind::OutcomeUnknown),
        (Reply::Hang, Kind::OutcomeUnknown),
    ];
    for (answer, expected) in cases {
        let shown = format!("{answer:?}");
        assert_eq!(kind(answered(&shop, answer).await.unwrap_err()), expected, "{shown}");
    }
}

#[tokio::test]
async fn a_line_that_is_not_ours_is_a_persons_to_judge() {
    let shop = shop();
    let (amount, due_date) = (shop.boleto.amount.0, shop.boleto.due_date);
    let line = |sequence, cents, due_date| both(&shop.recomposed(sequence, cents, due_date)).1;
    let ours = line(1, amount, due_date);
    for (line, part) in [
        (line(1, amount + 1, due_date), "amount"),
        (line(1, amount, due_date.succ_opt().unwrap()), "due_date"),
        (line(2, amount, due_date), "nosso_numero"),
        (ours.replacen("2379", "2378", 1), "linha_digitavel"),
    ] {
        let error = answered(&shop, reply(200, saying("0", &line, PAGE))).await.unwrap_err();
        assert_eq!(kind(error), Kind::Disagrees(vec![part]));
    }
    // As it is printed, with its points and blanks.
    let printed = shop.boleto.codes.linha_digitavel().unwrap().formatted();
    let registration =
        on_file(answered(&shop, reply(200, saying("0", &printed, "javascript:1"))).await.unwrap());
    assert_eq!(registration.url, None);
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
    let server = Scripted::start(|_| reply(500, "")).await;
    let bank = connector(&server.address, Duration::from_secs(10));
    let terms = &mut shop.boleto.terms;
    terms.charges.fine = Some(Fine { value: FineValue::Amount(Cents(1)), after_days: 1 });
    terms.charges.interest = Some(Interest { value: InterestValue::AmountPerDay(Cents(1)), after_days: 1 });
    terms.late_payment = Some(LatePayment::Accepted { days: 60 });
    let tax_id = TaxId::parse("11222333000181").unwrap();
    terms.guarantor = Some(Guarantor { name: "Loja".into(), tax_id, address: None });
    let found = bank.supports(&shop.proposal());
    assert_eq!(
        found.iter().map(|found| found.field.as_str()).collect::<Vec<_>>(),
        ["charges.fine", "charges.interest", "late_payment", "guarantor"]
    );
    assert_eq!(kind(bank.register(&shop.request()).await.unwrap_err()), Kind::Unsupported);
    assert_eq!(kind(bank.look_up(&shop.question()).await.unwrap_err()), Kind::Unsupported);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn an_account_hears_of_all_that_it_lacks() {
    let mut shop = shop();
    let bank = connector(&"127.0.0.1:1".parse().unwrap(), Duration::from_secs(1));
    assert_eq!(bank.check(&shop.account), []);
    let nowhere = BradescoShopfacil { config: BradescoShopfacilConfig::default(), ..bank };
    assert_eq!(kind(nowhere.register(&shop.request()).await.unwrap_err()), Kind::Misconfigured);
    shop.account.issuer =
        Issuer::Bradesco { agency: "3381".into(), account: "9721".into(), carteira: "09".into() };
    shop.account.credentials.remove("api_key");
    let fields: Vec<_> = nowhere.check(&shop.account).into_iter().map(|found| found.field).collect();
    assert_eq!(fields, ["issuer.carteira", "provider", "credentials[api_key]"]);
}
