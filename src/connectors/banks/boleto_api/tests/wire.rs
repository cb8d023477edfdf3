//! What goes over the wire, byte for byte, for either bank.

use super::*;
use crate::connectors::banks::boleto_api::tests::fixture::{bradesco, caixa, sent};
use crate::domain::boleto::charges::{Fine, FineValue, Interest, InterestValue};
use crate::domain::boleto::terms::{Guarantor, LatePayment};
use crate::domain::money::Cents;

const ADDRESS: &str = concat!(
    r#"{"street":"Rua das Flores","number":"308","complement":"apto 12","zipCode":"01001000","#,
    r#""district":"Centro","city":"Sao Paulo","stateCode":"SP"}"#,
);

fn guarantor(shop: &Shop) -> Guarantor {
    Guarantor {
        name: "Loja {tax_id}".into(),
        tax_id: TaxId::parse("529.982.247-25").unwrap(),
        address: Some(shop.boleto.payer.address.clone()),
    }
}

#[tokio::test]
async fn a_registration_at_shopfacil_reads_as_the_sheet_says() {
    let mut shop = bradesco();
    let seen = sent(&shop, |_| {}).await;
    let expected = format!(
        concat!(
            r#"{{"bankNumber":237,"authentication":{{"username":"shop","password":"facil"}},"#,
            r#""agreement":{{"agreementNumber":3069995,"wallet":26,"agency":"3381","account":"9721"}},"#,
            r#""title":{{"expireDate":"2026-04-10","amountInCents":12590,"ourNumber":1,"#,
            r#""instructions":"Nao receber apos o vencimento","documentNumber":"1"}},"#,
            r#""recipient":{{"name":"Shop","document":{{"type":"CNPJ","number":"11222333000181"}}}},"#,
            r#""buyer":{{"name":"Ana Maria","document":{{"type":"cpf","number":"52998224725"}},"address":{}}},"#,
            r#""requestKey":"attempt-1"}}"#,
        ),
        ADDRESS
    );
    assert_eq!(seen.body, expected);
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/v1/boleto/register"));
    // base64 of gate:open
    assert_eq!(seen.header("authorization"), "Basic Z2F0ZTpvcGVu");
    assert_eq!(seen.header("content-type"), "application/json");

    shop.boleto.terms.guarantor = Some(guarantor(&shop));
    let body = sent(&shop, |_| {}).await.json();
    assert_eq!(body["recipient"]["document"], serde_json::json!({"type": "CPF", "number": "52998224725"}));
    assert_eq!(body["recipient"]["address"], serde_json::from_str::<serde_json::Value>(ADDRESS).unwrap());
}

#[tokio::test]
async fn the_agreements_number_is_the_accounts_or_else_the_installations() {
    let mut shop = bradesco();
    let set = |config: &mut BoletoApiConfig| config.bradesco_agreement_number = "77".into();
    assert_eq!(sent(&shop, set).await.json()["agreement"]["agreementNumber"], 3_069_995);
    shop.account.credentials.remove("agreement_number");
    assert_eq!(sent(&shop, set).await.json()["agreement"]["agreementNumber"], 77);
}

#[tokio::test]
async fn a_registration_at_caixa_reads_as_the_sheet_says() {
    let mut shop = caixa();
    let seen = sent(&shop, |_| {}).await;
    let expected = format!(
        concat!(
            r#"{{"bankNumber":104,"agreement":{{"agreementNumber":1103388,"agency":"3337"}},"#,
            r#""title":{{"expireDate":"2026-04-10","amountInCents":12590,"ourNumber":1,"#,
            r#""instructions":"Nao receber apos o vencimento","documentNumber":"1","rules":null,"fees":null}},"#,
            r#""recipient":{{"name":"Shop","document":{{"type":"CNPJ","number":"11222333000181"}}}},"#,
            r#""payeeGuarantor":{{"name":"","document":{{"type":"","number":""}}}},"#,
            r#""buyer":{{"name":"Ana Maria","document":{{"type":"CPF","number":"52998224725"}},"address":{}}},"#,
            r#""requestKey":"attempt-1"}}"#,
        ),
        ADDRESS
    );
    assert_eq!(seen.body, expected);
    assert_eq!(seen.path, "/v1/boleto/register");

    // The payer's address goes without saying where the company's is the same.
    shop.boleto.terms.guarantor = Some(guarantor(&shop));
    let body = sent(&shop, |_| {}).await.json();
    let document = serde_json::json!({"type": "CPF", "number": "52998224725"});
    let expected = serde_json::json!({"name": "Loja {tax_id}", "document": document});
    assert_eq!(body["payeeGuarantor"], expected);
    assert_eq!(body["recipient"]["name"], "Shop");
    assert_eq!(body["recipient"]["address"]["street"], "Rua das Flores");
    assert_eq!(body["buyer"].get("address"), None);
    shop.boleto.payer.address.number = "309".into();
    assert_eq!(sent(&shop, |_| {}).await.json()["buyer"]["address"]["number"], "309");
}

#[tokio::test]
async fn caixas_rules_say_what_was_agreed_about_a_late_payment() {
    let mut shop = caixa();
    for (late_payment, rules) in [
        (LatePayment::Refused, r#""rules":{"acceptDivergentAmount":false,"maxDaysToPayPastDue":0},"#),
        (
            LatePayment::Accepted { days: 60 },
            r#""rules":{"acceptDivergentAmount":true,"maxDaysToPayPastDue":60},"#,
        ),
    ] {
        shop.boleto.terms.late_payment = Some(late_payment);
        let body = sent(&shop, |_| {}).await.body;
        assert!(body.contains(rules), "{body}");
    }
}

#[tokio::test]
async fn caixas_fees_are_written_digit_by_digit() {
    let amount = Fine { value: FineValue::Amount(Cents(250)), after_days: 3 };
    let percentage = Fine { value: FineValue::Percentage("2.5".parse().unwrap()), after_days: 1 };
    let per_day = Interest { value: InterestValue::AmountPerDay(Cents(7)), after_days: 1 };
    let per_month =
        Interest { value: InterestValue::PercentagePerMonth("0.29".parse().unwrap()), after_days: 2 };
    let cases = [
        (
            Some(amount),
            None,
            r#"{"fine":{"daysAfterExpirationDate":3,"amountInCents":250,"percentageOnTotal":0},"interest":null}"#,
        ),
        (
            Some(percentage),
            Some(per_month),
            concat!(
                r#"{"fine":{"daysAfterExpirationDate":1,"amountInCents":0,"percentageOnTotal":2.5},"#,
                r#""interest":{"daysAfterExpirationDate":2,"amountPerDayInCents":0,"percentagePerMonth":0.29}}"#,
            ),
        ),
        (
            None,
            Some(per_day),
            concat!(
                r#"{"fine":null,"#,
                r#""interest":{"daysAfterExpirationDate":1,"amountPerDayInCents":7,"percentagePerMonth":0}}"#,
            ),
        ),
    ];
    for (fine, interest, fees) in cases {
        let mut shop = caixa();
        shop.boleto.terms.charges.fine = fine;
        shop.boleto.terms.charges.interest = interest;
        let body = sent(&shop, |_| {}).await.body;
        assert!(body.contains(&format!(r#""fees":{fees}}},"#)), "{body}");
    }
}

#[tokio::test]
async fn the_installations_sentence_stands_behind_the_owners_own_words() {
    let mut shop = caixa();
    let sentence = |config: &mut BoletoApiConfig| {
        config.caixa_instructions = "Cobrado por {company} ({tax_id}).".into();
    };
    let instructions = |seen: crate::connectors::scripted::Seen| seen.json()["title"]["instructions"].clone();
    assert_eq!(
        instructions(sent(&shop, sentence).await),
        "Nao receber apos o vencimento Cobrado por Shop (11222333000181)."
    );
    shop.boleto.terms.guarantor = Some(guarantor(&shop));
    for own in [None, Some(String::new())] {
        shop.boleto.instructions = own;
        // What looks like a placeholder in a name is a part of the name.
        assert_eq!(instructions(sent(&shop, sentence).await), "Cobrado por Loja {tax_id} (52998224725).");
        assert_eq!(instructions(sent(&shop, |_| {}).await), "");
    }
}

#[tokio::test]
async fn caixa_is_signed_in_with_where_a_pair_is_set() {
    let mut shop = caixa();
    let pair = bradesco();
    for key in ["bank_username", "bank_password"] {
        shop.account.credentials.insert(key.into(), pair.account.credentials[key].clone());
    }
    let expected = serde_json::json!({"username": "shop", "password": "facil"});
    assert_eq!(sent(&shop, |_| {}).await.json()["authentication"], expected);
}
