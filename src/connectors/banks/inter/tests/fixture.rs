//! A shop of this bank, and a bank on loopback that answers as it is told, for the tests of the connector.

use std::net::SocketAddr;
use std::time::Duration;

use chrono::NaiveDate;

use super::*;
use crate::connectors::banks::secured::tests::pair;
use crate::connectors::banks::shop::Shop;
use crate::connectors::http::{HttpConfig, HttpUrl};
use crate::connectors::scripted::{Reply, Scripted, Seen, any_secret, reply};
use crate::domain::bank_account::Provider;
use crate::domain::boleto::barcode::{Barcode, BarcodeParts};
use crate::domain::boleto::digits::Digits;
use crate::domain::boleto::due_date_factor::DueDateFactor;

/// More than a busy machine needs for an answer that does come.
const PATIENCE: Duration = Duration::from_secs(10);
pub(super) const REFERENCE: &str = "183e982a-34e5-4bc0-9643-def5432a";

/// The boleto has been taken by the bank, under its reference.
pub(super) fn shop() -> Shop {
    let (certificate, private_key) = pair();
    let credentials = [
        ("client_id", "client-id"),
        ("client_secret", "client-secret"),
        ("certificate", certificate),
        ("private_key", private_key),
    ];
    let issuer = Issuer::Inter { account: "1234567".into(), agency: None };
    let mut shop = Shop::of(issuer, Provider::Inter, &credentials);
    shop.boleto.bank_reference = Some(REFERENCE.to_owned());
    shop
}

pub(super) fn connector(address: &SocketAddr) -> Inter {
    connector_for(&reply(200, ""), address)
}

/// A connector for an answer that may never come.
pub(super) fn connector_for(answer: &Reply, address: &SocketAddr) -> Inter {
    let config = InterConfig {
        api_url: HttpUrl::parse(&format!("http://{address}/cobranca/v3")).unwrap(),
        token_url: HttpUrl::parse(&format!("http://{address}/token")).unwrap(),
        timeout: if matches!(answer, Reply::Hang) { Duration::from_millis(50) } else { PATIENCE },
        token_timeout: PATIENCE,
        unknown_codes: vec!["away".into()],
        ..InterConfig::default()
    };
    Inter::new(config, any_secret(), HttpClient::trusted(&HttpConfig::default()).unwrap())
}

pub(super) fn is_token(seen: &Seen) -> bool {
    seen.path == "/token"
}

/// A bank that grants tokens and gives every call this answer.
pub(super) async fn bank(answer: Reply) -> Scripted {
    let token = reply(200, r#"{"access_token":"t","token_type":"Bearer","expires_in":600}"#);
    Scripted::start(move |seen| if is_token(seen) { token.clone() } else { answer.clone() }).await
}

/// A barcode of a bank's, with a free part of its own.
pub(super) fn barcode(bank_code: &str, cents: i64, due_date: &str) -> Barcode {
    let due_date: NaiveDate = due_date.parse().unwrap();
    let parts = BarcodeParts {
        bank_code,
        factor: DueDateFactor::of(due_date).unwrap(),
        amount: Cents(cents),
        campo_livre: &Digits::from_bare("0001112000000000090000001").unwrap(),
    };
    Barcode::compose(&parts).unwrap()
}

/// An answer about a charge of R$ 125.90 in a state, with a title's part and a Pix text.
pub(super) fn charge(state: &str, title: Option<&Barcode>, pix: &str) -> String {
    let title = title.map(|barcode| {
        serde_json::json!({
            "nossoNumero": "00090000001",
            "codigoBarras": barcode.as_str(),
            "linhaDigitavel": barcode.to_linha().as_str(),
        })
    });
    serde_json::json!({
        "cobranca": {
            "codigoSolicitacao": REFERENCE,
            "seuNumero": "0".repeat(15),
            "situacao": state,
            "valorNominal": 125.9,
            "dataVencimento": "2026-04-10",
            "valorTotalRecebido": "125.90",
            "dataSituacao": "2026-04-09",
        },
        "boleto": title,
        "pix": {"txid": "x", "pixCopiaECola": pix},
    })
    .to_string()
}
