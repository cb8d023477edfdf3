//! Convênio codes (arrecadação): the bills of utilities and tax offices, which are read and never issued here.
//!
//! **Owns** nothing. A value of this type has every check digit right, by construction.
//! **Fails** with every reason at once. **Limits**: these codes carry no due date that all issuers agree on.

use super::check_digit::{above_nine_is_zero, mod10, without};
use super::digits::{Digits, number};
use super::parse::CodeError;
use crate::domain::money::Cents;

const FIELD_ERRORS: [CodeError; 4] =
    [CodeError::Field1Dv, CodeError::Field2Dv, CodeError::Field3Dv, CodeError::Field4Dv];

/// A convênio code in both of its forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Arrecadacao {
    barcode: Digits<44>,
    line: Digits<48>,
}

impl Arrecadacao {
    /// The code of a barcode's digits.
    ///
    /// # Errors
    /// Digits that are no convênio code, or whose check digit is wrong.
    pub fn from_barcode(barcode: Digits<44>) -> Result<Self, Vec<CodeError>> {
        let check_digit = modulus(barcode.as_bytes()).ok_or_else(|| vec![CodeError::Format])?;
        let code = barcode.as_bytes();
        if check_digit(&without(code, 3)) != code[3] {
            return Err(vec![CodeError::GeneralDv]);
        }
        let mut line = [b'0'; 48];
        for (block, field) in code.chunks_exact(11).zip(line.chunks_exact_mut(12)) {
            field[..11].copy_from_slice(block);
            field[11] = check_digit(block);
        }
        let line = Digits::new(line).expect("both moduli give only digits here");
        Ok(Self { barcode, line })
    }

    /// The code of a typed line's digits: four blocks of eleven, each with its own check digit.
    ///
    /// # Errors
    /// Digits that are no convênio code, or every check digit that is wrong.
    pub fn from_line(line: Digits<48>) -> Result<Self, Vec<CodeError>> {
        let mut code = [b'0'; 44];
        for (field, block) in line.as_bytes().chunks_exact(12).zip(code.chunks_exact_mut(11)) {
            block.copy_from_slice(&field[..11]);
        }
        let check_digit = modulus(&code).ok_or_else(|| vec![CodeError::Format])?;
        let mut errors = Vec::new();
        for (field, error) in line.as_bytes().chunks_exact(12).zip(FIELD_ERRORS) {
            if check_digit(&field[..11]) != field[11] {
                errors.push(error);
            }
        }
        if check_digit(&without(&code, 3)) != code[3] {
            errors.push(CodeError::GeneralDv);
        }
        let barcode = Digits::new(code).expect("the line is made of digits");
        if errors.is_empty() { Ok(Self { barcode, line }) } else { Err(errors) }
    }

    /// The 44 digits of the barcode.
    pub fn barcode(&self) -> &Digits<44> {
        &self.barcode
    }

    /// The 48 digits of the line.
    pub fn line(&self) -> &Digits<48> {
        &self.line
    }

    /// Who collects: 1 town halls, 2 water, 3 power and gas, 4 telephone, 5 government, 6 by CNPJ, 7 fines, 9 the bank itself.
    pub fn segment(&self) -> u8 {
        self.barcode.as_bytes()[1] & 0x0f
    }

    /// What the value is and by which modulus the code is checked, from 6 to 9.
    pub fn value_id(&self) -> u8 {
        self.barcode.as_bytes()[2] & 0x0f
    }

    /// The amount in BRL; nothing where it is open or where the value is a quantity or an index.
    pub fn amount(&self) -> Option<Cents> {
        let value = number(&self.barcode.as_bytes()[4..15]);
        (matches!(self.value_id(), 6 | 8) && value > 0).then_some(Cents(value))
    }
}

/// How a convênio code is checked; nothing where it is not one.
fn modulus(code: &[u8; 44]) -> Option<fn(&[u8]) -> u8> {
    match (code[0], code[2]) {
        (b'8', b'6' | b'7') => Some(mod10),
        (b'8', b'8' | b'9') => Some(above_nine_is_zero),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::vectors::VECTORS;

    #[test]
    fn every_published_code_is_read_from_both_forms() {
        for vector in &VECTORS.arrecadacao {
            let from_line =
                Arrecadacao::from_line(Digits::from_bare(&vector.digitable_line).unwrap()).unwrap();
            let from_barcode =
                Arrecadacao::from_barcode(Digits::from_bare(&vector.barcode).unwrap()).unwrap();
            assert_eq!(from_line, from_barcode);
            assert_eq!(from_line.barcode().as_str(), vector.barcode);
            assert_eq!(from_barcode.line().as_str(), vector.digitable_line);
            assert_eq!(from_line.segment().to_string(), vector.segment);
            assert_eq!(from_line.value_id().to_string(), vector.value_id);
        }
        assert_eq!(VECTORS.arrecadacao.len(), 2);
    }

    #[test]
    fn only_a_value_in_reais_is_an_amount() {
        let amounts = VECTORS.arrecadacao.iter().map(|vector| {
            Arrecadacao::from_barcode(Digits::from_bare(&vector.barcode).unwrap()).unwrap().amount()
        });
        assert_eq!(amounts.collect::<Vec<_>>(), [Some(Cents(12_345)), None]);
    }

    #[test]
    fn each_wrong_check_digit_is_named() {
        let line = &VECTORS.arrecadacao[0].digitable_line;
        for (at, error) in [11, 23, 35, 47].into_iter().zip(FIELD_ERRORS) {
            let mut wrong = line.clone().into_bytes();
            wrong[at] = b'0' + (wrong[at] - b'0' + 1) % 10;
            let digits = Digits::new(wrong.try_into().unwrap()).unwrap();
            assert_eq!(Arrecadacao::from_line(digits), Err(vec![error]));
        }
        // The general check digit stands in the first block, which has its own over it.
        let mut wrong = line.clone().into_bytes();
        wrong[3] = b'0' + (wrong[3] - b'0' + 1) % 10;
        let digits = Digits::new(wrong.try_into().unwrap()).unwrap();
        assert_eq!(Arrecadacao::from_line(digits), Err(vec![CodeError::Field1Dv, CodeError::GeneralDv]));
    }

    #[test]
    fn a_code_without_a_known_modulus_is_no_code() {
        let barcode = Digits::from_bare(&VECTORS.arrecadacao[0].barcode.replacen("836", "835", 1)).unwrap();
        assert_eq!(Arrecadacao::from_barcode(barcode), Err(vec![CodeError::Format]));
    }
}
