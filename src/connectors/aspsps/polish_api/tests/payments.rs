//! Payments, one by one and many at once, bundles, recurring ones, and the refreshing of tokens.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;
use crate::connectors::aspsps::PaymentStatus;

fn payment(id: &str, status: &str) -> Value {
    json!({"paymentId": id, "tppTransactionId": format!("tpp-{id}"), "generalStatus": status,
        "detailedStatus": format!("{status} in detail"), "executionMode": "FutureDated", "bundleId": "b1"})
}

#[tokio::test]
async fn a_payment_is_asked_for_by_either_id() {
    let bank = telling(200, payment("p1", "scheduled")).await;
    let aspsp = aspsp(config(&bank));
    let token = token();
    let by_id = PaymentKey { id: Some("p1"), tpp_id: Some("tpp-p1"), token: Some(&token), product: None };
    let told = aspsp.payment(&by_id).await.outcome.unwrap();
    assert_eq!((told.status.status, told.status.raw.as_str()), (PaymentStatus::InProgress, "scheduled"));
    assert_eq!((told.id.as_deref(), told.tpp_id.as_deref()), (Some("p1"), Some("tpp-p1")));
    assert_eq!((told.detail.as_deref(), told.is_future_dated), (Some("scheduled in detail"), Some(true)));
    aspsp.payment(&PaymentKey { id: None, ..by_id }).await.outcome.unwrap();
    let seen = bank.seen();
    assert_eq!(seen[0].path, "/psd2/v2_1_2.1/payments/v2_1_2.1/getPayment");
    let (first, second) = (seen[0].json(), seen[1].json());
    assert_eq!((&first["paymentId"], first.get("tppTransactionId")), (&json!("p1"), None));
    assert_eq!((&second["tppTransactionId"], second.get("paymentId")), (&json!("tpp-p1"), None));
    assert_eq!(first["requestHeader"]["token"], "t0ken");
    assert_eq!(first["requestHeader"].get("isDirectPsu"), None);
    assert_eq!(seen[0].header("authorization"), "Bearer t0ken");
}

#[tokio::test]
async fn many_payments_are_one_call_and_come_back_in_their_order() {
    let answered = json!({"payments": [payment("p3", "done"), payment("p1", "rejected"), payment("p9", "done"),
        {"paymentId": "p4", "tppTransactionId": "tpp-p4"}, payment("p5", "vanished")]});
    let bank = telling(200, answered).await;
    let aspsp = aspsp(config(&bank));
    let tokens: Vec<SecretString> = (0..6).map(|number| SecretString::from(format!("t{number}"))).collect();
    let key =
        |id, place: usize| PaymentKey { id: Some(id), token: tokens.get(place), ..PaymentKey::default() };
    let ours = PaymentKey { tpp_id: Some("tpp-p3"), token: tokens.first(), ..PaymentKey::default() };
    let keys = [key("p1", 0), key("p2", 1), ours, key("p4", 3), key("p5", 4), key("p6", 99)];
    let told = aspsp.payments(&keys).await;
    assert_eq!((told.call.operation, told.call.method), (Operation::Payments, "getMultiplePayments"));
    let told = told.outcome.unwrap();
    let status = |place: usize| told[place].as_ref().unwrap().status.clone();
    assert_eq!((told.len(), status(0).status), (6, PaymentStatus::Rejected));
    assert_eq!(told[1].as_ref().unwrap_err().kind(), "not_found");
    assert_eq!(status(2).status, PaymentStatus::Done);
    assert_eq!(told[3].as_ref().unwrap_err().kind(), "unreadable");
    assert_eq!((status(4).status, status(4).is_known), (PaymentStatus::InProgress, false));
    assert_eq!(told[5].as_ref().unwrap_err().kind(), "unsupported");
    let seen = bank.only();
    let body = seen.json();
    // The tokens are the payments' own.
    assert!(seen.headers.get("authorization").is_none() && body["requestHeader"].get("token").is_none());
    assert_eq!(body["payments"][0], json!({"paymentId": "p1", "accessToken": "t0"}));
    assert_eq!(body["payments"][2], json!({"tppTransactionId": "tpp-p3", "accessToken": "t0"}));
    assert_eq!(body["payments"].as_array().unwrap().len(), 5);

    let too_many = vec![keys[0]; aspsp.capabilities().payments_max + 1];
    assert_eq!(aspsp.payments(&too_many).await.outcome.unwrap_err().kind(), "unsupported");
    assert_eq!(bank.seen().len(), 1);
}

#[tokio::test]
async fn bundles_and_recurring_payments_have_statuses_of_their_own() {
    let bank = Bank::start(|seen| match operation(seen) {
        "getBundle" => answer(
            seen,
            200,
            json!({"bundleId": "b1", "tppBundleId": "tb1", "bundleStatus": "partiallyDone",
            "bundleDetailedStatus": "some", "payments": [payment("p1", "done"), payment("p2", "cancelled")]}),
        ),
        _ => answer(
            seen,
            200,
            json!({"recurringPaymentId": "r1", "tppRecurringPaymentId": "tr1",
            "recurringPaymentStatus": "close", "recurringPaymentDetailedStatus": "over"}),
        ),
    })
    .await;
    let aspsp = aspsp(config(&bank));
    let token = token();
    let key = PaymentKey { id: Some("b1"), token: Some(&token), ..PaymentKey::default() };
    let bundle = aspsp.bundle(&key, true).await.outcome.unwrap();
    assert_eq!((bundle.id.as_deref(), bundle.detail.as_deref()), (Some("b1"), Some("some")));
    assert_eq!(bundle.status.status, PaymentStatus::SeeChildren);
    let children: Vec<PaymentStatus> = bundle.children.iter().map(|child| child.status.status).collect();
    assert_eq!(children, [PaymentStatus::Done, PaymentStatus::Cancelled]);
    let ours = PaymentKey { tpp_id: Some("tr1"), token: Some(&token), ..PaymentKey::default() };
    let recurring = aspsp.recurring(&ours).await.outcome.unwrap();
    assert_eq!((recurring.status.status, recurring.tpp_id.as_deref()), (PaymentStatus::Closed, Some("tr1")));
    let seen = bank.seen();
    assert_eq!(
        (&seen[0].json()["bundleId"], &seen[0].json()["transactionsIncluded"]),
        (&json!("b1"), &json!(true))
    );
    assert_eq!(seen[1].json()["tppRecurringPaymentId"], "tr1");
}

#[tokio::test]
async fn a_token_is_refreshed_without_anybody_there() {
    let bank = telling(200, json!({
        "access_token": "new", "token_type": "Bearer", "expires_in": "3600", "refresh_token": "newer",
        "scope_details": {"consentId": "c1", "scopeTimeLimit": "2026-12-31T23:00:00.000", "throttlingPolicy": "psd2Regulatory",
            "privilegeList": [
                {"accountNumber": " PL61109010140000071219812874 ",
                    "ais:getAccount": {"scopeUsageLimit": "multiple"},
                    "ais:getTransactionsDone": {"scopeUsageLimit": "single", "maxAllowedHistoryLong": 90}},
                {"ais-accounts:getAccounts": {}, "odd": 1}, "odd",
            ]},
    }))
    .await;
    let mut config = config(&bank);
    config.polish_api.client_id = "tpp".to_owned();
    let told = aspsp(config).refresh(&SecretString::from("old")).await;
    assert_eq!((told.call.operation, told.call.method), (Operation::TokenRefresh, "token"));
    let grant = told.outcome.unwrap();
    assert_eq!(
        (grant.access_token.expose_secret(), grant.expires_in),
        ("new", Some(Duration::from_secs(3_600)))
    );
    assert_eq!(grant.refresh_token.unwrap().expose_secret(), "newer");
    let consent = grant.consent.unwrap();
    assert_eq!((consent.consent_id.as_deref(), consent.accounts.len()), (Some("c1"), 2));
    // Without a zone it is the bank's own time.
    assert_eq!(consent.valid_until.unwrap().to_rfc3339(), "2026-12-31T22:00:00+00:00");
    let account = &consent.accounts[0];
    assert_eq!(account.number.as_deref(), Some("PL61109010140000071219812874"));
    let privileges: Vec<_> = account
        .privileges
        .iter()
        .map(|privilege| (privilege.operation.as_str(), privilege.is_repeatable, privilege.history_days_max))
        .collect();
    assert_eq!(privileges, [("ais:getAccount", true, None), ("ais:getTransactionsDone", false, Some(90))]);
    assert!(!consent.accounts[1].privileges[0].is_repeatable);
    let seen = bank.only();
    assert_eq!(seen.path, "/psd2/v2_1_2.1/auth/v2_1_2.1/token");
    let mut body = seen.json();
    assert!(seen.headers.get("authorization").is_none() && body["requestHeader"].get("token").is_none());
    body.as_object_mut().unwrap().remove("requestHeader");
    assert_eq!(
        body,
        json!({"grant_type": "refresh_token", "refresh_token": "old", "client_id": "tpp",
        "is_user_session": false})
    );
}

#[tokio::test]
async fn a_refresh_token_that_is_dead_says_so() {
    for (status, body, kind) in [
        (400, json!({"error": "invalid_grant"}), "unauthorised"),
        (401, json!({"code": "X"}), "unauthorised"),
        (200, json!({"access_token": " "}), "unreadable"),
        (200, json!({}), "unreadable"),
        (503, json!({}), "unavailable"),
    ] {
        let bank = telling(status, body).await;
        let error = aspsp(config(&bank)).refresh(&SecretString::from("old")).await.outcome.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}");
    }
}
