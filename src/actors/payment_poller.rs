//! Asks banks what has become of payments, and follows each to its end.
//!
//! ```text
//! run ── a round per bank, side by side ── a page of what is due ── calls, each in its turn at the bank's desk
//!                                                    └── answers, settled in groups: an end and its news in one transaction
//! ```
//!
//! A round reads the next page when everything of the one before is handed out, so that what is in memory is a page and the calls
//! under way, however many payments are in progress. What a bank has been asked about is due no more in the same run, and what it
//! could not be asked about stays due for the next: that is all that a crash needs to go on, and nobody keeps a list.
//!
//! A bank that wants to be left alone (429) is left for this run, and for as long as it says ([`crate::store::openbanking::rest`]);
//! one that is paused, or did not answer lately, is left for this run. Its payments are told nothing by that. No answer but a
//! bank's own word ends a payment; past the age limit it is asked about one last time, and is unresolved if that says no end.
//! Where its bank could not be asked for a whole step of the age ladder past that limit, it is unresolved all the same.
//!
//! **Owns** nothing that a crash may lose. **Fails** bank by bank; the run fails when the store holds what it never should.
//! **Limits**: `in_flight_max` calls a bank, beside the bank's own bounds, and `group_max` payments a call; one slow bank delays its
//! own payments alone. A page is [`PAGE_ROWS`] rows. A word that nobody knows is an error in the log, once a word and round.

mod asking;
mod bundle;
mod plan;
mod reading;
mod round;
mod settling;
mod tally;
#[cfg(test)]
mod testing;

use std::future::Future;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{Instrument as _, error, info_span, warn};

use super::aspsp_calls;
use super::config::openbanking::PaymentsConfig;
use crate::connectors::secret::sealed::SecretKeeper;
use crate::messages::aspsps::Aspsps;
use crate::messages::jobs::{EndWanted, Job, JobContext, JobEnd};
use crate::messages::reload::Settings;
use crate::store::openbanking::outcome::{Answered, PaymentAnswer};
use crate::store::openbanking::session::ApiCall;
use crate::store::{Store, StoreError};
use crate::work::{Hints, Lane};
use round::Round;
use tally::Tally;

/// Rows of a page.
pub const PAGE_ROWS: i64 = 256;

/// Between two reports of how far a run has come.
const REPORT_EVERY: Duration = Duration::from_millis(500);
/// Between two tries while the store is away.
const AWAY_WAIT: Duration = Duration::from_millis(250);

/// What the poller works with; all of it outlives any one run.
#[derive(Clone)]
pub struct Means {
    pub store: Store,
    pub aspsps: Aspsps,
    /// Who opens the tokens by which payments were started (for the purpose `payment:ID`).
    pub secrets: SecretKeeper,
    pub hints: Hints,
    /// Grows whenever this process has changed a payment.
    pub changes: watch::Sender<u64>,
    pub config: Settings<PaymentsConfig>,
    /// Attempts after which a delivery of the news is a dead letter.
    pub delivery_attempts_max: i64,
    /// Groups of answers side by side: one where there is one writer.
    pub lanes: usize,
    /// Answers of a group.
    pub group_max: usize,
}

/// The job `payment_update`.
pub struct PaymentPoller {
    means: Arc<Means>,
    settlements: Lane<PaymentAnswer, Answered>,
    calls: Lane<ApiCall, ()>,
}

/// What the rounds of one run share.
struct Shared {
    means: Arc<Means>,
    settlements: Lane<PaymentAnswer, Answered>,
    calls: Lane<ApiCall, ()>,
    context: JobContext,
    /// When the run began, whichever attempt this is: what has been asked about since is not asked about again.
    began: DateTime<Utc>,
    tally: Tally,
}

/// Why something was not done to its end.
#[derive(Debug)]
enum Stop {
    EndWanted,
    /// The store holds what it never should.
    Broken(String),
}

impl PaymentPoller {
    /// The job; it opens its lanes, so there is a runtime.
    pub fn new(means: Means) -> Self {
        let store = means.store.clone();
        let settlements = Lane::open(
            "settle_payments",
            means.lanes,
            means.group_max,
            move |answers: Arc<[PaymentAnswer]>| {
                let store = store.clone();
                async move { store.settle_payments(&answers).await }
            },
        );
        let calls = aspsp_calls::lane(means.store.clone(), means.group_max);
        Self { means: Arc::new(means), settlements, calls }
    }

    fn share(&self, context: JobContext) -> Shared {
        Shared {
            means: self.means.clone(),
            settlements: self.settlements.clone(),
            calls: self.calls.clone(),
            began: context.run.started_at.unwrap_or_else(|| self.means.store.now()),
            tally: Tally::resume(&context.run.progress),
            context,
        }
    }
}

#[async_trait::async_trait]
impl Job for PaymentPoller {
    fn start_message(&self) -> &'static str {
        "Job updatePaymentStatus started"
    }

    async fn run(&self, context: JobContext) -> JobEnd {
        let shared = Arc::new(self.share(context));
        let banks = shared.patiently(|| shared.means.store.aspsps_with_payments_due(shared.began)).await;
        let ended = match banks {
            Ok(banks) => shared.clone().ask_all(banks).await,
            Err(stop) => Err(stop),
        };
        // Whoever looks at the run when it has ended sees what it came to.
        let reported = shared.context.report(&shared.tally.progress()).await;
        match (ended, reported) {
            (Err(Stop::Broken(error)), _) => JobEnd::Failed { error },
            (Err(Stop::EndWanted), _) => JobEnd::Interrupted,
            // What came to its end before anybody wanted that is done.
            (Ok(()), Err(EndWanted::LostLease)) => JobEnd::Interrupted,
            (Ok(()), _) if shared.tally.is_rate_limited() => {
                let error = "rate_limited: every bank that was to be asked wants to be left alone".to_owned();
                JobEnd::RateLimited { error }
            }
            (Ok(()), _) => JobEnd::Completed,
        }
    }
}

impl Shared {
    /// Has each bank asked in a round of its own, side by side.
    async fn ask_all(self: Arc<Self>, banks: Vec<String>) -> Result<(), Stop> {
        let mut rounds = JoinSet::new();
        for aspsp in banks.into_iter().filter(|aspsp| !self.tally.is_done(aspsp)) {
            let span = info_span!("payments.round", aspsp);
            rounds.spawn(Round::new(self.clone(), aspsp).go().instrument(span));
        }
        let reporting = self.report();
        tokio::pin!(reporting);
        let mut outcome = Ok(());
        loop {
            let ended = tokio::select! {
                ended = rounds.join_next() => ended,
                never = &mut reporting => match never {},
            };
            match ended {
                None => return outcome,
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(stop))) => outcome = worse(outcome, stop),
                // A bug: whoever runs the job hears of it as if it had happened there.
                Some(Err(end)) => match end.try_into_panic() {
                    Ok(panic) => resume_unwind(panic),
                    Err(_) => outcome = worse(outcome, Stop::EndWanted),
                },
            }
        }
    }

    /// Tells how far the run has come, for as long as it is on its way.
    async fn report(&self) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(REPORT_EVERY).await;
            // That the end is wanted is seen by the rounds themselves.
            let _ = self.context.report(&self.tally.progress()).await;
        }
    }

    /// Asks the store, however long it is away, until the run is to end.
    async fn patiently<T, F>(&self, ask: impl Fn() -> F) -> Result<T, Stop>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        loop {
            match ask().await {
                Ok(found) => return Ok(found),
                Err(error) if error.is_transient() => {
                    warn!(%error, "store not asked about payments yet");
                    tokio::select! {
                        _ = self.context.end_wanted() => return Err(Stop::EndWanted),
                        () = tokio::time::sleep(AWAY_WAIT) => {}
                    }
                }
                Err(error) => {
                    error!(%error, "store cannot be asked about payments");
                    return Err(Stop::Broken(error.to_string()));
                }
            }
        }
    }
}

/// A store that is broken is worse than an end that somebody wants.
fn worse(outcome: Result<(), Stop>, stop: Stop) -> Result<(), Stop> {
    match (outcome, stop) {
        (Err(Stop::Broken(first)), _) => Err(Stop::Broken(first)),
        (_, stop) => Err(stop),
    }
}
