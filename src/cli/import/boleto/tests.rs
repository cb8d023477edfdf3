//! Rows as that service wrote them, and what becomes of each.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::domain::bank_account::{AccountRules, Beneficiary, Provider};
use crate::domain::ids::{BankAccountId, TenantId};
use crate::domain::money::Rounding;
use crate::domain::tax_id::TaxId;

fn account(provider: Provider, issuer: Issuer) -> BankAccount {
    BankAccount {
        id: BankAccountId(Uuid::from_u128(7)),
        tenant_id: TenantId::default(),
        external_id: None,
        display_name: "shop".to_owned(),
        beneficiary: Beneficiary {
            name: "Loja Exemplo Ltda".to_owned(),
            tax_id: TaxId::parse("11222333000181").unwrap(),
        },
        issuer,
        provider,
        credentials: BTreeMap::new(),
        is_default: false,
        rounding: Rounding::Truncate,
        rules: AccountRules::default(),
        version: 1,
        created_at: DateTime::UNIX_EPOCH,
        updated_at: DateTime::UNIX_EPOCH,
    }
}

fn bradesco() -> BankAccount {
    let (agency, account_number, carteira) = ("3381".to_owned(), "9721".to_owned(), "26".to_owned());
    account(Provider::BradescoApiregistro, Issuer::Bradesco { agency, account: account_number, carteira })
}

fn caixa() -> BankAccount {
    let (beneficiary, agency) = ("1103388".to_owned(), Some("3337".to_owned()));
    account(Provider::BoletoApi, Issuer::Caixa { beneficiary, agency })
}

/// The reference sheet's vector, registered.
fn row() -> Value {
    let address = json!({"zipcode": "04551010", "street": "Rua Fidêncio Ramos", "street_number": "308",
        "complementary": "9º andar, conjunto 91", "neighborhood": "Vila Olímpia", "city": "São Paulo", "state": "SP"});
    json!({
        "id": "bol_cj1", "queue_url": "https://sqs.us-east-1.amazonaws.com/123456789012/owners", "external_id": null,
        "issuer": "bradesco", "issuer_wallet": "26", "issuer_agency": "3381", "issuer_account": "9721",
        "status": "registered", "expiration_date": "2026-12-24T00:00:00+00:00", "amount": 2000, "paid_amount": 0,
        "title_id": 1, "token": "prd_cj1", "reference_id": "order-7", "instructions": null,
        "interest": {}, "fine": {}, "rules": null,
        "barcode": "23799167000000020003381260000000000100097210",
        "digitable_line": "23793.38128 60000.000004 01000.972107 9 16700000002000", "boleto_url": null,
        "bank_response_code": null, "issuer_response_code": "0",
        "payer_name": "Maria Exemplo", "payer_document_type": "cpf", "payer_document_number": "52998224725",
        "payer_address": address, "company_name": null, "company_document_number": null, "company_address": address,
        "created_at": "2026-11-01T12:00:00.123+00:00", "updated_at": "2026-11-02T01:00:00+00:00"
    })
}

fn map(account: &BankAccount, changes: Value) -> Result<Mapped, Vec<String>> {
    let mut row = row();
    for (name, value) in changes.as_object().unwrap() {
        row[name] = value.clone();
    }
    let given: LegacyBoleto = serde_json::from_value(row).unwrap();
    let mapped = given.map(account, Vec::new());
    mapped.map_err(|found| found.into_iter().map(|violation| violation.field).collect())
}

fn fields(changes: Value) -> Vec<String> {
    map(&bradesco(), changes).err().expect("refused")
}

#[test]
fn the_vector_of_the_service_before_comes_over_as_it_was() {
    let mapped = map(&bradesco(), json!({})).ok().unwrap();
    let boleto = &mapped.boleto;
    assert_eq!((boleto.status, boleto.amount, boleto.version), (Status::Registered, Cents(2000), 1));
    assert_eq!(boleto.due_date.to_string(), "2026-12-24");
    assert_eq!(boleto.codes.nosso_numero.as_deref(), Some("00000000001"));
    assert_eq!(boleto.codes.barcode.unwrap().as_str(), "23799167000000020003381260000000000100097210");
    assert_eq!(boleto.reference_id.as_deref(), Some("order-7"));
    assert_eq!(boleto.bank_response.as_ref().unwrap().code, "0");
    assert_eq!(boleto.id.0.get_version_num(), 7);
    assert_eq!(boleto.id.0.get_timestamp().unwrap().to_unix().0, 1_793_534_400);
    assert!(mapped.payment.is_none() && mapped.note.is_none());
}

#[test]
fn a_moment_in_the_evening_is_the_date_of_its_barcode() {
    // 21:30 in São Paulo on the 23rd is the 24th in UTC, which is what the barcode was made of.
    let evening = json!({"expiration_date": "2026-12-24T00:30:00+00:00"});
    assert_eq!(map(&bradesco(), evening).ok().unwrap().boleto.due_date.to_string(), "2026-12-24");
    // The barcode of the 24th, and a moment that is the 25th in UTC and the 24th in São Paulo.
    let other = json!({"expiration_date": "2026-12-25T02:00:00+00:00"});
    assert_eq!(map(&bradesco(), other).ok().unwrap().boleto.due_date.to_string(), "2026-12-24");
    assert_eq!(fields(json!({"expiration_date": "2026-12-26T12:00:00+00:00"})), ["barcode"]);
}

#[test]
fn what_our_rules_refuse_is_refused_with_every_reason() {
    assert_eq!(fields(json!({"amount": 0})), ["amount"]);
    assert_eq!(fields(json!({"amount": -5, "barcode": "2379NaN"})), ["amount", "barcode"]);
    assert_eq!(fields(json!({"amount": 2001})), ["barcode"]);
    assert_eq!(fields(json!({"title_id": 2})), ["barcode"]);
    assert_eq!(fields(json!({"title_id": 0})), ["title_id"]);
    assert_eq!(fields(json!({"status": "paid"})), ["status"]);
    assert_eq!(fields(json!({"paid_amount": -1})), ["paid_amount"]);
    assert_eq!(fields(json!({"instructions": "x".repeat(166)})), ["instructions"]);
    let nobody = json!({"payer_name": null, "payer_document_number": null, "payer_document_type": null});
    assert_eq!(fields(nobody), ["payer.name", "payer_document_number"]);
    assert_eq!(fields(json!({"payer_document_number": "11111111111", "company_name": "x"})).len(), 2);
}

#[test]
fn a_payment_settles_what_was_registered_and_is_a_fact_beside_the_rest() {
    let paid = map(&bradesco(), json!({"paid_amount": 2000, "bank_response_code": "06"})).ok().unwrap();
    assert_eq!((paid.boleto.status, paid.boleto.paid), (Status::Paid, Cents(2000)));
    let payment = paid.payment.unwrap();
    assert_eq!(payment.response_code.as_deref(), Some("06"));
    // One in the morning of UTC is the evening before in São Paulo.
    assert_eq!(payment.paid_on.to_string(), "2026-11-01");
    assert_eq!(paid.boleto.paid_on, Some(payment.paid_on));
    let refused = map(&bradesco(), json!({"paid_amount": 2000, "status": "refused"})).ok().unwrap();
    assert_eq!(refused.boleto.status, Status::Refused);
}

#[test]
fn a_refusal_that_no_bank_pronounced_needs_a_review() {
    for code in ["ECONNABORTED", "ECONNREFUSED", "EAI_AGAIN", "NOT_FOUND_PARAMS", "defaultErrorCode"] {
        let mapped =
            map(&bradesco(), json!({"status": "refused", "issuer_response_code": code})).ok().unwrap();
        assert_eq!((mapped.boleto.status, mapped.note.is_some()), (Status::NeedsReview, true), "{code}");
    }
    for code in ["9300574", "-393", "MPBoleto", "400"] {
        let mapped =
            map(&bradesco(), json!({"status": "refused", "issuer_response_code": code})).ok().unwrap();
        assert_eq!((mapped.boleto.status, mapped.note.is_some()), (Status::Refused, false), "{code}");
    }
    let of_caixa = json!({"issuer": "boleto-api-caixa", "status": "refused", "issuer_response_code": "503"});
    assert_eq!(map(&caixa(), of_caixa).ok().unwrap().boleto.status, Status::NeedsReview);
}

#[test]
fn a_boleto_of_caixa_has_no_code_before_the_bank_gave_one() {
    let pending =
        map(&caixa(), json!({"issuer": "boleto-api-caixa", "status": "pending_registration"})).ok().unwrap();
    assert_eq!(pending.boleto.codes.barcode, None, "the code that stood there was another bank's");
    assert!(pending.boleto.codes.nosso_numero.is_some());
    let no_code = map(&caixa(), json!({"issuer": "boleto-api-caixa"})).err().unwrap();
    assert_eq!(no_code, ["barcode"]);
    let date = NaiveDate::from_ymd_opt(2026, 12, 24).unwrap();
    let codes = caixa().issuer.compose(1, Cents(2000), date).unwrap();
    let given = codes.barcode.unwrap().as_str().to_owned();
    let registered = map(&caixa(), json!({"issuer": "boleto-api-caixa", "barcode": given})).ok().unwrap();
    assert_eq!(registered.boleto.codes, codes);
    let other =
        map(&caixa(), json!({"issuer": "boleto-api-caixa", "barcode": given, "title_id": 2})).err().unwrap();
    assert_eq!(other, ["barcode"]);
}

#[test]
fn terms_come_over() {
    let changes = json!({
        "rules": ["no_strict"], "fine": {"percentage": 2}, "interest": {"percentage": 1, "days": 1},
        "company_name": "Empresa Exemplo", "company_document_number": "18727053000174",
    });
    let terms = map(&bradesco(), changes).ok().unwrap().boleto.terms;
    assert!(terms.late_payment.is_some() && terms.charges.fine.is_some() && terms.charges.interest.is_some());
    let guarantor = terms.guarantor.unwrap();
    assert_eq!((guarantor.name.as_str(), guarantor.tax_id.as_str()), ("Empresa Exemplo", "18727053000174"));
    assert!(guarantor.address.is_some());
}
