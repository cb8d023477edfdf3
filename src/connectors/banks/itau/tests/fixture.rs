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
    let issuer = Issuer::Itau {
        agency: "0057".into(),
        account: "12345".into(),
        account_dac: "7".into(),
        carteira: "109".into(),
    };
    let (certificate, private_key) = pair();
    let credentials = [
        ("client_id", "client-id"),
        ("client_secret", "client-secret"),
        ("certificate", certificate),
        ("private_key", private_key),
        ("api_key", "api-key"),
    ];
    Shop::of(issuer, Provider::Itau, &credentials)
}

pub(super) fn connector(address: &SocketAddr) -> Itau {
    Itau::new(config(address), any_secret(), HttpClient::trusted(&HttpConfig::default()).unwrap())
}

/// A connector for an answer that may never come.
pub(super) fn connector_for(answer: &Reply, address: &SocketAddr) -> Itau {
    let timeout = if matches!(answer, Reply::Hang) { Duration::from_millis(50) } else { PATIENCE };
    let config = ItauConfig { timeout, ..config(address) };
    Itau::new(config, any_secret(), HttpClient::trusted(&HttpConfig::default()).unwrap())
}

pub(super) fn config(address: &SocketAddr) -> ItauConfig {
    let url = |path: &str| HttpUrl::parse(&format!("http://{address}{path}")).unwrap();
    ItauConfig {
        api_url: url("/cash_management/v2"),
        query_url: url("/boletoscash/v2"),
        token_url: url("/token"),
        timeout: PATIENCE,
        token_timeout: PATIENCE,
        already_on_file_codes: vec!["taken".into()],
        not_found_codes: vec!["none".into()],
        unknown_codes: vec!["away".into()],
        ..ItauConfig::default()
    }
}

pub(super) fn is_token(seen: &Seen) -> bool {
    seen.path == "/token"
}

/// A bank that grants tokens and gives every call this answer.
pub(super) async fn bank(answer: Reply) -> Scripted {
    Scripted::start(move |seen| if is_token(seen) { token() } else { answer.clone() }).await
}

pub(super) fn token() -> Reply {
    reply(200, r#"{"access_token":"t","token_type":"Bearer","expires_in":300}"#)
}

/// The sheet's answer to a registration, for these codes.
pub(super) fn registered(codes: &Codes) -> String {
    let (barcode, line) = both(codes);
    let each = serde_json::json!({"codigo_barras": barcode, "numero_linha_digitavel": line});
    serde_json::json!({"data": {"dado_boleto": {"dados_individuais_boleto": [each]}}}).to_string()
}

/// A title of R$ 125.90 as the look-up describes it.
pub(super) fn title(state: &str) -> String {
    serde_json::json!({"data": [{"dado_boleto": {
        "dados_individuais_boleto": [{
            "numero_nosso_numero": "00000001",
            "situacao_geral_boleto": state,
            "valor_titulo": "00000000000012590",
            "data_vencimento": "2026-04-10",
        }],
        "pagamentos_cobranca": [{"valor_pago_total_cobranca": "125.90", "data_inclusao_pagamento": "2026-04-09T10:00"}],
    }}]})
    .to_string()
}
