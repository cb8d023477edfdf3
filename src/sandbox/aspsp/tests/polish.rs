//! PolishAPI's language.
//!
//! **Owns** nothing. **Fails** as a test does. **Limits**: one bank.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::caller::{Answer, Headers, version_one};
use super::{CONSENT, IBAN, Stage};
use crate::sandbox::aspsp::{AspspConsent, AspspEntry, AspspIds, AspspPayment};
use crate::sandbox::{AspspStep, Behaviour, EffectKind};

impl Stage {
    async fn asks(&self, operation: &str, body: Value) -> Answer {
        self.caller.asks(operation, Some(&self.tokens.access), body).await
    }

    async fn done(&self, more: Value) -> Answer {
        let mut body = json!({"accountNumber": IBAN});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.asks("accounts/getTransactionsDone", body).await
    }
}

type Change = fn(&mut Headers);

fn set(headers: &mut Headers, name: &str, value: &str) {
    let header = headers.iter_mut().find(|(known, _)| *known == name).unwrap();
    value.clone_into(&mut header.1);
}

#[tokio::test]
async fn headers_are_taken_word_for_word() {
    let stage = Stage::open().await;
    let changes: [(u16, &str, Change); 8] = [
        (406, "Accept-Encoding", |headers| set(headers, "Accept-Encoding", "gzip, deflate")),
        (406, "Accept-Charset", |headers| set(headers, "Accept-Charset", "UTF-8")),
        (406, "Accept-Language", |headers| set(headers, "Accept-Language", "")),
        (415, "application/json", |headers| set(headers, "Content-Type", "text/plain")),
        (401, "detached JWS", |headers| set(headers, "X-JWS-SIGNATURE", "a.b.c")),
        (422, "X-JWS-SIGNATURE is missing", |headers| headers.retain(|(name, _)| *name != "X-JWS-SIGNATURE")),
        (401, "Authorization is missing", |headers| headers.retain(|(name, _)| *name != "Authorization")),
        (401, "differ", |headers| set(headers, "Authorization", "Bearer another")),
    ];
    let token = Some(stage.tokens.access.as_str());
    for (status, why, change) in changes {
        let asked =
            stage.caller.asks_under(&version_one(), "accounts/getAccounts", token, json!({}), change).await;
        assert_eq!(asked.status, status, "{why}: {}", asked.body);
        assert!(stage.complaint().contains(why), "{why}: {}", stage.complaint());
    }
    for name in [Uuid::new_v4().to_string(), "7".to_owned()] {
        let asked = stage.caller.asks_under(&name, "accounts/getAccounts", token, json!({}), |_| {}).await;
        assert_eq!((asked.status, asked.body["code"].as_str()), (422, Some("X_REQUEST_ID")));
    }
    let name = version_one();
    for status in [200, 422] {
        let asked = stage.caller.asks_under(&name, "accounts/getAccounts", token, json!({}), |_| {}).await;
        assert_eq!(
            (asked.status, asked.body["responseHeader"]["requestId"].as_str()),
            (status, Some(&*name))
        );
    }
    assert_eq!(stage.complaint(), "X-REQUEST-ID came before");
    // A body that was changed on its way is not the one that was signed.
    let other = stage.caller.jws(b"{}");
    let change = |headers: &mut Headers| set(headers, "X-JWS-SIGNATURE", &other);
    let forged =
        stage.caller.asks_under(&version_one(), "accounts/getAccounts", token, json!({}), change).await;
    assert_eq!((forged.status, forged.body["code"].as_str()), (401, Some("X_JWS_SIGNATURE")));
    stage.world.close().await;
}

#[tokio::test]
async fn bodies_are_closed() {
    let stage = Stage::open().await;
    let head = |more: Value| {
        let mut head = json!({"requestId": version_one()});
        for (name, value) in more.as_object().unwrap() {
            head[name] = value.clone();
        }
        json!({"requestHeader": head, "accountNumber": IBAN})
    };
    let cases = [
        ("accounts/getAccount", head(json!({"isDirectPsu": true})), "requestId is not"),
        ("accounts/getAccount", json!({"accountNumber": IBAN, "more": 1}), "unknown field"),
        ("accounts/getAccount", json!({}), "missing field"),
        ("accounts/getTransactionsDone", json!({"accountNumber": IBAN, "perPage": 0}), "perPage"),
        ("accounts/getTransactionsDone", json!({"accountNumber": IBAN, "minAmount": "1"}), "two decimals"),
        (
            "accounts/getTransactionsDone",
            json!({"accountNumber": IBAN, "bookingDateFrom": "2026-11-01T00:00:00Z"}),
            "wrong",
        ),
        ("accounts/getHolds", json!({"accountNumber": IBAN, "type": "CREDIT"}), "DEBIT"),
        ("payments/getPayment", json!({}), "neither"),
        ("payments/getBundle", json!({"bundleId": "b"}), "missing field"),
    ];
    for (operation, body, why) in cases {
        let asked = stage.asks(operation, body).await;
        assert_eq!(asked.status, 422, "{operation}: {}", asked.body);
        assert!(stage.complaint().contains(why), "{operation}: {}", stage.complaint());
    }
    let name = version_one();
    for (field, value) in [("isDirectPsu", json!(true)), ("ipAddress", json!("192.0.2.1"))] {
        let body = json!({"accountNumber": IBAN, "requestHeader": {"requestId": name, field: value}});
        let token = Some(stage.tokens.access.as_str());
        let asked = stage.caller.asks_under(&name, "accounts/getAccount", token, body, |_| {}).await;
        assert_eq!((asked.status, stage.complaint().as_str()), (422, "a holder who is not there"));
    }
    let bearer = stage.asks("payments/getMultiplePayments", json!({"payments": []})).await;
    assert_eq!((bearer.status, bearer.body["code"].as_str()), (400, Some("AUTHORIZATION")));
    let elsewhere = format!("{}/v2_1_1.1/accounts/v2_1_2.1/getAccounts", stage.caller.url);
    let lost = crate::sandbox::client::Client::new().post(&elsewhere, vec![], "{}").await.unwrap();
    assert_eq!(lost.status, 404);
    stage.world.close().await;
}

#[tokio::test]
async fn lists_have_pages_sieves_and_sums_without_a_sign() {
    let stage = Stage::open().await;
    stage.rules(|rules| rules.page_size = 2);
    let now = stage.now();
    for (number, amount) in (1..).zip([100, -250, 300]) {
        let at = now - chrono::Duration::hours(10 - number);
        stage.bank().put_entry(IBAN, AspspEntry::booked(&format!("item-{number}"), amount, at));
    }
    let first = stage.done(json!({})).await.good();
    let told = |page: &Value| -> Vec<String> {
        let items = page["transactions"].as_array().unwrap();
        items.iter().map(|item| item["itemId"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(told(&first), ["item-3", "item-2"]);
    let debit = &first["transactions"][1];
    assert_eq!((&debit["amount"], &debit["transactionCategory"]), (&json!("2.50"), &json!("DEBIT")));
    assert_eq!(debit["postTransactionBalance"], "-1.50");
    let key = &first["pageInfo"]["nextPage"];
    let second = stage.done(json!({"pageId": key})).await.good();
    assert_eq!((told(&second), &second["pageInfo"]["nextPage"]), (vec!["item-1".to_owned()], &Value::Null));
    assert_eq!(stage.world.aspsp().count(|call| call.counted), 1);
    let foreign = stage.done(json!({"pageId": key, "bookingDateTo": "2999-01-01"})).await;
    assert_eq!((foreign.status, foreign.body["code"].as_str()), (400, Some("PAGE_ID")));
    for (sieve, items) in [
        (json!({"type": "CREDIT"}), vec!["item-3", "item-1"]),
        (json!({"minAmount": "2.00", "maxAmount": "2.99"}), vec!["item-2"]),
        (
            json!({"transactionDateFrom": (now + chrono::Duration::days(1)).date_naive(),
            "transactionDateTo": (now + chrono::Duration::days(2)).date_naive()}),
            vec![],
        ),
    ] {
        assert_eq!(told(&stage.done(sieve).await.good()), items);
    }
    stage.bank().set_ids(IBAN, AspspIds::Absent);
    assert_eq!(told(&stage.done(json!({})).await.good()), [" ", " "]);
    let rejected =
        stage.asks("accounts/getTransactionsRejected", json!({"accountNumber": IBAN})).await.good();
    assert_eq!(rejected["transactions"], json!([]));
    stage.world.close().await;
}

#[tokio::test]
async fn a_call_back_is_no_empty_list_and_a_moment_may_lack_its_zone() {
    let stage = Stage::open().await;
    stage.books(1);
    stage.bank().once(AspspStep::Transactions, Behaviour::refuse("callback"));
    let later = stage.done(json!({})).await.good();
    assert_eq!(
        (&later["responseHeader"]["isCallback"], &later["transactions"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(stage.kinds(), []);
    stage.rules(|rules| rules.zoneless = true);
    let token = Some(stage.tokens.access.as_str());
    let deflate = |headers: &mut Headers| set(headers, "Accept-Encoding", "deflate");
    let body = json!({"accountNumber": IBAN});
    let operation = "accounts/getTransactionsDone";
    let told = stage.caller.asks_under(&version_one(), operation, token, body, deflate).await;
    assert_eq!(told.header("content-encoding"), "deflate");
    let booked = told.good()["transactions"][0]["bookingDate"].as_str().unwrap().to_owned();
    assert!(booked.contains('T') && !booked.ends_with('Z'), "{booked}");
    stage.world.close().await;
}

#[tokio::test]
async fn tokens_tell_what_they_are_for_and_privileges_of_one_use_are_used_up() {
    let stage = Stage::open().await;
    let form = |refresh: &str| {
        json!({"grant_type": "refresh_token", "client_id": "sandbox-tpp",
        "refresh_token": refresh})
    };
    let renewed = stage.caller.asks("auth/token", None, form(&stage.tokens.refresh)).await.good();
    assert_eq!(renewed["expires_in"], "3600");
    let privilege = &renewed["scope_details"]["privilegeList"][0];
    assert_eq!(
        (&privilege["accountNumber"], &renewed["scope_details"]["consentId"]),
        (&json!(IBAN), &json!(CONSENT))
    );
    assert_eq!(privilege["ais:getTransactionsDone"]["maxAllowedHistoryLong"], 90);
    let spent = stage.caller.asks("auth/token", None, form(&stage.tokens.refresh)).await;
    assert_eq!((spent.status, spent.body["code"].as_str()), (401, Some("REFRESH_TOKEN_INVALID")));
    assert_eq!(stage.kinds(), [EffectKind::AspspTokenRefreshed, EffectKind::AspspTokenReused]);

    let accounts = stage.asks("accounts/getAccounts", json!({})).await.good();
    assert_eq!(accounts["accounts"][0]["accountNumber"], "PL6110******************2874");
    let other =
        stage.asks("accounts/getAccount", json!({"accountNumber": "PL27114020040000300201355387"})).await;
    assert_eq!((other.status, other.body["code"].as_str()), (403, Some("NO_PRIVILEGE")));
    let single = AspspConsent { single: true, ..AspspConsent::of("consent-2", &[IBAN], stage.now()) };
    let tokens = stage.bank().put_consent(single);
    let used_up =
        stage.caller.asks("accounts/getAccount", Some(&tokens.access), json!({"accountNumber": IBAN})).await;
    assert_eq!(used_up.status, 403);
    stage.world.close().await;
}

#[tokio::test]
async fn many_payments_are_told_at_once_to_whoever_has_their_tokens() {
    let stage = Stage::open().await;
    for number in 0..3 {
        let steps = [(Duration::from_secs(number * 60), "ACSC")];
        let consent = (number < 2).then(|| CONSENT.to_owned());
        stage
            .bank()
            .put_payment(AspspPayment { consent, ..AspspPayment::settling(&format!("p-{number}"), &steps) });
    }
    let of = |number: u32, token: &str| json!({"paymentId": format!("p-{number}"), "accessToken": token});
    let good = stage.tokens.access.as_str();
    let body = json!({"payments": [of(0, good), of(1, good), of(2, good), of(0, "ended")]});
    let told = stage.caller.asks("payments/getMultiplePayments", None, body).await.good();
    let statuses: Vec<_> =
        told["payments"].as_array().unwrap().iter().map(|payment| &payment["generalStatus"]).collect();
    assert_eq!(statuses, ["done", "submitted"]);
    assert_eq!(stage.kinds(), [EffectKind::AspspPaymentTold]);
    let unknown = stage.asks("payments/getPayment", json!({"tppTransactionId": "tpp-p-2"})).await;
    assert_eq!((unknown.status, unknown.body["code"].as_str()), (400, Some("PAYMENT_UNKNOWN")));
    stage.world.close().await;
}
