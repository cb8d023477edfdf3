//! The sandbox's banks of open banking, judged by a validating proxy of others that knows the public specifications.
//!
//! Each operation that a scheduler uses goes through the proxy, written by hand: neither the request nor the answer may
//! break the specification. Without the specifications (`BURSAR_SPECS`) nobody can judge, and the test says so.

use std::path::Path;
use std::time::Duration;

use bursar::sandbox::{
    AspspAccount, AspspBundle, AspspConsent, AspspEntry, AspspOptions, AspspPayment, AspspPaymentStep,
    AspspRecurring, AspspRules, AspspStep, AspspTokens, Behaviour, World, WorldOptions,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::peers::judge;
use crate::prism::{Prism, specification};
use crate::small_house::Folder;

#[path = "../../src/sandbox/aspsp/tests/caller.rs"]
mod caller;

use caller::{Answer, Caller, Headers, version_one};

const IBAN: &str = "PL61109010140000071219812874";
const OTHER_IBAN: &str = "PL27114020040000300201355387";

/// A bank with an account that has moved, and payments that are on their way.
struct Stage {
    world: World,
    tokens: AspspTokens,
    _folder: Folder,
}

impl Stage {
    async fn open() -> Self {
        let folder = Folder::new();
        let key = folder.path().join("key.pem");
        judge("firebase_admin_steps.py", &["make-key", &key.display().to_string()], "").await.approved();
        let aspsp = AspspOptions { signing_key: Some(key), ..AspspOptions::default() };
        let options = WorldOptions { aspsp, ..WorldOptions::in_dir(folder.path().join("world")) };
        let world = World::open(options).await.expect("a world");
        let (bank, now) = (world.aspsp().bank(0), world.aspsp().now());
        bank.set_rules(AspspRules { page_size: 2, ..AspspRules::default() });
        for iban in [IBAN, OTHER_IBAN] {
            bank.put_account(AspspAccount::in_zloty(iban));
        }
        let hours = |hours| now - chrono::Duration::hours(hours);
        for (number, amount) in (1..).zip([50_000, -1_999, -120_000, 4]) {
            bank.put_entry(IBAN, AspspEntry::booked(&format!("item-{number}"), amount, hours(100 - number)));
        }
        bank.put_entry(IBAN, AspspEntry::pending("item-5", -700, hours(1), hours(-20)));
        bank.put_entry(IBAN, AspspEntry::held("item-6", -800, hours(1), hours(-20)));
        let consent =
            AspspConsent { frequency_per_day: 3, ..AspspConsent::of("consent-1", &[IBAN, OTHER_IBAN], now) };
        let tokens = bank.put_consent(consent);
        for (id, status) in [("payment-1", "ACSC"), ("payment-2", "RJCT"), ("payment-3", "ACTC")] {
            let steps = [(Duration::ZERO, status)];
            let consent = Some("consent-1".to_owned());
            bank.put_payment(AspspPayment { consent, ..AspspPayment::settling(id, &steps) });
        }
        let text = str::to_owned;
        let (consent, id, tpp_id) = (text("consent-1"), text("bundle-1"), text("tpp-bundle-1"));
        let payments = vec![text("payment-1"), text("payment-2")];
        bank.put_bundle(AspspBundle { id, tpp_id, consent: consent.clone(), payments });
        let steps = vec![AspspPaymentStep { after_ms: 0, status: text("inProgress") }];
        bank.put_recurring(AspspRecurring {
            id: text("again-1"),
            tpp_id: text("tpp-again-1"),
            consent,
            steps,
        });
        Stage { world, tokens, _folder: folder }
    }

    /// Somebody who calls the bank through the proxy.
    async fn caller(&self, specification: &Path) -> (Caller, Prism) {
        let addresses = self.world.addresses();
        let prism = Prism::before(&addresses.aspsps[0].url, specification).await;
        let signing = &addresses.aspsp_signing;
        (Caller::new(&prism.url, &signing.private_key, &signing.certificate), prism)
    }

    async fn close(self) {
        self.world.close().await;
    }
}

/// What was answered, once the proxy has found nothing wrong with it.
#[track_caller]
fn judged(answer: Answer, status: u16) -> Value {
    let violations = answer.header("sl-violations").to_owned();
    assert_eq!((answer.status, violations.as_str()), (status, ""), "{}", answer.body);
    answer.body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_berlin_groups_specification_finds_nothing_wrong() {
    let Some(specification) = specification("derived/bg-1.3.11-mock.yaml") else { return };
    let stage = Stage::open().await;
    let (caller, _prism) = stage.caller(&specification).await;
    let token = Some(stage.tokens.access.as_str());
    let read = async |path: &str| caller.reads(path, Some("consent-1"), token).await;

    let status = judged(caller.reads("/v1/consents/consent-1/status", None, token).await, 200);
    assert_eq!(status["consentStatus"], "valid");
    let consent = judged(caller.reads("/v1/consents/consent-1", None, token).await, 200);
    assert_eq!(consent["frequencyPerDay"], 3);
    let accounts = judged(read("/v1/accounts?withBalance=true").await, 200);
    let account = format!("/v1/accounts/{}", accounts["accounts"][0]["resourceId"].as_str().expect("a name"));
    judged(read(&account).await, 200);
    let balances = judged(read(&format!("{account}/balances")).await, 200);
    assert_eq!(balances["balances"][0]["balanceAmount"]["amount"], "-719.95");

    let from = (stage.world.aspsp().now() - chrono::Duration::days(30)).date_naive();
    let mut path = format!("{account}/transactions?bookingStatus=both&dateFrom={from}&withBalance=true");
    let (mut booked, mut pending, mut pages) = (0, 0, 0);
    loop {
        let page = judged(read(&path).await, 200);
        let count = |list: &str| page["transactions"][list].as_array().map_or(0, Vec::len);
        (booked, pending, pages) = (booked + count("booked"), pending + count("pending"), pages + 1);
        let Some(next) = page["transactions"]["_links"]["next"]["href"].as_str() else { break };
        next.clone_into(&mut path);
    }
    assert_eq!((booked, pending, pages), (4, 2, 3));

    for (id, code) in [("payment-1", "ACSC"), ("payment-2", "RJCT"), ("payment-3", "ACTC")] {
        let payment = format!("/v1/payments/sepa-credit-transfers/{id}");
        let status = judged(caller.reads(&format!("{payment}/status"), None, token).await, 200);
        assert_eq!(status["transactionStatus"], code);
        judged(caller.reads(&payment, None, token).await, 200);
    }

    // Signed requests are the specification's, too.
    let request_id = Uuid::new_v4().to_string();
    let place = "/v1/consents/consent-1/status";
    let mut headers = caller.signature(place, &request_id);
    headers.push(("X-Request-ID", request_id));
    judged(caller.gets(place, headers).await, 200);

    // What goes wrong is said as the specification has it, too.
    let list = format!("{account}/transactions?bookingStatus=booked&dateFrom={from}");
    for status in [200, 200, 429] {
        judged(read(&list).await, status);
    }
    judged(caller.reads("/v1/accounts/elsewhere", Some("consent-1"), token).await, 404);
    judged(caller.reads("/v1/accounts", Some("consent-1"), Some("ended")).await, 401);
    judged(caller.reads("/v1/accounts", Some("consent-2"), token).await, 403);
    judged(caller.reads(&format!("{list}&dateTo=1999-01-01"), Some("consent-1"), token).await, 400);
    stage.world.aspsp().bank(0).set_consent_status("consent-1", Some("revokedByPsu"));
    judged(read("/v1/accounts").await, 401);

    // The judge is awake: it neither lets a nameless request through nor takes a status that nobody knows.
    let nameless = caller.gets("/v1/consents/consent-1/status", Vec::new()).await;
    assert_eq!(nameless.status, 422, "{}", nameless.body);
    stage.world.aspsp().bank(0).settle("payment-3", "GONE");
    let unheard_of = caller.reads("/v1/payments/sepa-credit-transfers/payment-3/status", None, token).await;
    assert!(unheard_of.status == 500 && unheard_of.header("sl-violations").contains("transactionStatus"));
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polish_apis_specification_finds_nothing_wrong() {
    let Some(specification) = specification("derived/pl-2_1_2-mock.json") else { return };
    let stage = Stage::open().await;
    let (caller, _prism) = stage.caller(&specification).await;
    let bank = stage.world.aspsp().bank(0);
    let form = json!({"grant_type": "refresh_token", "client_id": "sandbox-tpp",
        "refresh_token": stage.tokens.refresh, "is_user_session": false});
    let renewed = judged(caller.asks("auth/token", None, form).await, 200);
    let token = renewed["access_token"].as_str().expect("a token");
    let ask = async |operation: &str, body: Value| caller.asks(operation, Some(token), body).await;

    let accounts = judged(ask("accounts/getAccounts", json!({})).await, 200);
    assert_eq!(accounts["accounts"].as_array().map(Vec::len), Some(2));
    let account = judged(ask("accounts/getAccount", json!({"accountNumber": OTHER_IBAN})).await, 200);
    assert_eq!(account["account"]["bookingBalance"], "0.00");
    let from = (stage.world.aspsp().now() - chrono::Duration::days(30)).date_naive();
    let list = json!({"accountNumber": IBAN, "bookingDateFrom": from, "perPage": 3});
    let first = judged(ask("accounts/getTransactionsDone", list.clone()).await, 200);
    let mut following = list.clone();
    following["pageId"] = first["pageInfo"]["nextPage"].clone();
    let second = judged(ask("accounts/getTransactionsDone", following).await, 200);
    assert_eq!(second["transactions"][1]["postTransactionBalance"], "500.00");
    let pending = judged(ask("accounts/getTransactionsPending", list.clone()).await, 200);
    assert_eq!(pending["transactions"][0]["itemId"], "waiting-item-5");
    let holds = judged(ask("accounts/getHolds", list.clone()).await, 200);
    assert_eq!(holds["holds"][0]["itemId"], "waiting-item-6");

    let payment = judged(ask("payments/getPayment", json!({"paymentId": "payment-3"})).await, 200);
    assert_eq!(payment["generalStatus"], "pending");
    let by_our_name = json!({"tppTransactionId": "tpp-payment-1"});
    assert_eq!(judged(ask("payments/getPayment", by_our_name).await, 200)["generalStatus"], "done");
    let of = |id: &str| json!({"accessToken": token, "paymentId": id});
    let many = json!({"payments": [of("payment-1"), of("payment-2"), of("payment-9")]});
    let many = judged(caller.asks("payments/getMultiplePayments", None, many).await, 200);
    assert_eq!(many["payments"][1]["generalStatus"], "rejected");
    let bundle = json!({"bundleId": "bundle-1", "transactionsIncluded": true});
    assert_eq!(judged(ask("payments/getBundle", bundle).await, 200)["bundleStatus"], "partiallyDone");
    let again =
        judged(ask("payments/getRecurringPayment", json!({"recurringPaymentId": "again-1"})).await, 200);
    assert_eq!(again["recurringPaymentStatus"], "inProgress");

    bank.once(AspspStep::Transactions, Behaviour::refuse("callback"));
    let later = judged(ask("accounts/getTransactionsDone", list.clone()).await, 200);
    assert_eq!(later["responseHeader"]["isCallback"], true);
    for status in [200, 200, 429] {
        judged(ask("accounts/getTransactionsDone", list.clone()).await, status);
    }
    judged(ask("payments/getPayment", json!({"paymentId": "payment-9"})).await, 400);
    let ended = caller.asks("accounts/getAccounts", Some("ended"), json!({})).await;
    judged(ended, 401);
    assert_eq!(stage.world.aspsp().complaints(), Vec::<String>::new());

    // The judge is awake: it neither lets an unsigned request through nor takes a status that nobody knows.
    let unsigned = |headers: &mut Headers| headers.retain(|(name, _)| *name != "X-JWS-SIGNATURE");
    let request = json!({"paymentId": "payment-3"});
    let unsigned = caller
        .asks_under(&version_one(), "payments/getPayment", Some(token), request.clone(), unsigned)
        .await;
    assert_eq!(unsigned.status, 422, "{}", unsigned.body);
    bank.settle("payment-3", "GONE");
    let unheard_of = caller.asks("payments/getPayment", Some(token), request).await;
    assert!(unheard_of.status == 500 && unheard_of.header("sl-violations").contains("generalStatus"));
    stage.close().await;
}
