//! The banks, spoken to by hand in either language.
//!
//! **Owns** a world for each test. **Fails** as a test does. **Limits**: what the public specifications can judge is judged
//! in `tests/conformance/peer_aspsp.rs`.

mod berlin;
mod caller;
mod polish;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{Aspsp, AspspAccount, AspspBulk, AspspConsent, AspspEntry, AspspRules, AspspTokens};
use crate::sandbox::client::{Client, TempDir};
use crate::sandbox::{AspspStep, Behaviour, EffectKind, World, WorldOptions};
use caller::{Answer, Caller};

const IBAN: &str = "PL61109010140000071219812874";
const CONSENT: &str = "consent-1";

impl Answer {
    /// The answer of a call that went well.
    #[track_caller]
    fn good(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }
}

/// A world with one account at the first bank, and a consent for it.
struct Stage {
    world: World,
    caller: Caller,
    tokens: AspspTokens,
    _dir: TempDir,
}

impl Stage {
    async fn open() -> Self {
        let dir = TempDir::new();
        let world = World::open(WorldOptions::in_dir(dir.path())).await.unwrap();
        let addresses = world.addresses();
        let signing = &addresses.aspsp_signing;
        let caller = Caller::new(&addresses.aspsps[0].url, &signing.private_key, &signing.certificate);
        let bank = world.aspsp().bank(0);
        bank.put_account(AspspAccount::in_zloty(IBAN));
        let tokens = bank.put_consent(AspspConsent::of(CONSENT, &[IBAN], world.aspsp().now()));
        Stage { world, caller, tokens, _dir: dir }
    }

    fn bank(&self) -> Aspsp {
        self.world.aspsp().bank(0)
    }

    fn now(&self) -> DateTime<Utc> {
        self.world.aspsp().now()
    }

    /// So many booked items, each worth its number in cents.
    fn books(&self, items: i64) {
        for number in 1..=items {
            let at = self.now() - chrono::Duration::minutes(1_000 - number);
            self.bank().put_entry(IBAN, AspspEntry::booked(&format!("item-{number}"), number, at));
        }
    }

    fn rules(&self, change: impl FnOnce(&mut AspspRules)) {
        let mut rules = AspspRules { reads_max: Some(1_000), ..AspspRules::default() };
        change(&mut rules);
        self.bank().set_rules(rules);
    }

    fn kinds(&self) -> Vec<EffectKind> {
        self.world.effects().iter().map(|effect| effect.kind).collect()
    }

    fn complaint(&self) -> String {
        self.world.aspsp().complaints().pop().unwrap_or_default()
    }
}

#[tokio::test]
async fn a_late_or_broken_bank_is_counted_and_what_it_did_is_put_down() {
    let stage = Stage::open().await;
    let (bank, token) = (stage.bank(), stage.tokens.access.clone());
    bank.once(AspspStep::Accounts, Behaviour::status_retry_after(503, 9));
    let away = stage.caller.reads("/v1/accounts", Some(CONSENT), Some(&token)).await;
    assert_eq!((away.status, away.header("retry-after")), (503, "9"));
    assert_eq!(stage.kinds(), []);
    bank.once(AspspStep::Accounts, Behaviour::accept_then_hold());
    let reading = {
        let signing = &stage.world.addresses().aspsp_signing;
        let caller = Caller::new(&stage.caller.url, &signing.private_key, &signing.certificate);
        tokio::spawn(async move { caller.reads("/v1/accounts", Some(CONSENT), Some(&token)).await.status })
    };
    stage.world.wait_for_held(1, Duration::from_secs(5)).await.unwrap();
    assert_eq!(stage.kinds(), [EffectKind::AspspRead]);
    stage.world.script().release();
    assert_eq!(reading.await.unwrap(), 200);
    assert_eq!((bank.asked(AspspStep::Accounts), stage.world.aspsp().count(|call| call.counted)), (2, 1));
    stage.world.close().await;
}

#[tokio::test]
async fn the_door_behind_tls_wants_a_certificate_and_the_plain_one_can_be_shut() {
    let stage = Stage::open().await;
    let addresses = stage.world.addresses();
    let (tls_url, files) = (&addresses.aspsps[0].tls_url, &addresses.tls);
    let place = format!("{tls_url}/v1/consents/{CONSENT}/status");
    let name = || vec![("X-Request-ID", uuid::Uuid::new_v4().to_string())];
    assert!(Client::behind_tls(files, false).get(&place, name()).await.is_err());
    assert_eq!(Client::behind_tls(files, true).get(&place, name()).await.unwrap().status, 200);
    stage.bank().shut().await;
    let plain = format!("{}/v1/accounts", addresses.aspsps[0].url);
    assert!(Client::new().get(&plain, name()).await.unwrap_err().is_connect());
    assert!(Client::new().get(&format!("{}/v1/accounts", addresses.aspsps[1].url), name()).await.is_ok());
    stage.world.close().await;
}

#[tokio::test]
async fn bulk_users_are_there_in_both_languages_and_take_no_room() {
    let stage = Stage::open().await;
    let newest = stage.now().date_naive();
    let bulk = AspspBulk {
        users: 1_000,
        consents: 2,
        accounts: 2,
        transactions: 100,
        added: 0,
        newest,
        days: 60,
        seed: 7,
    };
    stage.bank().put_bulk(bulk);
    let consent = AspspBulk::consent_id(999, 1);
    let read = async |path: &str| stage.caller.reads(path, Some(&consent), Some(&consent)).await.good();
    let accounts = read("/v1/accounts").await;
    let name = accounts["accounts"][1]["resourceId"].as_str().unwrap();
    let from = newest - chrono::Days::new(89);
    let mut path = format!("/v1/accounts/{name}/transactions?bookingStatus=booked&dateFrom={from}");
    let mut told = Vec::new();
    loop {
        let page = read(&path).await;
        told.extend(page["transactions"]["booked"].as_array().unwrap().iter().map(|item| {
            let amount = item["transactionAmount"]["amount"].as_str().unwrap().to_owned();
            (item["transactionId"].as_str().unwrap().to_owned(), amount)
        }));
        let Some(next) = page["transactions"]["_links"]["next"]["href"].as_str() else { break };
        next.clone_into(&mut path);
    }
    assert_eq!(told.len(), 100);

    let number = accounts["accounts"][1]["iban"].as_str().unwrap();
    let list = json!({"accountNumber": number});
    let page = stage.caller.asks("accounts/getTransactionsDone", Some(&consent), list).await.good();
    let item = &page["transactions"][0];
    assert_eq!(item["itemId"].as_str().unwrap(), told[0].0);
    let debit = item["transactionCategory"] == "DEBIT";
    let amount = format!("{}{}", if debit { "-" } else { "" }, item["amount"].as_str().unwrap());
    assert_eq!(amount, told[0].1);
    stage.world.close().await;
}

#[tokio::test]
async fn the_service_in_between_is_asked_for_a_user() {
    let stage = Stage::open().await;
    let good = "/bankaccount?RefreshActiveAccounts=true&userId=user-1";
    assert_eq!(stage.caller.gets(good, Vec::new()).await.good(), json!({"refreshed": true}));
    for wrong in ["/bankaccount", "/bankaccount?RefreshActiveAccounts=false&userId=user-1"] {
        assert_eq!(stage.caller.gets(wrong, Vec::new()).await.status, 400, "{wrong}");
    }
    stage.bank().once(AspspStep::Refresh, Behaviour::refuse("503:busy"));
    assert_eq!(stage.caller.gets(good, Vec::new()).await.status, 503);
    let calls = stage.world.aspsp().calls();
    assert_eq!((calls.len(), calls[0].consent.as_deref()), (4, Some("user-1")));
    stage.world.close().await;
}

#[tokio::test]
async fn another_process_fills_a_bank_and_reads_its_journal() {
    let stage = Stage::open().await;
    let (client, control) = (Client::new(), stage.world.addresses().control_url.clone());
    let post = async |path: &str, body: Value| {
        let headers = vec![("content-type", "application/json".to_owned())];
        client.post(&format!("{control}/aspsps/{path}"), headers, &body.to_string()).await.unwrap()
    };
    let account = json!({"account": {"iban": "PL27114020040000300201355387", "currency": "EUR", "decimals": 2,
        "opening": 700}});
    assert_eq!(post("1/do", account).await.status, 204);
    let consent = json!({"id": "c", "accounts": ["PL27114020040000300201355387"], "valid_until": "2999-01-01",
        "frequency_per_day": 4, "tokens": false});
    assert!(post("1/consent", consent).await.json()["access"].is_string());
    assert_eq!(post("1/do", json!({"settle": {"payment": "p", "status": "ACSC"}})).await.status, 204);
    assert_eq!(post("1/do", json!({"sulk": {}})).await.status, 422);
    assert_eq!(post("move-on", json!({"seconds": 3_600})).await.status, 204);
    assert!(stage.now() > Utc::now() + chrono::Duration::minutes(59));

    let signing = &stage.world.addresses().aspsp_signing;
    let url = &stage.world.addresses().aspsps[1].url;
    let caller = Caller::new(url, &signing.private_key, &signing.certificate);
    let accounts = caller.reads("/v1/accounts?withBalance=true", Some("c"), None).await.good();
    assert_eq!(accounts["accounts"][0]["balances"][0]["balanceAmount"]["amount"], "7.00");
    let calls = client.get(&format!("{control}/aspsps/calls"), vec![]).await.unwrap().json();
    assert_eq!(
        (&calls[0]["bank"], &calls[0]["step"], &calls[0]["status"]),
        (&json!(1), &json!("accounts"), &json!(200))
    );
    stage.world.close().await;
}
