//! Bank accounts.

use serde_json::{Value, json};

use super::time;
use crate::cli::table::Column;
use crate::proto::boleto::v1::bank_account::Issuer;
use crate::proto::boleto::v1::{BancoDoBrasilIssuer, BankAccount, Beneficiary, BradescoIssuer};

/// What a list shows of each.
pub const ROW: [Column; 6] = [
    Column::plain("ID", "/id"),
    Column::plain("EXTERNAL ID", "/external_id"),
    Column::plain("NAME", "/display_name"),
    Column::plain("PROVIDER", "/provider"),
    Column::plain("DEFAULT", "/is_default"),
    Column::plain("VERSION", "/version"),
];

/// What is shown of one.
pub const DETAIL: [Column; 13] = [
    Column::plain("id", "/id"),
    Column::plain("external id", "/external_id"),
    Column::plain("name", "/display_name"),
    Column::plain("beneficiary", "/beneficiary/name"),
    Column::plain("tax id", "/beneficiary/tax_id"),
    Column::plain("banco do brasil", "/banco_do_brasil"),
    Column::plain("bradesco", "/bradesco"),
    Column::plain("provider", "/provider"),
    Column::plain("credentials", "/credentials"),
    Column::plain("default", "/is_default"),
    Column::plain("version", "/version"),
    Column::time("created", "/create_time"),
    Column::time("updated", "/update_time"),
];

/// The bank account as a document.
pub fn bank_account(account: &BankAccount) -> Value {
    let (banco_do_brasil, bradesco) = match &account.issuer {
        Some(Issuer::BancoDoBrasil(issuer)) => (self::banco_do_brasil(issuer), Value::Null),
        Some(Issuer::Bradesco(issuer)) => (Value::Null, self::bradesco(issuer)),
        None => (Value::Null, Value::Null),
    };
    json!({
        "id": account.id,
        "external_id": account.external_id,
        "display_name": account.display_name,
        "beneficiary": account.beneficiary.as_ref().map(beneficiary),
        "banco_do_brasil": banco_do_brasil,
        "bradesco": bradesco,
        "provider": account.provider,
        "credentials": account.credentials,
        "is_default": account.is_default,
        "version": account.version,
        "create_time": time(account.create_time.as_ref()),
        "update_time": time(account.update_time.as_ref()),
    })
}

pub(super) fn beneficiary(beneficiary: &Beneficiary) -> Value {
    json!({ "name": beneficiary.name, "tax_id": beneficiary.tax_id })
}

pub(super) fn banco_do_brasil(issuer: &BancoDoBrasilIssuer) -> Value {
    json!({
        "convenio": issuer.convenio,
        "carteira": issuer.carteira,
        "variacao": issuer.variacao,
        "agency": issuer.agency,
        "account": issuer.account,
    })
}

pub(super) fn bradesco(issuer: &BradescoIssuer) -> Value {
    json!({ "agency": issuer.agency, "account": issuer.account, "carteira": issuer.carteira })
}
