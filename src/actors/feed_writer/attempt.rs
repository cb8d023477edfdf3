//! One attempt to tell a feed one result: begin, look whether it has it already, claim, write, write down.
//!
//! The time that is written with a result is that of the row of work, which was made when the analysis ended: every attempt writes
//! the same, so that a write whose answer was lost is known again.
//!
//! **Owns** its claim, in a guard. **Fails** never: whatever the feed does becomes a [`WriteBackChange`]; a panic or a cut leaves
//! the row to the guard. **Limits**: `transfers.write_back.attempt_timeout`, and the lease.

use std::sync::Arc;

use chrono::Utc;
use tracing::{debug, error, info, warn};

use super::Means;
use crate::actors::bank_attempt::to_microseconds;
use crate::actors::feed_attempt::{self, Later, Served};
use crate::connectors::transfer_feeds::{
    Claim as FeedClaim, FeedError, TransferFeed as _, WriteBack, WrittenBack,
};
use crate::domain::work::Claim;
use crate::store::transfer_analysis::TransferSettled;
use crate::store::transfer_write_back::{WriteBackBegun, WriteBackChange, WriteBackSettlement};
use crate::telemetry;
use crate::work::ClaimGuard;

/// An attempt about to be made.
pub(super) struct Attempt {
    means: Arc<Means>,
    claim: Claim,
    guard: ClaimGuard,
}

/// What came of it.
enum Found {
    Change(WriteBackChange),
    Later(Later),
    /// The row is no longer ours, or the store is away before anything was done: nothing to write down.
    Nothing,
}

impl Attempt {
    pub fn new(means: Arc<Means>, guard: ClaimGuard) -> Self {
        let claim = guard.claim().clone();
        Self { means, claim, guard }
    }

    pub async fn run(mut self) {
        let lease = self.means.claimer.lease.clone();
        let timeout = self.means.config.attempt_timeout;
        let found = tokio::select! {
            biased;
            () = lease.lost(self.claim.runner_id) => Found::Nothing,
            found = tokio::time::timeout(timeout, self.tell()) => found.unwrap_or_else(|_| {
                Found::Later(Later::counting("no end within the attempt's time"))
            }),
        };
        let change = match found {
            Found::Nothing => return debug!("attempt dropped: the row is not ours any more"),
            Found::Change(change) => change,
            Found::Later(later) if later.counts && !self.claim.has_attempts_left() => {
                WriteBackChange::Failed { reason: later.error }
            }
            Found::Later(later) => WriteBackChange::Later {
                run_at: later.run_at(&self.means.claimer, &self.claim),
                error: later.error,
                attempt_counts: later.counts,
            },
        };
        self.settle(change).await;
    }

    async fn tell(&mut self) -> Found {
        let now = to_microseconds(Utc::now());
        let begun = match self.means.begins.run((self.claim.clone(), now)).await {
            Ok(Some(begun)) => begun,
            // Of no use: the row ends, and a transfer that is elsewhere by now stays as it is.
            Ok(None) => return Found::Change(WriteBackChange::Gone),
            Err(error) => {
                return feed_attempt::of_store(&self.claim, &error).map_or(Found::Nothing, Found::Later);
            }
        };
        // From here on a crash may be this transfer's own doing, and counts.
        self.guard.begin();
        let served = match feed_attempt::served(&self.means.feeds, &begun.transfer) {
            Ok(served) => served,
            Err(later) => return Found::Later(later),
        };
        self.write(&served, &begun).await.unwrap_or_else(Found::Later)
    }

    async fn write(&self, served: &Served, begun: &WriteBackBegun) -> Result<Found, Later> {
        let (claimer, transfer) = (&self.means.claimer, &begun.transfer);
        if self.claim.fence > 1 {
            // An attempt before this one may have written it and not lived to say so; then the feed holds no claim any more.
            let before = feed_attempt::own_claim(claimer, transfer, claimer.store.now());
            let written = self.call(served, begun, &before).await;
            if let Ok(WrittenBack::Written) = written {
                return Ok(Found::Change(WriteBackChange::Written));
            }
        }
        let claimed = feed_attempt::claim(served, claimer, transfer).await.inspect_err(|later| {
            debug!(transfer_id = %transfer.id, error = %later.error, "result not written back yet");
        })?;
        let mut written = self.call(served, begun, &claimed).await;
        if let Err(FeedError::OutcomeUnknown { .. }) = &written {
            written = self.call(served, begun, &claimed).await;
        }
        claimer.places.report(&self.claim.queue, feed_attempt::verdict(written.as_ref().err()));
        match written {
            Ok(WrittenBack::Written) => Ok(Found::Change(WriteBackChange::Written)),
            Ok(WrittenBack::Gone) => Ok(Found::Change(WriteBackChange::Gone)),
            Ok(WrittenBack::ClaimLost(holder)) => Err(Later::of_lost_claim(holder.as_ref())),
            Err(error) => Err(Later::of_feed(&transfer.feed, &error)),
        }
    }

    async fn call(
        &self,
        served: &Served,
        begun: &WriteBackBegun,
        claim: &FeedClaim,
    ) -> Result<WrittenBack, FeedError> {
        let codec = served.config.codec.as_str();
        let result = WriteBack {
            key: &begun.transfer.key,
            claim,
            result: &begun.result,
            codec: if codec.is_empty() { &begun.analyzer } else { codec },
            finished_at: self.claim.created_at,
        };
        crate::failpoint::reached("feed.write_back.before");
        let written = served.feed.connector.write_back(&result, self.means.claimer.store.now()).await;
        crate::failpoint::reached("feed.write_back.after");
        written
    }

    /// Writes the end down, however long the store is away, for as long as the lease holds.
    async fn settle(self, change: WriteBackChange) {
        let Self { means, claim, guard } = self;
        let settlement = WriteBackSettlement {
            claim,
            change,
            delivery_attempts_max: means.delivery_attempts_max,
            now: to_microseconds(Utc::now()),
        };
        let settled =
            feed_attempt::settle(&means.claimer, &settlement.claim, &means.settlements, &settlement).await;
        match settled {
            Ok(TransferSettled::LostLease) => {
                warn!(transfer_id = %settlement.claim.subject_id, "end of a write-back dropped: the row had moved on");
            }
            Ok(TransferSettled::Done) => {
                guard.settled();
                report(&settlement);
                means.changes.send_modify(|count| *count += 1);
                if !matches!(settlement.change, WriteBackChange::Later { .. }) {
                    means.hints.there_is_work("delivery/");
                }
            }
            // Poison: the guard puts the row back with its attempt counted, until it is a dead letter.
            Err(error) => {
                error!(work_id = %settlement.claim.id, %error, "end of a write-back cannot be written down");
            }
        }
    }
}

fn report(settlement: &WriteBackSettlement) {
    let transfer_id = settlement.claim.subject_id;
    match &settlement.change {
        WriteBackChange::Written => info!(%transfer_id, "result written back"),
        WriteBackChange::Gone => info!(%transfer_id, "result not written back: its record is gone"),
        WriteBackChange::Later { error, run_at, .. } => {
            telemetry::note_failure("attempt_failed");
            warn!(%transfer_id, %error, %run_at, "result not written back yet");
        }
        WriteBackChange::Failed { reason } => {
            telemetry::note_failure("given_up");
            warn!(%transfer_id, reason, "result not written back: a dead letter");
        }
    }
}
