//! From a payer or a company of the service before to ours.
//!
//! **Owns** nothing. **Fails** with every rule of ours that is broken, by field. Blanks around a text, the punctuation of a
//! postal code and the full name of a state are a way of writing, which that service normalised as well before it asked a
//! bank; everything else stands as it was.

use serde_json::Value;

use crate::domain::boleto::terms::Guarantor;
use crate::domain::payer::{Address, Payer, name_violations};
use crate::domain::tax_id::{TaxId, TaxIdKind};
use crate::domain::violation::Violation;

/// Full names without accents, in lower case, and their codes.
const STATES: [(&str, &str); 27] = [
    ("acre", "AC"),
    ("alagoas", "AL"),
    ("amapa", "AP"),
    ("amazonas", "AM"),
    ("bahia", "BA"),
    ("ceara", "CE"),
    ("distrito federal", "DF"),
    ("espirito santo", "ES"),
    ("goias", "GO"),
    ("maranhao", "MA"),
    ("mato grosso", "MT"),
    ("mato grosso do sul", "MS"),
    ("minas gerais", "MG"),
    ("para", "PA"),
    ("paraiba", "PB"),
    ("parana", "PR"),
    ("pernambuco", "PE"),
    ("piaui", "PI"),
    ("rio de janeiro", "RJ"),
    ("rio grande do norte", "RN"),
    ("rio grande do sul", "RS"),
    ("rondonia", "RO"),
    ("roraima", "RR"),
    ("santa catarina", "SC"),
    ("sao paulo", "SP"),
    ("sergipe", "SE"),
    ("tocantins", "TO"),
];

/// A person or a company as the other database has it.
pub(super) struct Given<'a> {
    pub name: Option<&'a str>,
    pub number: Option<&'a str>,
    /// `cpf` or `cnpj`, where it was said.
    pub kind: Option<&'a str>,
    pub address: Option<&'a Value>,
}

pub(super) fn payer(given: &Given<'_>, found: &mut Vec<Violation>) -> Option<Payer> {
    let before = found.len();
    let name = given.name.unwrap_or_default().trim().to_owned();
    found.extend(name_violations(&name));
    let tax_id = tax_id("payer_document_number", given, found);
    let address = address("payer_address", given.address, found);
    (found.len() == before).then_some(Payer { name, tax_id: tax_id?, address: address? })
}

/// The company on whose behalf it was collected; none where there was none.
pub(super) fn guarantor(given: &Given<'_>, found: &mut Vec<Violation>) -> Option<Guarantor> {
    let before = found.len();
    let name = given.name.unwrap_or_default().trim().to_owned();
    let number = given.number.unwrap_or_default().trim();
    if name.is_empty() && number.is_empty() {
        return None;
    }
    if name.is_empty() || name.chars().count() > 60 || name.chars().any(char::is_control) {
        found.push(Violation::new("company_name", "1 to 60 characters, without control characters"));
    }
    let tax_id = tax_id("company_document_number", given, found);
    let address = address("company_address", given.address, found);
    (found.len() == before).then_some(Guarantor { name, tax_id: tax_id?, address })
}

fn tax_id(field: &str, given: &Given<'_>, found: &mut Vec<Violation>) -> Option<TaxId> {
    let text = given.number.unwrap_or_default();
    let read = match given.kind {
        Some("cpf") => TaxId::parse_as(TaxIdKind::Cpf, text),
        Some("cnpj") => TaxId::parse_as(TaxIdKind::Cnpj, text),
        _ => TaxId::parse(text),
    };
    read.map_err(|error| found.push(Violation::new(field, error.to_string()))).ok()
}

fn address(field: &str, given: Option<&Value>, found: &mut Vec<Violation>) -> Option<Address> {
    let Some(Value::Object(given)) = given else {
        found.push(Violation::new(field, "required"));
        return None;
    };
    let text = |name: &str| match given.get(name) {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let is_punctuation = |character: &char| matches!(character, '-' | '.' | ' ');
    let address = Address {
        street: text("street"),
        number: text("street_number"),
        complement: text("complementary"),
        district: text("neighborhood"),
        city: text("city"),
        state: state(&text("state")),
        postal_code: text("zipcode").chars().filter(|character| !is_punctuation(character)).collect(),
    };
    let violations = address.violations(field);
    let is_whole = violations.is_empty();
    found.extend(violations);
    is_whole.then_some(address)
}

fn state(text: &str) -> String {
    let plain: String = text.to_lowercase().chars().map(without_accent).collect();
    match STATES.iter().find(|(name, _)| *name == plain) {
        Some((_, code)) => (*code).to_owned(),
        None => text.to_uppercase(),
    }
}

/// The letters that names of states have.
fn without_accent(letter: char) -> char {
    match letter {
        'á' | 'ã' | 'â' => 'a',
        'é' | 'ê' => 'e',
        'í' => 'i',
        'ó' | 'ô' => 'o',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn whole() -> Value {
        json!({"zipcode": "04551-010", "street": "Rua Fidêncio Ramos", "street_number": 308, "complementary": null,
            "neighborhood": "Vila Olímpia", "city": "São Paulo", "state": "são paulo "})
    }

    fn given<'a>(number: &'a str, kind: &'a str, address: &'a Value) -> Given<'a> {
        Given {
            name: Some(" Conceição Araújo "),
            number: Some(number),
            kind: Some(kind),
            address: Some(address),
        }
    }

    #[test]
    fn a_way_of_writing_is_no_fault() {
        let (mut found, address) = (Vec::new(), whole());
        let payer = payer(&given("529.982.247-25", "cpf", &address), &mut found).unwrap();
        assert_eq!((payer.name.as_str(), payer.tax_id.as_str()), ("Conceição Araújo", "52998224725"));
        let address = &payer.address;
        assert_eq!((address.state.as_str(), address.number.as_str()), ("SP", "308"));
        assert_eq!((address.postal_code.as_str(), address.complement.as_str()), ("04551010", ""));
        assert_eq!(state("Rondônia"), "RO");
        assert_eq!(state("sp"), "SP");
        assert_eq!(state("nowhere"), "NOWHERE");
    }

    #[test]
    fn everything_that_is_wrong_is_named_at_once() {
        let mut found = Vec::new();
        let address = json!({"zipcode": "1", "street": "Rua", "state": "SP"});
        let nobody =
            Given { name: None, number: Some("52998224724"), kind: Some("cpf"), address: Some(&address) };
        assert_eq!(payer(&nobody, &mut found), None);
        let fields: Vec<&str> = found.iter().map(|violation| violation.field.as_str()).collect();
        let expected = [
            "payer.name",
            "payer_document_number",
            "payer_address.number",
            "payer_address.district",
            "payer_address.city",
            "payer_address.postal_code",
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn a_number_of_the_other_kind_is_wrong() {
        let (mut found, address) = (Vec::new(), whole());
        assert_eq!(payer(&given("18727053000174", "cpf", &address), &mut found), None);
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn there_may_be_no_company_and_never_half_a_one() {
        let (mut found, address) = (Vec::new(), whole());
        let none = Given { name: None, number: Some(""), kind: None, address: Some(&address) };
        assert_eq!(guarantor(&none, &mut found), None);
        assert!(found.is_empty());
        let half = Given { name: Some("Some Company"), number: None, kind: None, address: Some(&address) };
        assert_eq!(guarantor(&half, &mut found), None);
        assert_eq!(found.len(), 1);
    }
}
