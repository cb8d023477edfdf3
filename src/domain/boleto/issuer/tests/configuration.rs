//! What a configuration may say, what it is told when it may not, and what is shown of it.

use super::*;

fn fields(issuer: &Issuer) -> Vec<String> {
    issuer.violations().into_iter().map(|found| found.field).collect()
}

#[test]
fn every_broken_rule_of_a_configuration_is_named() {
    assert_eq!(
        fields(&bradesco("123", "12345678", "9a")),
        ["issuer.agency", "issuer.account", "issuer.carteira"]
    );
    for convenio in ["", "123", "12345", "12345678", "123456a", "0123456"] {
        assert_eq!(fields(&banco_do_brasil(convenio)), ["issuer.convenio"], "{convenio}");
    }
    let bare = Issuer::BancoDoBrasil {
        convenio: text("123456"),
        carteira: text("17"),
        variacao: String::new(),
        agency: None,
        account: None,
    };
    assert_eq!(fields(&bare), ["issuer.variacao", "issuer.agency", "issuer.account"]);
    let due = date("2026-12-10");
    assert_eq!(bare.compose(1, Cents(1), due), Err(IssueError::Issuer { field: "agency" }));
}

#[test]
fn every_broken_rule_of_the_other_banks_is_named_too() {
    let wrong = Issuer::Itau {
        agency: text("57"),
        account: text("123456"),
        account_dac: text("x"),
        carteira: text("9"),
    };
    assert_eq!(fields(&wrong), ["issuer.agency", "issuer.account", "issuer.account_dac", "issuer.carteira"]);
    let wrong = Issuer::Santander {
        beneficiary: text("123456"),
        carteira: text("103"),
        ios: text("1"),
        agency: Some(text("59")),
        account: Some(String::new()),
        workspace_id: Some(text("../w")),
    };
    let expected = ["beneficiary", "carteira", "ios", "agency", "account", "workspace_id"]
        .map(|name| format!("issuer.{name}"));
    assert_eq!(fields(&wrong), expected);
    for beneficiary in ["", "12345", "12345678", "12345é", "１２３４５６"] {
        assert_eq!(fields(&caixa(beneficiary)), ["issuer.beneficiary"], "{beneficiary}");
    }
    let wrong = Issuer::Inter { account: text("1234567890123"), agency: Some(text("1")) };
    assert_eq!(fields(&wrong), ["issuer.account", "issuer.agency"]);
    for right in [itau("109"), santander("1899775", "101"), caixa("245274"), caixa("1234567"), inter()] {
        assert_eq!(right.violations(), []);
    }
}

#[test]
fn an_itau_account_whose_digit_is_wrong_is_refused() {
    for digit in '0'..='9' {
        let mut issuer = itau("109");
        if let Issuer::Itau { account_dac, .. } = &mut issuer {
            *account_dac = digit.to_string();
        }
        let expected: &[&str] = if digit == '7' { &[] } else { &["issuer.account_dac"] };
        assert_eq!(fields(&issuer), expected, "{digit}");
    }
}

#[test]
fn ambiguous_carteiras_are_refused_with_the_reason() {
    let reasons = [
        ("112", "disagree"),
        ("115", "contradicts"),
        ("188", "contradicts"),
        ("145", "one place"),
        ("146", "one place"),
        ("168", "do not follow"),
        ("106", "disagree"),
        ("195", "disagree"),
        ("107", "seu número"),
        ("122", "seu número"),
        ("142", "seu número"),
        ("143", "seu número"),
        ("196", "seu número"),
        ("198", "seu número"),
    ];
    for (carteira, reason) in reasons {
        let issuer = itau(carteira);
        let found = issuer.violations();
        assert_eq!(fields(&issuer), ["issuer.carteira"], "{carteira}");
        assert!(found[0].description.contains(reason), "{carteira}: {}", found[0]);
        let refused = IssueError::Issuer { field: "carteira" };
        assert_eq!(issuer.compose(1, Cents(1), date("2026-12-10")), Err(refused));
        assert_eq!(issuer.sequence_max(), 0);
    }
}

#[test]
fn itaus_exceptions_leave_agency_and_account_out_of_the_check_digit() {
    for carteira in ["126", "131", "150"] {
        assert_eq!(itau(carteira).violations(), []);
        let (number, check_digit) = itau(carteira).number(12_345_678).unwrap();
        let covered = format!("{carteira}{number}");
        let expected = char::from(crate::domain::boleto::check_digit::mod10(covered.as_bytes()));
        assert_eq!(check_digit, Some(expected.to_string()), "{carteira}");
    }
    // Here the two rules differ, so that the list above is seen to matter.
    assert_ne!(itau("126").number(1).unwrap().1, itau("125").number(1).unwrap().1);
}

#[test]
fn what_does_not_fit_is_refused() {
    let due = date("2026-12-10");
    for (issuer, max) in [
        (banco_do_brasil("1234567"), 9_999_999_999),
        (banco_do_brasil("123456"), 99_999),
        (banco_do_brasil("1234"), 9_999_999),
        (bradesco("1234", "345", "09"), 99_999_999_999),
        (itau("109"), 99_999_999),
        (santander("1899775", "101"), 999_999_999_999),
        (caixa("245274"), 999_999_999_999_999),
    ] {
        assert_eq!(issuer.sequence_max(), max);
        for sequence in [i64::MIN, 0, max + 1, i64::MAX] {
            assert_eq!(issuer.compose(sequence, Cents(1), due), Err(IssueError::Sequence { max }));
            assert_eq!(issuer.number(sequence), Err(IssueError::Sequence { max }));
        }
        assert_eq!(issuer.compose(1, Cents(0), due), Err(IssueError::Amount));
        let early = date("1999-12-31");
        assert_eq!(issuer.compose(1, Cents(1), early), Err(IssueError::DueDate(NoDueDateFactor)));
    }
}

#[test]
fn where_the_bank_chooses_the_number_there_is_nothing_to_make() {
    let issuer = inter();
    assert_eq!((issuer.numbering(), caixa("245274").numbering()), (Numbering::TheBanks, Numbering::Ours));
    assert_eq!(issuer.compose(1, Cents(1), date("2026-12-10")), Err(IssueError::TheBanksNumber));
    assert_eq!((issuer.number(1), issuer.sequence_max()), (Err(IssueError::TheBanksNumber), 0));
}

#[test]
fn issuers_of_one_number_space_share_its_key() {
    let mut other_carteira = banco_do_brasil("1234567");
    if let Issuer::BancoDoBrasil { carteira, .. } = &mut other_carteira {
        "31".clone_into(carteira);
    }
    assert_eq!(other_carteira.range_key(), banco_do_brasil("1234567").range_key());
    let account = |account| bradesco("1234", account, "09").range_key();
    assert_eq!(account("345"), account("0000345"));
    assert_ne!(account("345"), account("346"));
    assert_ne!(itau("109").range_key(), itau("110").range_key());
    assert_eq!(santander("1899775", "101").range_key(), santander("1899775", "102").range_key());
    assert_ne!(caixa("245274").range_key(), caixa("0245274").range_key());
}

#[test]
fn a_barcode_of_another_agreement_is_not_read() {
    let barcode = barcode_of(&banco_do_brasil("1234567"), 7);
    assert_eq!(banco_do_brasil("1234567").sequence_of(&barcode), Some(7));
    assert_eq!(banco_do_brasil("1234568").sequence_of(&barcode), None);
    assert_eq!(banco_do_brasil("1234").sequence_of(&barcode), None);
    assert_eq!(bradesco("0000", "1", "17").sequence_of(&barcode), None);
    let barcode = barcode_of(&itau("109"), 7);
    assert_eq!((itau("109").sequence_of(&barcode), itau("110").sequence_of(&barcode)), (Some(7), None));
    let barcode = barcode_of(&caixa("245274"), 7);
    // The check digit of 245274 is 0: a code of seven digits can look the same, and is then the same.
    assert_eq!(caixa("2452740").sequence_of(&barcode), Some(7));
    assert_eq!(caixa("2452741").sequence_of(&barcode), None);
}

#[test]
fn the_form_shows_the_banks_own_digits() {
    let shown = |issuer: Issuer| format!("{}-{}", issuer.bank_code(), issuer.bank_code_dv());
    let banks = [
        banco_do_brasil("1234567"),
        santander("1899775", "101"),
        inter(),
        caixa("245274"),
        bradesco("1467", "12500", "09"),
        itau("109"),
    ];
    assert_eq!(banks.map(shown), ["001-9", "033-7", "077-9", "104-0", "237-2", "341-7"]);
    for (issuer, line) in [
        (banco_do_brasil("1234567"), "1234-3 / 123456-0"),
        (bradesco("1467", "12500", "09"), "1467-2 / 0012500-8"),
        (itau("109"), "0057 / 12345-7"),
        (santander("1899775", "101"), "0059 / 1899775"),
        (caixa("005507"), "1825 / 005507-7"),
        (caixa("1234567"), "1825 / 1234567"),
        (inter(), "0001 / 1234567"),
    ] {
        assert_eq!(issuer.agency_and_beneficiary(), line);
    }
    let bare = Issuer::Caixa { beneficiary: text("005507"), agency: None };
    assert_eq!(bare.agency_and_beneficiary(), "005507-7");
    assert_eq!((bare.agency(), bare.account(), bare.carteira()), (None, None, Some("1")));
    let known = itau("109");
    assert_eq!(
        (known.agency(), known.account(), known.carteira()),
        (Some("0057"), Some("12345"), Some("109"))
    );
}

#[test]
fn the_title_number_is_twenty_digits() {
    let long = banco_do_brasil_title_number("12345670000000005");
    assert_eq!(long.as_deref(), Some("00012345670000000005"));
    assert_eq!(banco_do_brasil_title_number("12380123456"), None);
    assert_eq!(banco_do_brasil_title_number("1234567000000000X"), None);
}

#[test]
fn configuration_is_read_strictly() {
    for written in [
        r#"{"bank":"bradesco","agency":"1234","account":"345","carteira":"09"}"#,
        r#"{"bank":"itau","agency":"0057","account":"12345","account_dac":"7","carteira":"109"}"#,
        r#"{"bank":"santander","beneficiary":"1899775","carteira":"101","ios":"7","agency":"0059"}"#,
        r#"{"bank":"santander","beneficiary":"1899775","carteira":"101"}"#,
        r#"{"bank":"caixa","beneficiary":"245274"}"#,
        r#"{"bank":"inter","account":"1234567"}"#,
    ] {
        let issuer: Issuer = serde_json::from_str(written).unwrap();
        assert_eq!(serde_json::to_string(&issuer).unwrap(), written);
        assert_eq!(issuer.violations(), []);
        assert!(serde_json::from_str::<Issuer>(&written.replace('}', r#","x":1}"#)).is_err());
    }
    assert!(serde_json::from_str::<Issuer>(r#"{"bank":"caixa"}"#).is_err());
}
