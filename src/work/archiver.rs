//! Forgets what has been kept long enough, a slice at a time: ended work, the names of old requests, what endpoints and
//! analyzers answered, runs of jobs and their slots, requests to banks and what came of them, processes long dead. Then it has
//! persons erased whom nobody wants kept any more ([`Erasing`]). Dead letters stay until somebody deals with them.
//!
//! **Owns** nothing. One process does it for all, under the office of the same name. **Fails** softly: what is not
//! forgotten now is forgotten later. **Limits**: [`SLICE`] rows a statement, and nothing younger than its retention.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tracing::{debug, warn};

use super::config::WorkConfig;
use super::erasing::Erasing;
use super::leader::Office;
use super::retention::RetentionConfig;
use super::ticker::Ticker;
use crate::store::openbanking::forget::Aged;
use crate::store::{Store, StoreError};
use crate::supervision::{Actor, ActorError, ChildSpec, Context};

/// The office of who forgets for all.
pub const OFFICE: &str = "archiver";

/// Rows forgotten in one statement; short enough to be in nobody's way.
const SLICE: i64 = 1_000;
const INTERVAL: Duration = Duration::from_secs(60);
/// Operators are shown who died within the last day.
const DEAD_RUNNER_RETENTION: Duration = Duration::from_secs(24 * 3_600);

/// What the archiver is told.
pub enum ArchiverMessage {
    /// Forget what is old enough.
    Forget,
}

/// The archiver.
pub struct Archiver {
    store: Store,
    office: Office,
    archive_retention: Duration,
    request_retention: Duration,
    retention: Retention,
    erasing: Erasing,
    _ticker: Ticker,
}

/// How long is kept what has no time of its own among the engine's settings.
#[derive(Debug, Clone)]
pub struct Retention {
    /// What endpoints answered.
    pub attempts_kept: Duration,
    /// The analyzers' own words.
    pub raw_answers_kept: Duration,
    /// Runs of jobs that have ended, and slots of timetables.
    pub runs_kept: Duration,
    /// What is known of banks: requests, visits, accesses, payments that have ended.
    pub of_open_banking: [(Aged, Duration); Aged::ALL.len()],
    /// Persons, by tenant.
    pub persons: RetentionConfig,
}

impl Archiver {
    /// The archiver as a child of the foundation.
    pub fn spec(store: Store, office: Office, config: &WorkConfig, retention: Retention) -> ChildSpec {
        let (archive_retention, request_retention) = (config.archive_retention, config.request_retention);
        let (_, spec) = ChildSpec::worker("archiver", move |context: Context<ArchiverMessage>| {
            let ticker = Ticker::start(context.myself, INTERVAL, None, || ArchiverMessage::Forget);
            let (store, office, retention) = (store.clone(), office.clone(), retention.clone());
            let erasing = Erasing::new(store.clone(), retention.persons.clone());
            let archiver = Self {
                store,
                office,
                archive_retention,
                request_retention,
                retention,
                erasing,
                _ticker: ticker,
            };
            async move { Ok(archiver) }
        });
        spec
    }

    async fn forget(&mut self) {
        // By the store's clock: a machine whose clock is set ahead must not forget what is young.
        let now = self.store.now();
        self.forget_all(Kept::EndedWork, now - self.archive_retention).await;
        self.forget_all(Kept::Requests, now - self.request_retention).await;
        // No link is gone before the name of the request that made it.
        self.forget_all(Kept::DocumentLinks, now - self.request_retention).await;
        self.forget_all(Kept::Attempts, now - self.retention.attempts_kept).await;
        self.forget_all(Kept::RawAnswers, now - self.retention.raw_answers_kept).await;
        self.forget_all(Kept::Slots, now - self.retention.runs_kept).await;
        self.forget_all(Kept::JobRuns, now - self.retention.runs_kept).await;
        for (aged, kept) in self.retention.of_open_banking {
            self.forget_all(Kept::OpenBanking(aged), now - kept).await;
        }
        self.forget_all(Kept::DeadProcesses, now - DEAD_RUNNER_RETENTION).await;
        let office = &self.office;
        self.erasing.round(now, &|| office.holds().is_some()).await;
    }

    /// Forgets until there is nothing more, or somebody else holds the office.
    async fn forget_all(&self, kept: Kept, until: DateTime<Utc>) {
        while self.office.holds().is_some() {
            match self.forget_slice(kept, until).await {
                Ok(rows) if rows == SLICE.unsigned_abs() => {}
                Ok(rows) => {
                    debug!(?kept, rows, "forgotten");
                    return;
                }
                Err(error) => {
                    warn!(?kept, %error, "not forgotten");
                    return;
                }
            }
        }
    }

    async fn forget_slice(&self, kept: Kept, until: DateTime<Utc>) -> Result<u64, StoreError> {
        match kept {
            Kept::EndedWork => self.store.forget_ended_work(until, SLICE).await,
            Kept::Requests => self.store.forget_old_requests(until, SLICE).await,
            Kept::DocumentLinks => self.store.forget_old_links(until, SLICE).await,
            Kept::Attempts => self.store.forget_attempts(until, SLICE).await,
            Kept::RawAnswers => self.store.forget_raw_answers(until, SLICE).await,
            Kept::Slots => self.store.forget_slots(until, SLICE).await,
            Kept::JobRuns => self.store.forget_job_runs(until, SLICE).await,
            Kept::OpenBanking(aged) => self.store.forget_aged(aged, until, SLICE).await,
            Kept::DeadProcesses => self.store.forget_dead_runners(until, SLICE).await,
        }
    }
}

/// What is kept for a time.
#[derive(Debug, Clone, Copy)]
enum Kept {
    EndedWork,
    Requests,
    DocumentLinks,
    Attempts,
    RawAnswers,
    Slots,
    JobRuns,
    OpenBanking(Aged),
    DeadProcesses,
}

impl Actor for Archiver {
    type Message = ArchiverMessage;

    async fn handle(&mut self, message: ArchiverMessage) -> Result<(), ActorError> {
        match message {
            ArchiverMessage::Forget => self.forget().await,
        }
        Ok(())
    }
}
