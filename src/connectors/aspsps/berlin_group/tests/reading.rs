//! What is made of the bodies of answers, also of those that nobody would send.

use proptest::prelude::*;

use super::*;
use crate::connectors::aspsps::day::Zone;
use crate::connectors::aspsps::testing::any_json;
use crate::connectors::aspsps::{
    Account, ConsentStatus, Counterparty, PaymentKind, Transaction, TransactionState,
};

const ZONE: fn() -> Zone = || Zone::new(chrono_tz::Europe::Warsaw);

async fn one(body: serde_json::Value) -> Transaction {
    let page = told(report(json!({"booked": [body]}))).await.outcome.unwrap();
    page.transactions.into_iter().next().unwrap()
}

#[tokio::test]
async fn a_transaction_is_told_as_it_was() {
    let debit = one(json!({
        "transactionId": " t-1 ",
        "entryReference": "e-1",
        "bookingDate": "2026-04-10",
        "valueDate": "2026-04-11",
        "transactionDate": "2026-04-09T23:30:00Z",
        "transactionAmount": {"currency": "EUR", "amount": "-256.675"},
        "creditorName": "A shop",
        "creditorAccount": {"iban": "DE89370400440532013000", "pan": "whole"},
        "debtorName": "Ourselves",
        "debtorAccount": {"iban": "DE75512108001245126199"},
        "remittanceInformationUnstructured": "Example 1",
        "remittanceInformationUnstructuredArray": ["Example 1", "line 2"],
        "remittanceInformationStructuredArray": [{"reference": "RF18"}],
        "additionalInformation": "more",
        "bankTransactionCode": "PMNT-RDDT-ESDD",
        "proprietaryBankTransactionCode": "own",
        "merchantCategoryCode": "5411",
        "balanceAfterTransaction": {"balanceAmount": {"currency": "EUR", "amount": "-0.50"}, "balanceType": "interimBooked"},
        "_links": {"transactionDetails": {"href": "x"}},
        "unheard": {"of": []},
    }))
    .await;
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(debit.state, TransactionState::Booked);
    assert_eq!(
        (debit.item_id, debit.entry_reference, debit.transaction_id),
        (None, text("e-1"), text("t-1"))
    );
    assert_eq!(debit.booking_date, Some(day("2026-04-10")));
    assert_eq!((debit.value_date, debit.trade_date), (Some(day("2026-04-11")), Some(day("2026-04-10"))));
    assert_eq!((debit.amount.thousandths(), debit.currency), (-256_675, text("EUR")));
    assert_eq!(debit.texts, ["Example 1", "line 2", "RF18", "more"]);
    assert_eq!(debit.counterparty.name, text("A shop"));
    assert_eq!(debit.counterparty.account, text("DE89370400440532013000"));
    assert_eq!(debit.balance_after.unwrap().to_string(), "-0.50");
    assert_eq!((debit.category, debit.merchant_category), (text("PMNT-RDDT-ESDD"), text("5411")));

    let credit = one(json!({
        "transactionId": " ",
        "entryReference": "",
        "transactionAmount": {"amount": 12.5},
        "debtorName": "An employer",
        "debtorAccount": {"pan": "whole", "maskedPan": "41****11"},
        "creditorName": "Ourselves",
    }))
    .await;
    assert_eq!((credit.entry_reference, credit.transaction_id, credit.booking_date), (None, None, None));
    assert_eq!((credit.amount.to_string(), credit.currency), ("12.50".to_owned(), None));
    assert_eq!(credit.counterparty.name, text("An employer"));
    assert_eq!(credit.counterparty.account, text("41****11"));

    // Whoever stands at our own end is nobody's counterparty.
    let nameless = one(json!({"transactionAmount": {"amount": "-1"}, "debtorName": "Ourselves"})).await;
    assert_eq!(nameless.counterparty, Counterparty::default());
}

#[tokio::test]
async fn half_a_transaction_makes_a_page_unreadable() {
    let whole = json!({"transactionAmount": {"currency": "EUR", "amount": "1.00"}});
    for broken in [
        json!({"transactionId": "t-1"}),
        json!({"transactionAmount": {"currency": "EUR"}}),
        json!({"transactionAmount": {"currency": "EUR", "amount": "1,00"}}),
        json!({"transactionAmount": {"currency": "EUR", "amount": "1.2345"}}),
        json!({"transactionAmount": {"amount": "1"}, "bookingDate": "10.04.2026"}),
        json!("transaction"),
    ] {
        let outcome = told(report(json!({"booked": [whole, broken]}))).await.outcome;
        assert_eq!(outcome.unwrap_err().kind(), "unreadable", "{broken}");
    }
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        "<html>",
        r#"{"transactions":[]}"#,
        r#"{"transactions":{"booked":[["1"]]}}"#,
        r#"{"transactions":{"booked":{}}}"#,
    ] {
        assert_eq!(told(said(200, body)).await.outcome.unwrap_err().kind(), "unreadable", "{body}");
    }
    assert_eq!(told(said(200, "\n<?xml version='1.0'?>")).await.outcome.unwrap_err().kind(), "unsupported");
    assert_eq!(told(said(406, "")).await.outcome.unwrap_err().kind(), "unsupported");
    let text = told(report(json!({"booked": [{"transactionAmount": {"amount": "s3cret"}}]}))).await;
    assert!(!text.outcome.unwrap_err().to_string().contains("s3cret"));
}

#[tokio::test]
async fn what_is_pending_is_told_or_not() {
    let amount = json!({"transactionAmount": {"currency": "EUR", "amount": "1"}});
    let bank = Bank::start(move |seen| match seen.query.split('&').next().unwrap() {
        "bookingStatus=pending" => report(json!({"pending": [], "booked": [amount]})),
        "bookingStatus=both" => report(json!({"booked": [amount, amount], "pending": [amount]})),
        _ => report(json!({"booked": [amount], "pending": [amount]})),
    })
    .await;
    let mut config = config(&bank);
    config.berlin_group.both = true;
    let aspsp = aspsp(config);
    let token = token();
    for (list, count, tells_pending) in [
        (TransactionList::Booked, 1, false),
        (TransactionList::Pending, 0, true),
        (TransactionList::Both, 3, true),
    ] {
        let page = aspsp.transactions(&access(&token), list, &from_april(None)).await.outcome.unwrap();
        assert_eq!((page.transactions.len(), page.tells_pending), (count, tells_pending), "{list:?}");
    }
}

#[tokio::test]
async fn accounts_balances_and_consents_are_told_as_they_were() {
    let bank = Bank::start(|seen| match seen.path.rsplit('/').next().unwrap() {
        "accounts" => said(
            200,
            json!({"accounts": [
            {"resourceId": "r1", "iban": "DE89370400440532013000", "currency": "EUR", "product": "Basic",
                "cashAccountType": "CACC", "name": "Main", "displayName": "Mine", "status": "blocked"},
            {"bban": "123", "currency": "XXX"},
        ], "_links": {"next": "/psd2/v1/accounts?page=2"}}),
        ),
        "balances" => said(
            200,
            json!({"balances": [
                {"balanceAmount": {"currency": "EUR", "amount": "500.00"}, "balanceType": "closingBooked",
                    "referenceDate": "2026-04-25", "creditLimitIncluded": "false"},
                {"balanceAmount": {"currency": "EUR", "amount": "-900"}, "balanceType": "expected",
                    "lastChangeDateTime": "2026-04-25T15:30:35.035Z", "lastCommittedTransaction": "t-9"},
            ]}),
        ),
        "broken" => said(200, json!({"account": {"balances": [{"balanceType": "expected"}]}})),
        "r1" => said(
            200,
            json!({"account": {"resourceId": "r1", "balances": [
            {"balanceAmount": {"amount": "1"}, "balanceType": "interimAvailable"}]}}),
        ),
        _ => said(
            200,
            json!({"consentStatus": "revokedByPsu", "validUntil": "2026-11-01", "frequencyPerDay": 4,
            "recurringIndicator": "true", "access": {}}),
        ),
    })
    .await;
    let aspsp = aspsp(config(&bank));
    let token = token();
    let access = access(&token);
    let accounts = aspsp.accounts(&access, None).await.outcome.unwrap();
    let text = |text: &str| Some(text.to_owned());
    let first = Account {
        resource_id: text("r1"),
        iban: text("DE89370400440532013000"),
        number: None,
        currency: text("EUR"),
        name: text("Mine"),
        product: text("Basic"),
        kind: text("CACC"),
        status: text("blocked"),
    };
    assert_eq!(accounts.accounts[0], first);
    assert_eq!((&accounts.accounts[1].resource_id, &accounts.accounts[1].number), (&None, &text("123")));
    assert!(matches!(accounts.next, Some(Cursor::Link(link)) if link.ends_with("/psd2/v1/accounts?page=2")));
    let balances = aspsp.balances(&access, "r1").await.outcome.unwrap();
    assert_eq!(
        (balances[0].kind.as_str(), balances[0].reference_date),
        ("closingBooked", Some(day("2026-04-25")))
    );
    assert_eq!((balances[0].credit_limit_included, balances[0].changed_at), (Some(false), None));
    assert_eq!(
        (balances[1].amount.to_string(), &balances[1].last_transaction),
        ("-900.00".to_owned(), &text("t-9"))
    );
    assert_eq!(balances[1].changed_at.unwrap().to_rfc3339(), "2026-04-25T15:30:35.035+00:00");
    assert_eq!(aspsp.account(&access, "r1").await.outcome.unwrap().balances.len(), 1);
    assert_eq!(aspsp.account(&access, "broken").await.outcome.unwrap_err().kind(), "unreadable");
    let consent = aspsp.consent_status(&access).await.outcome.unwrap();
    assert_eq!((consent.status, consent.raw_status.as_str()), (ConsentStatus::Revoked, "revokedByPsu"));
    assert_eq!((consent.valid_until, consent.frequency_per_day), (Some(day("2026-11-01")), Some(4)));
    assert_eq!(consent.is_recurring, Some(true));
}

#[test]
fn an_id_names_one_resource_and_no_other() {
    let base_url = Some(HttpUrl::parse("https://bank.example/psd2/").unwrap());
    let config = AspspConfig { base_url, ..AspspConfig::default() };
    let client = client::Client::new(config, &HttpConfig::default()).unwrap();
    proptest!(|(id in "\\PC{0,12}", near in "[./%2eE?#\\\\ ]{0,6}")| {
        for id in [id, near] {
            let Ok(url) = client.resource(&["accounts", &id, "balances"]) else { continue };
            let segments: Vec<&str> = url.path_segments().unwrap().collect();
            prop_assert_eq!(segments.len(), 5, "{}", url);
            prop_assert_eq!((segments[0], segments[1], segments[2], segments[4]), ("psd2", "v1", "accounts", "balances"));
            prop_assert!(url.query().is_none() && url.fragment().is_none());
        }
    });
}

proptest! {
    #[test]
    fn no_json_is_too_much(body in any_json()) {
        use super::wire::*;
        let answer = serde_json::to_vec(&body).unwrap();
        if let Ok(body) = serde_json::from_slice::<TransactionsBody>(&answer) {
            let report = body.transactions.unwrap_or_default();
            for body in report.booked.into_iter().chain(report.pending).flatten() {
                let _ = body.told(TransactionState::Booked, ZONE());
            }
            let _ = balances(body.balances, ZONE());
            let page = reqwest::Url::parse("https://bank.example/psd2/v1/accounts").unwrap();
            let base_url = Some(HttpUrl::parse("https://bank.example/psd2").unwrap());
            let config = AspspConfig { base_url, ..AspspConfig::default() };
            for links in [&body.links, &report.links] {
                for cursor in [link::next(links, &page, &config), link::download(links, &page, &config)] {
                    let Ok(Some(Cursor::Link(text) | Cursor::Download(text))) = cursor else { continue };
                    prop_assert!(text.starts_with("https://bank.example/"), "{}", text);
                }
            }
        }
        let _ = serde_json::from_slice::<AccountsBody>(&answer)
            .map(|body| body.accounts.into_iter().map(AccountBody::told).count());
        let _ = serde_json::from_slice::<ConsentBody>(&answer).map(|body| body.told(ZONE()));
        let _ = serde_json::from_slice::<PaymentBody>(&answer).map(|body| body.told(None, PaymentKind::Bundle));
        let _ = serde_json::from_slice::<GrantBody>(&answer).map(GrantBody::told);
        for status in [200, 400, 401, 429] {
            let status = reqwest::StatusCode::from_u16(status).unwrap();
            let headers = reqwest::header::HeaderMap::new();
            let answer = crate::connectors::http::Answer { status, headers, body: answer.clone().into() };
            let _ = error::of_answer(&answer, &AspspConfig::default());
        }
    }
}
