//! A bank account, as `bursar account get --json` prints it or without the fields that the service makes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::proto::boleto::v1::bank_account::Issuer;
use crate::proto::boleto::v1::{
    AccountRules, BancoDoBrasilIssuer, BankAccount, Beneficiary, BradescoIssuer, CaixaIssuer, InterIssuer,
    ItauIssuer, SantanderIssuer,
};

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
    pub itau: Option<ItauInput>,
    pub santander: Option<SantanderInput>,
    pub caixa: Option<CaixaInput>,
    pub inter: Option<InterInput>,
    pub provider: String,
    pub credentials: BTreeMap<String, String>,
    pub is_default: bool,
    pub rounding: String,
    pub rules: Option<RulesInput>,
    pub version: i64,
    /// Made by the service; taken and dropped, so that what was read can be given back.
    pub create_time: IgnoredAny,
    /// As `create_time`.
    pub update_time: IgnoredAny,
    /// As `create_time`.
    pub next_sequence: IgnoredAny,
    /// As `create_time`.
    pub sequences_left: IgnoredAny,
}

/// `Beneficiary`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct BeneficiaryInput {
    pub name: String,
    pub tax_id: String,
}

/// `AccountRules`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct RulesInput {
    pub when_late_payment_refused: String,
    pub when_late_payment_accepted: String,
    pub when_fine_or_interest: String,
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

/// `ItauIssuer`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct ItauInput {
    pub agency: String,
    pub account: String,
    pub account_dac: String,
    pub carteira: String,
}

/// `SantanderIssuer`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct SantanderInput {
    pub beneficiary: String,
    pub carteira: String,
    pub ios: String,
    pub agency: String,
    pub account: String,
    pub workspace_id: String,
}

/// `CaixaIssuer`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct CaixaInput {
    pub beneficiary: String,
    pub agency: String,
}

/// `InterIssuer`.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct InterInput {
    pub account: String,
    pub agency: String,
}

impl TryFrom<AccountInput> for BankAccount {
    type Error = &'static str;

    /// An account has one issuer: two are refused here, because the protocol could not carry them.
    fn try_from(input: AccountInput) -> Result<Self, Self::Error> {
        let issuers = [
            input.banco_do_brasil.map(|issuer| Issuer::BancoDoBrasil(issuer.into())),
            input.bradesco.map(|issuer| Issuer::Bradesco(issuer.into())),
            input.itau.map(|issuer| Issuer::Itau(issuer.into())),
            input.santander.map(|issuer| Issuer::Santander(issuer.into())),
            input.caixa.map(|issuer| Issuer::Caixa(issuer.into())),
            input.inter.map(|issuer| Issuer::Inter(issuer.into())),
        ];
        let mut issuers = issuers.into_iter().flatten();
        let issuer = issuers.next();
        if issuers.next().is_some() {
            return Err("the agreements of several banks exclude each other");
        }
        Ok(Self {
            id: input.id,
            external_id: input.external_id,
            display_name: input.display_name,
            beneficiary: input.beneficiary.map(|it| Beneficiary { name: it.name, tax_id: it.tax_id }),
            issuer,
            provider: input.provider,
            credentials: input.credentials,
            is_default: input.is_default,
            rounding: input.rounding,
            rules: input.rules.map(AccountRules::from),
            version: input.version,
            create_time: None,
            update_time: None,
            next_sequence: None,
            sequences_left: None,
        })
    }
}

impl From<RulesInput> for AccountRules {
    fn from(input: RulesInput) -> Self {
        Self {
            when_late_payment_refused: input.when_late_payment_refused,
            when_late_payment_accepted: input.when_late_payment_accepted,
            when_fine_or_interest: input.when_fine_or_interest,
        }
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

impl From<ItauInput> for ItauIssuer {
    fn from(input: ItauInput) -> Self {
        Self {
            agency: input.agency,
            account: input.account,
            account_dac: input.account_dac,
            carteira: input.carteira,
        }
    }
}

impl From<SantanderInput> for SantanderIssuer {
    fn from(input: SantanderInput) -> Self {
        Self {
            beneficiary: input.beneficiary,
            carteira: input.carteira,
            ios: input.ios,
            agency: input.agency,
            account: input.account,
            workspace_id: input.workspace_id,
        }
    }
}

impl From<CaixaInput> for CaixaIssuer {
    fn from(input: CaixaInput) -> Self {
        Self { beneficiary: input.beneficiary, agency: input.agency }
    }
}

impl From<InterInput> for InterIssuer {
    fn from(input: InterInput) -> Self {
        Self { account: input.account, agency: input.agency }
    }
}
