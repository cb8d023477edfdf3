//! What the bank says is on file, and what it means.

use super::*;
use crate::connectors::banks::{Agreement, Title, TitleState};
use crate::domain::money::Cents;
use fixture::title;

async fn found(shop: &crate::connectors::banks::shop::Shop, body: String) -> Title {
    let server = bank(reply(200, body)).await;
    match connector(&server.address).look_up(&shop.question()).await.unwrap() {
        LookUp::OnFile(title) => *title,
        other => panic!("the title is on file: {other:?}"),
    }
}

#[tokio::test]
async fn a_look_up_tells_ours_from_another() {
    let shop = shop();
    let (barcode, line) = both(&shop.boleto.codes);
    let other = both(&shop.recomposed(1, shop.boleto.amount.0 + 1, shop.boleto.due_date)).0;
    let cases: Vec<(String, Vec<&str>)> = vec![
        (title("ATIVO", ""), vec![]),
        (format!("[{}]", title("ATIVO", "")), vec![]),
        (format!(r#"{{"_content":[{}]}}"#, title("ATIVO", "")), vec![]),
        (
            title("ATIVO", &format!(r#","bankSlipData":{{"barCode":"{barcode}","digitableLine":"{line}"}}"#)),
            vec![],
        ),
        (format!(r#"{{"status":"ativo","barCode":"{barcode}"}}"#), vec![]),
        (title("ATIVO", "").replace("125.9", "\"125.91\""), vec!["amount"]),
        (title("ATIVO", "").replace("04-10", "04-11"), vec!["due_date"]),
        (title("ATIVO", "").replace("\"19\"", "27"), vec!["nosso_numero"]),
        (title("ATIVO", "").replace("529", "530"), vec!["payer_tax_id"]),
        (title("ATIVO", &format!(r#","barCode":"{other}""#)), vec!["amount"]),
        (title("ATIVO", r#","barCode":"123""#), vec!["barcode"]),
    ];
    for (body, differing) in cases {
        let found = found(&shop, body.clone()).await;
        let expected = if differing.is_empty() { Agreement::Agrees } else { Agreement::Differs(differing) };
        assert_eq!((found.agreement, found.state), (expected, TitleState::Open), "{body}");
    }
}

#[tokio::test]
async fn the_bank_is_asked_by_agreement_and_number() {
    let shop = shop();
    let server = bank(reply(200, title("ATIVO", ""))).await;
    connector(&server.address).look_up(&shop.question()).await.unwrap();
    let asked = server.seen().pop().unwrap();
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", "/v2/bills/1899775.0000000000019"));
    assert_eq!(
        (asked.query.as_str(), asked.header("x-application-key")),
        ("tipoConsulta=default", "app-key")
    );
}

#[tokio::test]
async fn every_state_is_known() {
    let shop = shop();
    let paid = r#","paidValue":"125.90","settlementData":[{"settlementDate":"2026-04-09"}]"#;
    for (body, state) in [
        (title("LIQUIDADO", paid), TitleState::Settled),
        (title("BAIXADO", ""), TitleState::Cancelled),
        (title("BAIXADO", r#","statusComplement":"Baixa de pagamento via PIX""#), TitleState::Settled),
        (title("EM CARTORIO", ""), TitleState::Other),
    ] {
        assert_eq!(found(&shop, body).await.state, state);
    }
    let settled = found(&shop, title("LIQUIDADO", paid)).await;
    assert_eq!((settled.paid, settled.paid_on), (Some(Cents(12_590)), "2026-04-09".parse().ok()));
}

#[tokio::test]
async fn one_that_a_pix_has_paid_never_counts_as_written_off() {
    let shop = shop();
    let server = Scripted::start(|seen| match seen.query.as_str() {
        _ if is_token(seen) => token(),
        "tipoConsulta=settlement" => reply(
            200,
            r#"{"settlementData":[{"settlementDate":"2026-04-09","settlementDescription":"BAIXA DE PAGAMENTO VIA PIX"}]}"#,
        ),
        _ => reply(200, title("BAIXADO", "")),
    })
    .await;
    let LookUp::OnFile(found) = connector(&server.address).look_up(&shop.question()).await.unwrap() else {
        panic!("the title is on file");
    };
    assert_eq!((found.state, found.paid_on), (TitleState::Settled, "2026-04-09".parse().ok()));
    // While the bank does not say how a title ended, nobody knows.
    let silent = Scripted::start(|seen| match seen.query.as_str() {
        _ if is_token(seen) => token(),
        "tipoConsulta=settlement" => reply(500, ""),
        _ => reply(200, title("BAIXADO", "")),
    })
    .await;
    let error = connector(&silent.address).look_up(&shop.question()).await.unwrap_err();
    assert_eq!(kind(error), Kind::Unavailable(None));
}

#[tokio::test]
async fn only_the_banks_own_word_says_that_there_is_none() {
    let shop = shop();
    for answer in [
        reply(404, WITHOUT_PARTS),
        reply(400, r#"{"_errors":[{"_code":"none"}]}"#),
        reply(200, "[]"),
        reply(200, r#"{"_content":[]}"#),
    ] {
        let server = bank(answer).await;
        assert_eq!(connector(&server.address).look_up(&shop.question()).await.unwrap(), LookUp::NotFound);
    }
    for (answer, expected) in [
        (reply(404, "<html>"), Kind::Unavailable(None)),
        (reply(404, r#"{"message":"no route"}"#), Kind::Unavailable(None)),
        (reply(400, REFUSED), Kind::Misconfigured),
        (reply(403, ""), Kind::Misconfigured),
        (reply(500, WITHOUT_PARTS), Kind::Unavailable(None)),
        (reply(200, ""), Kind::Unavailable(None)),
        (reply(200, "{}"), Kind::Unavailable(None)),
        (reply(200, r#"{"status":"ATIVO"}"#), Kind::Unavailable(None)),
        (Reply::Hang, Kind::Unavailable(None)),
    ] {
        let shown = format!("{answer:?}");
        let server = bank(answer.clone()).await;
        let error = connector_for(&answer, &server.address).look_up(&shop.question()).await.unwrap_err();
        assert_eq!(kind(error), expected, "{shown}");
    }
}
