//! Every class of answer that the bank can give, against a server on loopback.

mod changes;
mod fixture;
mod titles;
mod wire;

use std::time::Duration;

use super::*;
use crate::connectors::banks::shop::{Kind, both, kind, on_file};
use crate::connectors::http::HttpConfig;
use crate::connectors::scripted::{Reply, Scripted, any_secret, reply, reply_with};
use config::Stage;
use fixture::{bank, connector, connector_for, is_token, registered, shop, token};

const REFUSED: &str =
    r#"{"codigo":"42","mensagem":"Invalido","campos":[{"campo":"x","mensagem":"CEP","valor":"1"}]}"#;
const OTHER_NAMES: &str = r#"{"codigo_erro":7,"mensagem_erro":"No."}"#;
const ON_FILE: &str = r#"{"codigo":"taken","mensagem":"x"}"#;
const AWAY: &str = r#"{"codigo":"away","mensagem":"x"}"#;

#[tokio::test]
async fn every_answer_to_a_registration_has_its_class() {
    let shop = shop();
    let cases: Vec<(Reply, Kind)> = vec![
        (reply(400, REFUSED), Kind::Refused("42".into())),
        (reply(422, OTHER_NAMES), Kind::Refused("7".into())),
        (reply(422, ON_FILE), Kind::AlreadyOnFile("taken".into())),
        (reply(409, ""), Kind::AlreadyOnFile("409".into())),
        (reply(400, AWAY), Kind::OutcomeUnknown),
        (reply(400, "<html>"), Kind::OutcomeUnknown),
        (reply(400, r#"{"mensagem":"no code"}"#), Kind::OutcomeUnknown),
        (reply(401, ""), Kind::Misconfigured),
        (reply(403, REFUSED), Kind::Misconfigured),
        (reply(404, REFUSED), Kind::Misconfigured),
        (reply_with(429, "retry-after", "9"), Kind::Unavailable(Some(Duration::from_secs(9)))),
        (reply(500, REFUSED), Kind::OutcomeUnknown),
        (reply(201, ""), Kind::OutcomeUnknown),
        (reply(201, "{}"), Kind::OutcomeUnknown),
        (reply(201, r#"{"data":{"dado_boleto":{}}}"#), Kind::OutcomeUnknown),
        (reply(201, r#"{"data":{"dado_boleto":{"dados_individuais_boleto":[{}]}}}"#), Kind::OutcomeUnknown),
        (Reply::Hang, Kind::OutcomeUnknown),
    ];
    for (answer, expected) in cases {
        let shown = format!("{answer:?}");
        let server = bank(answer.clone()).await;
        let error = connector_for(&answer, &server.address).register(&shop.request()).await.unwrap_err();
        assert_eq!(kind(error), expected, "{shown}");
    }
}

#[tokio::test]
async fn the_words_of_all_parts_are_kept() {
    let shop = shop();
    let server = bank(reply(400, REFUSED)).await;
    let error = connector(&server.address).register(&shop.request()).await.unwrap_err();
    let BankError::Refused { response } = error else { panic!("the bank has said no: {error}") };
    assert_eq!(response.message, "Invalido / CEP");
}

#[tokio::test]
async fn a_registration_counts_only_under_the_codes_that_we_gave_out() {
    let shop = shop();
    let server = bank(reply(201, registered(&shop.boleto.codes))).await;
    let answer = connector(&server.address).register(&shop.request()).await.unwrap();
    assert_eq!(on_file(answer).response.code, "201");
    let due_date = shop.boleto.due_date;
    for other in [
        shop.recomposed(1, shop.boleto.amount.0 + 1, due_date),
        shop.recomposed(2, shop.boleto.amount.0, due_date),
        shop.recomposed(1, shop.boleto.amount.0, due_date.succ_opt().unwrap()),
    ] {
        let server = bank(reply(201, registered(&other))).await;
        let error = connector(&server.address).register(&shop.request()).await.unwrap_err();
        assert_eq!(kind(error), Kind::OutcomeUnknown);
    }
    let (barcode, line) = both(&shop.boleto.codes);
    let right = registered(&shop.boleto.codes);
    for bad in [right.replace(&barcode, ""), right.replace(&line, ""), right.replace(&line, "123")] {
        let server = bank(reply(201, bad)).await;
        let error = connector(&server.address).register(&shop.request()).await.unwrap_err();
        assert_eq!(kind(error), Kind::OutcomeUnknown);
    }
}

#[tokio::test]
async fn a_title_that_was_only_tried_is_not_registered() {
    let shop = shop();
    let server = bank(reply(200, registered(&shop.boleto.codes))).await;
    let config = ItauConfig { stage: Stage::Validacao, ..fixture::config(&server.address) };
    let itau = Itau::new(config, any_secret(), HttpClient::trusted(&HttpConfig::default()).unwrap());
    assert_eq!(kind(itau.register(&shop.request()).await.unwrap_err()), Kind::Misconfigured);
    assert_eq!(server.seen().pop().unwrap().json()["etapa_processo_boleto"], "validacao");
}

#[test]
fn an_account_hears_of_all_that_it_lacks() {
    let mut shop = shop();
    let bank = connector(&"127.0.0.1:1".parse().unwrap());
    assert_eq!(bank.check(&shop.account), []);
    shop.account.issuer = Issuer::Caixa { beneficiary: "245274".into(), agency: None };
    shop.account.credentials.remove("api_key");
    let fields: Vec<_> = bank.check(&shop.account).into_iter().map(|found| found.field).collect();
    assert_eq!(fields, ["issuer", "credentials[api_key]"]);
}
