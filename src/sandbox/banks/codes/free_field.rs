//! The 25 digits of the barcode that each bank lays out in its own way.
//!
//! **Owns** nothing; pure arithmetic on digits.
//! **Fails** never: its callers pass numbers whose length they have looked at.
//! **Limits**: one layout for each bank, that of registered titles; Inter's is the sandbox's own, for no source says it.

use super::modulo_10;

/// Wallets of Itaú whose check digit leaves agency and account out.
const ITAU_WITHOUT_ACCOUNT: [&str; 5] = ["126", "131", "146", "150", "168"];

/// Convênios of seven digits: `title` is convênio and sequence, 17 digits.
pub fn banco_do_brasil(title: u64, wallet: u8) -> String {
    format!("000000{title:017}{wallet:02}")
}

/// Agency 4, wallet 2, nosso número 11, account 7, zero.
pub fn bradesco(agency: u64, wallet: u64, title: u64, account: u64) -> String {
    format!("{agency:04}{wallet:02}{title:011}{account:07}0")
}

/// Nine, beneficiary 7, nosso número 12 with its digit, no insurance, wallet 101.
pub fn santander(beneficiary: u64, title: u64) -> String {
    let title = format!("{title:012}");
    format!("9{beneficiary:07}{title}{}0101", modulo_11(&title))
}

/// SIGCB with a beneficiary of six digits and its check digit, or of seven without one; `title` has 17 digits.
pub fn caixa(beneficiary: u64, title: &str) -> String {
    let beneficiary = if beneficiary < 1_000_000 {
        let six = format!("{beneficiary:06}");
        format!("{six}{}", modulo_11(&six))
    } else {
        beneficiary.to_string()
    };
    let parts = [&title[2..5], &title[..1], &title[5..8], &title[1..2], &title[8..]];
    let field = format!("{beneficiary}{}", parts.concat());
    format!("{field}{}", modulo_11(&field))
}

/// Wallet 3, nosso número 8 and its digit, agency 4, account 5 and their digit, three zeros.
pub fn itau(agency: &str, account: &str, wallet: &str, title: &str) -> String {
    let place = format!("{agency}{account}");
    let whole = format!("{wallet}{title}");
    let check = if ITAU_WITHOUT_ACCOUNT.contains(&wallet) {
        modulo_10(&whole)
    } else {
        modulo_10(&format!("{place}{whole}"))
    };
    format!("{whole}{check}{place}{}000", modulo_10(&place))
}

/// An arrangement of the sandbox's own: agency, a wallet, an agreement and the bank's number of 11 digits.
pub fn inter(title: u64) -> String {
    format!("00011120000001{title:011}")
}

/// Weights 2 to 9 from the right; above 9 it is 0, as Santander and Caixa have it.
pub fn modulo_11(digits: &str) -> u32 {
    let weights = (2..=9).cycle();
    let sum: u32 =
        digits.bytes().rev().zip(weights).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    match 11 - sum % 11 {
        10 | 11 => 0,
        check => check,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manuals_examples_hold() {
        assert_eq!(modulo_11("566612457800"), 2);
        assert_eq!(modulo_11("005507"), 7);
        assert_eq!(modulo_11("14000000000000001"), 4);
        assert_eq!(modulo_11("14000000000000019"), 7);
        assert_eq!(&itau("0057", "12345", "110", "12345678")[11..12], "8");
        assert_eq!(&itau("0057", "12345", "110", "12345678")[21..22], "7");
    }

    #[test]
    fn each_layout_has_25_digits_and_bradescos_is_that_of_the_replaced_service() {
        let fields = [
            banco_do_brasil(31_285_570_000_000_007, 17),
            bradesco(3_381, 26, 1, 9_721),
            santander(1_234_567, 89),
            caixa(5_507, "14000000000000019"),
            caixa(1_103_388, "14000000000000019"),
            itau("0057", "12345", "109", "12345678"),
            inter(1),
        ];
        for field in fields {
            assert!(field.len() == 25 && field.bytes().all(|byte| byte.is_ascii_digit()), "{field}");
        }
        let due = chrono::NaiveDate::from_ymd_opt(2026, 12, 24).unwrap();
        let codes = super::super::codes("237", &bradesco(3_381, 26, 1, 9_721), due, 2_000);
        assert_eq!(codes.barcode, "23799167000000020003381260000000000100097210");
        assert_eq!(codes.line, "23793381286000000000401000972107916700000002000");
    }
}
