//! Every class of answer that the bank can give, against a server on loopback.

mod fixture;
mod titles;
mod wire;

use std::time::Duration;

use super::*;
use crate::connectors::banks::shop::{Kind, kind};
use crate::connectors::scripted::{Reply, reply, reply_with};
use crate::domain::boleto::barcode::Barcode;
use fixture::{REFERENCE, bank, barcode, charge, connector, connector_for, shop};

const VIOLATIONS: &str = r#"{"title":"Requisicao invalida","detail":"x","timestamp":"","violacoes":
    [{"razao":"Valor invalido","propriedade":"valorNominal","valor":"1"}]}"#;
const TITLED: &str = r#"{"title":"Nao permitido","detail":"Ja cancelada"}"#;
const CODED: &str = r#"{"codigo":404,"mensagem":"Nao encontrado"}"#;
const AWAY: &str = r#"{"codigo":"away","mensagem":"x"}"#;

#[tokio::test]
async fn a_request_is_taken_under_the_banks_reference() {
    let shop = shop();
    let server = bank(reply(200, format!(r#"{{"codigoSolicitacao":" {REFERENCE} "}}"#))).await;
    let answer = connector(&server.address).register(&shop.request()).await.unwrap();
    assert_eq!(answer, RegisterAnswer::Accepted { bank_reference: REFERENCE.to_owned() });
}

#[tokio::test]
async fn every_answer_to_a_request_has_its_class() {
    let shop = shop();
    let cases: Vec<(Reply, Kind)> = vec![
        (reply(400, VIOLATIONS), Kind::Refused("valorNominal".into())),
        (reply(422, TITLED), Kind::Refused("Nao permitido".into())),
        (reply(400, AWAY), Kind::OutcomeUnknown),
        (reply(400, "{}"), Kind::OutcomeUnknown),
        (reply(400, "<html>"), Kind::OutcomeUnknown),
        (reply(401, ""), Kind::Misconfigured),
        (reply(403, TITLED), Kind::Misconfigured),
        (reply(404, CODED), Kind::Misconfigured),
        (reply(409, TITLED), Kind::AlreadyOnFile("Nao permitido".into())),
        (reply_with(429, "retry-after", "9"), Kind::Unavailable(Some(Duration::from_secs(9)))),
        (reply(500, TITLED), Kind::OutcomeUnknown),
        (reply(200, ""), Kind::OutcomeUnknown),
        (reply(200, "{}"), Kind::OutcomeUnknown),
        (reply(200, r#"{"codigoSolicitacao":" "}"#), Kind::OutcomeUnknown),
        (reply(200, r#"{"codigoSolicitacao":7}"#), Kind::OutcomeUnknown),
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
async fn a_charge_is_cancelled_by_its_reference() {
    let mut shop = shop();
    let server = bank(reply(202, "")).await;
    assert_eq!(connector(&server.address).cancel(&shop.cancellation()).await.unwrap().code, "202");
    let call = server.seen().pop().unwrap();
    assert_eq!(call.method, "POST");
    assert_eq!(call.path, format!("/cobranca/v3/cobrancas/{REFERENCE}/cancelar"));
    assert_eq!(call.body, r#"{"motivoCancelamento":"sold twice"}"#);
    for (answer, expected) in [
        (reply(400, TITLED), Kind::Refused("Nao permitido".into())),
        (reply(404, CODED), Kind::Refused("404".into())),
        (reply(400, "<html>"), Kind::OutcomeUnknown),
        (reply(403, ""), Kind::Misconfigured),
        (reply(429, ""), Kind::Unavailable(None)),
        (reply(500, ""), Kind::OutcomeUnknown),
        (Reply::Hang, Kind::OutcomeUnknown),
    ] {
        let shown = format!("{answer:?}");
        let server = bank(answer.clone()).await;
        let error = connector_for(&answer, &server.address).cancel(&shop.cancellation()).await.unwrap_err();
        assert_eq!(kind(error), expected, "{shown}");
    }
    shop.boleto.bank_reference = None;
    let error = connector(&server.address).cancel(&shop.cancellation()).await.unwrap_err();
    assert_eq!(kind(error), Kind::Unsupported);
}

#[test]
fn an_account_hears_of_all_that_it_lacks() {
    let mut shop = shop();
    let bank = connector(&"127.0.0.1:1".parse().unwrap());
    assert_eq!(bank.check(&shop.account), []);
    shop.account.issuer = Issuer::Caixa { beneficiary: "245274".into(), agency: None };
    shop.account.credentials.remove("certificate");
    shop.account.credentials.insert("app_key".into(), "env:KEY".into());
    let fields: Vec<_> = bank.check(&shop.account).into_iter().map(|found| found.field).collect();
    assert_eq!(fields, ["issuer", "credentials[certificate]", "credentials[app_key]"]);
}

#[test]
fn what_the_bank_cannot_take_is_said_beforehand() {
    let mut shop = shop();
    let bank = connector(&"127.0.0.1:1".parse().unwrap());
    assert_eq!(bank.supports(&shop.proposal()), []);
    shop.boleto.amount = Cents(249);
    shop.boleto.terms.charges.abatement = Some(Cents(1));
    let fields: Vec<_> = bank.supports(&shop.proposal()).into_iter().map(|found| found.field).collect();
    assert_eq!(fields, ["charges.abatement_cents", "amount_cents"]);
    shop.boleto.amount = Cents(250);
    assert_eq!(bank.supports(&shop.proposal()).len(), 1);
    let able = bank.capabilities(&shop.account);
    assert!(!able.repeatable && able.look_up && able.cancel && able.codes == CodesFrom::Bank);
    assert_eq!(able.reconciled_by, ReconciledBy::LookUp, "the sum, the day and the state are in the manual");
}
