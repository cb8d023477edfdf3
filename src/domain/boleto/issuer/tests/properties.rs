//! What holds for every agreement, every number and every text.

use proptest::prelude::*;

use super::*;
use crate::domain::boleto::check_digit::mod10;
use crate::domain::boleto::digits::Digits;
use crate::domain::boleto::due_date_factor::DAYS_AHEAD_MAX;
use crate::domain::boleto::parse::{CodeError, ParsedCode, parse};

fn any_itau() -> impl Strategy<Value = Issuer> {
    ("[0-9]{4}", "[0-9]{5}", "[0-9]{3}").prop_filter_map(
        "a refused carteira",
        |(agency, account, carteira)| {
            let account_dac = char::from(mod10(format!("{agency}{account}").as_bytes())).to_string();
            itau_layout(&carteira).then_some(Issuer::Itau { agency, account, account_dac, carteira })
        },
    )
}

fn itau_layout(carteira: &str) -> bool {
    crate::domain::boleto::issuer::itau::layout(carteira).is_ok()
}

/// An agreement under which anything may be issued.
fn any_issuer() -> impl Strategy<Value = Issuer> {
    let convenio = prop_oneof!["[1-9][0-9]{3}", "[1-9][0-9]{5}", "[1-9][0-9]{6}"];
    let banco_do_brasil = (convenio, "[0-9]{2}", "[0-9]{1,3}", "[0-9]{4}", "[0-9]{1,8}").prop_map(
        |(convenio, carteira, variacao, agency, account)| Issuer::BancoDoBrasil {
            convenio,
            carteira,
            variacao,
            agency: Some(agency),
            account: Some(account),
        },
    );
    let bradesco = ("[0-9]{4}", "[0-9]{1,7}", "[0-9]{2}")
        .prop_map(|(agency, account, carteira)| Issuer::Bradesco { agency, account, carteira });
    let carteira = prop_oneof!["101", "102", "201"];
    let santander = ("[0-9]{7}", carteira, "[079]").prop_map(|(beneficiary, carteira, ios)| {
        Issuer::Santander { beneficiary, carteira, ios, agency: None, account: None, workspace_id: None }
    });
    let caixa = "[0-9]{6,7}".prop_map(|beneficiary| Issuer::Caixa { beneficiary, agency: None });
    prop_oneof![banco_do_brasil, bradesco, any_itau(), santander, caixa]
}

proptest! {
    #[test]
    fn what_is_composed_is_parsed_back(
        issuer in any_issuer(),
        sequence in 1..=i64::MAX,
        amount in 1..=Cents::BOLETO_MAX.0,
        today in 8_000..60_000_i64,
        ahead in 0..=DAYS_AHEAD_MAX,
    ) {
        prop_assert_eq!(issuer.violations(), []);
        let sequence = 1 + sequence % issuer.sequence_max();
        let today = date("1997-10-07") + chrono::TimeDelta::days(today);
        let due = today + chrono::TimeDelta::days(ahead);
        let codes = issuer.compose(sequence, Cents(amount), due).unwrap();
        let barcode = codes.barcode.unwrap();
        prop_assert_eq!(issuer.sequence_of(&barcode), Some(sequence));
        prop_assert!(codes.nosso_numero.unwrap().ends_with(&sequence.to_string()));
        let linha = barcode.to_linha();
        for code in [barcode.to_string(), linha.to_string(), linha.formatted()] {
            let expected = ParsedCode::Cobranca {
                barcode,
                linha,
                bank_code: Digits::from_bare(issuer.bank_code()).unwrap(),
                amount: Some(Cents(amount)),
                due_date: Some(due),
                factor: Some(DueDateFactor::of(due).unwrap().get()),
                campo_livre: Digits::from_bare(barcode.campo_livre()).unwrap(),
            };
            prop_assert_eq!(parse(&code, today), Ok(expected));
        }
    }

    #[test]
    fn every_wrong_check_digit_is_named(
        issuer in any_issuer(),
        sequence in 1..=i64::MAX,
        amount in 1..=Cents::BOLETO_MAX.0,
        other in 1..10_u8,
    ) {
        let sequence = 1 + sequence % issuer.sequence_max();
        let due = date("2026-12-10");
        let barcode = issuer.compose(sequence, Cents(amount), due).unwrap().barcode.unwrap();
        let line = barcode.to_linha().as_str().to_owned();
        let wrong = |code: &str, at: usize| {
            let mut code = code.as_bytes().to_vec();
            code[at] = b'0' + (code[at] - b'0' + other) % 10;
            parse(std::str::from_utf8(&code).unwrap(), due)
        };
        let places = [
            (9, CodeError::Field1Dv),
            (20, CodeError::Field2Dv),
            (31, CodeError::Field3Dv),
            (32, CodeError::GeneralDv),
        ];
        for (at, error) in places {
            prop_assert_eq!(wrong(&line, at), Err(vec![error]));
        }
        prop_assert_eq!(wrong(barcode.as_str(), 4), Err(vec![CodeError::GeneralDv]));
    }

    /// The campo livre's own check digits tell a typing error from another title, where the bank has any.
    #[test]
    fn a_campo_livre_with_a_wrong_digit_is_of_another_title_or_of_none(
        issuer in any_issuer(),
        sequence in 1..=i64::MAX,
        at in 19..44_usize,
        other in 1..10_u8,
    ) {
        let sequence = 1 + sequence % issuer.sequence_max();
        let mut code = *barcode_of(&issuer, sequence).as_bytes();
        code[at] = b'0' + (code[at] - b'0' + other) % 10;
        code[4] = crate::domain::boleto::check_digit::general(&code);
        let barcode = Barcode::parse(std::str::from_utf8(&code).unwrap()).unwrap();
        prop_assert_ne!(issuer.sequence_of(&barcode), Some(sequence));
    }

    #[test]
    fn no_configuration_is_too_odd(numbers in prop::collection::vec(".{0,9}", 5), sequence: i64) {
        let [one, two, three, four, five] = <[String; 5]>::try_from(numbers).unwrap();
        let issuers = [
            Issuer::Itau { agency: one.clone(), account: two.clone(), account_dac: three.clone(), carteira: four.clone() },
            Issuer::Santander { beneficiary: one.clone(), carteira: two.clone(), ios: three, agency: Some(four), account: Some(five), workspace_id: None },
            Issuer::Caixa { beneficiary: one.clone(), agency: Some(two.clone()) },
            Issuer::Inter { account: one, agency: Some(two) },
        ];
        for issuer in issuers {
            let composed = issuer.compose(sequence, Cents(1), date("2026-12-10"));
            prop_assert!(composed.is_err() || issuer.sequence_max() > 0);
            prop_assert!(!issuer.range_key().is_empty() && issuer.violations().len() <= 5);
            prop_assert!(issuer.agency_and_beneficiary().len() < 1_000);
        }
    }
}
