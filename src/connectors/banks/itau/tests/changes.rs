//! Changes of what is on file, and its end.

use super::*;
use crate::domain::boleto::amendment::Amendment;
use crate::domain::boleto::charges::{Fine, FineValue};
use crate::domain::money::Cents;

const TITLE: &str = "/cash_management/v2/boletos/00570012345710900000001";

#[tokio::test]
async fn each_part_is_changed_by_a_call_of_its_own() {
    let shop = shop();
    let server = bank(reply(204, "")).await;
    let mut amendment = Amendment::of(&shop.boleto);
    amendment.due_date = "2026-05-01".parse().unwrap();
    amendment.charges.fine = Some(Fine { value: FineValue::Percentage("2".parse().unwrap()), after_days: 1 });
    amendment.charges.abatement = Some(Cents(100));
    let connector = connector(&server.address);
    assert_eq!(connector.amend(&shop.amendment(&amendment)).await.unwrap().code, "204");
    let calls = server.seen().into_iter().filter(|seen| !is_token(seen));
    let said: Vec<_> = calls.map(|call| (call.method, call.path, call.body)).collect();
    let expected = [
        ("data_vencimento", r#"{"data_vencimento":"2026-05-01"}"#),
        ("multa", r#"{"multa":{"codigo_tipo_multa":"02","percentual_multa":"000000200000"}}"#),
        ("abatimento", r#"{"valor_abatimento":"00000000000000100"}"#),
    ]
    .map(|(part, body)| ("PATCH".to_owned(), format!("{TITLE}/{part}"), body.to_owned()));
    assert_eq!(said, expected);
}

#[tokio::test]
async fn what_was_agreed_can_be_taken_back() {
    let mut shop = shop();
    shop.boleto.terms.charges.fine =
        Some(Fine { value: FineValue::Percentage("2".parse().unwrap()), after_days: 1 });
    let mut amendment = Amendment::of(&shop.boleto);
    amendment.charges.fine = None;
    let server = bank(reply(200, "{}")).await;
    connector(&server.address).amend(&shop.amendment(&amendment)).await.unwrap();
    assert_eq!(server.seen().pop().unwrap().body, r#"{"multa":{"codigo_tipo_multa":"03"}}"#);
}

#[tokio::test]
async fn what_the_bank_cannot_change_is_not_asked_for() {
    let shop = shop();
    let server = bank(reply(200, "{}")).await;
    let connector = connector(&server.address);
    let mut amount = Amendment::of(&shop.boleto);
    amount.amount = Cents(1);
    // Nothing is changed where a part of it cannot be said.
    let mut fine = Amendment::of(&shop.boleto);
    fine.due_date = "2026-05-01".parse().unwrap();
    fine.charges.fine = Some(Fine { value: FineValue::Amount(Cents(1)), after_days: 1 });
    for amendment in [amount, fine, Amendment::of(&shop.boleto)] {
        let error = connector.amend(&shop.amendment(&amendment)).await.unwrap_err();
        assert_eq!(kind(error), Kind::Unsupported);
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_change_that_was_made_by_half_is_said_to_be() {
    let shop = shop();
    let mut amendment = Amendment::of(&shop.boleto);
    amendment.due_date = "2026-05-01".parse().unwrap();
    amendment.charges.abatement = Some(Cents(100));
    let server = Scripted::start(|seen| match seen.path.ends_with("abatimento") {
        _ if is_token(seen) => token(),
        true => reply(422, REFUSED),
        false => reply(200, "{}"),
    })
    .await;
    let error = connector(&server.address).amend(&shop.amendment(&amendment)).await.unwrap_err();
    assert_eq!(kind(error), Kind::Disagrees(vec!["charges.abatement"]));
}

#[tokio::test]
async fn a_title_is_written_off_on_request() {
    let shop = shop();
    let server = bank(reply(204, "")).await;
    assert_eq!(connector(&server.address).cancel(&shop.cancellation()).await.unwrap().code, "204");
    let call = server.seen().pop().unwrap();
    assert_eq!(
        (call.method.as_str(), call.path, call.body.as_str()),
        ("PATCH", format!("{TITLE}/baixa"), "{}")
    );
    for (answer, expected) in [
        (reply(422, REFUSED), Kind::Refused("42".into())),
        (reply(404, OTHER_NAMES), Kind::Refused("7".into())),
        (reply(400, AWAY), Kind::OutcomeUnknown),
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
}
