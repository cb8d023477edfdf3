//! One attempt to have one transfer analysed: begin, claim it at its feed, see what it is now, ask about what has no outcome yet,
//! write down how that ended.
//!
//! **Owns** its claim, in a guard. **Fails** never: whatever feed and vendor do becomes an [`AnalysisChange`]; a panic or a cut
//! leaves the row to the guard. **Limits**: `transfers.analysis.attempt_timeout`, and the lease: a process that may have been
//! buried asks nobody anything. One that is about to end stops between two answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tracing::{debug, error, info, warn};

use super::Means;
use super::course::{Course, Cut};
use crate::actors::bank_attempt::to_microseconds;
use crate::actors::feed_attempt::{self, Later, Wait};
use crate::connectors::analyzers::Analyzer as _;
use crate::connectors::transfer_feeds::TransferFeed as _;
use crate::domain::analysis::{Outcome, has_fillers, result_text};
use crate::domain::transfer::judgement::Reason;
use crate::domain::work::Claim;
use crate::messages::analysis_client::analyzer_of;
use crate::store::transfer::write_back_queue;
use crate::store::transfer_analysis::{
    AnalysisBegin, AnalysisChange, AnalysisSettlement, KeptAnswer, TransferSettled,
};
use crate::telemetry;
use crate::work::ClaimGuard;

/// How long the end of an attempt waits for its claim to be given back.
const RELEASE_PATIENCE: Duration = Duration::from_secs(10);

/// An attempt about to be made.
pub(super) struct Attempt {
    pub means: Arc<Means>,
    pub claim: Claim,
    guard: ClaimGuard,
    /// Set when the pool is about to end.
    is_ending: Arc<AtomicBool>,
}

impl Attempt {
    pub fn new(means: Arc<Means>, guard: ClaimGuard, is_ending: Arc<AtomicBool>) -> Self {
        let claim = guard.claim().clone();
        Self { means, claim, guard, is_ending }
    }

    pub async fn run(mut self) {
        let Some(begun) = self.unless_lost(self.begin()).await else { return };
        let mut course = match begun {
            Ok(course) => course,
            Err(cut) => return self.end(cut, None).await,
        };
        // From here on a crash may be this transfer's own doing, and counts.
        self.guard.begin();
        let timeout = self.means.config.attempt_timeout;
        let analysing = tokio::time::timeout(timeout, self.analyse(&mut course));
        let Some(found) = self.unless_lost(analysing).await else { return };
        let late = || Err(Cut::Later(Later::counting("no end within the attempt's time")));
        match found.unwrap_or_else(|_| late()) {
            Ok(change) => self.settle(change).await,
            Err(cut) => self.end(cut, Some(&course)).await,
        }
    }

    /// Nothing once the lease is lost.
    async fn unless_lost<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.means.claimer.lease.lost(self.claim.runner_id) => {
                debug!("attempt dropped: the row is not ours any more");
                None
            }
            done = work => Some(done),
        }
    }

    async fn begin(&self) -> Result<Course, Cut> {
        let (means, claim) = (&self.means, &self.claim);
        let Some(analyzer) = analyzer_of(&claim.queue).and_then(|kind| means.analyzers.get(&kind)) else {
            warn!(queue = claim.queue, "a queue names no analyzer that is known");
            return Err(Later::misconfigured("its queue names no analyzer that is known").into());
        };
        let begin = AnalysisBegin {
            claim: claim.clone(),
            analyzer: analyzer.kind().as_str(),
            formula: analyzer.formula(),
            now: to_microseconds(Utc::now()),
        };
        let begun = match means.begins.run(begin).await {
            Ok(begun) => begun,
            Err(error) => {
                return Err(feed_attempt::of_store(claim, &error).map_or(Cut::Nothing, Cut::Later));
            }
        };
        // Whatever it is of no use for: the row ends, and the transfer stays as it is.
        let begun = begun.ok_or_else(|| Cut::Skip(Reason::Deleted.with("there is nothing to analyse")))?;
        self.tell_of_change();
        let served = feed_attempt::served(&means.feeds, &begun.transfer)?;
        Ok(Course {
            served,
            analyzer: analyzer.clone(),
            held: None,
            questions: None,
            answers: begun.answers.into_iter().map(|answer| (answer.position, answer)).collect(),
            transfer: begun.transfer,
        })
    }

    async fn analyse(&self, course: &mut Course) -> Result<AnalysisChange, Cut> {
        self.claim_at_feed(course).await?;
        let working = self.look(course).await?;
        course.questions = Some(working.questions);
        self.ask_all(course, &working).await?;
        let endpoint_id = self.user_endpoint(course, working.user_key.as_deref()).await?;
        let outcomes: Vec<Outcome> = course.answers.values().map(|answer| answer.outcome.clone()).collect();
        let (transfer, legacy_score) = (&course.transfer, course.served.config.legacy_score);
        Ok(AnalysisChange::Analysed {
            result: result_text(&outcomes, legacy_score),
            has_fillers: has_fillers(&outcomes, legacy_score),
            endpoint_id,
            write_back_queue: write_back_queue(&transfer.tenant_id, &transfer.feed),
            write_back_attempts_max: self.means.write_back_attempts_max,
        })
    }

    /// Nothing more is to be begun: the process is about to end, and somebody else goes on.
    pub fn check_ending(&self) -> Result<(), Cut> {
        if !self.is_ending.load(Ordering::Relaxed) {
            return Ok(());
        }
        let error = "the process ended between two answers".to_owned();
        Err(Later { error, wait: Wait::Until(DateTime::UNIX_EPOCH), counts: false }.into())
    }

    /// Says that something about a transfer has changed.
    pub fn tell_of_change(&self) {
        self.means.changes.send_modify(|count| *count += 1);
    }

    /// Writes down how an attempt ended that came to no result.
    async fn end(self, cut: Cut, course: Option<&Course>) {
        let change = match cut {
            Cut::Nothing => return debug!("attempt dropped: the row is not ours any more"),
            Cut::Skip(reason) => AnalysisChange::Skipped { reason },
            Cut::Fail(reason) => self.failed(reason, vec![], course).await,
            Cut::Later(later) if later.counts && !self.claim.has_attempts_left() => {
                let given_up = course.map(|course| self.given_up(course, &later.error)).unwrap_or_default();
                self.failed(Reason::GaveUp.with(&later.error), given_up, course).await
            }
            Cut::Later(later) => AnalysisChange::Later {
                run_at: later.run_at(&self.means.claimer, &self.claim),
                error: later.error,
                attempt_counts: later.counts,
            },
        };
        if let (AnalysisChange::Failed { .. } | AnalysisChange::Skipped { .. }, Some(course)) =
            (&change, course)
        {
            give_back(course).await;
        }
        self.settle(change).await;
    }

    async fn failed(
        &self,
        reason: String,
        given_up: Vec<KeptAnswer>,
        course: Option<&Course>,
    ) -> AnalysisChange {
        let endpoint_id = match course {
            Some(course) => self.user_of_failure(course).await,
            None => None,
        };
        AnalysisChange::Failed { reason, given_up, endpoint_id }
    }

    /// The answers without an outcome, as far as they have been counted.
    fn given_up(&self, course: &Course, reason: &str) -> Vec<KeptAnswer> {
        let ended_at = to_microseconds(Utc::now());
        let given_up = |position| KeptAnswer {
            position,
            outcome: Outcome::GaveUp { reason: reason.to_owned() },
            segments: None,
            vendor_id: None,
            attempt: self.claim.attempt,
            raw_answer_id: None,
            ended_at,
        };
        course.open().into_iter().map(given_up).collect()
    }

    /// Writes the end down, however long the store is away, for as long as the lease holds.
    async fn settle(self, change: AnalysisChange) {
        let Self { means, claim, guard, .. } = self;
        let settlement = AnalysisSettlement {
            claim,
            change,
            delivery_attempts_max: means.delivery_attempts_max,
            now: to_microseconds(Utc::now()),
        };
        let settled =
            feed_attempt::settle(&means.claimer, &settlement.claim, &means.settlements, &settlement).await;
        match settled {
            Ok(TransferSettled::LostLease) => {
                // A lease that was lost may be held again once the store is back; then the guard gives the row back.
                warn!(transfer_id = %settlement.claim.subject_id, "end of an analysis dropped: the row had moved on");
            }
            Ok(TransferSettled::Done) => {
                guard.settled();
                report(&settlement);
                means.changes.send_modify(|count| *count += 1);
                match &settlement.change {
                    AnalysisChange::Analysed { write_back_queue, .. } => {
                        means.hints.there_is_work(write_back_queue);
                    }
                    AnalysisChange::Later { .. } => {}
                    AnalysisChange::Failed { .. } | AnalysisChange::Skipped { .. } => {
                        means.hints.there_is_work("delivery/");
                    }
                }
            }
            // Poison: the guard puts the row back with its attempt counted, until it is a dead letter.
            Err(error) => {
                error!(work_id = %settlement.claim.id, %error, "end of an analysis cannot be written down");
            }
        }
    }
}

/// Gives the claim at the feed back, where nobody of ours goes on; before that is written down, so that whoever repeats the attempt
/// after a crash repeats this too.
async fn give_back(course: &Course) {
    let Some(held) = &course.held else { return };
    let released = course.served.feed.connector.release(&course.transfer.key, held);
    match tokio::time::timeout(RELEASE_PATIENCE, released).await {
        Ok(Ok(())) => {}
        // Its lease ends by itself.
        Ok(Err(error)) => debug!(feed = course.transfer.feed, %error, "claim not given back"),
        Err(_) => debug!(feed = course.transfer.feed, "claim not given back in time"),
    }
}

fn report(settlement: &AnalysisSettlement) {
    let transfer_id = settlement.claim.subject_id;
    match &settlement.change {
        AnalysisChange::Analysed { .. } => info!(%transfer_id, "transfer analysed"),
        AnalysisChange::Later { error, run_at, .. } => {
            telemetry::note_failure("attempt_failed");
            warn!(%transfer_id, %error, %run_at, "transfer not analysed yet");
        }
        AnalysisChange::Failed { reason, .. } => {
            telemetry::note_failure("given_up");
            warn!(%transfer_id, reason, "analysis failed: a dead letter");
        }
        AnalysisChange::Skipped { reason } => info!(%transfer_id, reason, "transfer skipped"),
    }
}

/// The answers of a run as they have come in, by position.
pub(super) type Answers = BTreeMap<u32, KeptAnswer>;
