//! Who owes, and where they live, as a bank wants to know it.
//!
//! **Owns** nothing. Personal data: `Debug` shows none of it.
//! **Limits**: lengths are checked by [`Address::violations`] and [`Payer::violations`], all at once.

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::mask::{MASKED, is_masked};
use super::tax_id::TaxId;
use super::violation::Violation;

/// The payer of a boleto (pagador). Mandatory at registration, address included.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payer {
    /// Full name or company name, 1 to 60 characters.
    pub name: String,
    pub tax_id: TaxId,
    pub address: Address,
}

/// Nobody, as a payer of whom nothing is left is kept: a text that reads like any other payer's. The tax id is one that no person has.
/// It must never change, for it is looked for word for word.
pub const ERASED: &str = r#"{"name":"erased","tax_id":"00000000191","address":{"street":"erased","number":"0","district":"erased","city":"erased","state":"DF","postal_code":"70000000"}}"#;

/// The name under which nobody pays.
const NOBODY: (&str, &str) = ("erased", "00000000191");

/// A Brazilian postal address.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Street name without the number, 1 to 60 characters.
    pub street: String,
    /// Number in the street as printed ("308", "S/N"), 1 to 10 characters.
    pub number: String,
    /// Flat, floor, block; may be empty, at most 40 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub complement: String,
    /// Bairro, 1 to 40 characters.
    pub district: String,
    /// 1 to 40 characters.
    pub city: String,
    /// Two upper-case letters of one of the 27 federative units.
    pub state: String,
    /// CEP: exactly eight digits, never `00000000`. Text, because leading zeros matter.
    pub postal_code: String,
}

/// The 27 federative units.
const STATES: [&str; 27] = [
    "AC", "AL", "AM", "AP", "BA", "CE", "DF", "ES", "GO", "MA", "MG", "MS", "MT", "PA", "PB", "PE", "PI",
    "PR", "RJ", "RN", "RO", "RR", "RS", "SC", "SE", "SP", "TO",
];

impl Payer {
    /// Whether nothing is left of who it was.
    pub fn is_erased(&self) -> bool {
        (self.name.as_str(), self.tax_id.as_str()) == NOBODY
    }

    /// Every rule that the payer breaks, with paths from `payer.` on. A tax id is right by construction.
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = name_violations(&self.name);
        found.extend(self.address.violations("payer.address"));
        found
    }
}

/// Every rule that a payer's name breaks, whatever the rest of the payer is like.
pub fn name_violations(name: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    text(&mut found, "payer", "name", name, 1..=60);
    found
}

impl Address {
    /// Every rule that the address breaks, with paths from `prefix.` on.
    pub fn violations(&self, prefix: &str) -> Vec<Violation> {
        let mut found = Vec::new();
        text(&mut found, prefix, "street", &self.street, 1..=60);
        text(&mut found, prefix, "number", &self.number, 1..=10);
        text(&mut found, prefix, "complement", &self.complement, 0..=40);
        text(&mut found, prefix, "district", &self.district, 1..=40);
        text(&mut found, prefix, "city", &self.city, 1..=40);
        if !STATES.contains(&self.state.as_str()) {
            let rule = "two upper-case letters of one of the 27 federative units";
            found.push(Violation::new(format!("{prefix}.state"), rule));
        }
        let digits = self.postal_code.bytes().all(|byte| byte.is_ascii_digit());
        if self.postal_code.len() != 8 || !digits || self.postal_code == "00000000" {
            let rule = "a CEP of exactly 8 digits, not all of them 0";
            found.push(Violation::new(format!("{prefix}.postal_code"), rule));
        }
        found
    }
}

/// Checks one line of text: its length in characters, that it says something, and that nothing in it steers a printer.
fn text(found: &mut Vec<Violation>, prefix: &str, field: &str, value: &str, lengths: RangeInclusive<usize>) {
    let (min, max) = (*lengths.start(), *lengths.end());
    let blank = min > 0 && value.trim().is_empty();
    // The bytes are looked at first, so that a very long text is not counted to its end.
    let fits = value.len() <= max * 4 && lengths.contains(&value.chars().count());
    if blank || !fits {
        let rule =
            if min == 0 { format!("at most {max} characters") } else { format!("{min} to {max} characters") };
        found.push(Violation::new(format!("{prefix}.{field}"), rule));
    } else if value.chars().any(char::is_control) {
        found.push(Violation::new(format!("{prefix}.{field}"), "no control characters"));
    } else if is_masked(value) {
        found.push(Violation::new(format!("{prefix}.{field}"), MASKED));
    }
}

impl fmt::Debug for Payer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Payer(masked)")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(masked)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payer() -> Payer {
        Payer {
            name: "Conceição Araújo".to_owned(),
            tax_id: TaxId::parse("52998224725").unwrap(),
            address: Address {
                street: "Rua Fidêncio Ramos".to_owned(),
                number: "308".to_owned(),
                complement: String::new(),
                district: "Vila Olímpia".to_owned(),
                city: "São Paulo".to_owned(),
                state: "SP".to_owned(),
                postal_code: "04551010".to_owned(),
            },
        }
    }

    fn fields(payer: &Payer) -> Vec<String> {
        payer.violations().into_iter().map(|violation| violation.field).collect()
    }

    #[test]
    fn a_whole_payer_breaks_nothing() {
        assert_eq!(payer().violations(), []);
    }

    #[test]
    fn everything_wrong_is_named_at_once() {
        let mut wrong = payer();
        wrong.name = " \t ".to_owned();
        wrong.address = Address {
            street: String::new(),
            number: "12345678901".to_owned(),
            complement: "x".repeat(41),
            district: "Vila\u{7}".to_owned(),
            city: "x".repeat(1_000_000),
            state: "sp".to_owned(),
            postal_code: "00000000".to_owned(),
        };
        let expected = ["name", "address.street", "address.number", "address.complement", "address.district"];
        let expected = expected.into_iter().chain(["address.city", "address.state", "address.postal_code"]);
        assert_eq!(fields(&wrong), expected.map(|field| format!("payer.{field}")).collect::<Vec<_>>());
    }

    #[test]
    fn lengths_count_characters_and_not_bytes() {
        let mut long = payer();
        long.name = "ç".repeat(60);
        assert_eq!(long.violations(), []);
        long.name.push('a');
        assert_eq!(fields(&long), ["payer.name"]);
    }

    #[test]
    fn nobody_writes_back_what_was_masked() {
        let mut seen = payer();
        seen.name = "C*** A***".to_owned();
        seen.address.street = "***".to_owned();
        assert_eq!(fields(&seen), ["payer.name", "payer.address.street"]);
    }

    #[test]
    fn a_postal_code_is_eight_digits() {
        for text in ["", "4551010", "04551-010", "0455101a", "０4551010", "045510100"] {
            let mut wrong = payer();
            wrong.address.postal_code = text.to_owned();
            assert_eq!(fields(&wrong), ["payer.address.postal_code"], "{text}");
        }
    }

    #[test]
    fn debug_shows_nothing_of_a_person() {
        assert_eq!(format!("{:?}", payer()), "Payer(masked)");
        assert_eq!(format!("{:?}", payer().address), "Address(masked)");
    }

    #[test]
    fn nobody_reads_like_any_other_payer_and_is_told_from_them() {
        let nobody: Payer = serde_json::from_str(ERASED).unwrap();
        assert!(nobody.is_erased() && nobody.violations().is_empty());
        assert_eq!(serde_json::to_string(&nobody).unwrap(), ERASED);
    }
}
