//! What became of a request, and what is believed of it.

use super::*;
use crate::connectors::banks::pix::tests::dynamic;
use crate::connectors::banks::{Agreement, Title, TitleState};

async fn heard(body: String) -> LookUp {
    let server = bank(reply(200, body)).await;
    connector(&server.address).look_up(&shop().question()).await.unwrap()
}

async fn found(body: String) -> Title {
    match heard(body).await {
        LookUp::OnFile(title) => *title,
        other => panic!("the charge is on file: {other:?}"),
    }
}

fn ours() -> Barcode {
    barcode("077", 12_590, "2026-04-10")
}

#[tokio::test]
async fn number_codes_and_pix_come_from_the_bank() {
    let server = bank(reply(200, charge("A_RECEBER", Some(&ours()), &dynamic(Some("125.90"))))).await;
    let LookUp::OnFile(title) = connector(&server.address).look_up(&shop().question()).await.unwrap() else {
        panic!("the charge is on file");
    };
    let asked = server.seen().pop().unwrap();
    assert_eq!((asked.method.as_str(), asked.path), ("GET", format!("/cobranca/v3/cobrancas/{REFERENCE}")));
    assert_eq!((title.state, title.agreement), (TitleState::Open, Agreement::Agrees));
    assert_eq!((title.barcode, title.nosso_numero.as_deref()), (Some(ours()), Some("00090000001")));
    assert_eq!(title.pix_emv, Some(dynamic(Some("125.90"))));
    assert_eq!(found(charge("A_RECEBER", Some(&ours()), "00020101")).await.pix_emv, None);
}

#[tokio::test]
async fn a_request_without_codes_is_still_under_way() {
    assert_eq!(heard(charge("EM_PROCESSAMENTO", None, "")).await, LookUp::InProgress);
    assert_eq!(heard(charge("EM_PROCESSAMENTO", Some(&ours()), "")).await, LookUp::InProgress);
    assert_eq!(heard(charge("A_RECEBER", None, "")).await, LookUp::InProgress);
    let empty = charge("A_RECEBER", Some(&ours()), "").replace(ours().as_str(), "");
    let empty = empty.replace(ours().to_linha().as_str(), "");
    assert_eq!(heard(empty).await, LookUp::InProgress);
    let LookUp::Refused(response) = heard(charge("FALHA_EMISSAO", None, "")).await else {
        panic!("the bank has said no")
    };
    assert_eq!(response.code, "FALHA_EMISSAO");
}

#[tokio::test]
async fn every_state_is_known() {
    for (state, expected) in [
        ("A_RECEBER", TitleState::Open),
        ("ATRASADO", TitleState::Open),
        ("RECEBIDO", TitleState::Settled),
        ("MARCADO_RECEBIDO", TitleState::Settled),
        ("CANCELADO", TitleState::Cancelled),
        ("EXPIRADO", TitleState::Cancelled),
        ("PROTESTO", TitleState::Other),
        ("SOMETHING_NEW", TitleState::Other),
    ] {
        assert_eq!(found(charge(state, Some(&ours()), "")).await.state, expected, "{state}");
    }
    let paid = found(charge("RECEBIDO", Some(&ours()), "")).await;
    assert_eq!((paid.paid, paid.paid_on), (Some(Cents(12_590)), "2026-04-09".parse().ok()));
    assert_eq!(found(charge("CANCELADO", None, "")).await.paid_on, None);
}

#[tokio::test]
async fn codes_for_something_else_are_never_believed() {
    let line = ours().to_linha();
    let right = charge("A_RECEBER", Some(&ours()), "");
    let cases = [
        (charge("A_RECEBER", Some(&barcode("001", 12_590, "2026-04-10")), ""), "bank_code"),
        (charge("A_RECEBER", Some(&barcode("077", 12_591, "2026-04-10")), ""), "amount"),
        (charge("A_RECEBER", Some(&barcode("077", 12_590, "2026-04-11")), ""), "due_date"),
        (right.replace(line.as_str(), &line.as_str().replacen('7', "8", 1)), "barcode"),
        (right.replace(line.as_str(), barcode("077", 1, "2026-04-10").to_linha().as_str()), "barcode"),
        (right.replace("125.9,", "125.91,"), "amount"),
        (right.replace("\"2026-04-10\"", "\"2026-04-11\""), "due_date"),
        (right.replace("000000000000000", "000000000000001"), "own_number"),
    ];
    for (body, part) in cases {
        assert_ne!(body, right);
        assert_eq!(found(body.clone()).await.agreement, Agreement::Differs(vec![part]), "{body}");
    }
}

#[tokio::test]
async fn without_a_reference_the_bank_cannot_be_asked() {
    let mut shop = shop();
    shop.boleto.bank_reference = None;
    let server = bank(reply(500, "")).await;
    let error = connector(&server.address).look_up(&shop.question()).await.unwrap_err();
    assert_eq!(kind(error), Kind::Unsupported);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn silence_is_no_answer_to_a_look_up() {
    let shop = shop();
    let none = bank(reply(404, CODED)).await;
    assert_eq!(connector(&none.address).look_up(&shop.question()).await.unwrap(), LookUp::NotFound);
    for (answer, expected) in [
        (reply(404, "<html>"), Kind::Unavailable(None)),
        (reply(404, "{}"), Kind::Unavailable(None)),
        (reply(400, VIOLATIONS), Kind::Misconfigured),
        (reply(403, ""), Kind::Misconfigured),
        (reply(429, TITLED), Kind::Unavailable(None)),
        (reply(503, ""), Kind::Unavailable(None)),
        (reply(200, ""), Kind::Unavailable(None)),
        (reply(200, "{}"), Kind::Unavailable(None)),
        (reply(200, r#"{"cobranca":{}}"#), Kind::Unavailable(None)),
        (Reply::Hang, Kind::Unavailable(None)),
    ] {
        let shown = format!("{answer:?}");
        let server = bank(answer.clone()).await;
        let error = connector_for(&answer, &server.address).look_up(&shop.question()).await.unwrap_err();
        assert_eq!(kind(error), expected, "{shown}");
    }
}
