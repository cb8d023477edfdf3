//! What every bank's rules are made of: lengths, digits, dates, documents, amounts.
//!
//! **Owns** the faults found so far, so that a caller learns all of them at once.
//! **Fails** never; each bank turns the list into its own shape of error.
//! **Limits**: the texts name a field and never repeat a value.

use chrono::NaiveDate;

use super::documents::{is_cnpj_text, is_cpf_text};

/// The units of the federation.
pub const STATES: [&str; 27] = [
    "AC", "AL", "AM", "AP", "BA", "CE", "DF", "ES", "GO", "MA", "MG", "MS", "MT", "PA", "PB", "PE", "PI",
    "PR", "RJ", "RN", "RO", "RR", "RS", "SC", "SE", "SP", "TO",
];

/// The most that ten digits of a barcode hold.
pub const CENTS_MAX: u64 = 9_999_999_999;

/// One broken rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken {
    pub field: String,
    pub text: &'static str,
}

/// The rules broken so far.
#[derive(Debug, Default)]
pub struct Rules(pub Vec<Broken>);

impl Rules {
    pub fn require(&mut self, holds: bool, field: &str, text: &'static str) {
        if !holds {
            self.0.push(Broken { field: field.to_owned(), text });
        }
    }

    /// Not blank, and no longer than so many characters.
    pub fn text(&mut self, field: &str, value: &str, length_max: usize) {
        let fits = !value.trim().is_empty() && value.chars().count() <= length_max;
        self.require(fits, field, "vazio ou longo demais");
    }

    /// Absent, or no longer than so many characters.
    pub fn optional(&mut self, field: &str, value: Option<&str>, length_max: usize) {
        self.require(value.is_none_or(|value| value.chars().count() <= length_max), field, "longo demais");
    }

    pub fn one_of(&mut self, field: &str, value: &str, allowed: &[&str]) {
        self.require(allowed.contains(&value), field, "valor não previsto");
    }

    /// Exactly so many digits.
    pub fn digits(&mut self, field: &str, value: &str, length: usize) {
        let fits = value.len() == length && value.bytes().all(|byte| byte.is_ascii_digit());
        self.require(fits, field, "quantidade de dígitos inválida");
    }

    /// `AAAA-MM-DD`, from the day on which the due-date factor has four digits.
    pub fn date(&mut self, field: &str, text: &str) -> Option<NaiveDate> {
        let first = NaiveDate::from_ymd_opt(2000, 7, 3).expect("that day exists");
        let date = iso_date(text).filter(|date| *date >= first);
        self.require(date.is_some(), field, "não é uma data AAAA-MM-DD");
        date
    }

    /// An amount that a barcode holds.
    pub fn cents(&mut self, field: &str, cents: Option<u64>, cents_min: u64) -> u64 {
        let cents = cents.filter(|cents| (cents_min..=CENTS_MAX).contains(cents));
        self.require(cents.is_some(), field, "valor fora da faixa");
        cents.unwrap_or(0)
    }

    /// A CPF for a person, a CNPJ for a company.
    pub fn document(&mut self, field: &str, company: bool, text: &str) {
        let fits = if company { is_cnpj_text(text) } else { is_cpf_text(text) };
        self.require(fits, field, "dígito verificador inválido");
    }

    pub fn state(&mut self, field: &str, value: &str) {
        self.require(STATES.contains(&value), field, "desconhecida");
    }
}

/// `AAAA-MM-DD` and nothing else.
pub fn iso_date(text: &str) -> Option<NaiveDate> {
    (text.len() == 10).then(|| text.parse().ok())?
}

/// Cents of an amount written with a point and at most two places, such as `150.00`.
pub fn cents(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) {
        return None;
    }
    let part: u64 = match part.len() {
        0 => 0,
        1 => part.parse::<u64>().ok()? * 10,
        2 => part.parse().ok()?,
        _ => return None,
    };
    whole.parse::<u64>().ok()?.checked_mul(100)?.checked_add(part)
}

/// The shortest text that reads back as the same number shows how many places were sent.
pub fn cents_of_number(value: f64) -> Option<u64> {
    cents(&value.to_string())
}

/// A JSON number of reais. Ten digits of cents are far below the precision of a double.
pub fn number_of_reais(cents: u64) -> f64 {
    cents as f64 / 100.0
}

/// An amount as text, with its two places.
pub fn text_of_reais(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_dates_are_read_whole_or_not_at_all() {
        for (text, expected) in [("150.00", 15_000), ("150.5", 15_050), ("150", 15_000), ("0.07", 7)] {
            assert_eq!(cents(text), Some(expected), "{text}");
        }
        for text in ["", ".5", "1.005", "-1", "1e3", "+1", "1,00", "99999999999999999999"] {
            assert_eq!(cents(text), None, "{text}");
        }
        assert!(iso_date("2026-12-10").is_some());
        for text in ["2026-2-10", "10.12.2026", "2026-02-30", "2026-12-10T00"] {
            assert!(iso_date(text).is_none(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn cents_survive_their_way_through_a_number(sent in 1_u64..=CENTS_MAX) {
            let number: f64 = text_of_reais(sent).parse().unwrap();
            proptest::prop_assert_eq!(cents_of_number(number), Some(sent));
        }
    }
}
