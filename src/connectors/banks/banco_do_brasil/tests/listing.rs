//! What the bank is asked for a listing, and what its answers mean.

use super::*;
use crate::connectors::banks::{MovementKind, MovementPage};
use crate::domain::money::Cents;

/// The shop with what the bank lists by.
fn listed() -> Shop {
    let mut shop = shop();
    let Issuer::BancoDoBrasil { agency, account, .. } = &mut shop.account.issuer else { unreachable!() };
    (*agency, *account) = (Some("0452".to_owned()), Some("123873".to_owned()));
    shop
}

#[tokio::test]
async fn a_page_is_asked_for_by_holder_days_and_index() {
    const PAGE: &str = r#"{"indicadorContinuidade":"S","proximoIndice":200,"boletos":[
        {"numeroBoletoBB":"00031285570000000001","codigoEstadoTituloCobranca":6,"dataMovimento":"20.04.2026","valorPago":125.90}]}"#;
    let shop = listed();
    let server = bank(|| reply(200, PAGE)).await;
    let bank = connector(&server.address);
    assert_eq!(bank.capabilities(&shop.account).reconciled_by, ReconciledBy::Listing);
    let MovementPage { movements, next } =
        bank.payments_since(&shop.movements(Some("ended:100"))).await.unwrap();
    assert_eq!(next.as_deref(), Some("ended:200"));
    assert!(matches!(movements[0].kind, MovementKind::Paid { amount: Cents(12_590), .. }));
    let seen = server.seen().into_iter().find(|seen| !is_token(seen)).unwrap();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", "/v2/boletos"));
    for wanted in [
        "indicadorSituacao=B",
        "agenciaBeneficiario=0452",
        "contaBeneficiario=123873",
        "numeroConvenio=3128557",
        "dataInicioMovimento=01.04.2026",
        "dataFimMovimento=30.04.2026",
        "indice=100",
    ] {
        assert!(seen.query.split('&').any(|pair| pair == wanted), "{wanted} in {}", seen.query);
    }
}

#[tokio::test]
async fn trouble_with_a_listing_is_never_an_empty_page() {
    let shop = listed();
    for (answer, expected) in [
        (reply(200, "<html>"), Kind::Unavailable(None)),
        (reply(200, "{}"), Kind::Unavailable(None)),
        (reply(200, r#"{"boletos":[]}"#), Kind::Unavailable(None)),
        (reply(200, r#"{"indicadorContinuidade":"N"}"#), Kind::Unavailable(None)),
        (reply(404, BUSINESS), Kind::Unavailable(None)),
        (reply(500, BUSINESS), Kind::Unavailable(None)),
        (reply(403, BUSINESS), Kind::Misconfigured),
        (reply(400, GATEWAY), Kind::Misconfigured),
    ] {
        let scripted = answer.clone();
        let server = bank(move || scripted.clone()).await;
        let error = connector(&server.address).payments_since(&shop.movements(None)).await.unwrap_err();
        assert_eq!(kind(error), expected, "{answer:?}");
    }
}

#[tokio::test]
async fn an_account_without_agency_is_asked_title_by_title() {
    let shop = shop();
    let bank = connector(&nobody().await);
    assert_eq!(bank.capabilities(&shop.account).reconciled_by, ReconciledBy::LookUp);
    let error = bank.payments_since(&shop.movements(None)).await.unwrap_err();
    assert!(matches!(error, BankError::Unsupported { .. }), "{error:?}");
}
