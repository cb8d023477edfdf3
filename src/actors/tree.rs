//! Puts the house together.
//!
//! ```text
//! house              rest_for_one; past its intensity the process exits with code 70
//! ├─ foundation      store, bell, runner (lease keeper), reaper, leader, timetable, consent_watcher, archiver
//! ├─ workers         one_for_one, a worker past its intensity is parked
//! │   ├─ notifiers   one child a kind of channel
//! │   ├─ registrars  one child a bank, with a queue per bank account inside it
//! │   ├─ clerks      one child a bank, for orders about what it has on file
//! │   ├─ reconcilers one child a bank, for what was paid there
//! │   ├─ analysis    the pool that has transfers analysed
//! │   ├─ feed_writers
//! │   └─ one child a job: payment_poller, sync_batcher
//! └─ ingress         boletos_to_register, transfer_listeners (one child a feed)
//! ```
//!
//! **Owns** the shape. Stopping goes upwards: what comes in first, then the workers, the lease last.
//! **Fails** when a connector or its client cannot be made; then nothing has been started.

mod aspsps;
mod banks;
mod bounds;
mod jobs;
mod transfers;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Notify, watch};

use self::bounds::Bounds;
use self::transfers::TransferParts;
use super::notifier::{self, Notifier};
use super::queue_consumer::{self, QueueConsumer};
use super::store_watcher::StoreWatcher;
use crate::config::Config;
use crate::connectors::channels::sqs::source::SourceOptions;
use crate::connectors::channels::{ChannelConnector, ChannelKind};
use crate::connectors::http::HttpClientError;
use crate::connectors::secret::policy::SecretPolicy;
use crate::connectors::transfer_feeds::FeedError;
use crate::domain::business_days::Calendar;
use crate::domain::work::{RetryPolicy, kind};
use crate::messages::house::Readiness;
use crate::messages::jobs::JobEntry;
use crate::messages::reload::Follower;
use crate::messages::{
    Backlogs, BankAccounts, House, Jobs, KnownQueues, LinkTerms, Reload, notifier as notifier_messages,
    queue_consumer as consumer_messages,
};
use crate::store::boleto::{BoletoDraft, Created};
use crate::store::delivery::DeliverySettlement;
use crate::store::{Store, StoreError, StoreKind};
use crate::supervision::{Backoff, ChildSpec, OnMeltdown, Strategy, SupervisorSpec};
use crate::work::archiver::{self, Archiver, Retention};
use crate::work::bell::Bell;
use crate::work::claimer::Turn;
use crate::work::config::QueueLimit;
use crate::work::leader::{Leader, Offices};
use crate::work::lease::{LeaseKeeper, Load};
use crate::work::reaper::Reaper;
use crate::work::tenants::Tenants;
use crate::work::{ClaimGuard, Claimer, Held, Hints, Lane, Lease, Places, Returns};

/// What every part of the house is made from.
struct Builder<'a> {
    config: &'a Config,
    store: Store,
    lease: Lease,
    hints: Hints,
    held: Held,
    load: Load,
    offices: Offices,
    accounts: BankAccounts,
    tenants: Tenants,
    all_places: RefCell<Vec<Places>>,
    /// Who takes something over from a reload.
    followers: RefCell<Vec<Follower>>,
    changes: watch::Sender<u64>,
    secrets: SecretPolicy,
    /// Groups of one verb side by side: one where there is one writer.
    lanes: usize,
}

/// Why a house cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Client(#[from] HttpClientError),
    #[error(transparent)]
    Feed(#[from] FeedError),
}

/// The house on an open store: the handles that the faces need, and the tree to be started. `jobs_beside` are done beside those of
/// the configuration.
///
/// # Errors
/// See [`BuildError`].
pub fn build(
    config: &Config,
    store: Store,
    readiness: Readiness,
    reload: &Reload,
    jobs_beside: Vec<JobEntry>,
) -> Result<(Arc<House>, ChildSpec), BuildError> {
    let lanes = match store.kind() {
        StoreKind::Sqlite => 1,
        StoreKind::PostgreSql => config.work.lanes,
    };
    let (lease, held) = (Lease::new(&config.work), Held::default());
    let builder = Builder {
        config,
        load: Load::new(held.clone(), 0),
        offices: Offices::new(lease.clone()),
        lease,
        hints: Hints::default(),
        held,
        accounts: BankAccounts::new(store.clone()),
        tenants: Tenants::new(config.work.tenants),
        all_places: RefCell::default(),
        followers: RefCell::default(),
        changes: watch::channel(0).0,
        secrets: SecretPolicy::new(config.secrets.clone()),
        store,
        lanes,
    };
    let (registrars, registrar_specs) = builder.registrars()?;
    let clerk_specs = builder.clerks(&registrars);
    let reconciler_specs = builder.reconcilers(&registrars);
    let (channels, notifier_specs) = builder.notifiers()?;
    let queue_consumer = builder.queue_consumer(&channels);
    let TransferParts { transfers, workers: of_transfers, listeners } = builder.transfer_parts(&channels)?;
    let (creating, returns) = (builder.store.clone(), builder.returns(registration_policy(config)));
    let open_banking = builder.open_banking()?;
    let jobs = builder.jobs(jobs_beside, &open_banking)?;
    let job_runners = builder.job_runners(&jobs);
    let backlogs = Backlogs::new(builder.store.clone(), config.registration.backlog_max);
    reload.set_followers("house", builder.followers(&backlogs, &jobs));
    let house = House {
        store: builder.store.clone(),
        lease: builder.lease.clone(),
        hints: builder.hints.clone(),
        accounts: builder.accounts.clone(),
        queues: KnownQueues::default(),
        backlogs,
        reload: reload.clone(),
        creations: Lane::open("create_boletos", lanes, config.work.group_max, move |drafts| {
            let (store, returns) = (creating.clone(), returns.clone());
            async move {
                // In hand before they are there: a row whose commit is answered late is not held for nobody's meanwhile.
                let guards: Vec<Option<ClaimGuard>> =
                    drafts.iter().map(|draft: &BoletoDraft| Some(returns.guard(draft.claim()?))).collect();
                let results = store.create_boletos(&drafts).await;
                guards.into_iter().zip(results).map(|(guard, result)| in_hand(guard, result)).collect()
            }
        }),
        registrars,
        transfers,
        jobs: jobs.clone(),
        aspsps: open_banking.aspsps,
        sync_terms: builder.sync_terms(),
        payment_changes: open_banking.payment_changes,
        places: builder.all_places.take(),
        pace: builder.held.pace().clone(),
        channels,
        readiness: readiness.clone(),
        changes: builder.changes.clone(),
        secrets: builder.secrets.clone(),
        registration_attempts_max: i64::from(config.registration.attempts_max),
        delivery_attempts_max: i64::from(config.notification.attempts_max),
        delivery_attempt_timeout: config.notification.attempt_timeout,
        reconciles: config.reconciliation.enabled,
        retention: config.retention.clone(),
        links: link_terms(config),
        calendar: Calendar::with_extra(config.calendar.extra_holidays.iter().copied()),
    };
    let spec = SupervisorSpec::new("house", Strategy::RestForOne)
        .child(ChildSpec::supervisor(builder.foundation(readiness, &jobs)))
        .child(ChildSpec::supervisor(builder.workers(
            [
                ("notifiers", notifier_specs),
                ("registrars", registrar_specs),
                ("clerks", clerk_specs),
                ("reconcilers", reconciler_specs),
            ],
            of_transfers,
            job_runners,
        )))
        .child(ChildSpec::supervisor(builder.ingress(queue_consumer, listeners)));
    Ok((Arc::new(house), ChildSpec::supervisor(builder.bounded(spec, OnMeltdown::Escalate))))
}

impl Builder<'_> {
    fn foundation(&self, readiness: Readiness, jobs: &Jobs) -> SupervisorSpec {
        let work = &self.config.work;
        let spec = SupervisorSpec::new("foundation", Strategy::RestForOne)
            .child(self.patient(StoreWatcher::spec(self.accounts.clone(), readiness)))
            // Before the lease keeper, so that it ends after it and rings for what that gives back.
            .child(self.patient(Bell::spec(self.store.clone(), self.hints.clone(), work)))
            .child(self.patient(LeaseKeeper::spec(
                self.store.clone(),
                self.lease.clone(),
                self.hints.clone(),
                self.load.clone(),
                work,
            )))
            .child(self.patient(Reaper::spec(
                self.store.clone(),
                self.lease.clone(),
                self.hints.clone(),
                self.held.clone(),
                work,
            )))
            .child(self.patient(Leader::spec(self.store.clone(), self.offices.clone(), &self.hints, work)))
            .child(self.timetable(jobs))
            .child(self.consent_watcher())
            .child(self.patient(Archiver::spec(
                self.store.clone(),
                self.offices.office(archiver::OFFICE),
                work,
                Retention {
                    attempts_kept: self.config.notification.attempts_kept,
                    raw_answers_kept: self.config.transfers.analysis.raw_answers_kept,
                    of_open_banking: self.config.openbanking.retention.of_each(),
                    runs_kept: self.config.timetable.runs_kept,
                    persons: self.config.retention.clone(),
                },
            )));
        self.bounded(spec, OnMeltdown::Escalate)
    }

    fn workers(
        &self,
        shelves: [(&str, Vec<ChildSpec>); 4],
        of_transfers: [ChildSpec; 2],
        job_runners: Vec<ChildSpec>,
    ) -> SupervisorSpec {
        let shelf = |(id, specs): (&str, Vec<ChildSpec>)| {
            let spec = SupervisorSpec::new(id, Strategy::OneForOne);
            let spec = specs.into_iter().fold(spec, SupervisorSpec::child);
            ChildSpec::supervisor(self.bounded(spec, self.park()))
        };
        let spec = SupervisorSpec::new("workers", Strategy::OneForOne);
        let spec = shelves
            .into_iter()
            .map(shelf)
            .chain(of_transfers)
            .chain(job_runners)
            .fold(spec, SupervisorSpec::child);
        self.bounded(spec, self.park())
    }

    fn ingress(&self, queue_consumer: ChildSpec, listeners: ChildSpec) -> SupervisorSpec {
        let spec = SupervisorSpec::new("ingress", Strategy::OneForOne).child(queue_consumer).child(listeners);
        self.bounded(spec, self.park())
    }

    /// The consumer of the queue of boletos to be registered; it shares credentials and connections with its channel.
    fn queue_consumer(&self, channels: &BTreeMap<ChannelKind, ChannelConnector>) -> ChildSpec {
        const ID: &str = "boletos_to_register";
        let config = &self.config.ingress.boletos_to_register;
        let Some(queue_url) = config.queue_url.clone() else {
            return ChildSpec::disabled(ID, "ingress.boletos_to_register.queue_url is empty");
        };
        let Some(ChannelConnector::Sqs(sqs)) = channels.get(&ChannelKind::Sqs) else {
            return ChildSpec::disabled(ID, "there is no channel that speaks to queues");
        };
        let source = sqs.source(SourceOptions {
            queue_url,
            region: config.region.clone(),
            wait: config.wait,
            visibility: config.visibility,
        });
        let prefix = consumer_messages::QUEUE_PREFIX;
        // What is received and deleted is bounded by the same number, which waits for a restart.
        let bounds = |config: &Config| {
            let in_flight_max = config.ingress.boletos_to_register.in_flight_max;
            let per_queue = QueueLimit { in_flight_max, rate_per_minute: 0 };
            Bounds { per_queue, total_max: in_flight_max as usize }
        };
        let parked = self.places(prefix, bounds);
        let freed = Arc::new(Notify::new());
        let places = self.counted(self.places_at(self.site(prefix, freed.clone()), bounds));
        let policy = registration_policy(self.config);
        let means = queue_consumer::Means {
            claimer: self.claimer(prefix.to_owned(), kind::INGRESS_BOLETO, parked, policy),
            source,
            places,
            freed,
            accounts: self.accounts.clone(),
            hints: self.hints.clone(),
            config: config.clone(),
            registration_attempts_max: i64::from(self.config.registration.attempts_max),
            poll_interval: self.config.work.poll_interval,
            drain_timeout: self.config.work.drain_timeout,
        };
        self.patient(QueueConsumer::spec(ID, means))
    }

    fn notifiers(
        &self,
    ) -> Result<(BTreeMap<ChannelKind, ChannelConnector>, Vec<ChildSpec>), HttpClientError> {
        let config = &self.config.notification;
        let policy = RetryPolicy { base: config.retry_base, cap: config.retry_cap };
        let settling = self.store.clone();
        let settlements: Lane<DeliverySettlement, bool> =
            Lane::open("settle_deliveries", self.lanes, self.config.work.group_max, move |items| {
                let store = settling.clone();
                async move { store.settle_deliveries(&items).await }
            });
        let mut channels = BTreeMap::new();
        let mut specs = Vec::new();
        for kind in ChannelKind::ALL {
            let channel =
                ChannelConnector::for_kind(kind, &self.config.channels, &self.secrets, &self.config.http)?;
            channels.insert(kind, channel.clone());
            if !config.enabled {
                specs.push(ChildSpec::disabled(kind.as_str(), "notification.enabled is false"));
                continue;
            }
            let prefix = notifier_messages::queue_prefix(kind.as_str());
            let places = self.places(&prefix, |config| {
                let config = &config.notification;
                let per_queue = QueueLimit {
                    in_flight_max: config.per_endpoint_max,
                    rate_per_minute: config.per_endpoint_rate_per_minute,
                };
                Bounds { per_queue, total_max: config.in_flight_max as usize }
            });
            let means = notifier::Means {
                claimer: self.claimer(prefix, kind::NOTIFICATION_DELIVER, places, policy),
                channel,
                settlements: settlements.clone(),
                hints: self.hints.clone(),
                config: config.clone(),
                poll_interval: self.config.work.poll_interval,
                drain_timeout: self.config.work.drain_timeout,
            };
            specs.push(self.patient(Notifier::spec(kind.as_str(), means)));
        }
        Ok((channels, specs))
    }

    fn claimer(
        &self,
        queue_prefix: String,
        kind: &'static str,
        places: Places,
        policy: RetryPolicy,
    ) -> Claimer {
        Claimer {
            store: self.store.clone(),
            lease: self.lease.clone(),
            returns: self.returns(policy),
            places,
            kind,
            queue_prefix,
            turn: Turn::default(),
            batch: self.config.work.claim_batch,
        }
    }

    fn returns(&self, policy: RetryPolicy) -> Returns {
        Returns::open(self.store.clone(), self.hints.clone(), self.held.clone(), policy)
    }

    /// A child with the configured back-off and mailbox.
    fn patient(&self, spec: ChildSpec) -> ChildSpec {
        let config = &self.config.supervision;
        spec.mailbox(config.mailbox).backoff(Backoff {
            base: config.backoff_base,
            cap: config.backoff_cap,
            ..Backoff::default()
        })
    }

    fn bounded(&self, spec: SupervisorSpec, on_meltdown: OnMeltdown) -> SupervisorSpec {
        let config = &self.config.supervision;
        spec.intensity(config.restarts_max, config.restarts_within).on_meltdown(on_meltdown)
    }

    fn park(&self) -> OnMeltdown {
        let config = &self.config.supervision;
        OnMeltdown::Park {
            retry: Backoff { base: config.park_retry_base, cap: config.park_retry_cap, ..Backoff::default() },
        }
    }
}

/// Keeps in hand what was made as this process's own, and lets go of what was not. After a commit whose answer was lost
/// the row may be there: its guard is dropped, which gives it back, or does nothing if it is not.
fn in_hand(
    guard: Option<ClaimGuard>,
    result: Result<Created, StoreError>,
) -> Result<(Created, Option<ClaimGuard>), StoreError> {
    match result {
        Ok(Created::New { boleto, claim: Some(_) }) => Ok((Created::New { boleto, claim: None }, guard)),
        Err(error @ StoreError::CommitUnknown(_)) => {
            drop(guard);
            Err(error)
        }
        other => {
            // There is no such row, or it is anybody's.
            guard.map(ClaimGuard::settled);
            other.map(|created| (created, None))
        }
    }
}

/// None where no links are made; the configuration has seen to it that there is an address where they are.
fn link_terms(config: &Config) -> Option<LinkTerms> {
    let links = &config.documents.links;
    let base_url = links.base_url.clone().filter(|_| links.enabled)?;
    Some(LinkTerms { base_url, lifetime: links.lifetime, lifetime_max: links.lifetime_max })
}

fn registration_policy(config: &Config) -> RetryPolicy {
    RetryPolicy { base: config.registration.retry_base, cap: config.registration.retry_cap }
}
