//! What is made of the bodies of answers, also of those that nobody would send.

use proptest::prelude::*;

use super::*;
use crate::connectors::aspsps::day::Zone;
use crate::connectors::aspsps::testing::any_json;
use crate::connectors::aspsps::{Counterparty, PaymentKind, Transaction, TransactionState};

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

async fn one(item: Value) -> Transaction {
    told(200, json!({"transactions": [item]})).await.outcome.unwrap().transactions.into_iter().next().unwrap()
}

#[tokio::test]
async fn a_transaction_is_told_as_it_was() {
    let debit = one(json!({
        "itemId": " i-1 ",
        "amount": "256.67",
        "transactionCategory": "DEBIT",
        "currency": "PLN",
        "description": "Zakupy",
        "transactionType": "CARD",
        "tradeDate": "2026-04-09T21:00:00.000",
        "bookingDate": "2026-04-09T22:00:00Z",
        "postTransactionBalance": "-0.50",
        "mcc": 5411,
        "sender": {"accountNumber": "own", "nameAddress": {"value": ["Ourselves"]}},
        "recipient": {"accountNumber": "PL61109010140000071219812874", "nameAddress": {"value": ["A shop", "in town"]}},
        "auxData": {"a": "b"},
    }))
    .await;
    assert_eq!((debit.state, debit.amount.to_string()), (TransactionState::Booked, "-256.67".to_owned()));
    assert_eq!((debit.item_id, debit.entry_reference, debit.transaction_id), (text("i-1"), None, None));
    assert_eq!(debit.booking_date, Some(day("2026-04-10")));
    assert_eq!(debit.trade_date, Some(day("2026-04-09")));
    assert_eq!(
        (debit.texts, debit.category, debit.merchant_category),
        (vec!["Zakupy".into()], text("CARD"), text("5411"))
    );
    assert_eq!(debit.balance_after.unwrap().to_string(), "-0.50");
    assert_eq!(
        (debit.counterparty.name, debit.counterparty.account),
        (text("A shop in town"), text("PL61109010140000071219812874"))
    );

    let credit = one(json!({"itemId": " ", "amount": "1.00", "transactionCategory": "CREDIT",
        "recipient": {"accountNumber": "own"}, "sender": {"accountMassPayment": "m-1"}}))
    .await;
    assert_eq!((credit.item_id, credit.amount.thousandths()), (None, 1_000));
    assert_eq!(credit.counterparty, Counterparty { name: None, account: text("m-1") });
}

#[tokio::test]
async fn half_a_transaction_makes_a_page_unreadable() {
    for broken in [
        json!({"amount": "1.00"}),
        json!({"transactionCategory": "DEBIT"}),
        json!({"amount": "-1.00", "transactionCategory": "DEBIT"}),
        json!({"amount": "1.00", "transactionCategory": "BOTH"}),
        json!({"amount": "1,00", "transactionCategory": "DEBIT"}),
        json!({"amount": "1.00", "transactionCategory": "DEBIT", "bookingDate": "yesterday"}),
        json!(1),
        json!(["i", "1.00", "DEBIT"]),
    ] {
        let outcome = told(200, json!({"transactions": [broken]})).await.outcome;
        assert_eq!(outcome.unwrap_err().kind(), "unreadable", "{broken}");
    }
    for body in ["", "<html>", "[]", "{}", "{"] {
        let bank = Bank::saying(said(200, body)).await;
        let token = token();
        let told = aspsp(config(&bank))
            .transactions(&access(&token), TransactionList::Booked, &from_april(None))
            .await;
        assert_eq!(told.outcome.unwrap_err().kind(), "unreadable", "{body}");
    }
}

#[tokio::test]
async fn what_is_pending_or_held_is_told_or_not() {
    let bank = telling(
        200,
        json!({
            "transactions": [{"itemId": "p", "amount": "2.00", "transactionCategory": "CREDIT"}],
            "holds": [{"itemId": "h", "amount": "3.00", "holdExpirationDate": "2026-04-12T10:00:00+02:00"}],
        }),
    )
    .await;
    let aspsp = aspsp(config(&bank));
    let token = token();
    let access = access(&token);
    let pending =
        aspsp.transactions(&access, TransactionList::Pending, &from_april(None)).await.outcome.unwrap();
    assert_eq!((pending.transactions[0].state, pending.tells_pending), (TransactionState::Pending, true));
    let held = aspsp.holds(&access, &from_april(None)).await.outcome.unwrap();
    assert_eq!((held.transactions[0].state, held.tells_pending), (TransactionState::Held, true));
    assert_eq!(held.transactions[0].amount.thousandths(), -3_000);
    assert_eq!(held.transactions[0].held_until.unwrap().to_rfc3339(), "2026-04-12T08:00:00+00:00");
    let empty = told(200, json!({})).await.outcome.unwrap();
    assert!(empty.transactions.is_empty() && !empty.tells_pending);
}

#[tokio::test]
async fn a_masked_number_is_nothing_to_ask_by() {
    let accounts = json!({"accounts": [
        {"accountNumber": "PL61 1090 1014 0000 0712 1981 2874", "accountTypeName": "Konto", "accountType": {"code": "CACC"}},
        {"accountNumber": "61109010140000071219812874"},
        {"accountNumber": "PL611090****************2874"},
        {"accountNumber": "6110XXXXXXXXXXXXXXXXXX2874"},
        {},
    ], "pageInfo": {"nextPage": "2"}});
    let bank = telling(200, accounts).await;
    let token = token();
    let page = aspsp(config(&bank)).accounts(&access(&token), None).await.outcome.unwrap();
    let told: Vec<_> = page
        .accounts
        .iter()
        .map(|account| (account.resource_id.is_some(), account.iban.is_some(), account.number.is_some()))
        .collect();
    assert_eq!(
        told,
        [
            (true, true, false),
            (true, false, true),
            (false, false, true),
            (false, false, true),
            (false, false, false)
        ]
    );
    assert_eq!(
        (page.accounts[0].kind.clone(), page.accounts[0].product.clone()),
        (text("CACC"), text("Konto"))
    );
    assert_eq!(page.next, Some(Cursor::Page("2".to_owned())));
}

#[tokio::test]
async fn an_overdraft_is_told() {
    let bank = telling(
        200,
        json!({"account": {"accountNumber": "PL61109010140000071219812874", "currency": "PLN",
        "accountNameClient": "Moje", "availableBalance": "-12.00", "bookingBalance": "-12.50"}}),
    )
    .await;
    let token = token();
    let aspsp = aspsp(config(&bank));
    let details = aspsp.account(&access(&token), "PL01").await.outcome.unwrap();
    let balances: Vec<_> =
        details.balances.iter().map(|balance| (balance.kind.as_str(), balance.amount.to_string())).collect();
    assert_eq!(
        balances,
        [("availableBalance", "-12.00".to_owned()), ("bookingBalance", "-12.50".to_owned())]
    );
    assert_eq!((details.balances[0].currency.clone(), details.account.name), (text("PLN"), text("Moje")));
    assert_eq!(aspsp.balances(&access(&token), "PL01").await.outcome.unwrap(), details.balances);
}

proptest! {
    #[test]
    fn no_json_is_too_much(body in any_json()) {
        use super::wire::*;
        let zone = Zone::new(chrono_tz::Europe::Warsaw);
        let answer = serde_json::to_vec(&body).unwrap();
        let _ = serde_json::from_slice::<HeaderOnly>(&answer);
        if let Ok(body) = serde_json::from_slice::<ItemsBody>(&answer) {
            for item in body.transactions.into_iter().flatten() {
                let _ = item.told(TransactionState::Booked, zone);
            }
            for item in body.holds.into_iter().flatten() {
                let _ = item.told(TransactionState::Held, zone);
            }
        }
        let _ = serde_json::from_slice::<AccountsBody>(&answer)
            .map(|body| body.accounts.into_iter().map(AccountBody::told).count());
        let _ = serde_json::from_slice::<AccountDetailsBody>(&answer).map(|body| body.account.map(AccountBody::told_in_full));
        let _ = serde_json::from_slice::<PaymentBody>(&answer).map(|body| body.told(PaymentKind::Bundle));
        let _ = serde_json::from_slice::<TokenBody>(&answer).map(|body| body.scope.map(|scope| scope.told(zone)));
        let status = reqwest::StatusCode::BAD_REQUEST;
        let answer = crate::connectors::http::Answer { status, headers: Default::default(), body: answer.into() };
        let mut call = super::super::super::CallRecord::new(Operation::Holds, "getHolds", Uuid::nil());
        let _ = error::of_answer(&answer, &AspspConfig::default(), &mut call);
    }
}
