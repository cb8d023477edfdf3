//! CPF and CNPJ as this bank takes them: as numbers, with their own check digits.
//!
//! **Owns** nothing.
//! **Fails** never; it says yes or no.
//! **Limits**: an alphanumeric CNPJ is no number, so this bank cannot take it at all.

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
