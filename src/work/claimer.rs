//! The claim loop's one step: claim as much as there are places for, and no more.
//!
//! **Owns** nothing; what it claims it hands out in guards. **Fails** as the store does. A process without a lease claims
//! nothing.

use super::guard::{ClaimGuard, Returns};
use super::lease::Lease;
use super::places::{Place, Places};
use crate::store::work::ClaimRequest;
use crate::store::{Store, StoreError};

/// What one worker needs in order to claim.
#[derive(Clone)]
pub struct Claimer {
    pub store: Store,
    pub lease: Lease,
    pub returns: Returns,
    pub places: Places,
    /// Queues whose names begin so.
    pub queue_prefix: String,
    /// Rows a claim at most.
    pub batch: u32,
}

impl Claimer {
    /// Claims what is due. Each claim comes with its place.
    pub async fn claim(&self) -> Result<Vec<(ClaimGuard, Place)>, StoreError> {
        let limit = i64::from(self.batch).min(i64::try_from(self.places.free()).unwrap_or(i64::MAX));
        let Some(runner_id) = self.lease.holder() else { return Ok(vec![]) };
        if limit == 0 {
            self.places.wake_me();
            return Ok(vec![]);
        }
        let busy = self.places.busy();
        let some_queue_is_full = busy.iter().any(|(_, free)| *free == 0);
        let request = ClaimRequest {
            runner_id,
            queue_prefix: self.queue_prefix.clone(),
            free_per_queue: self.places.per_queue_max(),
            busy,
            limit,
        };
        let claims = self.store.claim(&request).await?;
        crate::failpoint::reached("claim.after");
        let there_may_be_more = !claims.is_empty() || some_queue_is_full;
        let guards: Vec<ClaimGuard> = claims.into_iter().map(|claim| self.returns.guard(claim)).collect();
        let placed = guards
            .into_iter()
            .filter_map(|guard| {
                // A caller may have taken the place since it was counted; then the row goes back untouched.
                let place = self.places.try_take(&guard.claim().queue)?;
                Some((guard, place))
            })
            .collect();
        if there_may_be_more {
            self.places.wake_me();
        }
        Ok(placed)
    }
}
