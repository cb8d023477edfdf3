//! Bank accounts.

use serde_json::{Value, json};

use super::time;
use crate::cli::table::Column;
use crate::proto::boleto::v1::bank_account::Issuer;
use crate::proto::boleto::v1::{
    AccountRules, BancoDoBrasilIssuer, BankAccount, Beneficiary, BradescoIssuer, CaixaIssuer, InterIssuer,
    ItauIssuer, SantanderIssuer,
};

/// What a list shows of each.
pub const ROW: [Column; 7] = [
    Column::plain("ID", "/id"),
    Column::plain("EXTERNAL ID", "/external_id"),
    Column::plain("NAME", "/display_name"),
    Column { title: "AGREEMENT", pointer: "", show: agreement },
    Column::plain("PROVIDER", "/provider"),
    Column::plain("DEFAULT", "/is_default"),
    Column::plain("VERSION", "/version"),
];

/// What is shown of one.
pub const DETAIL: [Column; 21] = [
    Column::plain("id", "/id"),
    Column::plain("external id", "/external_id"),
    Column::plain("name", "/display_name"),
    Column::plain("beneficiary", "/beneficiary/name"),
    Column::plain("tax id", "/beneficiary/tax_id"),
    Column::plain("banco do brasil", "/banco_do_brasil"),
    Column::plain("bradesco", "/bradesco"),
    Column::plain("itaú", "/itau"),
    Column::plain("santander", "/santander"),
    Column::plain("caixa", "/caixa"),
    Column::plain("inter", "/inter"),
    Column::plain("provider", "/provider"),
    Column::plain("credentials", "/credentials"),
    Column::plain("default", "/is_default"),
    Column::plain("rounding", "/rounding"),
    Column::plain("rules", "/rules"),
    Column::plain("next sequence", "/next_sequence"),
    Column::plain("sequences left", "/sequences_left"),
    Column::plain("version", "/version"),
    Column::time("created", "/create_time"),
    Column::time("updated", "/update_time"),
];

/// The fields of which one holds the agreement.
const ISSUERS: [&str; 6] = ["banco_do_brasil", "bradesco", "itau", "santander", "caixa", "inter"];

/// The bank and by what it knows the beneficiary, such as `itau 0057/12345/109`.
fn agreement(document: &Value) -> String {
    let Some(bank) = ISSUERS.into_iter().find(|bank| document[*bank].is_object()) else {
        return String::new();
    };
    let numbers: Vec<&str> = ["convenio", "beneficiary", "agency", "account", "carteira"]
        .into_iter()
        .filter_map(|number| document[bank][number].as_str().filter(|digits| !digits.is_empty()))
        .collect();
    format!("{bank} {}", numbers.join("/"))
}

pub(super) fn rules(rules: &AccountRules) -> Value {
    json!({
        "when_late_payment_refused": rules.when_late_payment_refused,
        "when_late_payment_accepted": rules.when_late_payment_accepted,
        "when_fine_or_interest": rules.when_fine_or_interest,
    })
}

/// The bank account as a document.
pub fn bank_account(account: &BankAccount) -> Value {
    let mut document = json!({
        "id": account.id,
        "external_id": account.external_id,
        "display_name": account.display_name,
        "beneficiary": account.beneficiary.as_ref().map(beneficiary),
        "banco_do_brasil": null,
        "bradesco": null,
        "itau": null,
        "santander": null,
        "caixa": null,
        "inter": null,
        "provider": account.provider,
        "credentials": account.credentials,
        "is_default": account.is_default,
        "rounding": account.rounding,
        "rules": account.rules.as_ref().map(rules),
        "version": account.version,
        "create_time": time(account.create_time.as_ref()),
        "update_time": time(account.update_time.as_ref()),
        "next_sequence": account.next_sequence,
        "sequences_left": account.sequences_left,
    });
    if let Some((bank, issuer)) = account.issuer.as_ref().map(issuer) {
        document[bank] = issuer;
    }
    document
}

/// The agreement, and the field that holds it.
fn issuer(issuer: &Issuer) -> (&'static str, Value) {
    match issuer {
        Issuer::BancoDoBrasil(issuer) => ("banco_do_brasil", banco_do_brasil(issuer)),
        Issuer::Bradesco(issuer) => ("bradesco", bradesco(issuer)),
        Issuer::Itau(issuer) => ("itau", itau(issuer)),
        Issuer::Santander(issuer) => ("santander", santander(issuer)),
        Issuer::Caixa(issuer) => ("caixa", caixa(issuer)),
        Issuer::Inter(issuer) => ("inter", inter(issuer)),
    }
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

pub(super) fn itau(issuer: &ItauIssuer) -> Value {
    json!({
        "agency": issuer.agency,
        "account": issuer.account,
        "account_dac": issuer.account_dac,
        "carteira": issuer.carteira,
    })
}

pub(super) fn santander(issuer: &SantanderIssuer) -> Value {
    json!({
        "beneficiary": issuer.beneficiary,
        "carteira": issuer.carteira,
        "ios": issuer.ios,
        "agency": issuer.agency,
        "account": issuer.account,
        "workspace_id": issuer.workspace_id,
    })
}

pub(super) fn caixa(issuer: &CaixaIssuer) -> Value {
    json!({ "beneficiary": issuer.beneficiary, "agency": issuer.agency })
}

pub(super) fn inter(issuer: &InterIssuer) -> Value {
    json!({ "account": issuer.account, "agency": issuer.agency })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_shows_by_what_the_bank_knows_the_beneficiary() {
        let shown = |issuer| agreement(&bank_account(&BankAccount { issuer, ..BankAccount::default() }));
        let (agency, account) = ("0057".to_owned(), "12345".to_owned());
        let (account_dac, carteira) = ("7".to_owned(), "109".to_owned());
        let itau = Issuer::Itau(ItauIssuer { agency, account, account_dac, carteira });
        assert_eq!(shown(Some(itau)), "itau 0057/12345/109");
        let beneficiary = "245274".to_owned();
        let caixa = Issuer::Caixa(CaixaIssuer { beneficiary, ..CaixaIssuer::default() });
        assert_eq!(shown(Some(caixa)), "caixa 245274");
        assert_eq!(shown(None), "");
        for issuer in [
            Issuer::BancoDoBrasil(Default::default()),
            Issuer::Bradesco(Default::default()),
            Issuer::Santander(Default::default()),
            Issuer::Inter(Default::default()),
        ] {
            assert_ne!(shown(Some(issuer)), "", "a bank that the list does not know");
        }
    }
}
