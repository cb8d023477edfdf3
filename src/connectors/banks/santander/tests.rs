//! Every class of answer that the bank can give, against a server on loopback.

mod changes;
mod fixture;
mod titles;
mod wire;

use std::time::Duration;

use super::*;
use crate::connectors::banks::pix::tests::dynamic;
use crate::connectors::banks::shop::{Kind, both, kind, on_file};
use crate::connectors::scripted::{Reply, Scripted, hanging_up, nobody, reply, reply_with};
use crate::domain::boleto::terms::LatePayment;
use fixture::{bank, connector, connector_for, connector_of, is_token, registered, shop, token};

const REFUSED: &str = r#"{"_errorCode":400,"_message":"Bad Request","_details":"","_timestamp":"","_traceId":"",
    "_errors":[{"_code":"005","_field":"payer.zipCode","_message":"CEP invalido"}]}"#;
const WITHOUT_PARTS: &str = r#"{"_errorCode":"XX-1","_message":"No."}"#;
const ON_FILE: &str = r#"{"_errorCode":400,"_message":"Bad Request","_errors":[{"_code":"005"},{"_code":"taken","_message":"x"}]}"#;
const AWAY: &str = r#"{"_errorCode":400,"_errors":[{"_code":"away","_message":"x"}]}"#;

#[tokio::test]
async fn every_answer_to_a_registration_has_its_class() {
    let shop = shop();
    let cases: Vec<(Reply, Kind)> = vec![
        (reply(400, REFUSED), Kind::Refused("005".into())),
        (reply(422, WITHOUT_PARTS), Kind::Refused("XX-1".into())),
        (reply(400, ON_FILE), Kind::AlreadyOnFile("taken".into())),
        (reply(409, ""), Kind::AlreadyOnFile("409".into())),
        (reply(409, REFUSED), Kind::AlreadyOnFile("005".into())),
        (reply(400, AWAY), Kind::OutcomeUnknown),
        (reply(400, "<html>Bad Request</html>"), Kind::OutcomeUnknown),
        (reply(400, r#"{"message":"no code"}"#), Kind::OutcomeUnknown),
        (reply(403, REFUSED), Kind::Misconfigured),
        (reply(404, REFUSED), Kind::Misconfigured),
        (reply(404, ""), Kind::OutcomeUnknown),
        (reply_with(429, "retry-after", "9"), Kind::Unavailable(Some(Duration::from_secs(9)))),
        (reply(408, REFUSED), Kind::OutcomeUnknown),
        (reply(500, REFUSED), Kind::OutcomeUnknown),
        (reply(503, ""), Kind::OutcomeUnknown),
        (reply_with(302, "location", "http://127.0.0.1/"), Kind::OutcomeUnknown),
        (reply(401, ""), Kind::Misconfigured),
        (reply(201, ""), Kind::OutcomeUnknown),
        (reply(201, "<html>"), Kind::OutcomeUnknown),
        (reply(201, "{}"), Kind::OutcomeUnknown),
        (Reply::Hang, Kind::OutcomeUnknown),
    ];
    for (answer, expected) in cases {
        let shown = format!("{answer:?}");
        let server = bank(answer.clone()).await;
        let error = connector_for(&answer, &server.address).register(&shop.request()).await.unwrap_err();
        assert_eq!(kind(error), expected, "{shown}");
        let sent = server.seen().iter().filter(|seen| !is_token(seen)).count();
        // A token that lost its validity is replaced once.
        assert_eq!(sent, if matches!(answer, Reply::Answer { status: 401, .. }) { 2 } else { 1 }, "{shown}");
    }
}

#[tokio::test]
async fn what_is_lost_on_the_way_is_unknown_only_if_it_may_have_left() {
    let shop = shop();
    let server = Scripted::start(|_| token()).await;
    let dropped = connector_of(&server.address, &hanging_up().await);
    assert_eq!(kind(dropped.register(&shop.request()).await.unwrap_err()), Kind::OutcomeUnknown);
    assert_eq!(kind(dropped.cancel(&shop.cancellation()).await.unwrap_err()), Kind::OutcomeUnknown);
    assert_eq!(kind(dropped.look_up(&shop.question()).await.unwrap_err()), Kind::Unavailable(None));
    let away = connector_of(&server.address, &nobody().await);
    assert_eq!(kind(away.register(&shop.request()).await.unwrap_err()), Kind::Unavailable(None));
    let no_token = connector_of(&hanging_up().await, &server.address);
    assert_eq!(kind(no_token.register(&shop.request()).await.unwrap_err()), Kind::Unavailable(None));
}

#[tokio::test]
async fn a_registration_counts_only_under_the_codes_that_we_gave_out() {
    let shop = shop();
    let (ours, line) = both(&shop.boleto.codes);
    let due_date = shop.boleto.due_date;
    let other_amount = shop.recomposed(1, shop.boleto.amount.0 + 1, due_date);
    let other_day = shop.recomposed(1, shop.boleto.amount.0, due_date.succ_opt().unwrap());
    let other_number = shop.recomposed(2, shop.boleto.amount.0, due_date);
    let mut bad = vec![
        serde_json::json!({"barCode": ours}),
        serde_json::json!({"digitableLine": line}),
        serde_json::json!({"barCode": ours, "digitableLine": ""}),
        serde_json::json!({"barCode": ours, "digitableLine": line.replacen('0', "1", 1)}),
        serde_json::json!({"barCode": ours, "digitableLine": both(&other_amount).1}),
        serde_json::json!({"barCode": ours, "digitableLine": line, "bankNumber": "0000000000027"}),
    ];
    for other in [other_amount, other_day, other_number] {
        let (barcode, line) = both(&other);
        bad.push(serde_json::json!({"barCode": barcode, "digitableLine": line}));
    }
    for body in bad {
        let server = bank(reply(201, body.to_string())).await;
        let error = connector(&server.address).register(&shop.request()).await.unwrap_err();
        assert_eq!(kind(error), Kind::OutcomeUnknown, "{body}");
    }
}

#[tokio::test]
async fn a_pix_text_is_shown_only_if_it_is_sound() {
    let shop = shop();
    let right = dynamic(Some("125.90"));
    for (text, shown) in
        [(right.as_str(), Some(right.clone())), (&dynamic(Some("1.00")), None), ("00020101", None)]
    {
        let server = bank(reply(201, registered(&shop.boleto.codes, text))).await;
        let answer = connector(&server.address).register(&shop.request()).await.unwrap();
        let registration = on_file(answer);
        assert_eq!((registration.response.code.as_str(), registration.pix_emv), ("201", shown));
        assert_eq!(registration.codes, None);
    }
}

#[test]
fn an_account_hears_of_all_that_it_lacks() {
    let mut shop = shop();
    let bank = connector(&"127.0.0.1:1".parse().unwrap());
    assert_eq!(bank.check(&shop.account), []);
    let Issuer::Santander { workspace_id, .. } = &mut shop.account.issuer else { panic!("a Santander shop") };
    *workspace_id = None;
    for key in ["certificate", "app_key"] {
        shop.account.credentials.remove(key);
    }
    shop.account.credentials.insert("private_key".into(), "written in the clear".into());
    let fields: Vec<_> = bank.check(&shop.account).into_iter().map(|found| found.field).collect();
    assert_eq!(
        fields,
        [
            "issuer.workspace_id",
            "credentials[certificate]",
            "credentials[private_key]",
            "credentials[app_key]"
        ]
    );
    shop.account.issuer = Issuer::Caixa { beneficiary: "245274".into(), agency: None };
    assert_eq!(bank.check(&shop.account)[0].field, "issuer");
}

#[tokio::test]
async fn what_the_bank_cannot_take_never_leaves() {
    let mut shop = shop();
    let server = bank(reply(500, "")).await;
    let bank = connector(&server.address);
    assert_eq!(bank.supports(&shop.proposal()), []);
    shop.boleto.terms.late_payment = Some(LatePayment::Refused);
    assert_eq!(bank.supports(&shop.proposal())[0].field, "late_payment");
    shop.account.issuer = Issuer::Caixa { beneficiary: "245274".into(), agency: None };
    assert_eq!(kind(bank.register(&shop.request()).await.unwrap_err()), Kind::Unsupported);
    assert_eq!(kind(bank.look_up(&shop.question()).await.unwrap_err()), Kind::Unsupported);
    assert!(server.seen().is_empty());
}
