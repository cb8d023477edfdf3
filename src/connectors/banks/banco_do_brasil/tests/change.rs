//! What is asked of the bank about a title on file, and what its answers mean.

use chrono::{Days, NaiveDate};
use serde_json::{Value, json};

use super::*;
use crate::domain::boleto::charges::{Fine, FineValue};
use crate::domain::money::Cents;

fn later(shop: &Shop) -> Amendment {
    Amendment { due_date: shop.boleto.due_date + Days::new(5), ..Amendment::of(&shop.boleto) }
}

fn with_abatement(shop: &Shop, cents: i64) -> Amendment {
    let mut amendment = Amendment::of(&shop.boleto);
    amendment.charges.abatement = Some(Cents(cents));
    amendment
}

async fn sent(server: &Scripted) -> (String, String, Value) {
    let seen = server.seen().into_iter().find(|seen| !is_token(seen)).expect("a call");
    (seen.method.clone(), seen.path.clone(), serde_json::from_str(&seen.body).expect("JSON"))
}

#[tokio::test]
async fn a_write_off_is_asked_for_by_number_and_convenio() {
    let shop = shop();
    let written_off =
        r#"{"numeroContratoCobranca":"19581316","dataBaixa":"10.03.2026","horarioBaixa":"10:00:00"}"#;
    let server = bank(move || reply(200, written_off)).await;
    let answer = connector(&server.address).cancel(&shop.cancellation()).await.unwrap();
    assert_eq!(answer.code, "200");
    let (method, path, body) = sent(&server).await;
    assert_eq!((method.as_str(), path.as_str()), ("POST", "/v2/boletos/00031285570000000001/baixar"));
    assert_eq!(body, json!({"numeroConvenio": 3_128_557}));
}

#[tokio::test]
async fn every_answer_to_a_change_has_its_class() {
    let shop = shop();
    let amendment = later(&shop);
    let cases: Vec<(Reply, Kind)> = vec![
        (reply(400, BUSINESS), Kind::Refused("48".into())),
        (reply(404, ERRORS), Kind::Refused("C1".into())),
        (reply(422, BUSINESS_OTHER_NAMES), Kind::Refused("4711".into())),
        (reply(404, GATEWAY), Kind::Misconfigured),
        (reply(403, BUSINESS), Kind::Misconfigured),
        (reply_with(429, "retry-after", "9"), Kind::Unavailable(Some(Duration::from_secs(9)))),
        (reply(400, r#"{"erros":[{"codigo":"900","mensagem":"away"}]}"#), Kind::OutcomeUnknown),
        (reply(400, "<html>"), Kind::OutcomeUnknown),
        (reply(408, BUSINESS), Kind::OutcomeUnknown),
        (reply(500, BUSINESS), Kind::OutcomeUnknown),
        (reply(200, "<html>ok</html>"), Kind::OutcomeUnknown),
        (reply(200, ""), Kind::OutcomeUnknown),
        (Reply::Hang, Kind::OutcomeUnknown),
    ];
    for (answer, expected) in cases {
        let shown = format!("{answer:?}");
        let scripted = answer.clone();
        let server = bank(move || scripted.clone()).await;
        let bank = fixture::connector_for(&answer, &server.address);
        assert_eq!(kind(bank.cancel(&shop.cancellation()).await.unwrap_err()), expected, "{shown}");
        assert_eq!(kind(bank.amend(&shop.amendment(&amendment)).await.unwrap_err()), expected, "{shown}");
    }
    let undated = bank(|| reply(200, "{}")).await;
    let error = connector(&undated.address).cancel(&shop.cancellation()).await.unwrap_err();
    assert_eq!(kind(error), Kind::OutcomeUnknown);
}

#[tokio::test]
async fn an_amendment_is_one_indicator_and_what_belongs_to_it() {
    let shop = shop();
    let cases = [
        (
            later(&shop),
            json!({"numeroConvenio": 3_128_557, "indicadorNovaDataVencimento": "S",
                "alteracaoData": {"novaDataVencimento": "15.04.2026"}}),
        ),
        (
            with_abatement(&shop, 1_050),
            json!({"numeroConvenio": 3_128_557, "indicadorIncluirAbatimento": "S",
                "abatimento": {"valorAbatimento": 10.5}}),
        ),
    ];
    for (amendment, expected) in cases {
        let server = bank(|| reply(200, r#"{"numeroContratoCobranca":19581316}"#)).await;
        connector(&server.address).amend(&shop.amendment(&amendment)).await.unwrap();
        let (method, path, body) = sent(&server).await;
        assert_eq!((method.as_str(), path.as_str()), ("PATCH", "/v2/boletos/00031285570000000001"));
        assert_eq!(body, expected);
    }
}

#[tokio::test]
async fn what_the_bank_cannot_change_is_said_and_never_sent() {
    let mut shop = shop();
    let amount = Amendment { amount: Cents(1), ..Amendment::of(&shop.boleto) };
    let mut fine = Amendment::of(&shop.boleto);
    fine.charges.fine = Some(Fine { value: FineValue::Amount(Cents(100)), after_days: 1 });
    let both = Amendment { due_date: later(&shop).due_date, ..with_abatement(&shop, 100) };
    let server = bank(|| reply(500, "")).await;
    let bank = connector(&server.address);
    for (amendment, named) in [(amount, "amount_cents"), (fine, "charges.fine"), (both, "one part at a time")]
    {
        let reason = bank.cannot_amend(&shop.account, &shop.boleto, &amendment).expect("a hindrance");
        assert!(reason.contains(named), "{reason}");
        let error = bank.amend(&shop.amendment(&amendment)).await.unwrap_err();
        assert_eq!(kind(error), Kind::Unsupported);
    }
    shop.boleto.terms.charges.abatement = Some(Cents(50));
    let other = with_abatement(&shop, 100);
    assert!(bank.cannot_amend(&shop.account, &shop.boleto, &other).is_some());
    assert!(bank.cannot_amend(&shop.account, &shop.boleto, &later(&shop)).is_none());
    assert!(server.seen().is_empty());
    assert_eq!(later(&shop).due_date, NaiveDate::from_ymd_opt(2026, 4, 15).unwrap());
}
