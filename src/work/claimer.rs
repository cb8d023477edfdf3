//! The claim loop's one step: claim as much as there are places for, and no more.
//!
//! **Owns** nothing; what it claims it hands out in guards. **Fails** as the store does. A process without a lease claims
//! nothing.

use std::sync::{Arc, Mutex, PoisonError};

use super::guard::{ClaimGuard, Returns};
use super::lease::Lease;
use super::places::{Place, Places};
use crate::domain::ids::RunnerId;
use crate::domain::work::Claim;
use crate::store::work::{ClaimRequest, end_of_prefix};
use crate::store::{Store, StoreError};

/// What one worker needs in order to claim.
#[derive(Clone)]
pub struct Claimer {
    pub store: Store,
    pub lease: Lease,
    pub returns: Returns,
    pub places: Places,
    /// The kind of work that the worker does.
    pub kind: &'static str,
    /// Queues whose names begin so.
    pub queue_prefix: String,
    /// Rows a claim at most.
    pub batch: u32,
    /// Where the next claim begins: past the queue that was served last, so that many busy queues take turns.
    pub turn: Turn,
}

/// The queue that was served last; clones are the same.
pub type Turn = Arc<Mutex<String>>;

impl Claimer {
    /// Claims what is due. Each claim comes with its place.
    pub async fn claim(&self) -> Result<Vec<(ClaimGuard, Place)>, StoreError> {
        let limit = i64::from(self.batch).min(i64::try_from(self.places.free()).unwrap_or(i64::MAX));
        let Some(runner_id) = self.lease.holder() else { return Ok(vec![]) };
        if limit == 0 {
            self.places.wake_me();
            return Ok(vec![]);
        }
        let some_queue_is_full = self.places.busy().iter().any(|(_, free)| *free == 0);
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (begin, end) = (self.queue_prefix.clone(), end_of_prefix(&self.queue_prefix));
        let mut claims = self.claim_between(runner_id, turn.clone().max(begin.clone()), end, limit).await?;
        let left = limit - i64::try_from(claims.len()).unwrap_or(limit);
        if left > 0 && turn > begin {
            claims.extend(self.claim_between(runner_id, begin, turn, left).await?);
        }
        if let Some(last) = claims.last() {
            // The first name after the one that was served last.
            *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = format!("{}\u{1}", last.queue);
        }
        crate::failpoint::reached("claim.after");
        let there_may_be_more = !claims.is_empty() || some_queue_is_full;
        let guards: Vec<ClaimGuard> = claims.into_iter().map(|claim| self.returns.guard(claim)).collect();
        let placed = guards
            .into_iter()
            .filter_map(|guard| {
                // A caller may have taken the place since it was counted; then the row goes back untouched.
                let place = self.places.try_take(&guard.claim().queue, &guard.claim().tenant_id)?;
                Some((guard, place))
            })
            .collect();
        if there_may_be_more {
            self.places.wake_me();
        }
        Ok(placed)
    }

    async fn claim_between(
        &self,
        runner_id: RunnerId,
        queue_from: String,
        queue_until: String,
        limit: i64,
    ) -> Result<Vec<Claim>, StoreError> {
        let request = ClaimRequest {
            runner_id,
            kind: self.kind,
            queue_from,
            queue_until,
            free_per_queue: self.places.free_by_default(),
            busy: self.places.busy(),
            tenants_full: self.places.tenants_full(),
            limit,
        };
        self.store.claim(&request).await
    }
}
