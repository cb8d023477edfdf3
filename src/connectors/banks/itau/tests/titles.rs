//! What the bank says is on file, and what it means.

use super::*;
use crate::connectors::banks::shop::Shop;
use crate::connectors::banks::{Agreement, Title, TitleState};
use crate::domain::money::Cents;
use fixture::title;

async fn found(shop: &Shop, body: String) -> Title {
    let server = bank(reply(200, body)).await;
    match connector(&server.address).look_up(&shop.question()).await.unwrap() {
        LookUp::OnFile(title) => *title,
        other => panic!("the title is on file: {other:?}"),
    }
}

#[tokio::test]
async fn the_other_host_is_asked_by_agreement_and_number() {
    let shop = shop();
    let server = bank(reply(200, title("Em Aberto"))).await;
    connector(&server.address).look_up(&shop.question()).await.unwrap();
    let asked = server.seen().pop().unwrap();
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", "/boletoscash/v2/boletos"));
    assert_eq!(asked.query, "id_beneficiario=005700123457&codigo_carteira=109&nosso_numero=00000001");
    assert_eq!(asked.header("x-itau-apikey"), "api-key");
}

#[tokio::test]
async fn every_state_is_known() {
    let shop = shop();
    for (state, expected) in [
        ("Em Aberto", TitleState::Open),
        ("Aguardando Pagamento", TitleState::Open),
        ("Paga", TitleState::Settled),
        ("Baixada", TitleState::Cancelled),
        ("Em Cartorio", TitleState::Other),
    ] {
        let title = found(&shop, title(state)).await;
        assert_eq!((title.state, title.agreement), (expected, Agreement::Agrees), "{state}");
    }
    let paid = found(&shop, title("Paga")).await;
    assert_eq!((paid.paid, paid.paid_on), (Some(Cents(12_590)), "2026-04-09".parse().ok()));
}

#[tokio::test]
async fn a_look_up_tells_ours_from_another() {
    let shop = shop();
    let (barcode, line) = both(&shop.boleto.codes);
    let other = both(&shop.recomposed(1, shop.boleto.amount.0 + 1, shop.boleto.due_date)).0;
    let right = title("Em Aberto");
    let with = |codes: String| {
        right.replace(r#""numero_nosso_numero""#, &format!(r#"{codes},"numero_nosso_numero""#))
    };
    let cases = [
        (right.replace("[{\"dado", "{\"dado").replace("}}]}", "}}}"), vec![]),
        (with(format!(r#""codigo_barras":"{barcode}","numero_linha_digitavel":"{line}""#)), vec![]),
        (right.replace("00000000000012590", "125.90"), vec![]),
        (right.replace("00000000000012590", "00000000000012591"), vec!["amount"]),
        (right.replace("2026-04-10", "2026-04-11"), vec!["due_date"]),
        (with(format!(r#""codigo_barras":"{other}""#)), vec!["amount"]),
        (with(r#""codigo_barras":"341""#.to_owned()), vec!["barcode"]),
    ];
    for (body, differing) in cases {
        assert_ne!(body, right);
        let expected = if differing.is_empty() { Agreement::Agrees } else { Agreement::Differs(differing) };
        assert_eq!(found(&shop, body.clone()).await.agreement, expected, "{body}");
    }
}

#[tokio::test]
async fn only_the_banks_own_word_says_that_there_is_none() {
    let shop = shop();
    for answer in [
        reply(404, REFUSED),
        reply(422, r#"{"codigo":"none","mensagem":"x"}"#),
        reply(200, r#"{"data":[]}"#),
        // A title under another number is not ours, whatever it is.
        reply(200, title("Paga").replace("00000001", "00000002")),
    ] {
        let server = bank(answer).await;
        assert_eq!(connector(&server.address).look_up(&shop.question()).await.unwrap(), LookUp::NotFound);
    }
    for (answer, expected) in [
        (reply(404, "<html>"), Kind::Unavailable(None)),
        (reply(400, REFUSED), Kind::Misconfigured),
        (reply(403, ""), Kind::Misconfigured),
        (reply(500, REFUSED), Kind::Unavailable(None)),
        (reply(200, ""), Kind::Unavailable(None)),
        (reply(200, "{}"), Kind::Unavailable(None)),
        (reply(200, title("")), Kind::Unavailable(None)),
        (reply(200, title("Paga").replace("00000000000012590", "")), Kind::Unavailable(None)),
        (Reply::Hang, Kind::Unavailable(None)),
    ] {
        let shown = format!("{answer:?}");
        let server = bank(answer.clone()).await;
        let error = connector_for(&answer, &server.address).look_up(&shop.question()).await.unwrap_err();
        assert_eq!(kind(error), expected, "{shown}");
    }
}
