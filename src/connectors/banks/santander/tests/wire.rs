//! What goes over the wire, byte for byte, against the field names of the public manual.

use super::*;
use crate::connectors::scripted::Seen;
use crate::domain::boleto::charges::{Fine, FineValue, Interest, InterestValue};
use crate::domain::money::Cents;

async fn sent(shop: &crate::connectors::banks::shop::Shop) -> (Seen, Seen) {
    let server = bank(reply(201, registered(&shop.boleto.codes, ""))).await;
    connector(&server.address).register(&shop.request()).await.unwrap();
    let [sign_in, call] = <[Seen; 2]>::try_from(server.seen()).unwrap();
    (sign_in, call)
}

#[tokio::test]
async fn a_registration_reads_as_the_manual_says() {
    let (sign_in, call) = sent(&shop()).await;
    assert_eq!(sign_in.body, "grant_type=client_credentials&client_id=client-id&client_secret=client-secret");
    assert_eq!(sign_in.header("authorization"), "");
    assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/v2/workspaces/w-1/bank_slips"));
    assert_eq!(call.header("authorization"), "Bearer t");
    assert_eq!(call.header("x-application-key"), "app-key");
    assert_eq!(call.header("content-type"), "application/json");
    let expected = concat!(
        r#"{"environment":"PRODUCAO","nsuCode":"000000000001","nsuDate":"2026-03-01","covenantCode":"1899775","#,
        r#""bankNumber":"0000000000019","clientNumber":"000000000001","dueDate":"2026-04-10","#,
        r#""issueDate":"2026-03-01","nominalValue":"125.90","payer":{"name":"Ana Maria","documentType":"CPF","#,
        r#""documentNumber":"52998224725","address":"Rua das Flores, 308 apto 12","neighborhood":"Centro","#,
        r#""city":"Sao Paulo","state":"SP","zipCode":"01001-000"},"documentKind":"DUPLICATA_MERCANTIL","#,
        r#""messages":["Nao receber apos o vencimento"]}"#,
    );
    assert_eq!(call.body, expected);
}

#[tokio::test]
async fn what_was_agreed_goes_along_and_nothing_else() {
    let mut shop = shop();
    let percent = |text: &str| text.parse().unwrap();
    shop.boleto.instructions = None;
    shop.boleto.terms.charges.fine = Some(Fine { value: FineValue::Percentage(percent("2")), after_days: 1 });
    shop.boleto.terms.charges.interest =
        Some(Interest { value: InterestValue::PercentagePerMonth(percent("0.29")), after_days: 1 });
    shop.boleto.terms.charges.abatement = Some(Cents(505));
    let (_, call) = sent(&shop).await;
    let tail = r#""documentKind":"DUPLICATA_MERCANTIL","finePercentage":"2.00","interestPercentage":"0.29","deductionValue":"5.05"}"#;
    assert!(call.body.ends_with(tail), "{}", call.body);
    // What can only be written in per cent is refused by both doors.
    shop.boleto.terms.charges.fine = Some(Fine { value: FineValue::Amount(Cents(1)), after_days: 1 });
    let silent = bank(reply(500, "")).await;
    let connector = connector(&silent.address);
    assert_eq!(connector.supports(&shop.proposal())[0].field, "charges.fine");
    assert_eq!(kind(connector.register(&shop.request()).await.unwrap_err()), Kind::Unsupported);
    assert!(silent.seen().is_empty());
}

#[tokio::test]
async fn text_is_plain_and_as_long_as_the_bank_keeps() {
    let mut shop = shop();
    let payer = &mut shop.boleto.payer;
    payer.name = "Conceição ".repeat(6);
    payer.address.street = "Á".repeat(60);
    payer.address.district = "São João ".repeat(4);
    payer.address.city = "Ação ".repeat(8);
    shop.boleto.instructions = Some("Não receber após ".repeat(9));
    let (_, call) = sent(&shop).await;
    let body = call.json();
    let text = |field: &str| body["payer"][field].as_str().unwrap().to_owned();
    assert_eq!(text("name"), "Conceicao Conceicao Conceicao Conceicao");
    assert_eq!(text("address"), format!("{}, 308", "A".repeat(35)));
    assert_eq!(text("neighborhood").len(), 30);
    assert_eq!(text("city"), "Acao Acao Acao Acao");
    let lines: Vec<_> =
        body["messages"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line.len() <= 100 && line.is_ascii()));
}
