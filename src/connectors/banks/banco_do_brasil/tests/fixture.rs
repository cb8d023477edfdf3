//! A boleto, an account and a bank on loopback that answers as it is told, for the tests of the connector.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use super::*;
use crate::connectors::http::{HttpConfig, HttpUrl};
use crate::connectors::scripted::{SecretFile, Seen, any_secret};
use crate::domain::bank_account::{Beneficiary, Provider};
use crate::domain::boleto::status::Status;
use crate::domain::boleto::{Boleto, Codes};
use crate::domain::ids::{BankAccountId, BoletoId, TenantId};
use crate::domain::money::Cents;
use crate::domain::payer::Address;

/// More than a busy machine needs for an answer that does come.
const PATIENCE: Duration = Duration::from_secs(10);

/// An account, a boleto of it, and the files in which its secrets lie.
pub(super) struct Shop {
    pub(super) account: BankAccount,
    pub(super) boleto: Boleto,
    _secrets: Vec<SecretFile>,
}

impl Shop {
    pub(super) fn new() -> Self {
        let secrets: Vec<_> =
            ["client-id", "client-secret", "app-key"].into_iter().map(SecretFile::new).collect();
        let keys = ["client_id", "client_secret", "app_key"];
        let pairs = keys.into_iter().zip(&secrets).map(|(key, file)| (key.to_owned(), file.reference()));
        let account = account(pairs.collect());
        let due_date = NaiveDate::from_ymd_opt(2026, 4, 10).unwrap();
        let codes = account.issuer.compose(1, Cents(12_590), due_date).unwrap();
        let boleto = boleto(&account, codes, due_date);
        Self { account, boleto, _secrets: secrets }
    }

    pub(super) fn request(&self) -> RegisterRequest<'_> {
        RegisterRequest {
            account: &self.account,
            boleto: &self.boleto,
            attempt_key: "attempt-1",
            issue_date: NaiveDate::from_ymd_opt(2026, 3, 1).unwrap(),
        }
    }

    pub(super) fn question(&self) -> LookUpRequest<'_> {
        LookUpRequest { account: &self.account, boleto: &self.boleto }
    }

    pub(super) fn recomposed(&self, sequence: i64, cents: i64, due_date: NaiveDate) -> Codes {
        self.account.issuer.compose(sequence, Cents(cents), due_date).unwrap()
    }
}

fn account(credentials: BTreeMap<String, String>) -> BankAccount {
    BankAccount {
        id: BankAccountId(Uuid::nil()),
        tenant_id: TenantId::default(),
        external_id: None,
        display_name: "Shop".into(),
        beneficiary: Beneficiary { name: "Shop".into(), tax_id: TaxId::parse("11222333000181").unwrap() },
        issuer: Issuer::BancoDoBrasil {
            convenio: "3128557".into(),
            carteira: "17".into(),
            variacao: "35".into(),
            agency: None,
            account: None,
        },
        provider: Provider::BancoDoBrasil,
        credentials,
        is_default: true,
        version: 1,
        created_at: DateTime::<Utc>::UNIX_EPOCH,
        updated_at: DateTime::<Utc>::UNIX_EPOCH,
    }
}

fn boleto(account: &BankAccount, codes: Codes, due_date: NaiveDate) -> Boleto {
    Boleto {
        id: BoletoId(Uuid::nil()),
        tenant_id: TenantId::default(),
        bank_account_id: account.id,
        status: Status::Issued,
        version: 1,
        amount: Cents(12_590),
        due_date,
        codes,
        payer: Payer {
            name: "Ana Maria".into(),
            tax_id: TaxId::parse("529.982.247-25").unwrap(),
            address: Address {
                street: "Rua das Flores".into(),
                number: "308".into(),
                complement: "apto 12".into(),
                district: "Centro".into(),
                city: "Sao Paulo".into(),
                state: "SP".into(),
                postal_code: "01001000".into(),
            },
        },
        instructions: Some("Nao receber apos o vencimento".into()),
        reference_id: None,
        token: None,
        bank_response: None,
        pix_emv: None,
        created_at: DateTime::<Utc>::UNIX_EPOCH,
        updated_at: DateTime::<Utc>::UNIX_EPOCH,
    }
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
    serde_json::json!({
        "numero": "00031285570000000001",
        "numeroCarteira": 17,
        "numeroVariacaoCarteira": 35,
        "codigoCliente": 932_131,
        "linhaDigitavel": shop.boleto.codes.linha_digitavel.as_str(),
        "codigoBarraNumerico": shop.boleto.codes.barcode.as_str(),
        "numeroContratoCobranca": 19_581_316,
        "beneficiario": {"agencia": 452, "contaCorrente": 123_873},
        "qrCode": {"url": "", "txId": "", "emv": emv},
    })
    .to_string()
}

/// A title as the look-up describes it.
pub(super) fn title(codes: &Codes, amount: &str, payer: &str) -> String {
    format!(
        r#"{{"codigoEstadoTituloCobranca":1,"codigoLinhaDigitavel":"{}",
            "textoCodigoBarrasTituloCobranca":"{}","valorOriginalTituloCobranca":{amount},
            "dataVencimentoTituloCobranca":"10.04.2026","numeroInscricaoSacadoCobranca":{payer},
            "valorPagoSacado":0.0,"dataRecebimentoTitulo":""}}"#,
        codes.linha_digitavel.as_str(),
        codes.barcode.as_str(),
    )
}
