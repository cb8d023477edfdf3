//! What attempts to ask a bank have in common, whatever they ask.
//!
//! **Owns** nothing. **Fails** nowhere.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tracing::warn;

use crate::connectors::banks::BankError;
use crate::domain::boleto::BankResponse;
use crate::domain::work::Claim;
use crate::store::StoreError;
use crate::work::Claimer;
use crate::work::breaker::Verdict;

/// Between two tries to write an outcome down while the store is away.
const AWAY_WAIT: Duration = Duration::from_millis(250);
/// The bank's words are kept up to this length.
const MESSAGE_CHARS_MAX: usize = 500;

/// What an answer says about the bank. A no is an answer; nothing where the bank was not asked.
pub fn verdict(error: Option<&BankError>) -> Option<Verdict> {
    match error {
        None
        | Some(BankError::Refused { .. } | BankError::AlreadyOnFile { .. } | BankError::Disagrees { .. }) => {
            Some(Verdict::Answered)
        }
        Some(
            BankError::OutcomeUnknown { .. }
            | BankError::Unavailable { .. }
            | BankError::Misconfigured { .. },
        ) => Some(Verdict::Failed),
        Some(BankError::Unsupported { .. }) => None,
    }
}

/// When to try again: after the backoff, and no sooner than the bank has asked for. What costs no attempt backs off by its
/// age, or a bank that is away would be asked at the pace of a first retry.
pub fn next_attempt(claimer: &Claimer, claim: &Claim, wait: Option<Duration>) -> DateTime<Utc> {
    let policy = claimer.returns.policy();
    let age = (Utc::now() - claim.created_at).to_std().unwrap_or_default();
    let by_age = 1 + (age.as_secs_f64() / policy.base.as_secs_f64().max(0.001)).max(1.0).log2() as i64;
    let backoff = policy.wait_after(claim.attempt.max(by_age), rand::random());
    claimer.store.now() + wait.map_or(backoff, |wait| wait.max(backoff))
}

/// Writes an outcome down, however long the store is away, for as long as the lease holds; nothing once it is lost. `write`
/// is told whether a try before it may have been committed.
pub async fn write_down<O, F: Future<Output = Result<O, StoreError>>>(
    claimer: &Claimer,
    claim: &Claim,
    write: impl Fn(bool) -> F,
) -> Result<Option<O>, StoreError> {
    let mut may_be_committed = false;
    tokio::select! {
        biased;
        outcome = async {
            loop {
                match write(may_be_committed).await {
                    Err(error) if error.is_transient() => {
                        warn!(%error, "outcome not written down yet");
                        may_be_committed = true;
                        tokio::time::sleep(AWAY_WAIT).await;
                    }
                    outcome => break outcome.map(Some),
                }
            }
        } => outcome,
        () = claimer.lease.lost(claim.runner_id) => Ok(None),
    }
}

/// What the bank said, cut to what is kept.
pub fn cut(mut response: BankResponse) -> BankResponse {
    if let Some((end, _)) = response.message.char_indices().nth(MESSAGE_CHARS_MAX) {
        response.message.truncate(end);
    }
    response
}

/// A moment as the store keeps it, so that what is answered now is what is read later.
pub fn to_microseconds(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)
}
