//! CPF and CNPJ with their check digits, as numbers for the banks that want numbers and as text for the others.
//!
//! **Owns** nothing.
//! **Fails** never; it says yes or no.
//! **Limits**: an alphanumeric CNPJ is no number, so a bank that wants numbers cannot take it at all.

/// Whether the number is a CPF: nine digits and two check digits, not all the same.
pub fn is_cpf(number: u64) -> bool {
    let Some(digits) = digits::<11>(number) else { return false };
    let check = |length: usize| {
        let sum: u64 = (0..length).map(|at| digits[at] * (length + 1 - at) as u64).sum();
        sum * 10 % 11 % 10
    };
    digits[9] == check(9) && digits[10] == check(10)
}

/// Whether the number is a CNPJ: twelve digits and two check digits, not all the same.
pub fn is_cnpj(number: u64) -> bool {
    let Some(digits) = digits::<14>(number) else { return false };
    let check = |length: usize| {
        // Weights run 2 to 9 from the right and start again.
        let sum: u64 = (0..length).map(|at| digits[at] * (2 + (length - 1 - at) as u64 % 8)).sum();
        match sum % 11 {
            0 | 1 => 0,
            rest => 11 - rest,
        }
    };
    digits[12] == check(12) && digits[13] == check(13)
}

/// Whether the text is eleven digits that are a CPF.
pub fn is_cpf_text(text: &str) -> bool {
    text.len() == 11 && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse().is_ok_and(is_cpf)
}

/// Whether the text is a CNPJ of fourteen places, of which the first twelve may be capital letters.
pub fn is_cnpj_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() != 14 || bytes.iter().all(|byte| *byte == bytes[0]) {
        return false;
    }
    let (body, checks) = bytes.split_at(12);
    let alphanumeric = body.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    if !alphanumeric || !checks.iter().all(u8::is_ascii_digit) {
        return false;
    }
    // A character is worth its ASCII code minus 48; weights and modulus are those of the numbers.
    let check = |length: usize| {
        let sum: u64 =
            (0..length).map(|at| u64::from(bytes[at] - b'0') * (2 + (length - 1 - at) as u64 % 8)).sum();
        match sum % 11 {
            0 | 1 => b'0',
            rest => b'0' + (11 - rest) as u8,
        }
    };
    bytes[12] == check(12) && bytes[13] == check(13)
}

/// The digits from the left, unless they are too many or all the same.
fn digits<const N: usize>(mut number: u64) -> Option<[u64; N]> {
    let mut digits = [0; N];
    for digit in digits.iter_mut().rev() {
        *digit = number % 10;
        number /= 10;
    }
    (number == 0 && digits.iter().any(|digit| *digit != digits[0])).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_document(text: &str) -> bool {
        is_cpf_text(text) || is_cnpj_text(text)
    }

    #[test]
    fn documents_as_text_keep_their_zeros_and_may_have_letters() {
        for text in ["52998224725", "00000000191", "11222333000181", "12ABC34501DE35", "DLVIGR2R000139"] {
            assert!(is_document(text), "{text}");
        }
        for text in
            ["52998224724", "191", "12ABC34501DE36", "12abc34501de35", "00000000000000", "529.982.247-25"]
        {
            assert!(!is_document(text), "{text}");
        }
    }

    #[test]
    fn well_known_documents_hold_and_their_neighbours_do_not() {
        for cpf in [52_998_224_725, 11_144_477_735, 12_345_678_909, 191] {
            assert!(is_cpf(cpf) && !is_cpf(cpf + 1), "{cpf}");
        }
        for cnpj in [11_222_333_000_181, 12_345_678_000_195, 34_028_316_000_103, 60_701_190_000_104] {
            assert!(is_cnpj(cnpj) && !is_cnpj(cnpj - 1), "{cnpj}");
        }
        assert!(
            !is_cpf(11_111_111_111)
                && !is_cpf(123_456_789_012)
                && !is_cnpj(0)
                && !is_cnpj(46_379_400_000_141)
        );
    }
}
