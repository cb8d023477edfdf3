//! Published codes, published faults, and whatever else people paste.

use proptest::prelude::*;

use super::*;
use crate::domain::boleto::check_digit;
use crate::domain::vectors::VECTORS;

fn names(errors: &[CodeError]) -> Vec<&'static str> {
    errors.iter().map(|error| error.code()).collect()
}

#[test]
fn every_published_code_is_read_in_all_its_forms() {
    for vector in &VECTORS.valid {
        let forms = [&vector.barcode, &vector.digitable_line, &vector.digitable_line_formatted];
        for code in forms {
            let parsed = parse(code, vector.due_date).unwrap();
            let expected = ParsedCode::Cobranca {
                barcode: Barcode::parse(&vector.barcode).unwrap(),
                linha: LinhaDigitavel::parse(&vector.digitable_line).unwrap(),
                bank_code: Digits::from_bare(&vector.bank_code).unwrap(),
                amount: Some(Cents(vector.amount_cents)).filter(|amount| amount.0 > 0),
                due_date: Some(vector.due_date),
                factor: Some(vector.due_factor),
                campo_livre: Digits::from_bare(&vector.campo_livre).unwrap(),
            };
            assert_eq!(parsed, expected, "{code}");
        }
    }
}

#[test]
fn every_published_fault_is_refused_with_all_its_reasons() {
    let reference = "2026-11-21".parse().unwrap();
    for vector in &VECTORS.invalid {
        let errors = parse(&vector.code, reference).unwrap_err();
        assert_eq!(names(&errors), vector.expected_errors, "{}", vector.code);
        let strict = match vector.form.as_str() {
            "barcode" => Barcode::parse(&vector.code).unwrap_err(),
            _ => LinhaDigitavel::parse(&vector.code).unwrap_err(),
        };
        assert_eq!(strict, errors, "{}", vector.code);
    }
    assert_eq!(VECTORS.invalid.len(), 37);
}

#[test]
fn convenio_codes_are_told_from_those_of_banks() {
    let reference = "2026-11-21".parse().unwrap();
    for vector in &VECTORS.arrecadacao {
        let spaced = format!("{}-{}", &vector.digitable_line[..11], &vector.digitable_line[11..]);
        for code in [&vector.barcode, &vector.digitable_line, &spaced] {
            let ParsedCode::Arrecadacao { barcode, line, .. } = parse(code, reference).unwrap() else {
                panic!("{code} was read as a bank's");
            };
            assert_eq!(barcode.as_str(), vector.barcode);
            assert_eq!(line.as_str(), vector.digitable_line);
        }
    }
}

#[test]
fn what_a_code_leaves_open_is_absent() {
    let mut code = *b"00190000000000000001234567890123456789012345";
    code[4] = check_digit::general(&code);
    let parsed = parse(std::str::from_utf8(&code).unwrap(), "2026-11-21".parse().unwrap());
    let Ok(ParsedCode::Cobranca { amount, due_date, factor, .. }) = parsed else {
        panic!("an open code is a right code");
    };
    assert_eq!((amount, due_date, factor), (None, None, None));
}

#[test]
fn what_is_pasted_around_the_digits_decides() {
    let vector = &VECTORS.valid[0];
    let reference = vector.due_date;
    assert!(parse(&format!("  {}\n", vector.digitable_line_formatted), reference).is_ok());
    let wrong =
        ["", " ", "é", "8", "\0", "９9", &format!("{}/", vector.digitable_line), &"1".repeat(100_000)];
    for code in wrong {
        assert_eq!(parse(code, reference), Err(vec![CodeError::Format]));
    }
}

/// Signs that come with pasted codes, and digits of other scripts.
const PASTED: &str = "[0-9 .\\-\t\u{a0}８é]{0,60}";

proptest! {
    #[test]
    fn no_text_is_too_odd(text in prop_oneof![".{0,120}", PASTED, "[0-9]{43,49}", "8[0-9]{43}", "8[0-9]{47}"]) {
        let reference = "2026-11-21".parse().unwrap();
        match parse(&text, reference) {
            // By chance alone a right code comes up about once in ten thousand.
            Ok(ParsedCode::Cobranca { barcode, linha, .. }) => {
                prop_assert_eq!(linha.to_barcode(), barcode);
            }
            Ok(ParsedCode::Arrecadacao { barcode, line, .. }) => {
                prop_assert_eq!(Arrecadacao::from_line(line), Arrecadacao::from_barcode(barcode));
            }
            Err(errors) => {
                let mut sorted = errors.clone();
                sorted.sort();
                sorted.dedup();
                prop_assert_eq!(&sorted, &errors, "each reason once, in the order of the fields");
                prop_assert!(!errors.is_empty());
                prop_assert!(!errors.contains(&CodeError::Format) || errors.len() == 1);
            }
        }
    }

    /// Modulo 10 sees every single wrong digit of a block.
    #[test]
    fn bills_of_every_kind_are_read_in_both_forms_and_mistyped_ones_are_not(
        segment in 1..10_u8,
        value_id in 6..10_u8,
        rest in "[0-9]{40}",
        at in 0..48_usize,
        other in 1..10_u8,
    ) {
        let reference = "2026-11-21".parse().unwrap();
        let mut code: [u8; 44] = format!("8{segment}{value_id}0{rest}").into_bytes().try_into().unwrap();
        let rule = if value_id < 8 { check_digit::mod10 } else { check_digit::above_nine_is_zero };
        code[3] = rule(&check_digit::without(&code, 3));
        let barcode = std::str::from_utf8(&code).unwrap();
        let Ok(ParsedCode::Arrecadacao { line, amount, .. }) = parse(barcode, reference) else {
            panic!("{barcode} is right")
        };
        prop_assert_eq!(parse(line.as_str(), reference), parse(barcode, reference));
        prop_assert!(amount.is_none() || matches!(value_id, 6 | 8));
        // A check digit by modulo 11 that is 0 stands for two remainders, and the third digit chooses the rule.
        if value_id < 8 && at != 2 {
            let mut wrong = line.as_bytes().to_vec();
            wrong[at] = b'0' + (wrong[at] - b'0' + other) % 10;
            prop_assert!(parse(std::str::from_utf8(&wrong).unwrap(), reference).is_err());
        }
    }
}
