//! Values in the form's own writing: amounts, dates, tax ids and addresses as Brazilians print them.
//!
//! **Owns** nothing. **Fails** never. **Limits**: none of its own.

use chrono::{Datelike as _, NaiveDate};

use super::document::Party;
use super::latin::NO_BREAK;
use crate::domain::money::Cents;
use crate::domain::payer::Address;
use crate::domain::tax_id::{TaxId, TaxIdKind};

/// `1.234,56`.
pub fn amount(cents: Cents) -> String {
    let sign = if cents.0 < 0 { "-" } else { "" };
    let cents = cents.0.unsigned_abs();
    let whole = (cents / 100).to_string();
    let mut grouped = String::with_capacity(whole.len() + whole.len() / 3);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push('.');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped},{:02}", cents % 100)
}

/// `22/11/2026`.
pub fn date(date: NaiveDate) -> String {
    format!("{:02}/{:02}/{:04}", date.day(), date.month(), date.year())
}

/// `CPF 529.982.247-25`, `CNPJ 12.ABC.345/01DE-35`, with a space that no line ends at.
pub fn printed_tax_id(tax_id: &TaxId) -> String {
    let text = tax_id.as_str();
    match tax_id.kind() {
        TaxIdKind::Cpf => {
            format!("CPF{NO_BREAK}{}.{}.{}-{}", &text[..3], &text[3..6], &text[6..9], &text[9..])
        }
        TaxIdKind::Cnpj => {
            format!(
                "CNPJ{NO_BREAK}{}.{}.{}/{}-{}",
                &text[..2],
                &text[2..5],
                &text[5..8],
                &text[8..12],
                &text[12..]
            )
        }
    }
}

/// An address in one line: `Rua das Acácias, 308, apto 12 - Centro - São Paulo/SP - CEP 01310-100`.
pub fn postal_address(address: &Address) -> String {
    let complement =
        if address.complement.is_empty() { String::new() } else { format!(", {}", address.complement) };
    let Address { street, number, district, city, state, postal_code, .. } = address;
    let postal_code = match postal_code.split_at_checked(5) {
        Some((region, rest)) => format!("{region}-{rest}"),
        None => postal_code.clone(),
    };
    format!("{street}, {number}{complement} - {district} - {city}/{state} - CEP {postal_code}")
}

/// Somebody in two paragraphs: the name with the tax id, then the address where there is one.
pub fn party(party: &Party) -> Vec<String> {
    let first = match &party.tax_id {
        Some(tax_id) => format!("{} - {}", party.name, printed_tax_id(tax_id)),
        None => party.name.clone(),
    };
    std::iter::once(first).chain(party.address.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_grouped_by_thousands() {
        for (cents, printed) in [
            (0, "0,00"),
            (7, "0,07"),
            (12_590, "125,90"),
            (100_000, "1.000,00"),
            (9_999_999_999, "99.999.999,99"),
            (-150, "-1,50"),
        ] {
            assert_eq!(amount(Cents(cents)), printed);
        }
    }

    #[test]
    fn tax_ids_and_addresses_are_printed_as_people_read_them() {
        assert_eq!(printed_tax_id(&TaxId::parse("52998224725").unwrap()), "CPF\u{a0}529.982.247-25");
        assert_eq!(printed_tax_id(&TaxId::parse("12ABC34501DE35").unwrap()), "CNPJ\u{a0}12.ABC.345/01DE-35");
        let address = Address {
            street: "Rua das Acácias".into(),
            number: "308".into(),
            complement: "apto 12".into(),
            district: "Centro".into(),
            city: "São Paulo".into(),
            state: "SP".into(),
            postal_code: "01310100".into(),
        };
        assert_eq!(
            postal_address(&address),
            "Rua das Acácias, 308, apto 12 - Centro - São Paulo/SP - CEP 01310-100"
        );
    }
}
