//! What a house needs to work with the banks of the sandbox: settings, and one account with each.
//!
//! **Owns** nothing. **Fails** never. **Limits**: the companies in it are nobody; their numbers only check. Stories open
//! their houses by it too, so that what is shown is what is tried.

use serde_json::json;

use super::super::sample;
use crate::domain::bank_account::Provider;
use crate::proto::boleto::v1::bank_account::Issuer;
use crate::proto::boleto::v1::{
    BankAccount, BradescoIssuer, CaixaIssuer, InterIssuer, ItauIssuer, SantanderIssuer,
};
use crate::sandbox::{
    Addresses, CAIXA_ALREADY_ON_FILE, ITAU_ALREADY_ON_FILE, SANTANDER_ALREADY_ON_FILE, SANTANDER_WORKSPACE,
};

/// How soon "not found" counts: these banks keep or lose a title at once.
const SETTLE_AFTER: &str = "2s";
/// The agreement that the replaced service sent to its gateway.
const GATEWAY_AGREEMENT: &str = "3069995";

/// What the banks know their callers by; each is a secret, or lies in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    ClientId,
    ClientSecret,
    AppKey,
    InnerUser,
    InnerPassword,
    Certificate,
    PrivateKey,
}

/// The addresses of the sandbox's banks instead of the real ones, and what these banks' codes mean.
pub fn settings(outside: &Addresses) -> Vec<(String, String)> {
    let banks = &outside.banks;
    let authority = outside.tls.ca_file.display().to_string();
    let mut settings = vec![
        ("banco_do_brasil.api_url", outside.bank_url.clone()),
        ("banco_do_brasil.token_url", outside.token_url.clone()),
        ("banco_do_brasil.settle_after", SETTLE_AFTER.to_owned()),
        ("boleto_api.api_url", banks.boleto_api_url.clone()),
        ("boleto_api.bradesco_agreement_number", GATEWAY_AGREEMENT.to_owned()),
        ("boleto_api.caixa_already_on_file_codes", json!([CAIXA_ALREADY_ON_FILE]).to_string()),
        ("bradesco_apiregistro.api_url", banks.bradesco_apiregistro_url.clone()),
        ("bradesco_shopfacil.api_url", format!("{}/apiboleto/transacao", banks.bradesco_shopfacil_url)),
        ("inter.api_url", banks.inter_api_url.clone()),
        ("inter.token_url", banks.inter_token_url.clone()),
        ("itau.api_url", banks.itau_api_url.clone()),
        ("itau.query_url", banks.itau_query_url.clone()),
        ("itau.token_url", banks.itau_token_url.clone()),
        ("itau.already_on_file_codes", json!([ITAU_ALREADY_ON_FILE]).to_string()),
        ("santander.api_url", banks.santander_api_url.clone()),
        ("santander.token_url", banks.santander_token_url.clone()),
        ("santander.environment", "TESTE".to_owned()),
        ("santander.already_on_file_codes", json!([SANTANDER_ALREADY_ON_FILE]).to_string()),
    ];
    for key in ["inter.ca_file", "itau.ca_file", "santander.ca_file"] {
        settings.push((key, authority.clone()));
    }
    for key in ["inter.settle_after", "itau.settle_after", "santander.settle_after"] {
        settings.push((key, SETTLE_AFTER.to_owned()));
    }
    settings.into_iter().map(|(key, value)| (format!("banks.{key}"), value)).collect()
}

/// One account with each bank but the first, none of them the default; `reference` tells where a credential lies.
pub fn accounts(reference: impl Fn(Credential) -> String) -> Vec<BankAccount> {
    let bradesco = || {
        Issuer::Bradesco(BradescoIssuer {
            agency: "3381".to_owned(),
            account: "9721".to_owned(),
            carteira: "26".to_owned(),
        })
    };
    let caixa = Issuer::Caixa(CaixaIssuer { beneficiary: "1103388".to_owned(), agency: "3337".to_owned() });
    let itau = Issuer::Itau(ItauIssuer {
        agency: "0057".to_owned(),
        account: "12345".to_owned(),
        account_dac: "7".to_owned(),
        carteira: "109".to_owned(),
    });
    let santander = Issuer::Santander(SantanderIssuer {
        beneficiary: "1234567".to_owned(),
        carteira: "101".to_owned(),
        workspace_id: SANTANDER_WORKSPACE.to_owned(),
        ..SantanderIssuer::default()
    });
    let inter = Issuer::Inter(InterIssuer { account: "123456".to_owned(), agency: "0001".to_owned() });
    let list = [
        ("boleto-api-bradesco", Provider::BoletoApi, bradesco()),
        ("boleto-api-caixa", Provider::BoletoApi, caixa),
        ("bradesco-apiregistro", Provider::BradescoApiregistro, bradesco()),
        ("bradesco-shopfacil", Provider::BradescoShopfacil, bradesco()),
        ("inter", Provider::Inter, inter),
        ("itau", Provider::Itau, itau),
        ("santander", Provider::Santander, santander),
    ];
    list.into_iter().map(|(name, provider, issuer)| account(name, provider, issuer, &reference)).collect()
}

fn account(
    name: &str,
    provider: Provider,
    issuer: Issuer,
    reference: impl Fn(Credential) -> String,
) -> BankAccount {
    let needed = credentials(provider, matches!(issuer, Issuer::Caixa(_)));
    let credentials = needed.iter().map(|(key, credential)| ((*key).to_owned(), reference(*credential)));
    BankAccount {
        issuer: Some(issuer),
        provider: provider.as_str().to_owned(),
        is_default: false,
        ..sample::bank_account(&format!("sandbox-{name}"), &format!("Sandbox {name}"), credentials.collect())
    }
}

/// What a connector signs in with, by its own key names.
fn credentials(provider: Provider, caixa: bool) -> &'static [(&'static str, Credential)] {
    use Credential::{AppKey, Certificate, ClientId, ClientSecret, InnerPassword, InnerUser, PrivateKey};
    match provider {
        Provider::BancoDoBrasil => {
            &[("client_id", ClientId), ("client_secret", ClientSecret), ("app_key", AppKey)]
        }
        Provider::BoletoApi if caixa => &[("username", ClientId), ("password", ClientSecret)],
        Provider::BoletoApi => &[
            ("username", ClientId),
            ("password", ClientSecret),
            ("bank_username", InnerUser),
            ("bank_password", InnerPassword),
        ],
        Provider::BradescoApiregistro | Provider::BradescoShopfacil => {
            &[("merchant_id", ClientId), ("api_key", ClientSecret)]
        }
        Provider::Development => &[],
        Provider::Inter => &[
            ("client_id", ClientId),
            ("client_secret", ClientSecret),
            ("certificate", Certificate),
            ("private_key", PrivateKey),
        ],
        Provider::Itau => &[
            ("client_id", ClientId),
            ("client_secret", ClientSecret),
            ("certificate", Certificate),
            ("private_key", PrivateKey),
            ("api_key", AppKey),
        ],
        Provider::Santander => &[
            ("client_id", ClientId),
            ("client_secret", ClientSecret),
            ("certificate", Certificate),
            ("private_key", PrivateKey),
            ("app_key", AppKey),
        ],
    }
}
