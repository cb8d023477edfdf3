//! Bank accounts.

use chrono::{DateTime, Utc};

use super::timestamp;
use crate::domain::bank_account::{BankAccount, Beneficiary, Provider};
use crate::domain::boleto::issuer::Issuer;
use crate::domain::ids::{BankAccountId, TenantId};
use crate::domain::tax_id::TaxId;
use crate::domain::violation::Violation;
use crate::grpc::request::optional_text;
use crate::proto::boleto::v1 as proto;
use crate::proto::boleto::v1::bank_account::Issuer as ProtoIssuer;

const NAME_CHARS_MAX: usize = 255;

pub fn to_proto(account: &BankAccount) -> proto::BankAccount {
    let issuer = match account.issuer.clone() {
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
    };
    proto::BankAccount {
        id: account.id.to_string(),
        external_id: account.external_id.clone().unwrap_or_default(),
        display_name: account.display_name.clone(),
        beneficiary: Some(proto::Beneficiary {
            name: account.beneficiary.name.clone(),
            tax_id: account.beneficiary.tax_id.as_str().to_owned(),
        }),
        issuer: Some(issuer),
        provider: account.provider.as_str().to_owned(),
        credentials: account.credentials.clone().into_iter().collect(),
        is_default: account.is_default,
        version: account.version,
        create_time: Some(timestamp(account.created_at)),
        update_time: Some(timestamp(account.updated_at)),
    }
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
    let issuer = account.issuer.map(issuer);
    match &issuer {
        None => violations.push(Violation::new(field("issuer"), "required: banco_do_brasil or bradesco")),
        Some(issuer) => violations
            .extend(issuer.violations().into_iter().map(|v| Violation::new(field(&v.field), v.description))),
    }
    let provider = Provider::from_name(&account.provider);
    if provider.is_none() {
        let known: Vec<&str> = Provider::ALL.into_iter().map(Provider::as_str).collect();
        violations.push(Violation::new(field("provider"), format!("one of: {}", known.join(", "))));
    }
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

fn issuer(issuer: ProtoIssuer) -> Issuer {
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
    }
}
