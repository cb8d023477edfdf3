//! What goes over the wire, byte for byte, against the field names of the public manual.

use super::*;
use crate::connectors::banks::shop::Shop;
use crate::connectors::scripted::Seen;
use crate::domain::boleto::charges::{Charges, Fine, FineValue, Interest, InterestValue};

async fn sent(shop: &Shop) -> (Seen, Seen) {
    let server = bank(reply(200, r#"{"codigoSolicitacao":"x"}"#)).await;
    connector(&server.address).register(&shop.request()).await.unwrap();
    let [sign_in, call] = <[Seen; 2]>::try_from(server.seen()).unwrap();
    (sign_in, call)
}

#[tokio::test]
async fn a_request_reads_as_the_manual_says() {
    let (sign_in, call) = sent(&shop()).await;
    assert_eq!(
        sign_in.body,
        "grant_type=client_credentials&client_id=client-id&client_secret=client-secret\
         &scope=boleto-cobranca.read+boleto-cobranca.write"
    );
    assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/cobranca/v3/cobrancas"));
    assert_eq!(call.header("authorization"), "Bearer t");
    let expected = concat!(
        r#"{"seuNumero":"000000000000000","valorNominal":125.90,"dataVencimento":"2026-04-10","numDiasAgenda":30,"#,
        r#""pagador":{"cpfCnpj":"52998224725","tipoPessoa":"FISICA","nome":"Ana Maria","endereco":"Rua das Flores","#,
        r#""numero":"308","complemento":"apto 12","bairro":"Centro","cidade":"Sao Paulo","uf":"SP","cep":"01001000"},"#,
        r#""mensagem":{"linha1":"Nao receber apos o vencimento"}}"#,
    );
    assert_eq!(call.body, expected);
}

#[tokio::test]
async fn the_own_number_is_the_end_of_the_boletos_id_at_every_attempt() {
    let mut shop = shop();
    shop.boleto.id.0 = "018f2c5e-7a3b-7c1d-9e2f-0123456789ab".parse().unwrap();
    for attempt_key in ["attempt-1", "attempt-2"] {
        let server = bank(reply(200, r#"{"codigoSolicitacao":"x"}"#)).await;
        let request = RegisterRequest { attempt_key, ..shop.request() };
        connector(&server.address).register(&request).await.unwrap();
        assert_eq!(server.seen().pop().unwrap().json()["seuNumero"], "e2f0123456789ab");
    }
}

#[tokio::test]
async fn charges_are_written_as_rates_and_amounts() {
    let mut shop = shop();
    let percent = |text: &str| text.parse().unwrap();
    for (fine, interest, written) in [
        (
            FineValue::Percentage(percent("2")),
            InterestValue::PercentagePerMonth(percent("0.29")),
            r#""multa":{"codigo":"PERCENTUAL","taxa":2.00},"mora":{"codigo":"TAXAMENSAL","taxa":0.29}"#,
        ),
        (
            FineValue::Amount(Cents(505)),
            InterestValue::AmountPerDay(Cents(7)),
            r#""multa":{"codigo":"VALORFIXO","valor":5.05},"mora":{"codigo":"VALORDIA","valor":0.07}"#,
        ),
    ] {
        shop.boleto.terms.charges = Charges {
            fine: Some(Fine { value: fine, after_days: 1 }),
            interest: Some(Interest { value: interest, after_days: 1 }),
            ..Charges::default()
        };
        let (_, call) = sent(&shop).await;
        assert!(call.body.contains(written), "{}", call.body);
    }
}

#[tokio::test]
async fn the_longest_instructions_fit_in_five_plain_lines() {
    let mut shop = shop();
    shop.boleto.instructions = Some("ção ".repeat(41));
    shop.boleto.payer.name = "José D’Ávila".into();
    shop.boleto.payer.address.complement = String::new();
    let (_, call) = sent(&shop).await;
    let body = call.json();
    let lines: Vec<_> =
        body["mensagem"].as_object().unwrap().values().map(|line| line.as_str().unwrap()).collect();
    assert_eq!(lines.join(" "), vec!["cao"; 41].join(" "));
    assert!(lines.iter().all(|line| line.len() <= 78));
    assert_eq!(body["pagador"]["nome"], "Jose D'Avila");
    assert_eq!(body["pagador"].get("complemento"), None);
}
