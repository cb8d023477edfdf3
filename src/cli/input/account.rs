//! A bank account, as `bursar account get --json` prints it or without the fields that the service makes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::proto::boleto::v1::bank_account::Issuer;
use crate::proto::boleto::v1::{BancoDoBrasilIssuer, BankAccount, Beneficiary, BradescoIssuer};

/// `BankAccount`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct AccountInput {
    pub id: String,
    pub external_id: String,
    pub display_name: String,
    pub beneficiary: Option<BeneficiaryInput>,
    pub banco_do_brasil: Option<BancoDoBrasilInput>,
    pub bradesco: Option<BradescoInput>,
    pub provider: String,
    pub credentials: BTreeMap<String, String>,
    pub is_default: bool,
    pub version: i64,
    /// Made by the service; taken and dropped, so that what was read can be given back.
    pub create_time: IgnoredAny,
    /// As `create_time`.
    pub update_time: IgnoredAny,
}

/// `Beneficiary`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct BeneficiaryInput {
    pub name: String,
    pub tax_id: String,
}

/// `BancoDoBrasilIssuer`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct BancoDoBrasilInput {
    pub convenio: String,
    pub carteira: String,
    pub variacao: String,
    pub agency: String,
    pub account: String,
}

/// `BradescoIssuer`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct BradescoInput {
    pub agency: String,
    pub account: String,
    pub carteira: String,
}

impl TryFrom<AccountInput> for BankAccount {
    type Error = &'static str;

    /// An account has one issuer: two are refused here, because the protocol could not carry them.
    fn try_from(input: AccountInput) -> Result<Self, Self::Error> {
        let issuer = match (input.banco_do_brasil, input.bradesco) {
            (Some(_), Some(_)) => return Err("banco_do_brasil and bradesco exclude each other"),
            (Some(issuer), None) => Some(Issuer::BancoDoBrasil(issuer.into())),
            (None, Some(issuer)) => Some(Issuer::Bradesco(issuer.into())),
            (None, None) => None,
        };
        Ok(Self {
            id: input.id,
            external_id: input.external_id,
            display_name: input.display_name,
            beneficiary: input.beneficiary.map(|it| Beneficiary { name: it.name, tax_id: it.tax_id }),
            issuer,
            provider: input.provider,
            credentials: input.credentials,
            is_default: input.is_default,
            version: input.version,
            create_time: None,
            update_time: None,
        })
    }
}

impl From<BancoDoBrasilInput> for BancoDoBrasilIssuer {
    fn from(input: BancoDoBrasilInput) -> Self {
        Self {
            convenio: input.convenio,
            carteira: input.carteira,
            variacao: input.variacao,
            agency: input.agency,
            account: input.account,
        }
    }
}

impl From<BradescoInput> for BradescoIssuer {
    fn from(input: BradescoInput) -> Self {
        Self { agency: input.agency, account: input.account, carteira: input.carteira }
    }
}
