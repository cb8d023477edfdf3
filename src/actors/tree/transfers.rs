//! What transfers are worked on with: the feeds, the analyzers, the pool, who tells the feeds, and who listens to them.
//!
//! **Owns** nothing. **Fails** when a feed or an HTTP client cannot be made. **Limits**: where no feed is configured there is
//! nobody to do anything, and the tree says so; one that is not enabled is not listened to, and what it has offered is worked on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use super::bounds::{Bounds, Site};
use super::{BuildError, Builder};
use crate::actors::analysis_client::{self, AnalysisClient};
use crate::actors::feed_attempt::{Feeds, Served};
use crate::actors::feed_writer::{self, FeedWriter};
use crate::actors::transfer_listener::{self, TransferListener, feeds, office_of};
use crate::connectors::analyzers::{Analyzer as _, AnalyzerConnector, AnalyzerKind};
use crate::connectors::channels::{ChannelConnector, ChannelKind};
use crate::connectors::http::{HttpClient, HttpConfig};
use crate::domain::work::{Claim, RetryPolicy, kind};
use crate::messages::{
    KnownQueues, Transfers, analysis_client as pool_messages, feed_writer as writer_messages,
};
use crate::store::transfer_analysis::{
    AnalysisBegin, AnalysisBegun, AnalysisSettlement, Checkpoint, TransferSettled,
};
use crate::store::transfer_write_back::{WriteBackBegun, WriteBackSettlement};
use crate::supervision::{Backoff, ChildSpec, Strategy, SupervisorSpec};
use crate::work::config::QueueLimit;
use crate::work::places::of_two_parts;
use crate::work::{Lane, Places};

/// The pool's name in the tree.
const POOL: &str = "analysis";
/// The name of who tells the feeds.
const WRITER: &str = "feed_writers";
/// The name of the shelf of who listens.
const LISTENERS: &str = "transfer_listeners";

/// How long an answer waits for others to be written down with it, for each had a transaction of its own even with 64 slots. Its vendor
/// is asked about the next one meanwhile, so that no slot waits but behind a transfer's last.
const ANSWERS_WAIT: Duration = Duration::from_millis(10);

const NO_FEED: &str = "transfers.feeds has no feed";

/// Everybody who works on transfers, and what faces are to know of them.
pub(super) struct TransferParts {
    pub transfers: Transfers,
    pub workers: [ChildSpec; 2],
    pub listeners: ChildSpec,
}

impl Builder<'_> {
    pub(super) fn transfer_parts(
        &self,
        channels: &BTreeMap<ChannelKind, ChannelConnector>,
    ) -> Result<TransferParts, BuildError> {
        let config = &self.config.transfers;
        let analyzers = self.analyzers()?;
        let wants_consent = |kind| analyzers.get(&kind).is_some_and(AnalyzerConnector::wants_consent);
        let feeds = feeds::of(self.config, wants_consent, self.store.now())?;
        let served = config.feeds.iter().filter_map(|(name, config)| {
            let served = Served { feed: feeds.get(name)?.clone(), config: config.clone() };
            Some((name.clone(), Arc::new(served)))
        });
        let served: Arc<Feeds> = Arc::new(served.collect());
        let offering = self.store.clone();
        let transfers = Transfers {
            offers: Lane::open("offer_transfers", self.lanes, transfer_listener::OFFERS_MAX, move |offers| {
                let store = offering.clone();
                async move { store.offer_transfers(&offers).await }
            }),
            analysis: self.slots(),
            changes: watch::channel(0).0,
            analysis_attempts_max: i64::from(config.analysis.attempts_max),
            feeds,
        };
        let pool = self.pool(&transfers, &served, analyzers, channels)?;
        let writer = self.feed_writer(&transfers, &served);
        let listeners = self.listeners(&transfers, &served);
        Ok(TransferParts { transfers, workers: [pool, writer], listeners })
    }

    /// Every analyzer, for queues of one that no feed names any more may still hold something; none where there is no feed.
    fn analyzers(&self) -> Result<BTreeMap<AnalyzerKind, AnalyzerConnector>, BuildError> {
        let config = self.config;
        let kinds = AnalyzerKind::ALL.into_iter().filter(|_| !config.transfers.feeds.is_empty());
        let make = |kind| Ok((kind, AnalyzerConnector::for_kind(kind, &config.analyzers, &config.http)?));
        kinds.map(make).collect()
    }

    /// The pool's slots. A vendor's breaker stands on all of its queues, whichever company they are of.
    fn slots(&self) -> Places {
        let prefix = pool_messages::QUEUE_PREFIX;
        let site = Site { party_of: of_two_parts, ..self.site(prefix, self.hints.listen(prefix)) };
        self.counted(self.places_at(site, |config| {
            let config = &config.transfers.analysis;
            let per_queue = QueueLimit {
                in_flight_max: config.per_company_max,
                rate_per_minute: config.per_company_rate_per_minute,
            };
            Bounds { per_queue, total_max: config.slots as usize }
        }))
    }

    fn pool(
        &self,
        transfers: &Transfers,
        served: &Arc<Feeds>,
        analyzers: BTreeMap<AnalyzerKind, AnalyzerConnector>,
        channels: &BTreeMap<ChannelKind, ChannelConnector>,
    ) -> Result<ChildSpec, BuildError> {
        let config = &self.config.transfers;
        let Some(mail) = channels.get(&ChannelKind::Mail).filter(|_| !served.is_empty()) else {
            return Ok(ChildSpec::disabled(POOL, NO_FEED));
        };
        let (beginning, keeping, settling) = (self.store.clone(), self.store.clone(), self.store.clone());
        let begins: Lane<AnalysisBegin, Option<AnalysisBegun>> =
            Lane::open("begin_analyses", self.lanes, self.config.work.group_max, move |items| {
                let store = beginning.clone();
                async move { store.begin_analyses(&items).await }
            });
        let checkpoints: Lane<Checkpoint, bool> = Lane::open_patient(
            "keep_answers",
            self.lanes,
            self.config.work.group_max,
            ANSWERS_WAIT,
            move |items| {
                let store = keeping.clone();
                async move { store.keep_answers(&items).await }
            },
        );
        let settlements: Lane<AnalysisSettlement, TransferSettled> =
            Lane::open("settle_analyses", self.lanes, self.config.work.group_max, move |items| {
                let store = settling.clone();
                async move { store.settle_analyses(&items).await }
            });
        let policy = RetryPolicy { base: config.analysis.retry_base, cap: config.analysis.retry_cap };
        let prefix = pool_messages::QUEUE_PREFIX.to_owned();
        let recordings =
            HttpConfig { body_max_bytes: analysis_client::AUDIO_BYTES_MAX, ..self.config.http.clone() };
        let means = analysis_client::Means {
            claimer: self.claimer(prefix, kind::TRANSFER_ANALYSE, transfers.analysis.clone(), policy),
            feeds: served.clone(),
            analyzers: Arc::new(analyzers),
            recordings: HttpClient::trusted(&recordings)?.named("recordings"),
            mail: mail.clone(),
            mailboxes: KnownQueues::default(),
            begins,
            checkpoints,
            settlements,
            hints: self.hints.clone(),
            changes: transfers.changes.clone(),
            config: config.analysis.clone(),
            write_back_attempts_max: i64::from(config.write_back.attempts_max),
            delivery_attempts_max: i64::from(self.config.notification.attempts_max),
            poll_interval: self.config.work.poll_interval,
            drain_timeout: self.config.work.drain_timeout,
        };
        Ok(self.patient(AnalysisClient::spec(POOL, means)))
    }

    fn feed_writer(&self, transfers: &Transfers, served: &Arc<Feeds>) -> ChildSpec {
        let config = &self.config.transfers.write_back;
        if served.is_empty() {
            return ChildSpec::disabled(WRITER, NO_FEED);
        }
        let (beginning, settling) = (self.store.clone(), self.store.clone());
        let begins: Lane<(Claim, DateTime<Utc>), Option<WriteBackBegun>> =
            Lane::open("begin_write_backs", self.lanes, self.config.work.group_max, move |items| {
                let store = beginning.clone();
                async move { store.begin_write_backs(&items).await }
            });
        let settlements: Lane<WriteBackSettlement, TransferSettled> =
            Lane::open("settle_write_backs", self.lanes, self.config.work.group_max, move |items| {
                let store = settling.clone();
                async move { store.settle_write_backs(&items).await }
            });
        let prefix = writer_messages::QUEUE_PREFIX;
        let feeds = served.len();
        let places = self.places(prefix, move |config| {
            let in_flight_max = config.transfers.write_back.in_flight_max;
            let per_queue = QueueLimit { in_flight_max, rate_per_minute: 0 };
            Bounds { per_queue, total_max: in_flight_max as usize * feeds }
        });
        let policy = RetryPolicy { base: config.retry_base, cap: config.retry_cap };
        let means = feed_writer::Means {
            claimer: self.claimer(prefix.to_owned(), kind::TRANSFER_WRITE_BACK, places, policy),
            feeds: served.clone(),
            begins,
            settlements,
            hints: self.hints.clone(),
            changes: transfers.changes.clone(),
            config: config.clone(),
            delivery_attempts_max: i64::from(self.config.notification.attempts_max),
            poll_interval: self.config.work.poll_interval,
            drain_timeout: self.config.work.drain_timeout,
        };
        self.patient(FeedWriter::spec(WRITER, means))
    }

    fn listeners(&self, transfers: &Transfers, served: &Arc<Feeds>) -> ChildSpec {
        if served.is_empty() {
            return ChildSpec::disabled(LISTENERS, NO_FEED);
        }
        let shelf = served.iter().map(|(name, served)| self.listener(name, served, transfers));
        let shelf = shelf.fold(SupervisorSpec::new(LISTENERS, Strategy::OneForOne), SupervisorSpec::child);
        ChildSpec::supervisor(self.bounded(shelf, self.park()))
    }

    fn listener(&self, name: &str, served: &Served, transfers: &Transfers) -> ChildSpec {
        if !served.config.enabled {
            return ChildSpec::disabled(name, format!("transfers.feeds.{name}.enabled is false"));
        }
        let supervision = &self.config.supervision;
        let means = transfer_listener::Means {
            feed: served.feed.clone(),
            store: self.store.clone(),
            offers: transfers.offers.clone(),
            office: self.offices.office(&office_of(name)),
            hints: self.hints.clone(),
            changes: transfers.changes.clone(),
            analysis_attempts_max: transfers.analysis_attempts_max,
            delivery_attempts_max: i64::from(self.config.notification.attempts_max),
            group_max: transfer_listener::OFFERS_MAX,
            retry: Backoff {
                base: supervision.park_retry_base,
                cap: supervision.park_retry_cap,
                ..Backoff::default()
            },
            drain_timeout: self.config.work.drain_timeout,
        };
        self.patient(TransferListener::spec(name, means))
    }
}
