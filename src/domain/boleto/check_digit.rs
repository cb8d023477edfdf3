//! The check digits of codes and nosso números: modulo 10 and the many endings of modulo 11.
//!
//! **Owns** nothing. Everything is ASCII, in and out: a slice of `0`-`9`, and a check digit of `0`-`9`, `P` or `X`.
//! **Limits**: the callers have checked that there are only digits; other bytes give a meaningless answer, never a panic.

/// Modulo 10 (FEBRABAN; also Itaú's, for nosso número and account): weights 2, 1, 2, 1 from the right, the digits of
/// each product added.
pub fn mod10(digits: &[u8]) -> u8 {
    let mut sum = 0;
    let mut doubled = true;
    for digit in digits.iter().rev() {
        let value = u32::from(digit & 0x0f);
        let product = if doubled { value * 2 } else { value };
        sum += if product > 9 { product - 9 } else { product };
        doubled = !doubled;
    }
    ascii((10 - sum % 10) % 10)
}

/// The general check digit of a boleto's barcode (FEBRABAN), over the 43 digits other than itself. Never `0`.
pub fn general(barcode: &[u8; 44]) -> u8 {
    match complement11(&without(barcode, 4), 9) {
        value @ 2..=9 => ascii(value),
        _ => b'1',
    }
}

/// Bradesco, for nosso número (behind its carteira), agency and account: weights 2 to 7; 10 is `P`, 11 is `0`.
pub fn bradesco(digits: &[u8]) -> u8 {
    match complement11(digits, 7) {
        10 => b'P',
        11 => b'0',
        value => ascii(value),
    }
}

/// Banco do Brasil, for nosso número, agency and account: weights 2 to 9; 10 is `X`, 11 is `0`.
pub fn banco_do_brasil(digits: &[u8]) -> u8 {
    match complement11(digits, 9) {
        10 => b'X',
        11 => b'0',
        value => ascii(value),
    }
}

/// Caixa, Santander and the modulo 11 of arrecadação: weights 2 to 9; whatever is above 9 becomes `0`.
pub fn above_nine_is_zero(digits: &[u8]) -> u8 {
    match complement11(digits, 9) {
        10 | 11 => b'0',
        value => ascii(value),
    }
}

/// A code's other 43 digits, without the one at `index`, where its check digit stands.
pub(super) fn without(code: &[u8; 44], index: usize) -> [u8; 43] {
    let mut rest = [b'0'; 43];
    rest[..index].copy_from_slice(&code[..index]);
    rest[index..].copy_from_slice(&code[index + 1..]);
    rest
}

/// `11 - (sum mod 11)`, from 1 to 11, with weights from 2 up to `weight_max` and round again, from the right.
fn complement11(digits: &[u8], weight_max: u32) -> u32 {
    let mut sum = 0;
    let mut weight = 2;
    for digit in digits.iter().rev() {
        sum += u32::from(digit & 0x0f) * weight;
        weight = if weight == weight_max { 2 } else { weight + 1 };
    }
    11 - sum % 11
}

fn ascii(value: u32) -> u8 {
    b'0' + u8::try_from(value % 10).expect("a remainder of ten is below ten")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::vectors::VECTORS;

    #[test]
    fn every_published_check_digit_agrees() {
        for vector in &VECTORS.check_digits {
            let rule: fn(&[u8]) -> u8 = match vector.algorithm.as_str() {
                "bradesco_nosso_numero" | "bradesco_agency" | "bradesco_account" => bradesco,
                "bb_modulo11" => banco_do_brasil,
                "itau_nosso_numero" | "itau_account" => mod10,
                "santander_nosso_numero" | "caixa_nosso_numero" | "caixa_beneficiary" => above_nine_is_zero,
                other => panic!("no rule for {other}"),
            };
            let found = char::from(rule(vector.input.as_bytes())).to_string();
            assert_eq!(found, vector.check_digit, "{} of {}", vector.algorithm, vector.input);
        }
        assert_eq!(VECTORS.check_digits.len(), 41);
    }

    #[test]
    fn banco_do_brasil_writes_an_x_for_ten() {
        // 6 weighs 2: 12 is 1 modulo 11, and 11 less 1 is 10.
        assert_eq!(banco_do_brasil(b"6"), b'X');
        assert_eq!(bradesco(b"6"), b'P');
        assert_eq!(above_nine_is_zero(b"6"), b'0');
    }

    #[test]
    fn the_general_check_digit_is_never_zero() {
        let mut barcode = [b'0'; 44];
        // The last digit weighs 2, so that its ten values reach ten of the eleven remainders: 0, 1 and 10 among them.
        let found: Vec<u8> = (b'0'..=b'9')
            .map(|last| {
                barcode[43] = last;
                general(&barcode)
            })
            .collect();
        assert_eq!(found, b"1975311864");
    }
}
