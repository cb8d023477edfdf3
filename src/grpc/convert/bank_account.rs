//! Bank accounts.

use chrono::{DateTime, Utc};

use super::timestamp;
use crate::domain::bank_account::{AccountRules, BankAccount, Beneficiary, Provider};
use crate::domain::boleto::issuer::{Issuer, Numbering};
use crate::domain::ids::{BankAccountId, TenantId};
use crate::domain::money::Rounding;
use crate::domain::tax_id::TaxId;
use crate::domain::violation::Violation;
use crate::grpc::request::optional_text;
use crate::proto::boleto::v1 as proto;
use crate::proto::boleto::v1::bank_account::Issuer as ProtoIssuer;

const NAME_CHARS_MAX: usize = 255;
const ISSUER_NEEDED: &str = "required: banco_do_brasil, bradesco, itau, santander, caixa or inter";

pub fn to_proto(account: &BankAccount) -> proto::BankAccount {
    proto::BankAccount {
        id: account.id.to_string(),
        external_id: account.external_id.clone().unwrap_or_default(),
        display_name: account.display_name.clone(),
        beneficiary: Some(proto::Beneficiary {
            name: account.beneficiary.name.clone(),
            tax_id: account.beneficiary.tax_id.as_str().to_owned(),
        }),
        issuer: Some(issuer_to_proto(account.issuer.clone())),
        provider: account.provider.as_str().to_owned(),
        credentials: account.credentials.clone().into_iter().collect(),
        is_default: account.is_default,
        version: account.version,
        create_time: Some(timestamp(account.created_at)),
        update_time: Some(timestamp(account.updated_at)),
        rounding: account.rounding.as_str().to_owned(),
        rules: rules_to_proto(&account.rules),
        next_sequence: None,
        sequences_left: None,
    }
}

/// The account with where its counter stands, if there is one.
pub fn with_counter(account: &BankAccount, next: Option<i64>) -> proto::BankAccount {
    let counted = next.filter(|_| account.issuer.numbering() == Numbering::Ours);
    let left = counted.map(|next| (account.issuer.sequence_max() + 1 - next).max(0));
    proto::BankAccount { next_sequence: counted, sequences_left: left, ..to_proto(account) }
}

fn rules_to_proto(rules: &AccountRules) -> Option<proto::AccountRules> {
    let text = |account: &Option<String>| account.clone().unwrap_or_default();
    (!rules.is_none()).then(|| proto::AccountRules {
        when_late_payment_refused: text(&rules.when_late_payment_refused),
        when_late_payment_accepted: text(&rules.when_late_payment_accepted),
        when_fine_or_interest: text(&rules.when_fine_or_interest),
    })
}

fn rules_from_proto(rules: Option<proto::AccountRules>) -> AccountRules {
    let text = |account: String| (!account.is_empty()).then_some(account);
    rules.map_or_else(AccountRules::default, |rules| AccountRules {
        when_late_payment_refused: text(rules.when_late_payment_refused),
        when_late_payment_accepted: text(rules.when_late_payment_accepted),
        when_fine_or_interest: text(rules.when_fine_or_interest),
    })
}

/// What becomes of fractions of a cent; nothing said is truncation, as most banks do.
fn rounding(name: &str, violations: &mut Vec<Violation>) -> Option<Rounding> {
    let rounding = if name.is_empty() { Some(Rounding::Truncate) } else { Rounding::from_name(name) };
    if rounding.is_none() {
        let known: Vec<&str> = Rounding::ALL.into_iter().map(Rounding::as_str).collect();
        violations.push(Violation::new("bank_account.rounding", format!("one of: {}", known.join(", "))));
    }
    rounding
}

/// The account, under an id and at a time that the caller gives; everything that is wrong with its form is a violation.
pub fn from_proto(
    account: proto::BankAccount,
    id: BankAccountId,
    tenant: TenantId,
    now: DateTime<Utc>,
    violations: &mut Vec<Violation>,
) -> Option<BankAccount> {
    let field = |name: &str| format!("bank_account.{name}");
    let external_id = optional_text(&field("external_id"), account.external_id, NAME_CHARS_MAX, violations);
    let display_name =
        optional_text(&field("display_name"), account.display_name, NAME_CHARS_MAX, violations);
    if display_name.is_none() {
        violations.push(Violation::new(field("display_name"), "required"));
    }
    let beneficiary = beneficiary(account.beneficiary, violations);
    let issuer = account.issuer.map(issuer_from_proto);
    match &issuer {
        None => violations.push(Violation::new(field("issuer"), ISSUER_NEEDED)),
        Some(issuer) => violations
            .extend(issuer.violations().into_iter().map(|v| Violation::new(field(&v.field), v.description))),
    }
    let provider = Provider::from_name(&account.provider);
    if provider.is_none() {
        let known: Vec<&str> = Provider::ALL.into_iter().map(Provider::as_str).collect();
        violations.push(Violation::new(field("provider"), format!("one of: {}", known.join(", "))));
    }
    let rounding = rounding(&account.rounding, violations);
    Some(BankAccount {
        id,
        tenant_id: tenant,
        external_id,
        display_name: display_name?,
        beneficiary: beneficiary?,
        issuer: issuer?,
        provider: provider?,
        credentials: account.credentials.into_iter().collect(),
        is_default: account.is_default,
        rounding: rounding?,
        rules: rules_from_proto(account.rules),
        version: 1,
        created_at: now,
        updated_at: now,
    })
}

fn beneficiary(
    beneficiary: Option<proto::Beneficiary>,
    violations: &mut Vec<Violation>,
) -> Option<Beneficiary> {
    let field = |name: &str| format!("bank_account.beneficiary.{name}");
    let beneficiary = beneficiary.unwrap_or_default();
    let name = optional_text(&field("name"), beneficiary.name.trim().to_owned(), 60, violations);
    if name.is_none() {
        violations.push(Violation::new(field("name"), "required"));
    }
    let tax_id = TaxId::parse(&beneficiary.tax_id)
        .map_err(|error| violations.push(Violation::new(field("tax_id"), error.to_string())))
        .ok();
    Some(Beneficiary { name: name?, tax_id: tax_id? })
}

fn issuer_to_proto(issuer: Issuer) -> ProtoIssuer {
    match issuer {
        Issuer::BancoDoBrasil { convenio, carteira, variacao, agency, account } => {
            ProtoIssuer::BancoDoBrasil(proto::BancoDoBrasilIssuer {
                convenio,
                carteira,
                variacao,
                agency: agency.unwrap_or_default(),
                account: account.unwrap_or_default(),
            })
        }
        Issuer::Bradesco { agency, account, carteira } => {
            ProtoIssuer::Bradesco(proto::BradescoIssuer { agency, account, carteira })
        }
        Issuer::Itau { agency, account, account_dac, carteira } => {
            ProtoIssuer::Itau(proto::ItauIssuer { agency, account, account_dac, carteira })
        }
        Issuer::Santander { beneficiary, carteira, ios, agency, account, workspace_id } => {
            ProtoIssuer::Santander(proto::SantanderIssuer {
                beneficiary,
                carteira,
                ios,
                agency: agency.unwrap_or_default(),
                account: account.unwrap_or_default(),
                workspace_id: workspace_id.unwrap_or_default(),
            })
        }
        Issuer::Caixa { beneficiary, agency } => {
            ProtoIssuer::Caixa(proto::CaixaIssuer { beneficiary, agency: agency.unwrap_or_default() })
        }
        Issuer::Inter { account, agency } => {
            ProtoIssuer::Inter(proto::InterIssuer { account, agency: agency.unwrap_or_default() })
        }
    }
}

fn issuer_from_proto(issuer: ProtoIssuer) -> Issuer {
    let optional = |text: String| (!text.is_empty()).then_some(text);
    match issuer {
        ProtoIssuer::BancoDoBrasil(issuer) => Issuer::BancoDoBrasil {
            convenio: issuer.convenio,
            carteira: issuer.carteira,
            variacao: issuer.variacao,
            agency: optional(issuer.agency),
            account: optional(issuer.account),
        },
        ProtoIssuer::Bradesco(issuer) => {
            Issuer::Bradesco { agency: issuer.agency, account: issuer.account, carteira: issuer.carteira }
        }
        ProtoIssuer::Itau(issuer) => Issuer::Itau {
            agency: issuer.agency,
            account: issuer.account,
            account_dac: issuer.account_dac,
            carteira: issuer.carteira,
        },
        ProtoIssuer::Santander(issuer) => Issuer::Santander {
            beneficiary: issuer.beneficiary,
            carteira: issuer.carteira,
            ios: optional(issuer.ios).unwrap_or_else(|| "0".to_owned()),
            agency: optional(issuer.agency),
            account: optional(issuer.account),
            workspace_id: optional(issuer.workspace_id),
        },
        ProtoIssuer::Caixa(issuer) => {
            Issuer::Caixa { beneficiary: issuer.beneficiary, agency: optional(issuer.agency) }
        }
        ProtoIssuer::Inter(issuer) => {
            Issuer::Inter { account: issuer.account, agency: optional(issuer.agency) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_issuer_comes_back_as_it_went() {
        for written in [
            r#"{"bank":"banco_do_brasil","convenio":"123456","carteira":"17","variacao":"19","agency":"1","account":"2"}"#,
            r#"{"bank":"bradesco","agency":"1234","account":"345","carteira":"09"}"#,
            r#"{"bank":"itau","agency":"0057","account":"12345","account_dac":"7","carteira":"109"}"#,
            r#"{"bank":"santander","beneficiary":"1899775","carteira":"101","ios":"7","agency":"0059","account":"1","workspace_id":"a-1"}"#,
            r#"{"bank":"santander","beneficiary":"1899775","carteira":"101"}"#,
            r#"{"bank":"caixa","beneficiary":"245274","agency":"1825"}"#,
            r#"{"bank":"inter","account":"1234567"}"#,
        ] {
            let issuer: Issuer = serde_json::from_str(written).unwrap();
            assert_eq!(issuer_from_proto(issuer_to_proto(issuer.clone())), issuer);
        }
    }

    #[test]
    fn santanders_ios_may_be_left_out() {
        let issuer = issuer_from_proto(ProtoIssuer::Santander(proto::SantanderIssuer {
            beneficiary: "1899775".to_owned(),
            carteira: "101".to_owned(),
            ..proto::SantanderIssuer::default()
        }));
        assert_eq!(issuer.violations(), []);
    }
}
