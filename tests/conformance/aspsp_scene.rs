//! One of the sandbox's banks with an account and a consent, and one of our connectors to it.
//!
//! **Owns** the world and its folder. **Fails** a test as soon as a call does not come out as it should.
//! **Limits**: one consent; its quota is too large to bite unless a test says otherwise.

use std::path::Path;

use bursar::connectors::aspsps::config::{Algorithm, AspspConfig, SignatureConfig, Standard};
use bursar::connectors::aspsps::day::Zone;
use bursar::connectors::aspsps::{
    Access, Aspsp as _, AspspConnector, AspspError, CallRecord, Cursor, Told, Transaction, TransactionList,
    TransactionPage, TransactionsRequest,
};
use bursar::connectors::http::{HttpConfig, HttpUrl};
use bursar::connectors::secret::SecretRef;
use bursar::sandbox::{Aspsp, AspspAccount, AspspConsent, AspspEntry, AspspRules, World, WorldOptions};
use chrono::{DateTime, Days, TimeDelta, Utc};
use secrecy::SecretString;

use crate::small_house::Folder;

pub const IBAN: &str = "PL61109010140000071219812874";
pub const CONSENT: &str = "consent-1";
pub const BOOKED: i64 = 120;
pub const BOTH: [Standard; 2] = [Standard::BerlinGroup, Standard::PolishApi];

/// One bank with one account, a consent for it, and one of our connectors.
pub struct Stage {
    pub world: World,
    pub config: AspspConfig,
    /// By what the bank knows the account.
    pub account: String,
    pub token: SecretString,
    pub refresh: SecretString,
    _folder: Folder,
}

impl Stage {
    pub async fn open(standard: Standard) -> Self {
        let folder = Folder::new();
        let world = World::open(WorldOptions::in_dir(folder.path())).await.expect("a world");
        let (bank, now) = (world.aspsp().bank(0), world.aspsp().now());
        bank.set_rules(rules());
        bank.put_account(AspspAccount::in_zloty(IBAN));
        let tokens = bank.put_consent(AspspConsent::of(CONSENT, &[IBAN], now));
        let url = HttpUrl::parse(&world.addresses().aspsps[0].url).expect("an address");
        let signing = &world.addresses().aspsp_signing;
        let mut config = AspspConfig {
            standard,
            base_url: Some(url.clone()),
            signature: SignatureConfig {
                private_key: Some(file(&signing.private_key)),
                certificate: Some(file(&signing.certificate)),
                algorithm: Algorithm::Es256,
                key_id: "SN=1,CA=CN=Sandbox".to_owned(),
            },
            zone: Zone::try_from("UTC".to_owned()).expect("a zone"),
            ..AspspConfig::default()
        };
        config.berlin_group.both = true;
        config.berlin_group.token.url =
            Some(HttpUrl::parse(&format!("{}token", url.url())).expect("an address"));
        config.berlin_group.token.client_id = "sandbox-tpp".to_owned();
        config.polish_api.client_id = "sandbox-tpp".to_owned();
        config.codes.not_found.push("PAYMENT_UNKNOWN".to_owned());
        config.codes.consent_ended.push("CONSENT_INVALID".to_owned());
        config.codes.consent_expired.push("CONSENT_EXPIRED".to_owned());
        assert_eq!(config.missing(), [""; 0]);
        let (token, refresh) = (SecretString::from(tokens.access), SecretString::from(tokens.refresh));
        let mut stage = Self { world, config, account: IBAN.to_owned(), token, refresh, _folder: folder };
        if standard == Standard::BerlinGroup {
            let accounts = good(stage.aspsp().accounts(&stage.access(), None).await).accounts;
            assert_eq!(accounts[0].iban.as_deref(), Some(IBAN));
            stage.account = accounts[0].resource_id.clone().expect("what to ask by");
        }
        stage
    }

    pub fn bank(&self) -> Aspsp {
        self.world.aspsp().bank(0)
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.world.aspsp().now()
    }

    pub fn aspsp(&self) -> AspspConnector {
        connector(&self.config)
    }

    pub fn is_polish(&self) -> bool {
        self.config.standard == Standard::PolishApi
    }

    pub fn access(&self) -> Access<'_> {
        Access { consent_id: Some(CONSENT), token: Some(&self.token) }
    }

    pub fn request<'a>(&'a self, cursor: Option<&'a Cursor>) -> TransactionsRequest<'a> {
        let from = self.now().date_naive() - Days::new(30);
        TransactionsRequest { account: &self.account, from, to: None, after_item: None, cursor }
    }

    /// So many booked items of one cent, two cents and so on, every other one of them leaving.
    pub fn books(&self) {
        for number in 1..=BOOKED {
            let at = self.now() - TimeDelta::minutes(1_000 - number);
            let amount = if number % 2 == 0 { -number } else { number };
            self.bank().put_entry(IBAN, AspspEntry::booked(&format!("item-{number}"), amount, at));
        }
    }

    pub async fn page(&self, list: TransactionList, cursor: Option<&Cursor>) -> Told<TransactionPage> {
        self.aspsp().transactions(&self.access(), list, &self.request(cursor)).await
    }

    /// All pages of a list, and how many there were.
    pub async fn all(&self, list: TransactionList) -> (Vec<Transaction>, usize) {
        let (mut told, mut pages, mut cursor) = (Vec::new(), 0, None::<Cursor>);
        loop {
            let page = good(self.page(list, cursor.as_ref()).await);
            told.extend(page.transactions);
            pages += 1;
            // Kept and read back, as a cursor is that outlives a crash.
            match page.next.map(|next| Cursor::from_text(&next.to_text()).expect("a cursor")) {
                Some(next) => cursor = Some(next),
                None => return (told, pages),
            }
        }
    }

    /// Nothing that we sent was against a specification.
    pub async fn close(self) {
        assert_eq!(self.world.aspsp().complaints(), [""; 0], "{:?}", self.config.standard);
        self.world.close().await;
    }
}

pub fn rules() -> AspspRules {
    AspspRules { reads_max: Some(1_000), signatures: true, tells_quota: true, ..AspspRules::default() }
}

pub fn connector(config: &AspspConfig) -> AspspConnector {
    AspspConnector::of(config, &HttpConfig::default()).expect("a connector")
}

pub fn file(path: &Path) -> SecretRef {
    SecretRef::parse(&format!("file:{}", path.display())).expect("a reference")
}

#[track_caller]
pub fn good<T>(told: Told<T>) -> T {
    assert!(told.call.may_have_been_sent && told.call.status == Some(200), "{:?}", told.call);
    told.outcome.unwrap_or_else(|error| panic!("{}: {error}", told.call.method))
}

#[track_caller]
pub fn bad<T>(told: Told<T>) -> (CallRecord, AspspError) {
    match told.outcome {
        Ok(_) => panic!("{} went well", told.call.method),
        Err(error) => (told.call, error),
    }
}
