//! A shop of this bank, and a bank on loopback that answers as it is told, for the tests of the connector.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::connectors::banks::secured::tests::pair;
use crate::connectors::banks::shop::{Shop, both};
use crate::connectors::http::{HttpConfig, HttpUrl};
use crate::connectors::scripted::{Reply, Scripted, Seen, any_secret, reply};
use crate::domain::bank_account::Provider;
use crate::domain::boleto::Codes;

/// More than a busy machine needs for an answer that does come.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn shop() -> Shop {
    let issuer = Issuer::Santander {
        beneficiary: "1899775".into(),
        carteira: "101".into(),
        ios: "0".into(),
        agency: None,
        account: None,
        workspace_id: Some("w-1".into()),
    };
    let (certificate, private_key) = pair();
    let credentials = [
        ("client_id", "client-id"),
        ("client_secret", "client-secret"),
        ("certificate", certificate),
        ("private_key", private_key),
        ("app_key", "app-key"),
    ];
    Shop::of(issuer, Provider::Santander, &credentials)
}

pub(super) fn connector(address: &SocketAddr) -> Santander {
    build(address, address, PATIENCE)
}

/// A connector for an answer that may never come.
pub(super) fn connector_for(answer: &Reply, address: &SocketAddr) -> Santander {
    let patience = if matches!(answer, Reply::Hang) { Duration::from_millis(50) } else { PATIENCE };
    build(address, address, patience)
}

/// A connector whose tokens and whose API live at two addresses.
pub(super) fn connector_of(tokens: &SocketAddr, api: &SocketAddr) -> Santander {
    build(tokens, api, PATIENCE)
}

fn build(tokens: &SocketAddr, api: &SocketAddr, timeout: Duration) -> Santander {
    let config = SantanderConfig {
        api_url: HttpUrl::parse(&format!("http://{api}/v2")).unwrap(),
        token_url: HttpUrl::parse(&format!("http://{tokens}/token")).unwrap(),
        timeout,
        token_timeout: PATIENCE,
        already_on_file_codes: vec!["taken".into()],
        not_found_codes: vec!["none".into()],
        unknown_codes: vec!["away".into()],
        ..SantanderConfig::default()
    };
    Santander::new(config, any_secret(), HttpClient::trusted(&HttpConfig::default()).unwrap())
}

pub(super) fn is_token(seen: &Seen) -> bool {
    seen.path == "/token"
}

/// A bank that grants tokens and gives every call this answer.
pub(super) async fn bank(answer: Reply) -> Scripted {
    Scripted::start(move |seen| if is_token(seen) { token() } else { answer.clone() }).await
}

pub(super) fn token() -> Reply {
    reply(200, r#"{"access_token":"t","token_type":"Bearer","expires_in":600}"#)
}

/// The sheet's 201 answer for these codes.
pub(super) fn registered(codes: &Codes, pix: &str) -> String {
    let (barcode, line) = both(codes);
    serde_json::json!({
        "barCode": barcode,
        "digitableLine": line,
        "entryDate": "2026-03-01",
        "bankNumber": "0000000000019",
        "qrCodePix": pix,
        "qrCodeUrl": "",
        "txId": "",
    })
    .to_string()
}

/// A title of R$ 125.90 as the look-up describes it, with more fields.
pub(super) fn title(status: &str, more: &str) -> String {
    format!(
        r#"{{"status":"{status}","bankNumber":"19","dueDate":"2026-04-10","nominalValue":125.9,
            "payer":{{"documentNumber":"529.982.247-25"}}{more}}}"#
    )
}
