//! Reads any Brazilian bill: a line or a barcode, of any bank or of a convênio, as pasted.
//!
//! **Owns** nothing. **Fails** with every reason at once, by stable names.
//! **Limits**: 44, 47 or 48 digits, with dots, hyphens and white space anywhere; nothing is allocated for a right code.

use std::fmt;

use chrono::NaiveDate;

use super::arrecadacao::Arrecadacao;
use super::barcode::Barcode;
use super::digits::{Digits, collect_digits};
use super::linha_digitavel::LinhaDigitavel;
use crate::domain::money::Cents;

/// What a code says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParsedCode {
    /// A boleto of a bank.
    Cobranca {
        /// The same boleto as a barcode, whichever form was read.
        barcode: Barcode,
        /// The same boleto as a typed line.
        linha: LinhaDigitavel,
        /// The bank's three digits.
        bank_code: Digits<3>,
        /// Absent where the code leaves it open.
        amount: Option<Cents>,
        /// Absent where there is no factor, or where it means no date near the reference.
        due_date: Option<NaiveDate>,
        /// From 1000 to 9999; absent where the code carries no date.
        factor: Option<u16>,
        /// What the bank laid out in its own way.
        campo_livre: Digits<25>,
    },
    /// A bill of a utility or a tax office.
    Arrecadacao {
        /// The same bill as a barcode, whichever form was read.
        barcode: Digits<44>,
        /// The same bill as a typed line.
        line: Digits<48>,
        /// Who collects, from 0 to 9.
        segment: u8,
        /// From 6 to 9; with 7 and 9 the value is no amount of money.
        value_id: u8,
        /// Absent where it is open or no amount of money.
        amount: Option<Cents>,
    },
}

/// One reason why a code is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CodeError {
    /// Not a number of digits that any code has, or something that is no digit.
    Format,
    /// The check digit of the line's first field.
    Field1Dv,
    /// The check digit of the line's second field.
    Field2Dv,
    /// The check digit of the line's third field.
    Field3Dv,
    /// Only the lines of a convênio have a fourth field with a check digit.
    Field4Dv,
    /// The check digit over the whole barcode.
    GeneralDv,
    /// Another currency than BRL; refused even where all check digits agree.
    Currency,
}

impl CodeError {
    /// The reason's stable name.
    pub fn code(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Field1Dv => "field1_dv",
            Self::Field2Dv => "field2_dv",
            Self::Field3Dv => "field3_dv",
            Self::Field4Dv => "field4_dv",
            Self::GeneralDv => "general_dv",
            Self::Currency => "currency",
        }
    }

    /// The first of several, for places that have room for one.
    pub(super) fn first(errors: &[Self]) -> Self {
        errors.first().copied().unwrap_or(Self::Format)
    }
}

impl fmt::Display for CodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Format => "not the digits of a line or a barcode",
            Self::Field1Dv => "the check digit of the first field is wrong",
            Self::Field2Dv => "the check digit of the second field is wrong",
            Self::Field3Dv => "the check digit of the third field is wrong",
            Self::Field4Dv => "the check digit of the fourth field is wrong",
            Self::GeneralDv => "the general check digit is wrong",
            Self::Currency => "the currency is not BRL",
        })
    }
}

impl std::error::Error for CodeError {}

/// Reads a code; its due date is the one that is meant on the day `reference`.
///
/// # Errors
/// Every reason why the code is refused, at least one, check digits in the order of their fields.
pub fn parse(code: &str, reference: NaiveDate) -> Result<ParsedCode, Vec<CodeError>> {
    let mut digits = [0; 48];
    let count = collect_digits(code, &mut digits).ok_or_else(|| vec![CodeError::Format])?;
    match (count, digits[0]) {
        (44, b'8') => Arrecadacao::from_barcode(prefix(&digits)).map(convenio),
        (48, b'8') => Arrecadacao::from_line(prefix(&digits)).map(convenio),
        (44, _) => {
            let mut errors = Vec::new();
            let barcode = Barcode::check(prefix(&digits), &mut errors).ok_or(errors)?;
            Ok(cobranca(barcode, barcode.to_linha(), reference))
        }
        (47, _) => {
            let (linha, barcode) = LinhaDigitavel::check(prefix(&digits))?;
            Ok(cobranca(barcode, linha, reference))
        }
        _ => Err(vec![CodeError::Format]),
    }
}

fn cobranca(barcode: Barcode, linha: LinhaDigitavel, reference: NaiveDate) -> ParsedCode {
    let factor = barcode.factor();
    let bytes = barcode.as_bytes();
    ParsedCode::Cobranca {
        barcode,
        linha,
        bank_code: prefix(bytes),
        amount: Some(barcode.amount()).filter(|amount| amount.0 > 0),
        due_date: factor.and_then(|factor| factor.resolve(reference)),
        factor: factor.map(|factor| factor.get()),
        campo_livre: prefix(&bytes[19..]),
    }
}

fn convenio(code: Arrecadacao) -> ParsedCode {
    ParsedCode::Arrecadacao {
        barcode: *code.barcode(),
        line: *code.line(),
        segment: code.segment(),
        value_id: code.value_id(),
        amount: code.amount(),
    }
}

/// The first `N` of at least `N` digits.
fn prefix<const N: usize>(digits: &[u8]) -> Digits<N> {
    let first = digits.first_chunk().expect("the caller has at least so many digits");
    Digits::new(*first).expect("the caller has counted digits only")
}

#[cfg(test)]
mod tests;
