//! Refreshes the accounts of every customer who lets them be read while they are away: the job `sync_update`.
//!
//! ```text
//! run ──► batches, start to start ──► users × consents ──► a visit each ──► token, accounts, transactions, then balances, details
//! ```
//!
//! A run goes through those who are due by the page ([`course`]), in batches ([`batch`]); each consent gets one [`visit`] in a run,
//! whose calls ([`calls`]) count against the quota before they are made, and whose answers ([`reading`], [`rest`], through
//! [`told`]) are taken over as whole sets. [`tokens`] and [`accounts`] say by what and about what a bank is asked; [`internal`] has
//! another service do all that. Where a run goes on after a crash stands in its [`position`], and what its visits had been told
//! by then in [`before`].
//!
//! **Owns** nothing that a crash may lose: a visit is a row, and so are accesses, back-offs, tokens and the pages of an unfinished
//! set. **Fails** by visits, each with its reason; a run fails only where its own arguments or position cannot be read.
//! **Limits**: a batch begins at its time or when the one before has ended, whichever is later, so that the slowest visit of a batch
//! delays the next batch and, within a batch, nobody: banks have equal shares of `in_flight_max`, and one whose breaker is open ends
//! its visits at once. Batches of more than [`course::SLICE_MAX`] customers are read from the store in slices of so many. Memory is
//! bounded by a slice and by the sets of the visits in hand.

mod accounts;
mod batch;
mod before;
mod calls;
mod course;
mod internal;
mod lanes;
mod position;
mod reading;
mod rest;
mod tally;
mod tokens;
mod told;
mod visit;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use self::lanes::Lanes;
use crate::actors::bank_attempt::to_microseconds;
use crate::actors::config::openbanking::OpenBankingConfig;
use crate::connectors::aspsps::internal_api::InternalApi;
use crate::connectors::secret::sealed::SecretKeeper;
use crate::domain::job::traceparent;
use crate::domain::openbanking::pacing::Pacing;
use crate::messages::aspsps::Aspsps;
use crate::messages::jobs::{EndWanted, Job, JobContext, JobEnd};
use crate::messages::reload::Settings;
use crate::store::{Store, StoreError};
use crate::work::Hints;

/// Between two tries while the store is away.
const AWAY_WAIT: Duration = Duration::from_millis(250);

/// What a run works with; all of it outlives any one run.
#[derive(Clone)]
pub struct Means {
    pub store: Store,
    pub aspsps: Aspsps,
    /// Who asks the banks in our place, where the settings want that.
    pub internal_api: Option<InternalApi>,
    pub secrets: SecretKeeper,
    pub hints: Hints,
    pub config: Settings<OpenBankingConfig>,
    pub pacing: Pacing,
    /// Groups of one verb side by side: one where there is one writer.
    pub lanes: usize,
    /// Items of one group.
    pub group_max: usize,
    /// Attempts after which a delivery of news is a dead letter.
    pub delivery_attempts_max: i64,
}

/// The job.
pub struct SyncBatcher {
    means: Arc<Means>,
    lanes: Lanes,
}

impl SyncBatcher {
    /// The job with these means.
    pub fn new(means: Means) -> Self {
        let lanes = Lanes::open(&means.store, means.lanes, means.group_max);
        Self { means: Arc::new(means), lanes }
    }
}

#[async_trait::async_trait]
impl Job for SyncBatcher {
    fn start_message(&self) -> &'static str {
        "Job syncAllActiveOldUsersUsingActiveConsents started"
    }

    async fn run(&self, context: JobContext) -> JobEnd {
        let run = Run {
            means: self.means.clone(),
            lanes: self.lanes.clone(),
            traceparent: traceparent(context.run.id),
            context,
        };
        course::run(Arc::new(run)).await
    }
}

/// One run, as everything that is done in it knows it.
struct Run {
    means: Arc<Means>,
    lanes: Lanes,
    context: JobContext,
    traceparent: String,
}

/// Why the store gave nothing.
#[derive(Debug)]
enum NotKept {
    /// The run is to end, and the store was away until then.
    Wanted(EndWanted),
    /// Waiting does not help.
    Broken(StoreError),
}

impl Run {
    /// The moment as the store keeps it.
    fn now(&self) -> DateTime<Utc> {
        to_microseconds(self.means.store.now())
    }

    /// Tries for as long as the store is away and the run is wanted.
    async fn patiently<O, F: Future<Output = Result<O, StoreError>>>(
        &self,
        verb: impl Fn() -> F,
    ) -> Result<O, NotKept> {
        loop {
            match verb().await {
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "the store is away");
                    self.context.is_wanted().map_err(NotKept::Wanted)?;
                    tokio::time::sleep(AWAY_WAIT).await;
                }
                Err(error) => return Err(NotKept::Broken(error)),
                Ok(outcome) => return Ok(outcome),
            }
        }
    }

    /// There is news for owners.
    fn there_is_news(&self) {
        self.means.hints.there_is_work("delivery/");
    }
}
