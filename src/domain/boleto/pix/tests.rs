//! Published codes, codes that are wrong in one place each, and any text at all.

use proptest::prelude::*;

use super::*;
use crate::domain::vectors::VECTORS;

/// A code of these fields, with its check sum.
fn sealed(fields: &[(u8, &str)]) -> String {
    let mut code = joined(fields);
    code.push_str(CHECK_SUM);
    let sum = crc16(code.as_bytes());
    format!("{code}{sum:04X}")
}

fn joined(fields: &[(u8, &str)]) -> String {
    fields.iter().map(|(id, value)| format!("{id:02}{:02}{value}", value.chars().count())).collect()
}

fn dynamic(extra: &[(u8, &str)]) -> String {
    let account = joined(&[(0, PIX), (25, "pix.example.com/cobv/1")]);
    let mut fields = vec![(0, "01"), (26, account.as_str()), (52, "0000"), (53, "986")];
    fields.extend_from_slice(extra);
    sealed(&fields)
}

#[test]
fn every_published_code_is_read_or_refused_as_it_should() {
    for vector in &VECTORS.pix {
        let read = BrCode::parse(&vector.payload);
        if vector.crc_valid {
            assert!(read.is_ok(), "{}: {read:?}", vector.description);
        } else {
            assert_eq!(read, Err(PixError::CheckSum), "{}", vector.description);
        }
    }
    assert_eq!(VECTORS.pix.len(), 6);
}

#[test]
fn a_published_code_says_what_it_is_for() {
    let read = |index: usize| BrCode::parse(&VECTORS.pix[index].payload).unwrap();
    let (first, second, bolepix, with_cnpj) = (read(0), read(1), read(4), read(5));
    assert_eq!(first.key(), Some("123e4567-e12b-12d1-a456-426655440000"));
    assert_eq!((first.amount(), first.txid(), first.is_dynamic()), (None, None, false));
    assert_eq!(second.url(), Some("pix.example.com/8b3da2f39a4140d1a91abd93113bd441"));
    assert_eq!((bolepix.amount(), bolepix.is_dynamic(), bolepix.key()), (Some(Cents(1)), true, None));
    assert_eq!((with_cnpj.amount(), with_cnpj.key()), (Some(Cents(50)), Some("12ABC34501DE35")));
}

#[test]
fn the_check_value_of_the_standard_agrees() {
    assert_eq!(crc16(b"123456789"), 0x29B1);
}

#[test]
fn an_amount_is_exact_or_refused() {
    for (text, cents) in [
        ("0.01", 1),
        ("0.5", 50),
        ("7", 700),
        ("123.45", 12_345),
        ("0.00", 0),
        ("99999999.99", 9_999_999_999),
        ("9999999999.99", 999_999_999_999),
    ] {
        assert_eq!(BrCode::parse(&dynamic(&[(54, text)])).unwrap().amount(), Some(Cents(cents)), "{text}");
    }
    for text in
        ["", ".", "1.", ".1", "1.234", "1,23", "-1.00", "+1", "1e3", " 1", "1.2.3", "12345678901.00", "１"]
    {
        assert_eq!(BrCode::parse(&dynamic(&[(54, text)])), Err(PixError::Amount), "{text}");
    }
}

#[test]
fn each_broken_rule_is_named() {
    let account = joined(&[(0, PIX), (1, "key")]);
    let with = |fields: &[(u8, &str)]| BrCode::parse(&sealed(fields)).map(|code| code.is_dynamic());
    assert_eq!(with(&[(0, "01"), (26, &account), (53, "986")]), Ok(false));
    assert_eq!(with(&[(0, "02"), (26, &account), (53, "986")]), Err(PixError::Version));
    assert_eq!(with(&[(26, &account), (53, "986")]), Err(PixError::Version));
    assert_eq!(with(&[(0, "01"), (26, &account), (53, "840")]), Err(PixError::Currency));
    assert_eq!(with(&[(0, "01"), (26, &account)]), Err(PixError::Currency));
    assert_eq!(with(&[(0, "01"), (53, "986")]), Err(PixError::Receiver));
    assert_eq!(with(&[(0, "01"), (26, &account), (53, "986"), (53, "986")]), Err(PixError::Structure));
    let both = joined(&[(0, PIX), (1, "key"), (25, "url")]);
    let neither = joined(&[(0, PIX)]);
    let other = joined(&[(0, "com.example"), (1, "key")]);
    for account in [both, neither, other] {
        assert_eq!(with(&[(0, "01"), (26, &account), (53, "986")]), Err(PixError::Receiver), "{account}");
    }
    assert_eq!(with(&[(0, "01"), (26, "0014br"), (53, "986")]), Err(PixError::Structure));
}

#[test]
fn lengths_count_characters() {
    let read = BrCode::parse(&dynamic(&[(59, "PADARIA SÃO JOSÉ"), (62, "0507PEDIDO1")])).unwrap();
    assert_eq!(read.txid(), Some("PEDIDO1"));
}

#[test]
fn nothing_is_shown_that_names_a_person() {
    let shown = format!("{:?}", BrCode::parse(&VECTORS.pix[5].payload).unwrap());
    assert!(!shown.contains("12ABC34501DE35"), "{shown}");
}

proptest! {
    #[test]
    fn a_changed_code_is_refused(index in 0..4_usize, at: usize, other in 1..95_u8) {
        let codes: Vec<_> = VECTORS.pix.iter().filter(|vector| vector.crc_valid).collect();
        let mut code = codes[index].payload.clone().into_bytes();
        let at = at % code.len();
        code[at] = b' ' + (code[at] - b' ' + other) % 95;
        prop_assert!(BrCode::parse(std::str::from_utf8(&code).unwrap()).is_err());
    }

    #[test]
    fn no_text_is_too_odd(text in ".{0,200}", id in 0..99_u8, value in ".{0,99}") {
        prop_assert!(BrCode::parse(&text).is_err());
        // With a right check sum whatever stands inside is looked at.
        let mut code = text;
        code.push_str(CHECK_SUM);
        let sum = crc16(code.as_bytes());
        let read = BrCode::parse(&format!("{code}{sum:04X}"));
        prop_assert!(read.is_err());
        if !matches!(id, 0 | 26 | 52 | 53 | 63) {
            let read = BrCode::parse(&dynamic(&[(id, &value)]));
            prop_assert!(read.is_ok() || matches!(id, 54 | 62), "{id} {value}");
        }
    }
}

#[test]
fn a_long_text_is_refused_at_once() {
    assert_eq!(BrCode::parse(&"0".repeat(100_000)), Err(PixError::Structure));
    assert_eq!(BrCode::parse("6304FFFF"), Err(PixError::CheckSum));
    assert_eq!(BrCode::parse("é63"), Err(PixError::Structure));
}
