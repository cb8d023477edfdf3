//! Barcode and linha digitável of every bank, computed by the sandbox's own hand.
//!
//! **Owns** nothing; pure arithmetic on digits.
//! **Fails** never: its callers pass validated numbers, and a free field of 25 digits ([`free_field`]).
//! **Limits**: amounts of ten digits, due dates from 2000-07-03 on.

pub mod free_field;

use chrono::NaiveDate;

/// What identifies a title on paper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codes {
    /// 44 digits.
    pub barcode: String,
    /// 47 digits, without dots and spaces.
    pub line: String,
}

/// `bank` has three digits; the currency is always the real.
pub fn codes(bank: &str, free_field: &str, due: NaiveDate, cents: u64) -> Codes {
    let head = format!("{bank}9");
    let tail = format!("{:04}{cents:010}{free_field}", due_factor(due));
    let check = general_digit(head.bytes().chain(tail.bytes()));
    let barcode = format!("{head}{check}{tail}");
    let line = line(&barcode);
    Codes { barcode, line }
}

/// Days since 1997-10-07, which start again at 1000 after 9999 (BB manual, annex IV).
fn due_factor(due: NaiveDate) -> i64 {
    let base = NaiveDate::from_ymd_opt(1997, 10, 7).expect("the base date exists");
    1_000 + ((due - base).num_days() - 1_000).rem_euclid(9_000)
}

/// Modulo 11 with weights 2 to 9 from the right; what would be 0, 10 or 11 becomes 1.
fn general_digit(digits: impl DoubleEndedIterator<Item = u8>) -> u32 {
    let weights = (2..=9).cycle();
    let sum: u32 = digits.rev().zip(weights).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    match 11 - sum % 11 {
        10 | 11 => 1,
        check => check,
    }
}

/// Modulo 10 with weights 2 and 1 from the right over the digits of each product.
pub fn modulo_10(field: &str) -> u32 {
    let sum: u32 = field
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            if place % 2 == 1 { digit } else { digit * 2 / 10 + digit * 2 % 10 }
        })
        .sum();
    (10 - sum % 10) % 10
}

fn line(barcode: &str) -> String {
    let first = format!("{}{}", &barcode[..4], &barcode[19..24]);
    let (second, third) = (&barcode[24..34], &barcode[34..44]);
    format!(
        "{first}{}{second}{}{third}{}{}{}",
        modulo_10(&first),
        modulo_10(second),
        modulo_10(third),
        &barcode[4..5],
        &barcode[5..19],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn due_factors_turn_over_twice() {
        let table = [
            ("2000-07-03", 1000),
            ("2025-02-21", 9999),
            ("2025-02-22", 1000),
            ("2026-11-21", 1637),
            ("2049-10-13", 9999),
            ("2049-10-14", 1000),
        ];
        for (day, factor) in table {
            assert_eq!(due_factor(date(day)), factor, "{day}");
        }
    }

    #[test]
    fn codes_equal_those_made_by_others() {
        let made_by_others = [
            (
                (12_345_670_000_000_005, "2016-11-27", 40_000),
                "00191699100000400000000001234567000000000517",
                "00190000090123456700400000005173169910000040000",
            ),
            (
                (12_345_670_000_000_003, "2016-09-26", 20_000),
                "00193692900000200000000001234567000000000317",
                "00190000090123456700400000003178369290000020000",
            ),
            (
                (10_140_510_000_066_673, "2017-04-19", 10_000),
                "00199713400000100000000001014051000006667317",
                "00190000090101405100500066673179971340000010000",
            ),
            (
                (14_741_660_000_000_328, "2025-02-21", 15_075),
                "00191999900000150750000001474166000000032817",
                "00190000090147416600400000328179199990000015075",
            ),
            (
                (14_741_660_000_000_328, "2027-06-30", 9_999_999_999),
                "00198185899999999990000001474166000000032817",
                "00190000090147416600400000328179818589999999999",
            ),
        ];
        for ((title, due, cents), barcode, line) in made_by_others {
            let codes = codes("001", &free_field::banco_do_brasil(title, 17), date(due), cents);
            assert_eq!((codes.barcode.as_str(), codes.line.as_str()), (barcode, line));
        }
    }
}
