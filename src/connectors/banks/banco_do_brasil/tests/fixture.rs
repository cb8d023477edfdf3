//! A shop of this bank, and a bank on loopback that answers as it is told, for the tests of the connector.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::connectors::banks::shop::both;
use crate::connectors::http::{HttpConfig, HttpUrl};
use crate::connectors::scripted::{Seen, any_secret};
use crate::domain::bank_account::Provider;
use crate::domain::boleto::Codes;

/// More than a busy machine needs for an answer that does come.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn shop() -> Shop {
    let issuer = Issuer::BancoDoBrasil {
        convenio: "3128557".into(),
        carteira: "17".into(),
        variacao: "35".into(),
        agency: None,
        account: None,
    };
    let credentials =
        [("client_id", "client-id"), ("client_secret", "client-secret"), ("app_key", "app-key")];
    Shop::of(issuer, Provider::BancoDoBrasil, &credentials)
}

pub(super) fn connector(address: &SocketAddr) -> BancoDoBrasil {
    connector_of(address, address)
}

/// A connector for an answer that may never come.
pub(super) fn connector_for(answer: &Reply, address: &SocketAddr) -> BancoDoBrasil {
    let patience = if matches!(answer, Reply::Hang) { Duration::from_millis(50) } else { PATIENCE };
    build(address, address, patience)
}

/// A connector whose tokens and whose API live at two addresses.
pub(super) fn connector_of(tokens: &SocketAddr, api: &SocketAddr) -> BancoDoBrasil {
    build(tokens, api, PATIENCE)
}

fn build(tokens: &SocketAddr, api: &SocketAddr, timeout: Duration) -> BancoDoBrasil {
    let config = BancoDoBrasilConfig {
        api_url: HttpUrl::parse(&format!("http://{api}/v2")).unwrap(),
        token_url: HttpUrl::parse(&format!("http://{tokens}/token")).unwrap(),
        timeout,
        token_timeout: timeout,
        not_found_codes: vec!["901".into()],
        unknown_codes: vec!["900".into()],
        ..BancoDoBrasilConfig::default()
    };
    BancoDoBrasil::new(config, any_secret(), HttpClient::trusted(&HttpConfig::default()).unwrap())
}

pub(super) fn is_token(seen: &Seen) -> bool {
    seen.path == "/token"
}

pub(super) fn token(value: &str) -> Reply {
    let body = serde_json::json!({"access_token": value, "token_type": "Bearer", "expires_in": 600});
    reply(201, body.to_string())
}

/// The sheet's 201 answer for the shop's boleto.
pub(super) fn registered(shop: &Shop, emv: &str) -> String {
    let (barcode, line) = both(&shop.boleto.codes);
    serde_json::json!({
        "numero": "00031285570000000001",
        "numeroCarteira": 17,
        "numeroVariacaoCarteira": 35,
        "codigoCliente": 932_131,
        "linhaDigitavel": line,
        "codigoBarraNumerico": barcode,
        "numeroContratoCobranca": 19_581_316,
        "beneficiario": {"agencia": 452, "contaCorrente": 123_873},
        "qrCode": {"url": "", "txId": "", "emv": emv},
    })
    .to_string()
}

/// A title as the look-up describes it.
pub(super) fn title(codes: &Codes, amount: &str, payer: &str) -> String {
    let (barcode, line) = both(codes);
    format!(
        r#"{{"codigoEstadoTituloCobranca":1,"codigoLinhaDigitavel":"{line}",
            "textoCodigoBarrasTituloCobranca":"{barcode}","valorOriginalTituloCobranca":{amount},
            "dataVencimentoTituloCobranca":"10.04.2026","numeroInscricaoSacadoCobranca":{payer},
            "valorPagoSacado":0.0,"dataRecebimentoTitulo":""}}"#
    )
}
