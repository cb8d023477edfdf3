//! The 44 digits of a boleto's barcode.
//!
//! **Owns** nothing. A value of this type has the right check digit and the right currency, by construction.
//! **Fails** with every reason at once when text is read, with the first broken part when one is made.
//! **Limits**: amounts to R$ 99,999,999.99; codes that begin with 8 are arrecadação, which is another type.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::check_digit;
use super::digits::{Digits, number};
use super::due_date_factor::DueDateFactor;
use super::linha_digitavel::LinhaDigitavel;
use super::parse::CodeError;
use crate::domain::money::Cents;

/// The digit that means BRL.
const CURRENCY_BRL: u8 = b'9';

/// A barcode whose general check digit and currency are right.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Barcode(Digits<44>);

/// What a barcode is made of.
#[derive(Debug, Clone, Copy)]
pub struct BarcodeParts<'a> {
    /// Three digits.
    pub bank_code: &'a str,
    /// When it is due.
    pub factor: DueDateFactor,
    /// From 1 to 9,999,999,999 cents.
    pub amount: Cents,
    /// The 25 digits that the bank lays out.
    pub campo_livre: &'a Digits<25>,
}

/// Why parts make no barcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BarcodePartsError {
    /// The bank code is not three digits, or begins with 8 as arrecadação does.
    #[error("the bank code must be three digits and not begin with 8")]
    BankCode,
    /// The amount does not fit its ten digits.
    #[error("the amount must be from 1 to 9999999999 cents")]
    Amount,
}

impl Barcode {
    /// Reads exactly 44 digits.
    ///
    /// # Errors
    /// [`CodeError::Format`] alone, or whichever of the general check digit and the currency is wrong.
    pub fn parse(text: &str) -> Result<Self, Vec<CodeError>> {
        let digits = Digits::from_bare(text).ok_or_else(|| vec![CodeError::Format])?;
        let mut errors = Vec::new();
        Self::check(digits, &mut errors).ok_or(errors)
    }

    /// The barcode of these digits, or the reasons why it is none, added to `errors`.
    /// Errors that are there already keep it from being made too.
    pub(super) fn check(digits: Digits<44>, errors: &mut Vec<CodeError>) -> Option<Self> {
        let bytes = digits.as_bytes();
        if check_digit::general(bytes) != bytes[4] {
            errors.push(CodeError::GeneralDv);
        }
        if bytes[3] != CURRENCY_BRL {
            errors.push(CodeError::Currency);
        }
        errors.is_empty().then_some(Self(digits))
    }

    /// Makes the barcode of a boleto to be issued.
    ///
    /// # Errors
    /// The first part that does not fit.
    pub fn compose(parts: &BarcodeParts<'_>) -> Result<Self, BarcodePartsError> {
        let bank_code = Digits::<3>::from_bare(parts.bank_code)
            .filter(|code| code.as_bytes()[0] != b'8')
            .ok_or(BarcodePartsError::BankCode)?;
        if !parts.amount.fits_a_boleto() {
            return Err(BarcodePartsError::Amount);
        }
        let mut bytes = [b'0'; 44];
        bytes[..3].copy_from_slice(bank_code.as_bytes());
        bytes[3] = CURRENCY_BRL;
        write_number(&mut bytes[5..9], parts.factor.get().into());
        write_number(&mut bytes[9..19], parts.amount.0);
        bytes[19..].copy_from_slice(parts.campo_livre.as_bytes());
        bytes[4] = check_digit::general(&bytes);
        Ok(Self(Digits::new(bytes).expect("every part was made of digits")))
    }

    /// The same code for another amount or due date. The bank's 25 digits stay: they tell agreement and number, which no
    /// amendment changes.
    ///
    /// # Errors
    /// An amount that does not fit.
    pub fn amended(&self, amount: Cents, factor: DueDateFactor) -> Result<Self, BarcodePartsError> {
        let campo_livre = Digits::from_bare(self.campo_livre()).expect("a barcode is made of digits");
        Self::compose(&BarcodeParts {
            bank_code: self.bank_code(),
            factor,
            amount,
            campo_livre: &campo_livre,
        })
    }

    /// The 44 digits.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The 44 digits in ASCII.
    pub fn as_bytes(&self) -> &[u8; 44] {
        self.0.as_bytes()
    }

    /// The bank's three digits.
    pub fn bank_code(&self) -> &str {
        &self.as_str()[..3]
    }

    /// The due-date factor; nothing where the code carries no date.
    pub fn factor(&self) -> Option<DueDateFactor> {
        let factor = number(&self.as_bytes()[5..9]);
        u16::try_from(factor).ok().and_then(DueDateFactor::new)
    }

    /// The amount; 0 leaves it open. Without a date the amount may fill the factor's digits too (BB, annex IV).
    pub fn amount(&self) -> Cents {
        let bytes = self.as_bytes();
        let digits = if bytes[5] == b'0' { &bytes[5..19] } else { &bytes[9..19] };
        Cents(number(digits))
    }

    /// The 25 digits that the bank lays out.
    pub fn campo_livre(&self) -> &str {
        &self.as_str()[19..]
    }

    /// The same code as the line that people type.
    pub fn to_linha(&self) -> LinhaDigitavel {
        LinhaDigitavel::of(self)
    }
}

/// Writes a number with leading zeros over all of `into`; what does not fit is cut off at the left.
pub(super) fn write_number(into: &mut [u8], mut number: i64) {
    for digit in into.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number.rem_euclid(10)).expect("a remainder of ten is below ten");
        number /= 10;
    }
}

impl fmt::Display for Barcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Barcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Barcode {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).map_err(|errors| CodeError::first(&errors))
    }
}

impl Serialize for Barcode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Barcode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::vectors::VECTORS;

    #[test]
    fn every_published_barcode_says_what_it_was_made_of() {
        for vector in &VECTORS.valid {
            let barcode = Barcode::parse(&vector.barcode).unwrap();
            assert_eq!(barcode.as_str(), vector.barcode);
            assert_eq!(barcode.bank_code(), vector.bank_code);
            assert_eq!(barcode.amount(), Cents(vector.amount_cents));
            assert_eq!(barcode.factor().unwrap().get(), vector.due_factor);
            assert_eq!(barcode.campo_livre(), vector.campo_livre);
            assert_eq!(barcode.to_linha().as_str(), vector.digitable_line);
            let composed = Barcode::compose(&BarcodeParts {
                bank_code: &vector.bank_code,
                factor: DueDateFactor::of(vector.due_date).unwrap(),
                amount: Cents(vector.amount_cents),
                campo_livre: &Digits::from_bare(&vector.campo_livre).unwrap(),
            });
            assert_eq!(composed, Ok(barcode));
        }
        assert_eq!(VECTORS.valid.len(), 88);
    }

    #[test]
    fn an_amended_code_differs_in_amount_and_date_alone() {
        for vector in &VECTORS.valid {
            let barcode = Barcode::parse(&vector.barcode).unwrap();
            let factor = DueDateFactor::new(vector.due_factor % 9_999 + 1).filter(|f| f.get() >= 1_000);
            let factor = factor.unwrap_or(DueDateFactor::new(1_000).unwrap());
            let amount = Cents(vector.amount_cents % Cents::BOLETO_MAX.0 + 1);
            let amended = barcode.amended(amount, factor).unwrap();
            assert_eq!(Barcode::parse(amended.as_str()), Ok(amended));
            assert_eq!((amended.amount(), amended.factor()), (amount, Some(factor)));
            assert_eq!(amended.campo_livre(), barcode.campo_livre());
            assert_eq!(amended.bank_code(), barcode.bank_code());
            let back = amended.amended(barcode.amount(), barcode.factor().unwrap());
            assert_eq!(back, Ok(barcode));
        }
    }

    #[test]
    fn a_code_without_a_date_may_fill_the_factor_with_its_amount() {
        let mut bytes = *b"00190012345678901231234567890123456789012345";
        bytes[4] = check_digit::general(&bytes);
        let barcode = Barcode::parse(std::str::from_utf8(&bytes).unwrap()).unwrap();
        assert_eq!(barcode.factor(), None);
        assert_eq!(barcode.amount(), Cents(1_234_567_890_123));
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let campo_livre = Digits::from_bare("1234567890123456789012345").unwrap();
        let parts = |bank_code, amount| {
            let factor = DueDateFactor::new(1_000).unwrap();
            Barcode::compose(&BarcodeParts {
                bank_code,
                factor,
                amount: Cents(amount),
                campo_livre: &campo_livre,
            })
        };
        for bank_code in ["1", "0011", "0a1", "846"] {
            assert_eq!(parts(bank_code, 1), Err(BarcodePartsError::BankCode));
        }
        for amount in [-1, 0, 10_000_000_000] {
            assert_eq!(parts("001", amount), Err(BarcodePartsError::Amount));
        }
        assert!(parts("001", 9_999_999_999).is_ok());
    }

    #[test]
    fn stored_text_is_read_back_and_spoilt_text_is_not() {
        let vector = &VECTORS.valid[0];
        let barcode = Barcode::parse(&vector.barcode).unwrap();
        let json = serde_json::to_string(&barcode).unwrap();
        assert_eq!(json, format!("\"{}\"", vector.barcode));
        assert_eq!(serde_json::from_str::<Barcode>(&json).unwrap(), barcode);
        assert!(serde_json::from_str::<Barcode>(&json.replace('9', "8")).is_err());
        assert_eq!(Barcode::parse(&format!(" {}", vector.barcode)), Err(vec![CodeError::Format]));
    }
}
