//! Who works on what, as a small node of our own beside the transfers.
//!
//! A whole record's version changes with every edit of the front end, hence a node of its own: it is written only if what
//! stands there is what we saw. Clocks decide when a lease has ended, so that a lease should be long beside what they differ.
//!
//! **Owns** nothing. **Fails** as the calls do. **Limits**: [`TRIES_MAX`] rounds against others who claim at the same moment;
//! what stands there and is no claim of ours is never taken over.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::{Client, Conditional, NULL_ETAG};
use super::error;
use crate::connectors::transfer_feeds::{Claim, ClaimAnswer, FeedError};

const TRIES_MAX: usize = 4;

#[derive(Serialize, Deserialize)]
struct ClaimBody {
    owner: String,
    attempt: u32,
    lease_until_ms: i64,
}

/// Claims, or renews.
pub(super) async fn claim(
    client: &Client,
    path: &str,
    claim: &Claim,
    now: DateTime<Utc>,
) -> Result<ClaimAnswer, FeedError> {
    let body = ClaimBody {
        owner: claim.owner.clone(),
        attempt: claim.attempt,
        lease_until_ms: claim.lease_until.timestamp_millis(),
    };
    let body = json!(body);
    let mut etag = NULL_ETAG.to_owned();
    for _ in 0..TRIES_MAX {
        let found = match client.put_if(path, &body, &etag).await? {
            Conditional::Written => return Ok(ClaimAnswer::Claimed),
            Conditional::Other(found) => found,
        };
        let holder = read(&found.value);
        if !found.value.is_null() && !holder.as_ref().is_some_and(|holder| may_take(holder, claim, now)) {
            return Ok(ClaimAnswer::HeldBy(holder));
        }
        etag = match found.etag {
            Some(etag) => etag,
            None if found.value.is_null() => NULL_ETAG.to_owned(),
            None => return Err(error::unreadable("a claim: it has no version")),
        };
    }
    let reason = "others claim the same transfer at the same moment".to_owned();
    Err(FeedError::Unavailable { retry_after: None, reason })
}

/// Gives a claim back if it is this one.
pub(super) async fn release(client: &Client, path: &str, claim: &Claim) -> Result<(), FeedError> {
    let found = client.read_versioned(path).await?;
    let (Some(holder), Some(etag)) = (read(&found.value), found.etag) else { return Ok(()) };
    if !is_same(&holder, claim) {
        return Ok(());
    }
    // If it changed in between it is ours no longer.
    client.put_if(path, &Value::Null, &etag).await.map(|_| ())
}

/// The claim that a node holds, if it is one.
pub(super) fn read(value: &Value) -> Option<Claim> {
    let body = ClaimBody::deserialize(value).ok()?;
    let lease_until = DateTime::from_timestamp_millis(body.lease_until_ms)?;
    Some(Claim { owner: body.owner, attempt: body.attempt, lease_until })
}

/// Whether it is the same attempt of the same owner; the lease may have been renewed.
pub(super) fn is_same(holder: &Claim, claim: &Claim) -> bool {
    holder.owner == claim.owner && holder.attempt == claim.attempt
}

fn may_take(holder: &Claim, claim: &Claim, now: DateTime<Utc>) -> bool {
    let own = holder.owner == claim.owner && holder.attempt <= claim.attempt;
    own || holder.lease_until <= now
}
