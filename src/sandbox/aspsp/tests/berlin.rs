//! The Berlin Group's language.
//!
//! **Owns** nothing. **Fails** as a test does. **Limits**: one bank.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use super::caller::Answer;
use super::{CONSENT, IBAN, Stage};
use crate::sandbox::aspsp::{
    AspspComeBack, AspspEntry, AspspIds, AspspPayment, AspspRules, AspspWindow, PageTrap,
};
use crate::sandbox::{AspspStep, Behaviour, EffectKind};

impl Stage {
    async fn renews(&self, form: &str) -> Answer {
        let kind = vec![("Content-Type", "application/x-www-form-urlencoded".to_owned())];
        self.caller.posts("/token", kind, form.to_owned()).await
    }

    async fn reads(&self, path: &str) -> Answer {
        self.caller.reads(path, Some(CONSENT), Some(&self.tokens.access)).await
    }

    /// Where the account is, as the consent has it.
    async fn account(&self) -> String {
        let accounts = self.reads("/v1/accounts").await.good();
        format!("/v1/accounts/{}", accounts["accounts"][0]["resourceId"].as_str().unwrap())
    }

    async fn list(&self, status: &str) -> String {
        let from = (self.now() - chrono::Duration::days(30)).date_naive();
        format!("{}/transactions?bookingStatus={status}&dateFrom={from}", self.account().await)
    }

    /// All pages of a list, as their ids; at most so many.
    async fn pages(&self, list: &str, most: usize) -> Vec<Vec<String>> {
        let (mut path, mut pages) = (list.to_owned(), Vec::new());
        while pages.len() < most {
            let page = self.reads(&path).await.good();
            pages.push(ids(&page, "booked"));
            let Some(next) = page["transactions"]["_links"]["next"]["href"].as_str() else { break };
            next.clone_into(&mut path);
        }
        pages
    }
}

fn ids(page: &Value, list: &str) -> Vec<String> {
    let items = page["transactions"][list].as_array().cloned().unwrap_or_default();
    items.iter().map(|item| item["transactionId"].as_str().unwrap_or("none").to_owned()).collect()
}

fn code(answer: &Answer) -> &str {
    answer.body["tppMessages"][0]["code"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn what_the_standard_forbids_is_a_complaint() {
    let stage = Stage::open().await;
    stage.rules(|_| {});
    let account = stage.account().await;
    let list = stage.list("booked").await;
    let named = || vec![("X-Request-ID", Uuid::new_v4().to_string())];
    let with = |name: &'static str, value: &str| {
        let mut headers = named();
        headers.push(("Consent-ID", CONSENT.to_owned()));
        headers.push(("Authorization", format!("Bearer {}", stage.tokens.access)));
        headers.push((name, value.to_owned()));
        headers
    };
    let cases = [
        (400, "/v1/accounts".to_owned(), vec![("Consent-ID", CONSENT.to_owned())], "X-Request-ID is no UUID"),
        (400, "/v1/accounts".to_owned(), vec![("X-Request-ID", "7".to_owned())], "X-Request-ID is no UUID"),
        (400, "/v1/accounts".to_owned(), named(), "Consent-ID is missing"),
        (400, "/v1/accounts".to_owned(), with("PSU-IP-Address", "192.0.2.1"), "a holder who is not there"),
        (400, "/v1/accounts".to_owned(), with("PSU-User-Agent", "none"), "a holder who is not there"),
        (406, "/v1/accounts".to_owned(), with("Accept", "application/xml"), "speaks JSON"),
        (400, "/v1/accounts?withBalances=true".to_owned(), with("Accept", "*/*"), "not the standard's"),
        (
            400,
            format!("{account}/transactions?bookingStatus=booked"),
            with("Accept", "*/*"),
            "dateFrom is missing",
        ),
        (
            400,
            format!("{account}/transactions?dateFrom=2026-11-01"),
            with("Accept", "*/*"),
            "not the standard's",
        ),
        (400, list.replace("booked", "done"), with("Accept", "*/*"), "no such bookingStatus"),
        (400, format!("{list}&dateTo=2001-01-01"), with("Accept", "*/*"), "the first day comes after"),
        (400, format!("{list}&itemsPerPage=0"), with("Accept", "*/*"), "itemsPerPage"),
        (400, format!("{list}&pageKey=AAAA"), with("Accept", "*/*"), "no link of ours"),
        (404, "/v1/payments/letters/p/status".to_owned(), named(), "no such service or product"),
    ];
    for (status, path, headers, why) in cases {
        let answer = stage.caller.gets(&path, headers).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert!(stage.complaint().contains(why), "{path}: {}", stage.complaint());
    }
    let again = with("Accept", "application/json, */*;q=0.5");
    assert_eq!(stage.caller.gets("/v1/accounts", again.clone()).await.status, 200);
    assert_eq!(stage.caller.gets("/v1/accounts", again).await.status, 400);
    assert_eq!(stage.complaint(), "X-Request-ID came before");
    stage.world.close().await;
}

#[tokio::test]
async fn a_signature_counts_when_it_is_the_callers_own() {
    let stage = Stage::open().await;
    stage.rules(|rules| rules.signatures = true);
    let place = format!("/v1/consents/{CONSENT}/status");
    assert_eq!(code(&stage.caller.reads(&place, None, None).await), "SIGNATURE_MISSING");
    let signed = |request_id: &str, over: &str| {
        let mut headers = stage.caller.signature(&place, over);
        headers.push(("X-Request-ID", request_id.to_owned()));
        headers
    };
    let (first, second) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
    assert_eq!(stage.caller.gets(&place, signed(&first, &first)).await.status, 200);
    assert_eq!(code(&stage.caller.gets(&place, signed(&second, &first)).await), "SIGNATURE_INVALID");
    let third = Uuid::new_v4().to_string();
    let mut other_body = signed(&third, &third);
    other_body[0].1 = "SHA-256=AAAA".to_owned();
    assert_eq!(code(&stage.caller.gets(&place, other_body).await), "SIGNATURE_INVALID");
    stage.world.close().await;
}

#[tokio::test]
async fn pages_follow_each_other_and_count_as_one_read() {
    let stage = Stage::open().await;
    stage.books(7);
    stage.rules(|rules| rules.page_size = 3);
    let list = stage.list("booked").await;
    let before = stage.world.aspsp().count(|call| call.counted);
    let pages = stage.pages(&list, 10).await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
    assert_eq!(pages.concat().into_iter().collect::<BTreeSet<_>>().len(), 7);
    assert_eq!(stage.world.aspsp().count(|call| call.counted) - before, 1);
    assert_eq!(stage.world.aspsp().count(|call| call.is_page), 2);
    let first = stage.reads(&list).await.good();
    let next = first["transactions"]["_links"]["next"]["href"].as_str().unwrap();
    let half = next.split_once("&dateTo").unwrap().0;
    let key = next.split_once("&pageKey").unwrap().1;
    let changed = stage.reads(&format!("{half}&pageKey{key}")).await;
    assert_eq!((changed.status, stage.complaint().as_str()), (400, "this is no link of ours"));
    stage.rules(|rules| rules.absolute_links = true);
    let absolute = stage.reads(&format!("{list}&itemsPerPage=1")).await.good();
    let next = absolute["transactions"]["_links"]["next"]["href"].as_str().unwrap();
    assert!(next.starts_with(&format!("{}/v1/", stage.caller.url)), "{next}");
    stage.world.close().await;
}

#[tokio::test]
async fn the_traps_on_the_way() {
    let stage = Stage::open().await;
    stage.books(4);
    stage.rules(|rules| rules.page_size = 2);
    let list = stage.list("booked").await;
    let set = |trap| stage.bank().set_trap(IBAN, Some(trap));
    let (new, old) =
        (vec!["item-4".to_owned(), "item-3".to_owned()], vec!["item-2".to_owned(), "item-1".to_owned()]);
    set(PageTrap::Repeated { page: 1 });
    assert_eq!(stage.pages(&list, 10).await, [new.clone(), new.clone(), old.clone()]);
    set(PageTrap::Empty { page: 1 });
    assert_eq!(stage.pages(&list, 10).await, [new.clone(), vec![], old.clone()]);
    set(PageTrap::NextIsSelf { page: 1 });
    assert_eq!(stage.pages(&list, 4).await, [new, old.clone(), old.clone(), old]);
    set(PageTrap::NextElsewhere { page: 0, origin: "http://elsewhere.example".to_owned() });
    let page = stage.reads(&list).await.good();
    let next = page["transactions"]["_links"]["next"]["href"].as_str().unwrap();
    assert!(next.starts_with("http://elsewhere.example/v1/"));
    set(PageTrap::Download);
    let page = stage.reads(&list).await.good();
    assert_eq!(page["transactions"], Value::Null);
    let report = stage.reads(page["_links"]["download"]["href"].as_str().unwrap()).await.good();
    assert_eq!(ids(&report, "booked").len(), 4);
    stage.bank().set_trap(IBAN, None);
    assert_eq!(stage.pages(&list, 10).await.len(), 2);
    stage.world.close().await;
}

#[tokio::test]
async fn what_waits_is_booked_in_time_and_ids_are_what_the_bank_makes_of_them() {
    let stage = Stage::open().await;
    stage.rules(|rules| rules.both = false);
    let now = stage.now();
    let pending = AspspEntry::pending("item", -500, now, now + chrono::Duration::minutes(30));
    stage.bank().put_entry(IBAN, pending.clone());
    stage.bank().put_entry(IBAN, pending);
    let (booked, waiting) = (stage.list("booked").await, stage.list("pending").await);
    let told = async |list: &str| {
        let page = stage.reads(list).await.good();
        [ids(&page, "booked"), ids(&page, "pending")].concat()
    };
    assert_eq!((told(&booked).await.len(), told(&waiting).await), (0, vec!["waiting-item".to_owned(); 2]));
    let place = format!("{}/balances", stage.account().await);
    let balances = async || {
        let balances = stage.reads(&place).await.good()["balances"].clone();
        [0, 1].map(|at: usize| balances[at]["balanceAmount"]["amount"].as_str().unwrap().to_owned())
    };
    assert_eq!(balances().await, ["0.00", "-10.00"]);
    stage.world.aspsp().move_on(Duration::from_secs(1_800));
    assert_eq!((told(&booked).await, told(&waiting).await.len()), (vec!["item".to_owned(); 2], 0));
    assert_eq!(balances().await, ["-10.00", "-10.00"]);
    for (play, shown) in [(AspspIds::Blank, " "), (AspspIds::Absent, "none")] {
        stage.bank().set_ids(IBAN, play);
        assert_eq!(told(&booked).await[0], shown);
    }
    stage.bank().set_ids(IBAN, AspspIds::Reissued(1));
    let first = told(&booked).await;
    stage.bank().set_ids(IBAN, AspspIds::Reissued(2));
    assert_ne!(told(&booked).await, first);
    stage.bank().take_entry(IBAN, "item");
    assert_eq!(told(&booked).await.len(), 0);
    let both = stage.reads(&booked.replace("booked", "both")).await;
    assert_eq!((both.status, code(&both)), (400, "PARAMETER_NOT_SUPPORTED"));
    assert_eq!(stage.world.aspsp().complaints(), Vec::<String>::new());
    stage.world.close().await;
}

#[tokio::test]
async fn quotas_bite_and_say_when_they_let_go() {
    let stage = Stage::open().await;
    let rules = |come_back| AspspRules { reads_max: Some(2), come_back, ..AspspRules::default() };
    stage.bank().set_rules(rules(AspspComeBack::Header));
    let account = stage.account().await;
    let balances = format!("{account}/balances");
    for status in [200, 200, 429] {
        assert_eq!(stage.reads(&balances).await.status, status);
    }
    // Each kind of read is counted by itself.
    assert_eq!(stage.reads(&account).await.status, 200);
    let bitten = stage.reads(&balances).await;
    assert_eq!((bitten.status, code(&bitten)), (429, "ACCESS_EXCEEDED"));
    let wait_s: u64 = bitten.header("retry-after").parse().unwrap();
    assert!((86_000..=86_401).contains(&wait_s), "{wait_s}");
    stage.bank().set_rules(AspspRules { tells_quota: true, ..rules(AspspComeBack::Words) });
    let bitten = stage.reads(&balances).await;
    assert_eq!(
        (bitten.header("retry-after"), bitten.header("http_x_ratelimit_account_success_remaining")),
        ("", "0")
    );
    assert!(bitten.body["tppMessages"][0]["text"].as_str().unwrap().contains("try again in 86"));
    assert_eq!(stage.kinds().len(), 4, "what was refused is no read");
    stage.world.aspsp().move_on(Duration::from_secs(wait_s));
    stage.bank().set_rules(AspspRules { access_ttl_s: 999_999, ..rules(AspspComeBack::Silence) });
    let tokens = stage.bank().put_consent(super::AspspConsent::of(CONSENT, &[IBAN], stage.now()));
    let read = async || stage.caller.reads(&balances, Some(CONSENT), Some(&tokens.access)).await.status;
    assert_eq!([read().await, read().await, read().await], [200, 200, 429]);
    stage.bank().set_rules(AspspRules {
        window: AspspWindow::Day,
        reads_max: Some(3),
        ..AspspRules::default()
    });
    assert_eq!([read().await, read().await], [200, 429]);
    stage.world.close().await;
}

#[tokio::test]
async fn consents_end_and_tokens_are_renewed_once() {
    let stage = Stage::open().await;
    stage.rules(|rules| rules.access_ttl_s = 60);
    let form =
        |refresh: &str| format!("grant_type=refresh_token&client_id=sandbox-tpp&refresh_token={refresh}");
    stage.world.aspsp().move_on(Duration::from_secs(3_601));
    assert_eq!(code(&stage.reads("/v1/accounts").await), "TOKEN_INVALID");
    let fresh = stage.renews(&form(&stage.tokens.refresh)).await.good();
    let access = fresh["access_token"].as_str().unwrap();
    let read = async || stage.caller.reads("/v1/accounts", Some(CONSENT), Some(access)).await;
    assert_eq!((read().await.status, &fresh["expires_in"]), (200, &serde_json::json!(60)));
    let reused = stage.renews(&form(&stage.tokens.refresh)).await;
    assert_eq!((reused.status, reused.body["error"].as_str()), (400, Some("invalid_grant")));
    let expected = [EffectKind::AspspTokenRefreshed, EffectKind::AspspRead, EffectKind::AspspTokenReused];
    assert_eq!(stage.kinds(), expected);
    for wrong in [form("x").replace("sandbox-tpp", "nobody"), "grant_type=refresh_token".to_owned()] {
        let refused = stage.renews(&wrong).await;
        assert!(refused.status == 400 || refused.status == 401, "{wrong}");
        assert!(refused.body["error"].is_string());
    }

    stage.bank().set_consent_status(CONSENT, Some("revokedByPsu"));
    assert_eq!(code(&read().await), "CONSENT_INVALID");
    let status = stage.caller.reads(&format!("/v1/consents/{CONSENT}/status"), None, None).await.good();
    assert_eq!(status["consentStatus"], "revokedByPsu");
    stage.bank().set_consent_status(CONSENT, None);
    stage.bank().set_valid_until(CONSENT, (stage.now() - chrono::Duration::days(1)).date_naive());
    let expired = read().await;
    assert_eq!((expired.status, code(&expired)), (401, "CONSENT_EXPIRED"));
    let unknown = stage.caller.reads("/v1/accounts", Some("consent-9"), Some(access)).await;
    assert_eq!((unknown.status, code(&unknown)), (403, "CONSENT_UNKNOWN"));
    stage.world.close().await;
}

#[tokio::test]
async fn a_payment_settles_step_by_step_and_its_end_is_put_down() {
    let stage = Stage::open().await;
    let steps = [(Duration::from_secs(60), "ACSP"), (Duration::from_secs(120), "ACSC")];
    stage.bank().put_payment(AspspPayment::settling("payment-1", &steps));
    let place = "/v1/payments/sepa-credit-transfers/payment-1/status";
    let status = async || stage.caller.reads(place, None, None).await.good()["transactionStatus"].clone();
    assert_eq!(status().await, "RCVD");
    stage.world.aspsp().move_on(Duration::from_secs(61));
    assert_eq!(status().await, "ACSP");
    stage.world.aspsp().move_on(Duration::from_secs(60));
    assert_eq!(stage.kinds(), []);
    assert_eq!(status().await, "ACSC");
    assert_eq!(stage.kinds(), [EffectKind::AspspPaymentTold]);
    let elsewhere = stage.caller.reads(&place.replace("payments/", "bulk-payments/"), None, None).await;
    assert_eq!((elsewhere.status, code(&elsewhere)), (404, "RESOURCE_UNKNOWN"));
    stage.bank().once(AspspStep::Payment, Behaviour::refuse("409:STATUS_INVALID"));
    let refused = stage.caller.reads(place, None, None).await;
    assert_eq!((refused.status, code(&refused)), (409, "STATUS_INVALID"));
    stage.world.close().await;
}
