//! Somebody has a line or a barcode, of whatever bank or utility, and wants to know what it says and whether it holds.

use bursar::proto::boleto::v1::parse_boleto_response::Code as Parsed;
use bursar::proto::boleto::v1::{ParseBoletoRequest, ParseBoletoResponse};
use serde_json::Value;
use tonic::Status;

use crate::support::house::{House, Refusal as _, Shop, a_boleto};

const VECTORS: &str = include_str!("../fixtures/boleto_vectors.json");

async fn parses(shop: &Shop, code: &str, reference_date: &str) -> Result<ParseBoletoResponse, Status> {
    let request = ParseBoletoRequest { code: code.to_owned(), reference_date: reference_date.to_owned() };
    Ok(shop.boletos.clone().parse_boleto(request).await?.into_inner())
}

fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
    vector[field].as_str().unwrap_or_else(|| panic!("no text {field} in {vector}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_of_every_bank_are_read_in_every_form() {
    let house = House::new().without_account().open().await;
    let shop = house.shop();
    let vectors: Value = serde_json::from_str(VECTORS).expect("the vectors");
    let valid = vectors["valid"].as_array().expect("a list");
    assert!(valid.len() > 80);
    for vector in valid {
        for form in ["barcode", "digitable_line", "digitable_line_formatted"] {
            let due_date = vector["due_date"].as_str().unwrap_or_default();
            let answer = parses(&shop, text(vector, form), due_date).await.expect("an answer");
            assert!(answer.valid && answer.errors.is_empty(), "{vector}");
            let Some(Parsed::Cobranca(parsed)) = answer.code else { panic!("no cobrança: {vector}") };
            assert_eq!(parsed.bank_code, text(vector, "bank_code"));
            assert_eq!(parsed.barcode, text(vector, "barcode"));
            assert_eq!(parsed.linha_digitavel, text(vector, "digitable_line"));
            assert_eq!(parsed.linha_digitavel_formatted, text(vector, "digitable_line_formatted"));
            assert_eq!(parsed.campo_livre, text(vector, "campo_livre"));
            let amount = vector["amount_cents"].as_i64().filter(|cents| *cents != 0);
            assert_eq!(parsed.amount_cents, amount, "{vector}");
            assert_eq!(parsed.due_date, due_date, "{vector}");
        }
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_code_is_said_by_name() {
    let house = House::new().without_account().open().await;
    let shop = house.shop();
    let vectors: Value = serde_json::from_str(VECTORS).expect("the vectors");
    for vector in vectors["invalid"].as_array().expect("a list") {
        let code = text(vector, "code");
        if code.is_empty() {
            continue;
        }
        let answer = parses(&shop, code, "").await.expect("an answer");
        let expected: Vec<&str> =
            vector["expected_errors"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        assert_eq!(answer.errors, expected, "{vector}");
        assert!(!answer.valid && answer.code.is_none(), "{vector}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bills_of_utilities_are_read_too() {
    let house = House::new().without_account().open().await;
    let vectors: Value = serde_json::from_str(VECTORS).expect("the vectors");
    for vector in vectors["arrecadacao"].as_array().expect("a list") {
        for form in ["barcode", "digitable_line"] {
            let answer = parses(&house.shop(), text(vector, form), "").await.expect("an answer");
            let Some(Parsed::Arrecadacao(parsed)) = answer.code else { panic!("no bill: {vector}") };
            assert_eq!(parsed.barcode, text(vector, "barcode"));
            assert_eq!(parsed.linha_digitavel, text(vector, "digitable_line"));
            assert_eq!(
                (parsed.segment.as_str(), parsed.value_id.as_str()),
                (text(vector, "segment"), text(vector, "value_id"))
            );
        }
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_codes_are_read_back() {
    let house = House::new().open().await;
    let shop = house.shop();
    let boleto = shop.creates(a_boleto().of_cents(987_654)).await;
    let answer = parses(&shop, &boleto.linha_digitavel, "").await.expect("an answer");
    let Some(Parsed::Cobranca(parsed)) = answer.code else { panic!("no cobrança") };
    assert_eq!((parsed.amount_cents, &parsed.due_date), (Some(987_654), &boleto.due_date));
    assert_eq!((parsed.bank_code.as_str(), &parsed.barcode), ("001", &boleto.barcode));
    assert!(parsed.campo_livre.contains(&boleto.nosso_numero));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_code_at_all_is_refused() {
    let house = House::new().without_account().open().await;
    let shop = house.shop();
    for (code, reference_date, fields) in [
        ("", "", vec!["code"]),
        ("1".repeat(129).as_str(), "", vec!["code"]),
        ("00190000090312855700000000001172516470000012590", "soon", vec!["reference_date"]),
        ("", "soon", vec!["code", "reference_date"]),
    ] {
        let status = parses(&shop, code, reference_date).await.expect_err("no code");
        assert_eq!(status.fields(), fields, "{code:?} {reference_date:?}");
    }
    let answer = parses(&shop, "not a code", "").await.expect("an answer");
    assert_eq!(answer.errors, ["format"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_pasted_gets_an_answer() {
    let house = House::new().without_account().open().await;
    let shop = house.shop();
    let right = "34191090080101527124880212460002425480000675787";
    for code in [
        "\u{0}".to_owned(),
        "８".repeat(42),
        "é".repeat(64),
        "🧾".repeat(32),
        "9".repeat(128),
        format!("{right},"),
        format!("{right}\u{a0}"),
        right.replace('3', "３"),
        format!("-{right}e1"),
    ] {
        let answer = parses(&shop, &code, "").await.expect("an answer");
        assert_eq!((answer.valid, answer.errors), (false, vec!["format".to_owned()]), "{code:?}");
    }
    let spaced: String = right.chars().flat_map(|digit| [' ', digit]).collect();
    let answer = parses(&shop, &spaced, "2026-11-21").await.expect("an answer");
    let Some(Parsed::Cobranca(parsed)) = answer.code else { panic!("no cobrança") };
    assert_eq!((parsed.linha_digitavel.as_str(), parsed.due_date.as_str()), (right, "2029-05-20"));
    house.close().await;
}
