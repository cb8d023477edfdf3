//! CPF and CNPJ: by which number the tax office knows a person or a company.
//!
//! **Owns** nothing. A value of this type has the right check digits, by construction.
//! **Fails** with the rule that was broken, never with the number. Personal data: `Debug` is masked.
//! **Limits**: CPF 11 digits; CNPJ 14 signs, numeric or alphanumeric (IN RFB 2.229/2024), always upper case and text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A tax id whose check digits are right.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaxId {
    /// A person.
    Cpf(Cpf),
    /// A company.
    Cnpj(Cnpj),
}

/// The eleven digits of a person's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpf([u8; 11]);

/// The fourteen signs of a company's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cnpj([u8; 14]);

/// Which of the two a tax id is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaxIdKind {
    /// A person's, 11 digits.
    Cpf,
    /// A company's, 14 signs.
    Cnpj,
}

/// Why text is no tax id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TaxIdError {
    /// Too few or too many signs.
    #[error("a CPF has 11 digits, a CNPJ 14 digits or letters")]
    Length,
    /// A sign that does not belong where it stands.
    #[error("a CPF has digits only, a CNPJ digits or letters with two digits at the end")]
    Character,
    /// One digit, repeated: the check digits agree, and no such number is given out.
    #[error("all digits are the same")]
    RepeatedDigit,
    /// At least one of the two check digits.
    #[error("the check digits are wrong")]
    CheckDigit,
}

impl TaxId {
    /// Reads a CPF or a CNPJ by its length; dots, slashes, hyphens and spaces are left out, letters made upper case.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn parse(text: &str) -> Result<Self, TaxIdError> {
        let mut signs = [0; 14];
        match collect(text, &mut signs)? {
            11 => cpf(*signs.first_chunk().ok_or(TaxIdError::Length)?),
            14 => cnpj(signs),
            _ => Err(TaxIdError::Length),
        }
    }

    /// Reads a tax id of which the kind is known.
    ///
    /// # Errors
    /// The first rule of that kind that is broken.
    pub fn parse_as(kind: TaxIdKind, text: &str) -> Result<Self, TaxIdError> {
        let tax_id = Self::parse(text)?;
        if tax_id.kind() == kind { Ok(tax_id) } else { Err(TaxIdError::Length) }
    }

    /// The canonical text: no punctuation, upper case.
    pub fn as_str(&self) -> &str {
        let signs: &[u8] = match self {
            Self::Cpf(Cpf(signs)) => signs,
            Self::Cnpj(Cnpj(signs)) => signs,
        };
        std::str::from_utf8(signs).expect("only ASCII digits and letters are ever kept here")
    }

    /// Which of the two it is.
    pub fn kind(&self) -> TaxIdKind {
        match self {
            Self::Cpf(_) => TaxIdKind::Cpf,
            Self::Cnpj(_) => TaxIdKind::Cnpj,
        }
    }

    /// Whether letters are in it, which banks that want a number cannot take.
    pub fn is_alphanumeric(&self) -> bool {
        self.as_str().bytes().any(|sign| !sign.is_ascii_digit())
    }

    /// What may be shown in logs: the kind's shape and the check digits, which are no part of the number proper.
    pub fn masked(&self) -> String {
        let text = self.as_str();
        let check_digits = &text[text.len() - 2..];
        match self {
            Self::Cpf(_) => format!("***.***.***-{check_digits}"),
            Self::Cnpj(_) => format!("**.***.***/****-{check_digits}"),
        }
    }
}

/// Copies the signs of a number to `into`, in upper case, and says how many there were.
fn collect(text: &str, into: &mut [u8; 14]) -> Result<usize, TaxIdError> {
    let mut count = 0;
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            *into.get_mut(count).ok_or(TaxIdError::Length)? = byte.to_ascii_uppercase();
            count += 1;
        } else if !matches!(byte, b'.' | b'/' | b'-' | b' ') {
            return Err(TaxIdError::Character);
        }
    }
    Ok(count)
}

fn cpf(signs: [u8; 11]) -> Result<TaxId, TaxIdError> {
    if !signs.iter().all(u8::is_ascii_digit) {
        return Err(TaxIdError::Character);
    }
    check(&signs, 11)?;
    Ok(TaxId::Cpf(Cpf(signs)))
}

fn cnpj(signs: [u8; 14]) -> Result<TaxId, TaxIdError> {
    if !signs[12..].iter().all(u8::is_ascii_digit) {
        return Err(TaxIdError::Character);
    }
    check(&signs, 9)?;
    Ok(TaxId::Cnpj(Cnpj(signs)))
}

fn check(signs: &[u8], weight_max: u32) -> Result<(), TaxIdError> {
    let repeated = signs.iter().all(|sign| *sign == signs[0]);
    if repeated {
        return Err(TaxIdError::RepeatedDigit);
    }
    let base = signs.len() - 2;
    let right = (base..signs.len()).all(|at| check_digit(&signs[..at], weight_max) == signs[at]);
    if right { Ok(()) } else { Err(TaxIdError::CheckDigit) }
}

/// Modulo 11 with weights from 2 up to `weight_max` and round again, from the right.
/// A sign is worth its ASCII code less 48, so that `A` is 17.
fn check_digit(signs: &[u8], weight_max: u32) -> u8 {
    let mut sum = 0;
    let mut weight = 2;
    for sign in signs.iter().rev() {
        sum += (u32::from(*sign) - 48) * weight;
        weight = if weight == weight_max { 2 } else { weight + 1 };
    }
    match sum % 11 {
        0 | 1 => b'0',
        rest => b'0' + u8::try_from(11 - rest).expect("11 less at least 2 is below ten"),
    }
}

impl FromStr for TaxId {
    type Err = TaxIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Debug for TaxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Debug for Cpf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        TaxId::Cpf(*self).fmt(f)
    }
}

impl fmt::Debug for Cnpj {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        TaxId::Cnpj(*self).fmt(f)
    }
}

impl Serialize for TaxId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for TaxId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::vectors::VECTORS;

    #[test]
    fn every_published_document_is_judged_right() {
        for vector in &VECTORS.documents {
            let kind = if vector.kind == "cpf" { TaxIdKind::Cpf } else { TaxIdKind::Cnpj };
            let parsed = TaxId::parse_as(kind, &vector.document);
            // The vectors judge stored text, where lower case is wrong; as input it is read, and made upper case.
            let canonical = parsed.is_ok_and(|tax_id| tax_id.as_str() == vector.document);
            assert_eq!(canonical, vector.valid, "{}", vector.document);
            if let Ok(tax_id) = parsed {
                assert_eq!(tax_id.is_alphanumeric(), vector.alphanumeric, "{}", vector.document);
                assert_eq!(TaxId::parse(&vector.document), Ok(tax_id));
            }
        }
        assert_eq!(VECTORS.documents.len(), 21);
    }

    #[test]
    fn input_is_read_as_people_write_it() {
        for (text, canonical) in [
            ("529.982.247-25", "52998224725"),
            (" 11.222.333/0001-81 ", "11222333000181"),
            ("12.abc.345/01de-35", "12ABC34501DE35"),
        ] {
            assert_eq!(TaxId::parse(text).unwrap().as_str(), canonical);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, error) in [
            ("", TaxIdError::Length),
            ("5299822472", TaxIdError::Length),
            ("123456789012345", TaxIdError::Length),
            ("5299822472A", TaxIdError::Character),
            ("529_982_247_25", TaxIdError::Character),
            ("５2998224725", TaxIdError::Character),
            ("12ABC34501DE3A", TaxIdError::Character),
            ("11111111111", TaxIdError::RepeatedDigit),
            ("00000000000000", TaxIdError::RepeatedDigit),
            ("52998224724", TaxIdError::CheckDigit),
        ] {
            assert_eq!(TaxId::parse(text), Err(error), "{text}");
        }
        assert_eq!(TaxId::parse_as(TaxIdKind::Cnpj, "52998224725"), Err(TaxIdError::Length));
    }

    #[test]
    fn debug_never_shows_the_number() {
        assert_eq!(format!("{:?}", TaxId::parse("52998224725").unwrap()), "***.***.***-25");
        assert_eq!(format!("{:?}", TaxId::parse("12ABC34501DE35").unwrap()), "**.***.***/****-35");
    }

    #[test]
    fn stored_text_is_read_back() {
        let tax_id = TaxId::parse("12ABC34501DE35").unwrap();
        let json = serde_json::to_string(&tax_id).unwrap();
        assert_eq!(json, "\"12ABC34501DE35\"");
        assert_eq!(serde_json::from_str::<TaxId>(&json).unwrap(), tax_id);
        assert!(serde_json::from_str::<TaxId>("\"12ABC34501DE36\"").is_err());
    }

    proptest! {
        #[test]
        fn every_base_has_exactly_one_pair_of_check_digits(base in "[0-9A-Z]{12}") {
            let accepted = (0..100_u8).filter(|digits| TaxId::parse(&format!("{base}{digits:02}")).is_ok()).count();
            // The only bases with none are those of one repeated digit.
            let repeated = base.bytes().all(|sign| sign == base.as_bytes()[0]);
            prop_assert_eq!(accepted, usize::from(!repeated));
        }
    }
}
