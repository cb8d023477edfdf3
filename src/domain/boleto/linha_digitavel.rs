//! The linha digitável: the 47 digits of a boleto that people type.
//!
//! **Owns** nothing. A value of this type has all four check digits and the currency right, by construction.
//! **Fails** with every reason at once. **Limits**: exactly 47 digits; the 48 of arrecadação are another type.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::barcode::Barcode;
use super::check_digit::mod10;
use super::digits::Digits;
use super::parse::CodeError;

/// A typed line whose field and general check digits are right.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinhaDigitavel(Digits<47>);

impl LinhaDigitavel {
    /// Reads 47 digits, bare or as printed (`AAAAA.AAAAA BBBBB.BBBBBB CCCCC.CCCCCC D EEEEEEEEEEEEEE`).
    ///
    /// # Errors
    /// [`CodeError::Format`] alone, or every check digit that is wrong and the currency where it is not BRL.
    pub fn parse(text: &str) -> Result<Self, Vec<CodeError>> {
        let digits = Digits::from_printed(text).ok_or_else(|| vec![CodeError::Format])?;
        Self::check(digits).map(|(linha, _)| linha)
    }

    /// The line and its barcode, or every reason why there is none.
    pub(super) fn check(digits: Digits<47>) -> Result<(Self, Barcode), Vec<CodeError>> {
        let line = digits.as_bytes();
        let mut errors = Vec::new();
        if mod10(&line[..9]) != line[9] {
            errors.push(CodeError::Field1Dv);
        }
        if mod10(&line[10..20]) != line[20] {
            errors.push(CodeError::Field2Dv);
        }
        if mod10(&line[21..31]) != line[31] {
            errors.push(CodeError::Field3Dv);
        }
        match Barcode::check(barcode_digits(line), &mut errors) {
            Some(barcode) => Ok((Self(digits), barcode)),
            None => Err(errors),
        }
    }

    /// The line of a barcode.
    pub(super) fn of(barcode: &Barcode) -> Self {
        let code = barcode.as_bytes();
        let mut line = [b'0'; 47];
        line[..4].copy_from_slice(&code[..4]);
        line[4..9].copy_from_slice(&code[19..24]);
        line[9] = mod10(&line[..9]);
        line[10..20].copy_from_slice(&code[24..34]);
        line[20] = mod10(&line[10..20]);
        line[21..31].copy_from_slice(&code[34..]);
        line[31] = mod10(&line[21..31]);
        line[32] = code[4];
        line[33..].copy_from_slice(&code[5..19]);
        Self(Digits::new(line).expect("a barcode and modulo 10 give only digits"))
    }

    /// The barcode of the same boleto.
    pub fn to_barcode(&self) -> Barcode {
        // The fields are right by construction, so that only an impossible error could be added here.
        Barcode::check(barcode_digits(self.0.as_bytes()), &mut Vec::new())
            .expect("a line is only made where its barcode is right")
    }

    /// The 47 digits, bare.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The line as it is printed: `AAAAA.AAAAA BBBBB.BBBBBB CCCCC.CCCCCC D EEEEEEEEEEEEEE`.
    pub fn formatted(&self) -> String {
        let line = self.as_str();
        format!(
            "{}.{} {}.{} {}.{} {} {}",
            &line[..5],
            &line[5..10],
            &line[10..15],
            &line[15..21],
            &line[21..26],
            &line[26..32],
            &line[32..33],
            &line[33..]
        )
    }
}

/// The barcode's digits in a line's; check digits are not looked at.
fn barcode_digits(line: &[u8; 47]) -> Digits<44> {
    let mut code = [b'0'; 44];
    code[..4].copy_from_slice(&line[..4]);
    code[4] = line[32];
    code[5..19].copy_from_slice(&line[33..]);
    code[19..24].copy_from_slice(&line[4..9]);
    code[24..34].copy_from_slice(&line[10..20]);
    code[34..].copy_from_slice(&line[21..31]);
    Digits::new(code).expect("the line is made of digits")
}

impl fmt::Display for LinhaDigitavel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for LinhaDigitavel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for LinhaDigitavel {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).map_err(|errors| CodeError::first(&errors))
    }
}

impl Serialize for LinhaDigitavel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for LinhaDigitavel {
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
    fn every_published_line_is_its_barcode() {
        for vector in &VECTORS.valid {
            for text in [&vector.digitable_line, &vector.digitable_line_formatted] {
                let linha = LinhaDigitavel::parse(text).unwrap();
                assert_eq!(linha.as_str(), vector.digitable_line);
                assert_eq!(linha.formatted(), vector.digitable_line_formatted);
                assert_eq!(linha.to_barcode().as_str(), vector.barcode);
                let json = serde_json::to_string(&linha).unwrap();
                assert_eq!(serde_json::from_str::<LinhaDigitavel>(&json).unwrap(), linha);
            }
        }
    }

    proptest! {
        /// Modulo 10 sees every single wrong digit of fields 1 to 3. The general check digit sees every one of field 5,
        /// but for codes where it is 1, which stands for three remainders of eleven.
        #[test]
        fn a_wrong_digit_is_refused(index in 0..88_usize, at in 0..47_usize, other in 1..10_u8) {
            let mut line = VECTORS.valid[index].digitable_line.clone().into_bytes();
            let undetected_possible = at > 32 && line[32] == b'1';
            line[at] = b'0' + (line[at] - b'0' + other) % 10;
            let parsed = LinhaDigitavel::parse(std::str::from_utf8(&line).unwrap());
            let expected = match at {
                0..=9 => CodeError::Field1Dv,
                10..=20 => CodeError::Field2Dv,
                21..=31 => CodeError::Field3Dv,
                _ => CodeError::GeneralDv,
            };
            match parsed {
                Ok(_) => prop_assert!(undetected_possible),
                Err(errors) => prop_assert!(errors.contains(&expected)),
            }
        }
    }
}
