//! What is taken, and what an error gives away.

use super::account::AccountInput;
use super::boleto::{BoletoInput, PayerInput};
use super::*;
use crate::cli::render;
use crate::proto::boleto::v1::{AccountRules, BankAccount, CreateBoletoRequest, bank_account};

fn refusal<T: DeserializeOwned>(text: &str) -> String {
    match parse::<T>(text, Some("payer"), "-") {
        Ok(_) => panic!("{text} was taken"),
        Err(failure) => failure.to_string(),
    }
}

#[test]
fn a_whole_request_is_read_by_the_protocols_names() {
    let text = r#"{"request_id": "r", "amount_cents": 12590, "due_date": "2026-12-01", "queue_url": "q",
        "payer": {"name": "Ana", "tax_id": "1", "address": {"street": "s", "postal_code": "01001000"}}}"#;
    let request: CreateBoletoRequest = parse::<BoletoInput>(text, None, "-").unwrap().try_into().unwrap();
    let payer = request.payer.unwrap();
    assert_eq!((request.amount_cents, request.due_date.as_str()), (12_590, "2026-12-01"));
    assert_eq!((payer.name.as_str(), payer.address.unwrap().postal_code.as_str()), ("Ana", "01001000"));
}

#[test]
fn what_was_printed_can_be_given_back() {
    use bank_account::Issuer;
    for issuer in [
        Issuer::BancoDoBrasil(Default::default()),
        Issuer::Bradesco(Default::default()),
        Issuer::Itau(Default::default()),
        Issuer::Santander(Default::default()),
        Issuer::Caixa(Default::default()),
        Issuer::Inter(Default::default()),
    ] {
        let account = BankAccount {
            id: "a".to_owned(),
            version: 3,
            issuer: Some(issuer),
            credentials: [("app_key".to_owned(), "env:KEY".to_owned())].into(),
            is_default: true,
            rounding: "half_even".to_owned(),
            rules: Some(AccountRules {
                when_fine_or_interest: "charging".to_owned(),
                ..AccountRules::default()
            }),
            ..BankAccount::default()
        };
        let printed = render::bank_account::bank_account(&account);
        for text in [printed.to_string(), serde_json::json!({ "bank_account": printed }).to_string()] {
            let read = parse::<AccountInput>(&text, Some("bank_account"), "-").unwrap();
            assert_eq!(BankAccount::try_from(read), Ok(account.clone()));
        }
    }
}

#[test]
fn an_account_with_two_issuers_is_refused() {
    for text in [r#"{"banco_do_brasil": {}, "bradesco": {}}"#, r#"{"itau": {}, "inter": {}}"#] {
        let read = parse::<AccountInput>(text, Some("bank_account"), "-").unwrap();
        assert!(BankAccount::try_from(read).is_err());
    }
}

#[test]
fn an_error_names_the_field_and_the_place_and_no_value() {
    let unknown = refusal::<PayerInput>("{\"name\": \"Ana\",\n \"taxid\": \"52998224725\"}");
    assert!(unknown.contains("unknown field `taxid`") && unknown.contains("line 2"), "{unknown}");
    let wrong = refusal::<PayerInput>(r#"{"name": 52998224725}"#);
    assert!(wrong.contains("line 1") && !wrong.contains("52998224725"), "{wrong}");
    assert!(refusal::<PayerInput>("{\"name\": ").contains("ends too early"));
    assert!(refusal::<PayerInput>("name = 1").contains("is not JSON"));
}

#[test]
fn a_file_that_is_not_there_is_invalid_input() {
    let failure = read::<PayerInput>(Path::new("no/such/file.json"), None).err().unwrap();
    assert_eq!(failure.exit(), crate::cli::Exit::InvalidInput);
}
