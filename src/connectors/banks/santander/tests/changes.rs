//! Changes of what is on file, and its end.

use super::*;
use crate::connectors::banks::BankError;
use crate::domain::boleto::amendment::Amendment;
use crate::domain::boleto::charges::{Fine, FineValue};
use crate::domain::money::Cents;

#[tokio::test]
async fn each_part_is_changed_by_a_call_of_its_own() {
    let shop = shop();
    let server = bank(reply(200, "{}")).await;
    let mut amendment = Amendment::of(&shop.boleto);
    amendment.due_date = "2026-05-01".parse().unwrap();
    amendment.charges.abatement = Some(Cents(100));
    let connector = connector(&server.address);
    assert_eq!(connector.amend(&shop.amendment(&amendment)).await.unwrap().code, "200");
    let calls: Vec<_> = server.seen().into_iter().filter(|seen| !is_token(seen)).collect();
    let said: Vec<_> =
        calls.iter().map(|call| (call.method.as_str(), call.path.as_str(), call.body.as_str())).collect();
    let path = "/v2/workspaces/w-1/bank_slips";
    let due_date = r#"{"covenantCode":"1899775","bankNumber":"0000000000019","dueDate":"2026-05-01"}"#;
    let abatement = r#"{"covenantCode":"1899775","bankNumber":"0000000000019","deductionValue":"1.00"}"#;
    assert_eq!(said, [("PATCH", path, due_date), ("PATCH", path, abatement)]);
}

#[tokio::test]
async fn an_abatement_is_taken_back_as_one_of_nothing() {
    let mut shop = shop();
    shop.boleto.terms.charges.abatement = Some(Cents(100));
    let mut amendment = Amendment::of(&shop.boleto);
    amendment.charges.abatement = None;
    let server = bank(reply(204, "")).await;
    connector(&server.address).amend(&shop.amendment(&amendment)).await.unwrap();
    assert_eq!(server.seen().pop().unwrap().json()["deductionValue"], "0.00");
}

#[tokio::test]
async fn what_the_bank_cannot_change_is_not_asked_for() {
    let shop = shop();
    let server = bank(reply(200, "{}")).await;
    let connector = connector(&server.address);
    let mut amount = Amendment::of(&shop.boleto);
    amount.amount = Cents(1);
    let mut fine = Amendment::of(&shop.boleto);
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
    for (second, expected) in [
        (reply(400, REFUSED), Kind::Disagrees(vec!["charges.abatement"])),
        (reply(500, ""), Kind::OutcomeUnknown),
        (reply(429, ""), Kind::OutcomeUnknown),
    ] {
        let server = Scripted::start(move |seen| match seen.body.contains("deductionValue") {
            _ if is_token(seen) => token(),
            true => second.clone(),
            false => reply(200, "{}"),
        })
        .await;
        let error = connector(&server.address).amend(&shop.amendment(&amendment)).await.unwrap_err();
        assert_eq!(kind(error), expected);
    }
}

#[tokio::test]
async fn a_title_is_written_off_on_request() {
    let shop = shop();
    let server = bank(reply(200, "{}")).await;
    assert_eq!(connector(&server.address).cancel(&shop.cancellation()).await.unwrap().code, "200");
    let call = server.seen().pop().unwrap();
    assert_eq!((call.method.as_str(), call.path.as_str()), ("PATCH", "/v2/workspaces/w-1/bank_slips"));
    assert_eq!(call.body, r#"{"covenantCode":"1899775","bankNumber":"0000000000019","operation":"BAIXAR"}"#);
    for (answer, expected) in [
        (reply(400, REFUSED), Kind::Refused("005".into())),
        (reply(404, WITHOUT_PARTS), Kind::Refused("XX-1".into())),
        (reply(409, WITHOUT_PARTS), Kind::Refused("XX-1".into())),
        (reply(409, ""), Kind::OutcomeUnknown),
        (reply(400, ON_FILE), Kind::Refused("005".into())),
        (reply(400, AWAY), Kind::OutcomeUnknown),
        (reply(403, ""), Kind::Misconfigured),
        (reply(415, WITHOUT_PARTS), Kind::Misconfigured),
        (reply(429, ""), Kind::Unavailable(None)),
        (reply(502, ""), Kind::OutcomeUnknown),
        (Reply::Hang, Kind::OutcomeUnknown),
    ] {
        let shown = format!("{answer:?}");
        let server = bank(answer.clone()).await;
        let error: BankError =
            connector_for(&answer, &server.address).cancel(&shop.cancellation()).await.unwrap_err();
        assert_eq!(kind(error), expected, "{shown}");
    }
}
