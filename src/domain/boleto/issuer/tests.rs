//! The rules of agreements against the published codes, what a configuration can get wrong, and what is printed.

mod configuration;
mod properties;
mod published;

use super::*;

fn text(digits: &str) -> String {
    digits.to_owned()
}

fn banco_do_brasil(convenio: &str) -> Issuer {
    Issuer::BancoDoBrasil {
        convenio: text(convenio),
        carteira: text("17"),
        variacao: text("35"),
        agency: Some(text("1234")),
        account: Some(text("123456")),
    }
}

fn bradesco(agency: &str, account: &str, carteira: &str) -> Issuer {
    Issuer::Bradesco { agency: text(agency), account: text(account), carteira: text(carteira) }
}

fn itau(carteira: &str) -> Issuer {
    Issuer::Itau {
        agency: text("0057"),
        account: text("12345"),
        account_dac: text("7"),
        carteira: text(carteira),
    }
}

fn santander(beneficiary: &str, carteira: &str) -> Issuer {
    Issuer::Santander {
        beneficiary: text(beneficiary),
        carteira: text(carteira),
        ios: text("0"),
        agency: Some(text("0059")),
        account: None,
        workspace_id: None,
    }
}

fn caixa(beneficiary: &str) -> Issuer {
    Issuer::Caixa { beneficiary: text(beneficiary), agency: Some(text("1825")) }
}

fn inter() -> Issuer {
    Issuer::Inter { account: text("1234567"), agency: Some(text("0001")) }
}

/// The barcode of one cent that is due in December 2026.
fn barcode_of(issuer: &Issuer, sequence: i64) -> Barcode {
    issuer.compose(sequence, Cents(1), date("2026-12-10")).unwrap().barcode.unwrap()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}
