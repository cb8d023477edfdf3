//! What a Berlin Group ASPSP is sent, and what is made of its answers, on loopback.

mod reading;
mod signed;

use chrono::NaiveDate;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::connectors::aspsps::config::Standard;
use crate::connectors::aspsps::testing::{Bank, Said, said};
use crate::connectors::aspsps::{AnswerId, Operation, PaymentStatus};
use crate::connectors::http::HttpUrl;
use crate::connectors::scripted::SecretFile;
use crate::connectors::secret::SecretRef;

fn config(bank: &Bank) -> AspspConfig {
    bank.config(Standard::BerlinGroup)
}

fn aspsp(config: AspspConfig) -> BerlinGroup {
    BerlinGroup::new(config, &HttpConfig::default()).unwrap()
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
    TransactionsRequest { account: "acc/1", from: day("2026-04-01"), to: None, after_item: None, cursor }
}

/// Asks for booked ones of a bank that says this.
async fn told(said: Said) -> Told<TransactionPage> {
    let bank = Bank::saying(said).await;
    let token = token();
    aspsp(config(&bank)).transactions(&access(&token), TransactionList::Booked, &from_april(None)).await
}

fn report(report: serde_json::Value) -> Said {
    said(200, json!({ "transactions": report }))
}

#[tokio::test]
async fn each_call_has_the_headers_that_it_must_and_none_that_tells_of_a_psu() {
    let bank = Bank::start(|seen| match seen.path.rsplit('/').next().unwrap() {
        "transactions" => report(json!({"booked": [], "_links": {}})),
        "balances" => said(200, json!({"balances": []})),
        "accounts" => said(200, json!({"accounts": []})),
        "status" => said(200, json!({"transactionStatus": "ACSP"})),
        "consent-1" => said(200, json!({"consentStatus": "valid"})),
        _ => said(200, json!({"account": {"currency": "EUR"}})),
    })
    .await;
    let aspsp = aspsp(config(&bank));
    let token = token();
    let access = access(&token);
    let key = PaymentKey { id: Some("p1"), token: Some(&token), ..PaymentKey::default() };
    let calls = [
        aspsp.accounts(&access, None).await.call,
        aspsp.account(&access, "a1").await.call,
        aspsp.balances(&access, "a1").await.call,
        aspsp.transactions(&access, TransactionList::Pending, &from_april(None)).await.call,
        aspsp.consent_status(&access).await.call,
        aspsp.payment(&key).await.call,
    ];
    let seen = bank.seen();
    assert_eq!(seen.len(), calls.len());
    let mut ids = std::collections::HashSet::new();
    for (seen, call) in seen.iter().zip(&calls) {
        assert_eq!((call.status, call.may_have_been_sent), (Some(200), true), "{}", seen.path);
        let id = Uuid::try_parse(seen.header("x-request-id")).unwrap();
        assert_eq!((id, Some(id.to_string())), (call.request_id, call.answer_request_id.clone()));
        assert!(ids.insert(id));
        assert!(seen.header("accept").starts_with("application/json"));
        assert_eq!(seen.header("authorization"), "Bearer t0ken");
        // Neither the consent itself nor a payment is asked for under a consent.
        let is_under_consent = seen.path.contains("/accounts");
        assert_eq!(
            seen.header("consent-id"),
            if is_under_consent { "consent-1" } else { "" },
            "{}",
            seen.path
        );
        assert!(!seen.headers.keys().any(|name| name.as_str().starts_with("psu-")), "{:?}", seen.headers);
        assert!(seen.headers.get("accept-encoding").is_none());
    }
    let paths: Vec<&str> = seen.iter().map(|seen| seen.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/psd2/v1/accounts",
            "/psd2/v1/accounts/a1",
            "/psd2/v1/accounts/a1/balances",
            "/psd2/v1/accounts/acc%2F1/transactions",
            "/psd2/v1/consents/consent-1",
            "/psd2/v1/payments/sepa-credit-transfers/p1/status",
        ]
    );
    assert_eq!(seen[3].query, "bookingStatus=pending&dateFrom=2026-04-01");
    assert_eq!(calls[3].operation, Operation::TransactionsPending);
}

#[tokio::test]
async fn what_a_bank_does_otherwise_is_configuration() {
    let bank = Bank::saying(report(json!({"booked": []}))).await;
    let mut config = config(&bank);
    config.page_size = 50;
    let own = &mut config.berlin_group;
    (own.prefix, own.both, own.delta, own.with_balance) = ("/xs2a/v1.3/".to_owned(), true, true, true);
    let aspsp = aspsp(config);
    let token = token();
    let request = TransactionsRequest { to: Some(day("2026-04-30")), ..from_april(None) };
    aspsp.transactions(&access(&token), TransactionList::Both, &request).await.outcome.unwrap();
    let behind = TransactionsRequest { after_item: Some("e 7"), ..request };
    aspsp.transactions(&access(&token), TransactionList::Booked, &behind).await.outcome.unwrap();
    let seen = bank.seen();
    assert_eq!(seen[0].path, "/psd2/xs2a/v1.3/accounts/acc%2F1/transactions");
    let days = "dateFrom=2026-04-01&dateTo=2026-04-30";
    assert_eq!(seen[0].query, format!("bookingStatus=both&{days}&itemsPerPage=50&withBalance=true"));
    assert_eq!(seen[1].query, "bookingStatus=booked&entryReferenceFrom=e+7&itemsPerPage=50&withBalance=true");
    let lists = aspsp.capabilities().lists;
    assert_eq!(lists, [TransactionList::Booked, TransactionList::Pending, TransactionList::Both]);
}

#[tokio::test]
async fn pages_are_followed_as_their_links_say() {
    let bank = Bank::start(|seen| {
        let next = match seen.query.as_str() {
            "page=2&x=%7B" => json!({"next": {"href": "https://other.example/psd2/v1/accounts"}}),
            "page=self" => json!({"next": {"href": "?page=self"}}),
            _ => json!({"next": {"href": "/psd2/v1/accounts/acc/transactions?page=2&x=%7B"}}),
        };
        report(json!({"booked": [], "_links": next}))
    })
    .await;
    let aspsp = aspsp(config(&bank));
    let token = token();
    let access = access(&token);
    let ask = async |cursor: Option<Cursor>| {
        aspsp.transactions(&access, TransactionList::Booked, &from_april(cursor.as_ref())).await
    };
    // A page without a transaction leads on all the same.
    let page = ask(None).await.outcome.unwrap();
    assert!(page.transactions.is_empty());
    let cursor = Cursor::from_text(&page.next.unwrap().to_text()).unwrap();
    let elsewhere = ask(Some(cursor)).await;
    assert_eq!(bank.seen()[1].query, "page=2&x=%7B");
    assert_eq!(bank.seen()[1].header("consent-id"), "consent-1");
    assert!(elsewhere.outcome.unwrap_err().to_string().contains("another origin"));
    let own = |query: &str| Cursor::Link(format!("http://{}/psd2/v1/x?{query}", bank.address));
    let circle = ask(Some(own("page=self"))).await.outcome.unwrap_err();
    assert!(circle.to_string().contains("names itself"), "{circle}");
    // A cursor that was kept is trusted no more than one that has just come.
    for cursor in [Cursor::Link("https://other.example/".into()), Cursor::Page("2".into())] {
        let told = ask(Some(cursor)).await;
        assert_eq!((told.call.may_have_been_sent, told.outcome.unwrap_err().kind()), (false, "unreadable"));
    }
    assert_eq!(bank.seen().len(), 3);
}

#[tokio::test]
async fn a_link_may_need_the_first_page_s_parameters() {
    let bank = Bank::saying(report(json!({"booked": []}))).await;
    let mut config = config(&bank);
    config.berlin_group.next_repeats_query = true;
    let link = Cursor::Link(format!("http://{}/psd2/v1/x?page=2&dateFrom=2026-03-01", bank.address));
    let token = token();
    let told =
        aspsp(config).transactions(&access(&token), TransactionList::Booked, &from_april(Some(&link))).await;
    assert!(told.outcome.is_ok());
    assert_eq!(bank.only().query, "page=2&dateFrom=2026-03-01&bookingStatus=booked");
}

#[tokio::test]
async fn a_large_report_is_downloaded() {
    let bank = Bank::start(|seen| match seen.path.as_str() {
        "/psd2/report" => {
            report(json!({"booked": [{"transactionAmount": {"currency": "EUR", "amount": "1"}}]}))
        }
        _ => said(200, json!({"_links": {"download": {"href": "/psd2/report"}}})),
    })
    .await;
    let aspsp = aspsp(config(&bank));
    let token = token();
    let first = aspsp
        .transactions(&access(&token), TransactionList::Booked, &from_april(None))
        .await
        .outcome
        .unwrap();
    assert!(first.transactions.is_empty() && !first.tells_pending);
    let cursor = first.next.unwrap();
    assert!(matches!(cursor, Cursor::Download(_)));
    let page = aspsp.transactions(&access(&token), TransactionList::Booked, &from_april(Some(&cursor))).await;
    assert_eq!(page.outcome.unwrap().transactions.len(), 1);
}

#[tokio::test]
async fn an_answer_to_another_request_is_never_read() {
    let body = json!({"transactions": {"booked": []}});
    let other =
        || Said { forgets_id: true, ..said(200, &body) }.with("x-request-id", &Uuid::new_v4().to_string());
    let nobody_s = || Said { forgets_id: true, ..said(200, &body) };
    for (answer, policy, is_read) in [
        (other(), AnswerId::Required, false),
        (other(), AnswerId::IfPresent, false),
        (nobody_s(), AnswerId::Required, false),
        (nobody_s(), AnswerId::IfPresent, true),
        (other(), AnswerId::Ignored, true),
    ] {
        let bank = Bank::saying(answer).await;
        let config = AspspConfig { answer_id: policy, ..config(&bank) };
        let token = token();
        let told =
            aspsp(config).transactions(&access(&token), TransactionList::Booked, &from_april(None)).await;
        assert_eq!(told.outcome.map_err(|error| error.kind()).err(), (!is_read).then_some("unreadable"));
    }
    // What went wrong is told by whoever answers, and that may be somebody in between.
    let gateway = Said { forgets_id: true, ..said(503, "<html>") };
    assert_eq!(told(gateway).await.outcome.unwrap_err().kind(), "unavailable");
}

#[tokio::test]
async fn a_quota_that_is_used_up_says_for_how_long() {
    let body = json!({"tppMessages": [{"category": "ERROR", "code": "ACCESS_EXCEEDED", "text": "wait 7200 seconds"}]});
    let limited = told(said(429, &body)).await;
    let after = |seconds| Some(std::time::Duration::from_secs(seconds));
    assert_eq!(limited.outcome.unwrap_err().retry_after(), after(7_200));
    let limited = told(said(429, &body).with("retry-after", "60")).await;
    assert_eq!(
        (limited.call.retry_after, limited.outcome.unwrap_err().retry_after()),
        (after(60), after(60))
    );
    let ended = told(said(401, json!({"tppMessages": [{"code": "CONSENT_EXPIRED"}]}))).await;
    assert_eq!(ended.outcome.unwrap_err().to_string(), "consent ended (expired): CONSENT_EXPIRED (401)");
}

#[tokio::test]
async fn payments_are_asked_about_by_service_and_product() {
    let bank = Bank::start(|seen| match seen.path.as_str() {
        path if path.ends_with("/status") => said(200, json!({"transactionStatus": "PART"})),
        _ => said(200, json!({"transactionStatus": "PART", "payments": [
            {"endToEndIdentification": "e1", "transactionStatus": "ACSC"}, {"endToEndIdentification": "e2"},
        ]})),
    })
    .await;
    let aspsp = aspsp(config(&bank));
    let key = PaymentKey {
        id: Some("b1"),
        product: Some("pain.001-sepa-credit-transfers"),
        ..PaymentKey::default()
    };
    let bundle = aspsp.bundle(&key, true).await.outcome.unwrap();
    assert_eq!((bundle.status.status, bundle.status.is_known), (PaymentStatus::SeeChildren, true));
    assert_eq!((bundle.children.len(), bundle.children[0].tpp_id.as_deref()), (1, Some("e1")));
    let status = aspsp.bundle(&key, false).await.outcome.unwrap().status.status;
    assert_eq!(status, PaymentStatus::SeeChildren);
    // Only a bundle has parts.
    let recurring = aspsp.recurring(&key).await.outcome.unwrap().status;
    assert_eq!((recurring.status, recurring.is_known), (PaymentStatus::InProgress, false));
    let one = aspsp.payments(&[key]).await.outcome.unwrap();
    assert_eq!(one[0].as_ref().unwrap().id.as_deref(), Some("b1"));
    let paths: Vec<String> = bank.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(
        paths,
        [
            "/psd2/v1/bulk-payments/pain.001-sepa-credit-transfers/b1",
            "/psd2/v1/bulk-payments/pain.001-sepa-credit-transfers/b1/status",
            "/psd2/v1/periodic-payments/pain.001-sepa-credit-transfers/b1/status",
            "/psd2/v1/payments/pain.001-sepa-credit-transfers/b1/status",
        ]
    );
}

#[tokio::test]
async fn a_payment_that_began_as_xml_may_be_told_in_it() {
    let bank = Bank::saying(said(200, "<?xml version='1.0'?><D><TxSts>ACCC</TxSts></D>")).await;
    let aspsp = aspsp(config(&bank));
    let key = PaymentKey {
        id: Some("p1"),
        product: Some("pain.001-sepa-credit-transfers"),
        ..PaymentKey::default()
    };
    let told = aspsp.payment(&key).await.outcome.unwrap();
    assert_eq!((told.status.status, told.id.as_deref()), (PaymentStatus::Done, Some("p1")));
    assert_eq!(bank.only().header("accept"), "application/json, application/xml;q=0.5");
}

#[tokio::test]
async fn what_cannot_be_asked_is_not_sent() {
    let bank = Bank::saying(said(200, "{}")).await;
    let aspsp = aspsp(config(&bank));
    let nothing = Access::default();
    let odd = PaymentKey { id: Some(".."), ..PaymentKey::default() };
    let refused = [
        aspsp.holds(&nothing, &from_april(None)).await.outcome.err(),
        aspsp.transactions(&nothing, TransactionList::Both, &from_april(None)).await.outcome.err(),
        aspsp.payment(&odd).await.outcome.err(),
        aspsp.payment(&PaymentKey::default()).await.outcome.err(),
        aspsp.payments(&[odd, odd]).await.outcome.err(),
        aspsp.consent_status(&nothing).await.outcome.err(),
        aspsp.balances(&nothing, " ").await.outcome.err(),
        aspsp.refresh(&token()).await.outcome.err(),
    ];
    for error in refused {
        assert_eq!(error.map(|error| error.kind()), Some("unsupported"));
    }
    let nowhere = AspspConfig { base_url: None, ..config(&bank) };
    let told = BerlinGroup::new(nowhere, &HttpConfig::default()).unwrap().accounts(&nothing, None).await;
    assert_eq!((told.call.may_have_been_sent, told.outcome.unwrap_err().kind()), (false, "misconfigured"));
    assert!(bank.seen().is_empty());
}

#[tokio::test]
async fn tokens_are_refreshed_where_the_settings_say() {
    let bank = Bank::start(|seen| match seen.body.contains("dead") {
        true => said(400, json!({"error": "invalid_grant"})),
        false => said(200, json!({"access_token": "new", "refresh_token": "newer", "expires_in": "300"})),
    })
    .await;
    let secret = SecretFile::new("word");
    let mut config = config(&bank);
    let own = &mut config.berlin_group.token;
    own.url = Some(HttpUrl::parse(&format!("http://{}/token", bank.address)).unwrap());
    own.client_id = "tpp 1".to_owned();
    own.client_secret = Some(SecretRef::parse(&secret.reference()).unwrap());
    let grant = aspsp(config.clone()).refresh(&SecretString::from("old&")).await.outcome.unwrap();
    use secrecy::ExposeSecret;
    assert_eq!(grant.access_token.expose_secret(), "new");
    assert_eq!(grant.refresh_token.unwrap().expose_secret(), "newer");
    assert_eq!(grant.expires_in, Some(std::time::Duration::from_secs(300)));
    let seen = bank.only();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/token"));
    assert_eq!(seen.body, "grant_type=refresh_token&refresh_token=old%26&client_id=tpp+1&client_secret=word");
    config.berlin_group.token.style = config::ClientStyle::Basic;
    let dead = aspsp(config).refresh(&SecretString::from("dead")).await;
    assert_eq!(dead.outcome.unwrap_err().kind(), "unauthorised");
    assert_eq!(bank.seen()[1].header("authorization"), "Basic dHBwIDE6d29yZA==");
}
