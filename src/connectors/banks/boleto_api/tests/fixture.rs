//! Two shops, and a gateway on loopback that answers as it is told, for the tests of the connector.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::connectors::http::{HttpConfig, HttpUrl};
use crate::connectors::scripted::{Seen, any_secret};
use crate::domain::bank_account::Provider;
use crate::domain::boleto::Codes;

pub(super) const PAGE: &str = "https://caixa.example/boleto/1";

pub(super) fn bradesco() -> Shop {
    let issuer = Issuer::Bradesco { agency: "3381".into(), account: "9721".into(), carteira: "26".into() };
    let credentials = [
        ("username", "gate"),
        ("password", "open"),
        ("bank_username", "shop"),
        ("bank_password", "facil"),
        ("agreement_number", "3069995\n"),
    ];
    Shop::of(issuer, Provider::BoletoApi, &credentials)
}

/// A shop whose boleto has a number and nothing else, as one has before Caixa has spoken.
pub(super) fn caixa() -> Shop {
    let issuer = Issuer::Caixa { beneficiary: "1103388".into(), agency: Some("3337".into()) };
    let mut shop = Shop::of(issuer, Provider::BoletoApi, &[("username", "gate"), ("password", "open")]);
    shop.boleto.codes.barcode = None;
    shop
}

pub(super) fn config(address: &SocketAddr) -> BoletoApiConfig {
    BoletoApiConfig {
        api_url: Some(HttpUrl::parse(&format!("http://{address}")).unwrap()),
        caixa_already_on_file_codes: vec!["47".into()],
        caixa_unknown_codes: vec!["99".into()],
        ..BoletoApiConfig::default()
    }
}

pub(super) fn connector(config: BoletoApiConfig) -> BoletoApi {
    BoletoApi::new(config, any_secret(), HttpClient::trusted(&HttpConfig::default()).unwrap())
}

/// Answers a registration once.
pub(super) async fn answered(shop: &Shop, answer: Reply) -> Result<RegisterAnswer, BankError> {
    let scripted = answer.clone();
    let server = Scripted::start(move |_| scripted.clone()).await;
    let mut config = config(&server.address);
    if matches!(answer, Reply::Hang) {
        config.timeout = Duration::from_millis(50);
        config.caixa_timeout = Duration::from_millis(50);
    }
    let answer = connector(config).register(&shop.request()).await;
    assert_eq!(server.seen().len(), 1, "the gateway is asked once");
    answer
}

/// What goes out for a shop's boleto.
pub(super) async fn sent(shop: &Shop, set: impl FnOnce(&mut BoletoApiConfig)) -> Seen {
    let server = Scripted::start(|_| reply(500, "")).await;
    let mut config = config(&server.address);
    set(&mut config);
    assert_eq!(kind(connector(config).register(&shop.request()).await.unwrap_err()), Kind::OutcomeUnknown);
    let [seen] = &server.seen()[..] else { panic!("one call was expected") };
    seen.clone()
}

/// A yes with these codes.
pub(super) fn yes(codes: &Codes) -> serde_json::Value {
    let (barcode, line) = both(codes);
    serde_json::json!({
        "id": "abc",
        "digitableLine": line,
        "barCodeNumber": barcode,
        "links": [
            {"href": "https://caixa.example/boleto/1.pdf", "rel": "pdf", "method": "GET"},
            {"href": PAGE, "rel": "html", "method": "GET"},
        ],
    })
}

/// The codes that the shop's boleto has, or is to get.
pub(super) fn codes(shop: &Shop) -> Codes {
    shop.recomposed(1, shop.boleto.amount.0, shop.boleto.due_date)
}
