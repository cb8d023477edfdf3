//! What attempts at transfers have in common, whether they have them analysed or tell their feeds.
//!
//! A transfer is claimed in its feed before anything is done about it, so that two installations on one feed do not do the same
//! work; under this store's own name, so that its processes are one.
//!
//! **Owns** nothing. **Fails** with a [`Later`], which says when the attempt is made again and whether it counts. A feed that is away
//! costs no attempt, like a bank that is; what may be about the transfer itself does.
//! **Limits**: whoever else holds a claim is waited for until its lease ends, a day at most at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tracing::warn;

use super::bank_attempt::{next_attempt, write_down};
use super::config::transfers::FeedConfig;
use crate::connectors::transfer_feeds::{Claim as FeedClaim, ClaimAnswer, FeedError, TransferFeed as _};
use crate::domain::work::Claim;
use crate::messages::transfers::Feed;
use crate::store::StoreError;
use crate::store::transfer::Transfer;
use crate::store::transfer_analysis::TransferSettled;
use crate::work::breaker::Verdict;
use crate::work::{Claimer, Lane};

/// A clock that is wrong somewhere else must not put a transfer off for ever.
const HELD_MAX: TimeDelta = TimeDelta::days(1);

/// A feed with its settings.
pub struct Served {
    pub feed: Arc<Feed>,
    pub config: FeedConfig,
}

/// Every feed that is configured, by name.
pub type Feeds = BTreeMap<String, Arc<Served>>;

/// Why an attempt is to be made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Later {
    pub error: String,
    pub wait: Wait,
    /// Whether this attempt counts as one.
    pub counts: bool,
}

/// How long it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// As attempts are spaced.
    Backoff,
    /// The same, and no less than this.
    AtLeast(Duration),
    /// The longest wait there is between attempts: until somebody has corrected something.
    Longest,
    /// Until somebody else's claim has ended.
    Until(DateTime<Utc>),
}

impl Later {
    /// What may be about the transfer itself, and so ends with its attempts.
    pub fn counting(error: impl Into<String>) -> Self {
        Self { error: error.into(), wait: Wait::Backoff, counts: true }
    }

    /// What somebody has to correct.
    pub fn misconfigured(error: impl Into<String>) -> Self {
        Self { error: error.into(), wait: Wait::Longest, counts: false }
    }

    /// Somebody else has the transfer.
    fn held(holder: Option<&FeedClaim>) -> Self {
        let wait = holder.map_or(Wait::Longest, |holder| Wait::Until(holder.lease_until));
        Self { error: "somebody else holds its claim at the feed".to_owned(), wait, counts: false }
    }

    /// What a feed's error means for the work; told to an operator where only one can mend it.
    pub fn of_feed(feed: &str, error: &FeedError) -> Self {
        let words = error.to_string();
        let (wait, counts) = match error {
            FeedError::Unavailable { retry_after, .. } => {
                (retry_after.map_or(Wait::Backoff, Wait::AtLeast), false)
            }
            FeedError::OutcomeUnknown { .. } | FeedError::TooLarge { .. } => (Wait::Backoff, true),
            FeedError::Refused { .. } => (Wait::Longest, true),
            FeedError::SignedOut { .. } | FeedError::Misconfigured { .. } => (Wait::Longest, false),
        };
        if wait == Wait::Longest {
            warn!(feed, error = %words, "a feed does not serve us: somebody has to correct this");
        }
        Self { error: words, wait, counts }
    }

    /// Of a claim that was lost between two calls.
    pub fn of_lost_claim(holder: Option<&FeedClaim>) -> Self {
        match holder {
            Some(_) => Self::held(holder),
            None => Self { counts: true, wait: Wait::Backoff, ..Self::held(None) },
        }
    }

    /// When the next attempt is made.
    pub fn run_at(&self, claimer: &Claimer, claim: &Claim) -> DateTime<Utc> {
        let policy = claimer.returns.policy();
        match self.wait {
            Wait::Backoff => next_attempt(claimer, claim, None),
            Wait::AtLeast(wait) => next_attempt(claimer, claim, Some(wait)),
            Wait::Longest => next_attempt(claimer, claim, Some(policy.cap)),
            Wait::Until(until) => {
                let (now, base) = (claimer.store.now(), TimeDelta::from_std(policy.base).unwrap_or(HELD_MAX));
                until.clamp(now + base.min(HELD_MAX), now + HELD_MAX)
            }
        }
    }
}

/// When an attempt is made again with which the store had trouble. Nothing where the store is away: the guard gives the row back
/// when it can.
pub fn of_store(claim: &Claim, error: &StoreError) -> Option<Later> {
    warn!(work_id = %claim.id, %error, "attempt at a transfer not made");
    // What the store cannot read counts, so that it becomes a dead letter and is not tried for ever.
    (!error.is_transient()).then(|| Later::counting(error.to_string()))
}

/// The feed that a transfer is of.
///
/// # Errors
/// One that is configured no more.
pub fn served(feeds: &Feeds, transfer: &Transfer) -> Result<Arc<Served>, Later> {
    let found = feeds.get(&transfer.feed).filter(|served| served.feed.tenant == transfer.tenant_id);
    found.cloned().ok_or_else(|| {
        warn!(feed = transfer.feed, "a transfer is of a feed that is not configured");
        Later::misconfigured("its feed is not configured")
    })
}

/// Claims a transfer in its feed for this attempt, or renews the claim.
///
/// # Errors
/// Somebody else's claim, and the feed's own.
pub async fn claim(served: &Served, claimer: &Claimer, transfer: &Transfer) -> Result<FeedClaim, Later> {
    let now = claimer.store.now();
    let lease = TimeDelta::from_std(served.config.claim_lease).unwrap_or(HELD_MAX);
    let claim = own_claim(claimer, transfer, now + lease);
    crate::failpoint::reached("feed.claim.before");
    let answer = served.feed.connector.claim(&transfer.key, &claim, now).await;
    crate::failpoint::reached("feed.claim.after");
    match answer {
        Ok(ClaimAnswer::Claimed) => Ok(claim),
        Ok(ClaimAnswer::HeldBy(holder)) => Err(Later::held(holder.as_ref())),
        Err(error) => Err(Later::of_feed(&transfer.feed, &error)),
    }
}

/// Writes the end of an attempt down, however long the store is away, for as long as the lease holds. What was committed by a try
/// whose answer was lost is told from a row that has moved on.
///
/// # Errors
/// What the store says of this settlement for good.
pub async fn settle<S: Clone + Send + Sync + 'static>(
    claimer: &Claimer,
    claim: &Claim,
    settlements: &Lane<S, TransferSettled>,
    settlement: &S,
) -> Result<TransferSettled, StoreError> {
    let write = |may_be_committed: bool| async move {
        let settled = settlements.run(settlement.clone()).await?;
        if may_be_committed && settled == TransferSettled::LostLease {
            let went_through = claimer.store.work_ended_by(claim).await?;
            return Ok(if went_through { TransferSettled::Done } else { settled });
        }
        Ok(settled)
    };
    let settled = write_down(claimer, claim, write).await?;
    Ok(settled.unwrap_or(TransferSettled::LostLease))
}

/// The claim of this attempt at a transfer.
pub fn own_claim(claimer: &Claimer, transfer: &Transfer, lease_until: DateTime<Utc>) -> FeedClaim {
    FeedClaim { owner: format!("bursar-{}", claimer.store.store_id()), attempt: transfer.claims, lease_until }
}

/// What an answer says about the feed. A no is an answer.
pub fn verdict(error: Option<&FeedError>) -> Verdict {
    match error {
        None | Some(FeedError::Refused { .. } | FeedError::TooLarge { .. }) => Verdict::Answered,
        Some(
            FeedError::Unavailable { .. }
            | FeedError::OutcomeUnknown { .. }
            | FeedError::SignedOut { .. }
            | FeedError::Misconfigured { .. },
        ) => Verdict::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_that_is_away_costs_no_attempt_and_what_may_be_the_transfers_own_does() {
        let reason = || "x".to_owned();
        let later = |error: FeedError| {
            let Later { wait, counts, .. } = Later::of_feed("feed", &error);
            (wait, counts)
        };
        let second = Duration::from_secs(1);
        assert_eq!(
            later(FeedError::Unavailable { retry_after: Some(second), reason: reason() }),
            (Wait::AtLeast(second), false)
        );
        assert_eq!(
            later(FeedError::Unavailable { retry_after: None, reason: reason() }),
            (Wait::Backoff, false)
        );
        assert_eq!(later(FeedError::OutcomeUnknown { reason: reason() }), (Wait::Backoff, true));
        assert_eq!(later(FeedError::TooLarge { limit_bytes: 1 }), (Wait::Backoff, true));
        assert_eq!(later(FeedError::Refused { reason: reason() }), (Wait::Longest, true));
        assert_eq!(later(FeedError::SignedOut { reason: reason() }), (Wait::Longest, false));
        assert_eq!(later(FeedError::Misconfigured { reason: reason() }), (Wait::Longest, false));
    }

    #[test]
    fn somebody_elses_claim_is_waited_for_and_one_that_vanished_counts() {
        let until = DateTime::UNIX_EPOCH;
        let other = FeedClaim { owner: "other".to_owned(), attempt: 1, lease_until: until };
        let lost = Later::of_lost_claim(Some(&other));
        assert_eq!((lost.wait, lost.counts), (Wait::Until(until), false));
        let lost = Later::of_lost_claim(None);
        assert_eq!((lost.wait, lost.counts), (Wait::Backoff, true));
    }
}
