//! What a PolishAPI ASPSP is sent, and what is made of its answers, on loopback.

mod payments;
mod reading;
mod signed;

use chrono::NaiveDate;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::connectors::aspsps::config::Standard;
use crate::connectors::aspsps::testing::{Bank, Said, said};
use crate::connectors::aspsps::{AnswerId, Operation};
use crate::connectors::scripted::Seen;

fn config(bank: &Bank) -> AspspConfig {
    bank.config(Standard::PolishApi)
}

fn aspsp(config: AspspConfig) -> PolishApi {
    PolishApi::new(config, &HttpConfig::default()).unwrap()
}

fn token() -> SecretString {
    SecretString::from("t0ken")
}

fn access(token: &SecretString) -> Access<'_> {
    Access { consent_id: Some("consent-1"), token: Some(token) }
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn from_april(cursor: Option<&Cursor>) -> TransactionsRequest<'_> {
    TransactionsRequest { account: "PL01", from: day("2026-04-01"), to: None, after_item: None, cursor }
}

fn operation(seen: &Seen) -> &str {
    seen.path.rsplit('/').next().unwrap()
}

/// An answer to this request, packed as it was asked for.
fn answer(seen: &Seen, status: u16, mut body: Value) -> Said {
    let id = &seen.json()["requestHeader"]["requestId"];
    body["responseHeader"] = json!({"requestId": id, "sendDate": "2026-04-10T12:00:00", "isCallback": false});
    said(status, body).packed()
}

/// A bank that always tells the same.
async fn telling(status: u16, body: Value) -> Bank {
    Bank::start(move |seen| answer(seen, status, body.clone())).await
}

/// Asks for what is done of a bank that tells this.
async fn told(status: u16, body: Value) -> Told<TransactionPage> {
    let bank = telling(status, body).await;
    let token = token();
    aspsp(config(&bank)).transactions(&access(&token), TransactionList::Booked, &from_april(None)).await
}

#[tokio::test]
async fn each_call_has_exactly_the_headers_of_the_standard() {
    let bank = telling(
        200,
        json!({"account": {"currency": "PLN"}, "transactions": [], "holds": [], "accounts": []}),
    )
    .await;
    let mut config = config(&bank);
    config.page_size = 100;
    config.polish_api.tpp_id = "PSDPL-1".to_owned();
    let aspsp = aspsp(config);
    let token = token();
    let access = access(&token);
    let to = TransactionsRequest { to: Some(day("2026-04-30")), after_item: Some("i1"), ..from_april(None) };
    let calls = [
        aspsp.accounts(&access, None).await.call,
        aspsp.account(&access, "PL01").await.call,
        aspsp.transactions(&access, TransactionList::Booked, &to).await.call,
        aspsp.transactions(&access, TransactionList::Pending, &from_april(None)).await.call,
        aspsp.holds(&access, &from_april(None)).await.call,
    ];
    let seen = bank.seen();
    assert_eq!(seen.len(), calls.len());
    for (seen, call) in seen.iter().zip(&calls) {
        assert_eq!((seen.method.as_str(), call.status), ("POST", Some(200)));
        assert_eq!(seen.path, format!("/psd2/v2_1_2.1/accounts/v2_1_2.1/{}", call.method));
        assert_eq!(seen.headers.get_all("accept-encoding").iter().collect::<Vec<_>>(), ["gzip"]);
        assert_eq!(seen.headers.get_all("accept-charset").iter().collect::<Vec<_>>(), ["utf-8"]);
        assert_eq!(seen.header("accept-language"), "pl");
        assert_eq!(seen.header("authorization"), "Bearer t0ken");
        let header = &seen.json()["requestHeader"];
        let id = Uuid::try_parse(seen.header("x-request-id")).unwrap();
        assert_eq!((id.get_version_num(), id), (1, call.request_id));
        assert_eq!(header["requestId"], id.to_string());
        assert_eq!(call.answer_request_id.as_deref(), Some(id.to_string().as_str()));
        assert_eq!((&header["token"], &header["tppId"]), (&json!("t0ken"), &json!("PSDPL-1")));
        assert_eq!(header["isDirectPsu"], json!(false));
        let sent_at = header["sendDate"].as_str().unwrap();
        chrono::DateTime::parse_from_rfc3339(sent_at).unwrap();
        // Nothing of a PSU, and nothing that would have it answered elsewhere.
        let names: Vec<&String> = header.as_object().unwrap().keys().collect();
        assert_eq!(names, ["isDirectPsu", "requestId", "sendDate", "token", "tppId"]);
        assert!(!seen.headers.keys().any(|name| name.as_str().starts_with("psu-")));
    }
    let body = |place: usize| {
        let mut body = seen[place].json();
        body.as_object_mut().unwrap().remove("requestHeader");
        body
    };
    assert_eq!(body(0), json!({"perPage": 100}));
    assert_eq!(body(1), json!({"accountNumber": "PL01"}));
    assert_eq!(
        body(2),
        json!({"accountNumber": "PL01", "itemIdFrom": "i1", "bookingDateFrom": "2026-04-01",
        "bookingDateTo": "2026-04-30", "perPage": 100})
    );
    let others = json!({"accountNumber": "PL01", "transactionDateFrom": "2026-04-01", "perPage": 100});
    assert_eq!((body(3), body(4)), (others.clone(), others));
    assert_eq!(
        calls.map(|call| call.operation),
        [
            Operation::Accounts,
            Operation::AccountDetails,
            Operation::Transactions,
            Operation::TransactionsPending,
            Operation::Holds,
        ]
    );
}

#[tokio::test]
async fn another_version_is_configuration() {
    let bank = telling(200, json!({"account": {}})).await;
    let mut config = config(&bank);
    config.polish_api.version = "3_0.1".to_owned();
    let token = token();
    aspsp(config.clone()).account(&access(&token), "PL01").await.outcome.unwrap();
    config.polish_api.path = "{service}/v{version}/{operation}".to_owned();
    aspsp(config).account(&access(&token), "PL01").await.outcome.unwrap();
    let paths: Vec<String> = bank.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/psd2/v3_0.1/accounts/v3_0.1/getAccount", "/psd2/accounts/v3_0.1/getAccount"]);
}

#[tokio::test]
async fn an_answer_that_is_to_come_is_never_an_empty_one() {
    for flag in [json!(true), json!("true")] {
        let bank = Bank::start(move |seen| {
            let id = &seen.json()["requestHeader"]["requestId"];
            said(200, json!({"responseHeader": {"requestId": id, "isCallback": flag}, "transactions": []}))
        })
        .await;
        let token = token();
        let told = aspsp(config(&bank))
            .transactions(&access(&token), TransactionList::Booked, &from_april(None))
            .await;
        assert_eq!(told.outcome, Err(AspspError::Pending));
    }
}

#[tokio::test]
async fn an_answer_to_another_request_is_never_read() {
    let with =
        |id: Value| json!({"responseHeader": {"requestId": id, "isCallback": false}, "transactions": []});
    for (body, policy, is_read) in [
        (with(json!(Uuid::new_v4())), AnswerId::Required, false),
        (with(Value::Null), AnswerId::Required, false),
        (json!({"transactions": []}), AnswerId::Required, false),
        (json!({"transactions": []}), AnswerId::IfPresent, true),
        (with(json!("other")), AnswerId::IfPresent, false),
        (with(json!("other")), AnswerId::Ignored, true),
    ] {
        let bank = Bank::saying(said(200, &body)).await;
        let config = AspspConfig { answer_id: policy, ..config(&bank) };
        let token = token();
        let told =
            aspsp(config).transactions(&access(&token), TransactionList::Booked, &from_april(None)).await;
        assert_eq!(told.outcome.is_ok(), is_read, "{body} {policy:?}");
    }
}

#[tokio::test]
async fn pages_are_asked_for_by_their_ids() {
    let bank = Bank::start(|seen| {
        let next = match seen.json()["pageId"].as_str() {
            None => json!("p 2"),
            Some("p 2") => json!("p 2"),
            Some(_) => json!(" "),
        };
        answer(seen, 200, json!({"transactions": [], "pageInfo": {"nextPage": next}}))
    })
    .await;
    let token = token();
    let access = access(&token);
    let strict = aspsp(config(&bank));
    let page =
        strict.transactions(&access, TransactionList::Booked, &from_april(None)).await.outcome.unwrap();
    let cursor = Cursor::from_text(&page.next.unwrap().to_text()).unwrap();
    assert_eq!(cursor, Cursor::Page("p 2".to_owned()));
    let circle = strict.transactions(&access, TransactionList::Booked, &from_april(Some(&cursor))).await;
    assert!(circle.outcome.unwrap_err().to_string().contains("names itself"));
    // The filter goes along with each page.
    let body = bank.seen()[1].json();
    assert_eq!((&body["pageId"], &body["bookingDateFrom"]), (&json!("p 2"), &json!("2026-04-01")));
    let lenient = aspsp(AspspConfig { self_link_ends: true, ..config(&bank) });
    let last = lenient.transactions(&access, TransactionList::Booked, &from_april(Some(&cursor))).await;
    assert_eq!(last.outcome.unwrap().next, None);
    let third = Cursor::Page("p 3".to_owned());
    let last = strict.transactions(&access, TransactionList::Booked, &from_april(Some(&third))).await;
    assert_eq!(last.outcome.unwrap().next, None);
    let link = Cursor::Link("https://other.example/".to_owned());
    let foreign = strict.transactions(&access, TransactionList::Booked, &from_april(Some(&link))).await;
    assert_eq!((foreign.call.may_have_been_sent, foreign.outcome.unwrap_err().kind()), (false, "unreadable"));
}

#[tokio::test]
async fn errors_mean_what_their_statuses_and_our_settings_say() {
    for (status, kind) in [
        (400, "refused"),
        (401, "unauthorised"),
        (403, "refused"),
        (404, "misconfigured"),
        (405, "misconfigured"),
        (406, "unsupported"),
        (415, "misconfigured"),
        (422, "refused"),
        (429, "rate_limited"),
        (500, "unavailable"),
        (501, "unsupported"),
        (503, "unavailable"),
    ] {
        let told = told(status, json!({"code": "E-1", "message": "in 90 seconds"})).await;
        assert_eq!(told.call.answer_request_id, Some(told.call.request_id.to_string()));
        let error = told.outcome.unwrap_err();
        assert_eq!((error.kind(), error.to_string().contains("E-1")), (kind, true), "{error}");
        let wait = error.retry_after().map(|wait| wait.as_secs());
        assert_eq!(wait, (status == 429).then_some(90), "{status}");
    }
    let bank =
        telling(403, json!({"code": "CONSENT_GONE", "message": "the consent of somebody ended"})).await;
    let mut config = config(&bank);
    config.codes.consent_revoked.push("CONSENT_GONE".to_owned());
    let token = token();
    let error = aspsp(config).account(&access(&token), "PL01").await.outcome.unwrap_err();
    assert_eq!(error.to_string(), "consent ended (revoked): CONSENT_GONE (403)");
}

#[tokio::test]
async fn what_cannot_be_asked_is_not_sent() {
    let bank = telling(200, json!({})).await;
    let mut config = config(&bank);
    config.polish_api.holds = false;
    let aspsp = aspsp(config);
    let nothing = Access::default();
    let errors = [
        aspsp.consent_status(&nothing).await.outcome.err(),
        aspsp.holds(&nothing, &from_april(None)).await.outcome.err(),
        aspsp.transactions(&nothing, TransactionList::Both, &from_april(None)).await.outcome.err(),
        aspsp.transactions(&nothing, TransactionList::Rejected, &from_april(None)).await.outcome.err(),
        aspsp.payment(&PaymentKey::default()).await.outcome.err(),
        aspsp.recurring(&PaymentKey::default()).await.outcome.err(),
        aspsp.bundle(&PaymentKey::default(), true).await.outcome.err(),
    ];
    for error in errors {
        assert_eq!(error.map(|error| error.kind()), Some("unsupported"));
    }
    let without_token = PaymentKey { id: Some("p1"), ..PaymentKey::default() };
    assert_eq!(aspsp.payment(&without_token).await.outcome.unwrap_err().kind(), "unauthorised");
    assert_eq!(aspsp.accounts(&nothing, None).await.outcome.unwrap_err().kind(), "unauthorised");
    assert!(bank.seen().is_empty());
}
