//! Two of the sandbox's banks, one of each standard, a store, and the job that follows payments.
//!
//! **Owns** the worlds and their folders. **Fails** a test when a run does not end as it should. **Limits**: one process; a run is
//! begun by hand and worked on at once.

use std::sync::Arc;
use std::time::Duration;

use bursar::actors::config::openbanking::PaymentsConfig;
use bursar::actors::payment_poller::{Means, PaymentPoller};
use bursar::config::Config;
use bursar::connectors::aspsps::AspspConnector;
use bursar::connectors::aspsps::config::Standard;
use bursar::connectors::http::HttpConfig;
use bursar::connectors::secret::SecretRef;
use bursar::connectors::secret::policy::SecretsConfig;
use bursar::connectors::secret::sealed::SecretKeeper;
use bursar::domain::ids::{JobRunId, PaymentId, TenantId};
use bursar::domain::job::{Cause, NewRun, Overlap, Progress, RunState, queue};
use bursar::domain::openbanking::payment::{PaymentKind, Vocabulary};
use bursar::domain::work::kind;
use bursar::messages::Aspsps;
use bursar::messages::aspsps::{DeskParts, Pauses};
use bursar::messages::jobs::{Job as _, JobContext, JobEnd};
use bursar::messages::reload::Settings;
use bursar::sandbox::AspspPayment;
use bursar::store::job_run_end::{AttemptChange, AttemptEnd};
use bursar::store::job_run_wish::Trigger;
use bursar::store::openbanking::payment::{Payment, PaymentDraft};
use bursar::store::work::{ClaimRequest, end_of_prefix};
use bursar::work::breaker::BreakerConfig;
use bursar::work::config::QueueLimit;
use bursar::work::tenants::Tenants;
use bursar::work::{Hints, Limits, Places};
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::aspsp_scene::{CONSENT, Stage};
use crate::bank_scene::{ATTEMPTS, BankScene, payment};
use crate::small_house::Folder;
use crate::support::database::Kind;
use crate::support::drafts::now;

/// The Berlin Group's bank.
pub const BERLIN: &str = "berlin";
/// PolishAPI's.
pub const POLISH: &str = "polish";

const JOB: &str = "payment_update";

/// The banks, the store, and who follows payments.
pub struct PollScene {
    pub bank: BankScene,
    pub berlin: Stage,
    pub polish: Stage,
    pub poller: PaymentPoller,
    keeper: SecretKeeper,
    _folder: Folder,
}

/// How a run ended, and how far it had come.
pub struct Ran {
    pub end: JobEnd,
    pub progress: Progress,
}

impl PollScene {
    /// With banks that are left for the run when they have failed three times in a row.
    pub async fn set(kind: Kind) -> Self {
        Self::with_breakers(kind, Duration::from_mins(1)).await
    }

    /// With banks that are tried again so long after they have failed three times in a row.
    pub async fn with_breakers(kind: Kind, wait: Duration) -> Self {
        let bank = BankScene::set(kind).await;
        let (berlin, polish) =
            (Stage::open(Standard::BerlinGroup).await, Stage::open(Standard::PolishApi).await);
        let folder = Folder::new();
        // Thirty-two bytes, as anybody could make them up.
        let key = folder.secret("sealing-key", "dGhlIGtleSB1bmRlciB3aGljaCBhIHRlc3Qgc2VhbHM=");
        let key = Some(SecretRef::parse(&key).expect("a reference"));
        let keeper = SecretKeeper::new(&SecretsConfig { key, ..SecretsConfig::default() });
        let store = bank.store.clone();
        let pauses = Pauses::of(store.clone(), Duration::from_millis(20));
        let desks =
            [(BERLIN, &berlin), (POLISH, &polish)].map(|(name, stage)| desk(name, stage, &pauses, wait));
        let poller = PaymentPoller::new(Means {
            store,
            aspsps: Aspsps::new(desks),
            secrets: keeper.clone(),
            hints: Hints::default(),
            changes: watch::channel(0).0,
            config: Settings::fixed(PaymentsConfig {
                group_max: 3,
                ..Config::default().openbanking.payments
            }),
            delivery_attempts_max: ATTEMPTS,
            lanes: 1,
            group_max: 64,
        });
        Self { bank, berlin, polish, poller, keeper, _folder: folder }
    }

    /// Has a payment followed, started by this token.
    pub async fn follows(&self, draft: PaymentDraft, token: Option<&SecretString>) -> PaymentId {
        let seal = |token| self.keeper.seal(&format!("payment:{}", draft.id), token).expect("sealed");
        let token_sealed = token.map(seal).map(|sealed| sealed.as_str().to_owned());
        self.bank.tracks(PaymentDraft { token_sealed, ..draft }).await
    }

    /// Has a payment followed that the bank knows and that its own consent's token has started.
    pub async fn follows_known(&self, stage: &Stage, draft: PaymentDraft, status: &str) -> PaymentId {
        let (service, _) = draft.product.split_once('/').unwrap_or(("payments", ""));
        let there = AspspPayment {
            consent: Some(CONSENT.to_owned()),
            service: service.to_owned(),
            ..AspspPayment::settling(&draft.external_id, &[(Duration::ZERO, status)])
        };
        stage.bank().put_payment(there);
        self.follows(draft, Some(&stage.token)).await
    }

    /// Begins a run and works on it until it ends.
    pub async fn runs(&self) -> Ran {
        let store = &self.bank.store;
        let run = NewRun {
            id: JobRunId(Uuid::now_v7()),
            seed: 7,
            run_at: now(),
            cause: Cause::Manual,
            arguments: None,
        };
        let reason = "for the test";
        let trigger =
            Trigger { job: JOB, run: &run, overlap: Overlap::Allow, reason, request: None, now: now() };
        store.trigger_job(&trigger).await.expect("a run");
        let request = ClaimRequest {
            runner_id: self.bank.runner,
            kind: kind::JOB_RUN,
            queue_from: queue(JOB),
            queue_until: end_of_prefix(&queue(JOB)),
            free_per_queue: 1,
            busy: vec![],
            tenants_full: vec![],
            limit: 1,
        };
        let claim = store.claim(&request).await.expect("a store").remove(0);
        let begun = store.begin_run(&claim, store.now()).await.expect("a store").expect("a run");
        let context =
            JobContext::new(begun, store.clone(), claim.clone(), watch::channel(None).0, watch::channel(0).0);
        let end = self.poller.run(context).await;
        let progress = store.job_run(run.id).await.expect("a store").expect("a run").progress;
        let change = AttemptChange::Ended { state: RunState::Completed, error: None };
        let ended = AttemptEnd { claim, job: JOB.to_owned(), change, now: now() };
        assert!(store.end_attempt(&ended).await.expect("a store"));
        Ran { end, progress }
    }

    pub async fn payment(&self, id: PaymentId) -> Payment {
        self.bank.payment(id).await
    }

    /// The payments of a bundle.
    pub async fn children(&self, id: PaymentId) -> Vec<Payment> {
        let store = &self.bank.store;
        store.payment_children(&TenantId::default(), id, None, 100).await.expect("a store")
    }

    /// The endpoints of all calls that have a row, in the order of their names.
    pub async fn calls(&self) -> Vec<String> {
        self.bank.texts("select endpoint as text from api_call order by endpoint").await
    }

    /// Nothing that was sent was against a standard.
    pub async fn close(self) {
        self.berlin.close().await;
        self.polish.close().await;
    }
}

fn desk(name: &str, stage: &Stage, pauses: &Pauses, wait: Duration) -> DeskParts {
    let freed = Arc::new(Notify::new());
    let limit = QueueLimit { in_flight_max: 4, rate_per_minute: 0 };
    let config = Config::default();
    let breaker = BreakerConfig { failures_max: 3, wait_base: wait, wait_cap: wait };
    let limits = Limits::uniform(limit, 4, breaker);
    DeskParts {
        name: name.to_owned(),
        standard: stage.config.standard,
        connector: AspspConnector::of(&stage.config, &HttpConfig::default()).expect("a connector"),
        places: Places::new(limits, Tenants::default(), freed.clone()),
        freed,
        counting: config.openbanking.aspsp.counting(),
        pauses: pauses.clone(),
        poll_interval: Duration::from_millis(20),
    }
}

/// A single payment at the Berlin Group's bank.
pub fn of_berlin(name: &str) -> PaymentDraft {
    PaymentDraft { aspsp: BERLIN.to_owned(), ..payment(name) }
}

/// One at the other bank.
pub fn of_polish(name: &str) -> PaymentDraft {
    PaymentDraft {
        aspsp: POLISH.to_owned(),
        vocabulary: Vocabulary::PolishPayment,
        product: String::new(),
        ..payment(name)
    }
}

/// The same, as what else there is.
pub fn as_a(kind: PaymentKind, draft: PaymentDraft) -> PaymentDraft {
    let is_polish = draft.vocabulary == Vocabulary::PolishPayment;
    let (service, of_polish) = match kind {
        PaymentKind::Single => ("payments", Vocabulary::PolishPayment),
        PaymentKind::Bundle => ("bulk-payments", Vocabulary::PolishBundle),
        PaymentKind::Recurring => ("periodic-payments", Vocabulary::PolishRecurring),
    };
    if is_polish {
        return PaymentDraft { kind, vocabulary: of_polish, ..draft };
    }
    PaymentDraft { kind, product: format!("{service}/sepa-credit-transfers"), ..draft }
}

/// The same, made so many days ago.
pub fn old(days: i64, draft: PaymentDraft) -> PaymentDraft {
    let made_at: DateTime<Utc> = now() - TimeDelta::days(days);
    PaymentDraft { made_at, ..draft }
}
