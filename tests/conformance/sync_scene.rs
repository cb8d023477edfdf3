//! Customers of the sandbox's banks, and the job that refreshes their accounts, without a house around it.
//!
//! Bank 0 is asked in Berlin Group's language under the name `berlin`, bank 1 in PolishAPI's under the name `polish`.
//!
//! **Owns** the world, the store, and one run at a time. **Fails** a test as soon as something does not come out as it should.
//! **Limits**: no wait of a timetable: a run is begun by hand and claimed at once.

use std::sync::Arc;
use std::time::Duration;

use bursar::actors::config::openbanking::{AspspEntry, OpenBankingConfig};
use bursar::actors::sync_batcher::{Means, SyncBatcher};
use bursar::config::Config;
use bursar::connectors::aspsps::AspspConnector;
use bursar::connectors::aspsps::config::{Algorithm, SignatureConfig, Standard};
use bursar::connectors::aspsps::day::Zone;
use bursar::connectors::aspsps::internal_api::InternalApi;
use bursar::connectors::aspsps::internal_api::config::InternalApiConfig;
use bursar::connectors::http::{HttpConfig, HttpUrl};
use bursar::connectors::secret::SecretRef;
use bursar::connectors::secret::policy::SecretsConfig;
use bursar::connectors::secret::sealed::SecretKeeper;
use bursar::domain::ids::{ConsentId, JobRunId, PsuUserId, RunnerId, TenantId};
use bursar::domain::job::{Cause, NewRun, Overlap, queue};
use bursar::domain::openbanking::pacing::Pacing;
use bursar::domain::openbanking::sync::SyncArguments;
use bursar::domain::work::{Claim, kind};
use bursar::messages::aspsps::{Aspsps, DeskParts, Pauses, queue as queue_of};
use bursar::messages::jobs::{EndWanted, Job as _, JobContext, JobEnd};
use bursar::messages::reload::Settings;
use bursar::sandbox::{
    Aspsp, AspspAccount, AspspConsent, AspspEntry as Item, AspspRules, World, WorldOptions,
};
use bursar::store::Store;
use bursar::store::job_run::JobRun;
use bursar::store::job_run_wish::{Trigger, Triggered};
use bursar::store::openbanking::account::Account;
use bursar::store::openbanking::consent::{Consent, ConsentDraft};
use bursar::store::openbanking::list::KeptTransaction;
use bursar::store::openbanking::session::{ApiCall, ApiSession};
use bursar::store::openbanking::token::NewTokens;
use bursar::store::work::{ClaimRequest, end_of_prefix};
use bursar::work::config::QueueLimit;
use bursar::work::tenants::Tenants;
use bursar::work::{Hints, Limits, Places};
use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use secrecy::SecretString;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::bank_scene::BankScene;
use crate::small_house::Folder;
use crate::support::database::Kind;
use crate::{aspsp_scene, bank_scene};

pub const BERLIN: &str = "berlin";
pub const POLISH: &str = "polish";
pub const JOB: &str = "sync_update";

/// Fast: nothing is waited for.
pub const AT_ONCE: Pacing = Pacing { batch_size: 10, batch_interval: Duration::from_millis(10), eager: true };

pub struct SyncScene {
    pub world: World,
    pub bank: BankScene,
    pub config: OpenBankingConfig,
    pub pacing: Pacing,
    pub internal_api: Option<InternalApi>,
    secrets: SecretKeeper,
    folder: Folder,
}

/// What a run came to.
pub struct Ran {
    pub end: JobEnd,
    pub run: JobRun,
    pub sessions: Vec<ApiSession>,
    pub calls: Vec<ApiCall>,
}

impl SyncScene {
    pub async fn set(kind: Kind) -> Self {
        let folder = Folder::new();
        let world = World::open(WorldOptions::in_dir(folder.path())).await.expect("a world");
        for number in 0..2 {
            world.aspsp().bank(number).set_rules(AspspRules { signatures: true, ..AspspRules::default() });
        }
        // Thirty-two bytes, as anybody could make them up.
        let key = folder.secret("sealing-key", "dGhlIGtleSB1bmRlciB3aGljaCBhIHRlc3Qgc2VhbHM=");
        let key = Some(SecretRef::parse(&key).expect("a reference"));
        let secrets = SecretKeeper::new(&SecretsConfig { key, ..SecretsConfig::default() });
        let mut scene = Self {
            bank: BankScene::set(kind).await,
            config: Config::default().openbanking,
            pacing: AT_ONCE,
            internal_api: None,
            secrets,
            folder,
            world,
        };
        for (name, standard, number) in [(BERLIN, Standard::BerlinGroup, 0), (POLISH, Standard::PolishApi, 1)]
        {
            let entry = scene.entry(standard, number);
            scene.config.aspsps.insert(name.to_owned(), entry);
        }
        scene
    }

    fn entry(&self, standard: Standard, number: usize) -> AspspEntry {
        let mut entry = self.config.aspsp.clone();
        let addresses = self.world.addresses();
        let (url, signing) =
            (HttpUrl::parse(&addresses.aspsps[number].url).expect("an address"), &addresses.aspsp_signing);
        let connector = &mut entry.connector;
        connector.standard = standard;
        connector.base_url = Some(url.clone());
        connector.signature = SignatureConfig {
            private_key: Some(aspsp_scene::file(&signing.private_key)),
            certificate: Some(aspsp_scene::file(&signing.certificate)),
            algorithm: Algorithm::Es256,
            key_id: "SN=1,CA=CN=Sandbox".to_owned(),
        };
        connector.zone = Zone::try_from("UTC".to_owned()).expect("a zone");
        let token = HttpUrl::parse(&format!("{}token", url.url())).expect("an address");
        connector.berlin_group.token.url = Some(token);
        connector.berlin_group.token.client_id = "sandbox-tpp".to_owned();
        connector.polish_api.client_id = "sandbox-tpp".to_owned();
        connector.codes.consent_ended.push("CONSENT_INVALID".to_owned());
        connector.codes.consent_expired.push("CONSENT_EXPIRED".to_owned());
        assert_eq!(connector.missing(), [""; 0]);
        entry
    }

    pub fn store(&self) -> &Store {
        &self.bank.store
    }

    pub fn at(&self, bank: &str) -> Aspsp {
        self.world.aspsp().bank(u8::from(bank == POLISH))
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.world.aspsp().now()
    }

    /// A customer with one account of so many items at a bank, a consent for it, and its tokens.
    pub async fn customer(&self, user: PsuUserId, bank: &str, number: u32, items: i64) -> ConsentId {
        let (at, iban, name) = (self.at(bank), iban(number), format!("consent-{number}"));
        at.put_account(AspspAccount::in_zloty(iban.as_str()));
        self.books(bank, &iban, 0..items);
        let given = at.put_consent(AspspConsent::of(name.as_str(), &[iban.as_str()], self.now()));
        let last = (self.now().date_naive() + Days::new(91)).and_time(NaiveTime::MIN).and_utc();
        let draft = ConsentDraft {
            aspsp: bank.to_owned(),
            valid_until: Some(last),
            ..bank_scene::consent(user, &name)
        };
        let id = self.bank.puts_consent(draft).await;
        self.keep_tokens(id, &given.access, &given.refresh, TimeDelta::hours(1)).await;
        id
    }

    pub async fn keep_tokens(&self, id: ConsentId, access: &str, refresh: &str, lasts: TimeDelta) {
        let purpose = format!("consent:{id}");
        let seal = |text: &str| {
            let sealed = self.secrets.seal(&purpose, &SecretString::from(text.to_owned()));
            sealed.expect("a key").as_str().to_owned()
        };
        let tokens = NewTokens {
            access_sealed: seal(access),
            refresh_sealed: Some(seal(refresh)),
            expires_at: Some(self.store().now() + lasts),
        };
        self.store().keep_tokens(id, 0, &tokens, self.store().now()).await.expect("a store").expect("kept");
    }

    /// Items of one cent, two cents and so on, every other one of them leaving; one an hour, backwards from now.
    pub fn books(&self, bank: &str, iban: &str, numbers: std::ops::Range<i64>) {
        for number in numbers {
            let at = self.now() - TimeDelta::minutes(5 * number + 1);
            let amount = if number % 2 == 0 { -(number + 1) } else { number + 1 };
            self.at(bank).put_entry(iban, Item::booked(&format!("{iban}-{number}"), amount, at));
        }
    }

    /// Somebody who can be visited.
    pub async fn user(&self, name: &str) -> PsuUserId {
        self.bank.user(name).await
    }

    fn job(&self) -> SyncBatcher {
        let store = self.store().clone();
        let pauses = Pauses::of(store.clone(), Duration::from_millis(50));
        let house = Config::default();
        let desk = |(name, entry): (&String, &AspspEntry)| {
            let freed = Arc::new(Notify::new());
            let limit = QueueLimit { in_flight_max: entry.limits.in_flight_max, rate_per_minute: 0 };
            let limits = Limits::uniform(limit, limit.in_flight_max as usize, house.breaker.clone());
            assert!(!queue_of(name).is_empty());
            DeskParts {
                name: name.clone(),
                standard: entry.connector.standard,
                connector: AspspConnector::of(&entry.connector, &HttpConfig::default()).expect("a connector"),
                places: Places::new(limits, Tenants::default(), freed.clone()),
                freed,
                counting: entry.counting(),
                pauses: pauses.clone(),
                poll_interval: Duration::from_millis(50),
            }
        };
        SyncBatcher::new(Means {
            aspsps: Aspsps::new(self.config.aspsps.iter().map(desk)),
            internal_api: self.internal_api.clone(),
            secrets: self.secrets.clone(),
            hints: Hints::default(),
            config: Settings::fixed(self.config.clone()),
            pacing: self.pacing,
            lanes: 1,
            group_max: 64,
            delivery_attempts_max: bank_scene::ATTEMPTS,
            store,
        })
    }

    /// Has the service in between asked in our place.
    pub fn asks_the_service(&mut self) {
        let config = InternalApiConfig {
            base_url: self.config.aspsps[BERLIN].connector.base_url.clone(),
            user_parameter: "userId".to_owned(),
            ..InternalApiConfig::default()
        };
        self.config.sync.via = bursar::actors::config::openbanking::Via::InternalApi;
        self.internal_api = Some(InternalApi::new(config, &HttpConfig::default()).expect("a connector"));
    }

    /// A whole run.
    pub async fn runs(&self) -> Ran {
        let (context, _) = self.begins(None).await;
        self.goes_on(context).await
    }

    /// A run about these customers alone.
    pub async fn runs_for(&self, users: &[PsuUserId]) -> Ran {
        let arguments = SyncArguments { users: users.to_vec() }.to_text();
        let (context, _) = self.begins(Some(arguments)).await;
        self.goes_on(context).await
    }

    /// A run that is claimed and has not been worked on, and what ends it early.
    pub async fn begins(&self, arguments: Option<String>) -> (JobContext, watch::Sender<Option<EndWanted>>) {
        let (store, now) = (self.store(), self.store().now());
        let id = JobRunId(Uuid::now_v7());
        let run = NewRun { id, seed: 7, run_at: now, cause: Cause::Manual, arguments };
        let trigger =
            Trigger { job: JOB, run: &run, overlap: Overlap::Allow, reason: "a test", request: None, now };
        assert_eq!(store.trigger_job(&trigger).await.expect("an answer"), Triggered::Begun);
        let claim = self.claims(self.bank.runner, id).await;
        let begun = store.begin_run(&claim, now).await.expect("a store").expect("a run");
        let wanted = watch::channel(None).0;
        (JobContext::new(begun, store.clone(), claim, wanted.clone(), watch::channel(0).0), wanted)
    }

    /// The same run once more, from where it reported last, as after a crash.
    pub async fn begins_again(&self, before: &JobContext) -> JobContext {
        let run = self
            .store()
            .begin_run(before.claim(), self.store().now())
            .await
            .expect("a store")
            .expect("a run");
        let claim = before.claim().clone();
        JobContext::new(run, self.store().clone(), claim, watch::channel(None).0, watch::channel(0).0)
    }

    async fn claims(&self, runner_id: RunnerId, id: JobRunId) -> Claim {
        let request = ClaimRequest {
            runner_id,
            kind: kind::JOB_RUN,
            queue_from: queue(JOB),
            queue_until: end_of_prefix(&queue(JOB)),
            free_per_queue: 100,
            busy: vec![],
            tenants_full: vec![],
            limit: 100,
        };
        let claims = self.store().claim(&request).await.expect("a claim");
        claims.into_iter().find(|claim| claim.id.0 == id.0).expect("the run's own")
    }

    pub async fn goes_on(&self, context: JobContext) -> Ran {
        let id = context.run.id;
        let end = self.job().run(context).await;
        let run = self.store().job_run(id).await.expect("a store").expect("a run");
        let sessions = self.store().api_sessions_of_run(id.0, None, 1_000).await.expect("a store");
        let calls = self.store().api_calls_of_run(&TenantId::default(), id.0, 10_000).await.expect("a store");
        Ran { end, run, sessions, calls }
    }

    pub async fn account_of(&self, user: PsuUserId) -> Account {
        let mut accounts = self.accounts_of(user).await;
        assert_eq!(accounts.len(), 1);
        accounts.remove(0)
    }

    pub async fn accounts_of(&self, user: PsuUserId) -> Vec<Account> {
        self.store().accounts(&TenantId::default(), Some(user), None, 100).await.expect("a store")
    }

    pub async fn transactions_of(&self, account: &Account) -> Vec<KeptTransaction> {
        let today = self.now().date_naive();
        let days = (today - Days::new(400), today + Days::new(2));
        let tenant = TenantId::default();
        self.store().transactions(&tenant, account.id, days, None, 10_000).await.expect("a store")
    }

    pub async fn kept_consent(&self, id: ConsentId) -> Consent {
        self.store().consent(&TenantId::default(), id).await.expect("a store").expect("a consent")
    }

    /// Nothing that was sent was against a specification.
    pub async fn close(self) {
        assert_eq!(self.world.aspsp().complaints(), [""; 0]);
        self.world.close().await;
        drop(self.folder);
    }
}

impl Ran {
    pub fn count(&self, name: &str) -> i64 {
        self.run.progress.counts.get(name).copied().unwrap_or_default()
    }

    /// How each visit ended, and why, oldest first.
    pub fn ends(&self) -> Vec<(&'static str, Option<&str>)> {
        let name = |session: &ApiSession| session.state.as_str();
        self.sessions.iter().map(|session| (name(session), session.reason.as_deref())).collect()
    }

    /// How often an endpoint was asked.
    pub fn asked(&self, endpoint: &str) -> usize {
        self.calls.iter().filter(|call| call.endpoint == endpoint).count()
    }

    #[track_caller]
    pub fn completed(self) -> Self {
        assert_eq!(self.end, JobEnd::Completed, "{:?}", self.ends());
        self
    }
}

pub fn iban(number: u32) -> String {
    format!("PL61109010140000{number:012}")
}
