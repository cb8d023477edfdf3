//! The claim loop's one step: claim as much as there are places for, and no more.
//!
//! Queues of a party that is held back are left out, those of which nothing is known here among them; a probe is one row.
//!
//! **Owns** nothing; what it claims it hands out in guards. **Fails** as the store does. A process without a lease claims
//! nothing.

use tokio::time::Instant;
use tracing::warn;

use super::ahead::Reach;
pub use super::ahead::Turn;
use super::guard::{ClaimGuard, Returns};
use super::lease::Lease;
use super::places::{Place, Places};
use crate::store::work::{ClaimRequest, end_of_prefix};
use crate::store::{Store, StoreError, StoreKind};

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
    /// Where the claims stand.
    pub turn: Turn,
}

/// What was claimed, each row with its place.
type Placed = Vec<(ClaimGuard, Place)>;

impl Claimer {
    /// Claims what is due. Each claim comes with its place.
    pub async fn claim(&self) -> Result<Placed, StoreError> {
        let mut placed = Vec::new();
        if self.places.free() == 0 {
            self.places.wake_me();
            return Ok(placed);
        }
        // SQLite has nothing gone to pass over, and looks from the beginning always.
        let looks_ahead = self.store.kind() == StoreKind::PostgreSql;
        if looks_ahead && self.turn.should_look_ahead(Instant::now()) {
            self.look(Reach::Ahead, &mut placed).await?;
        }
        let there_is_room = placed.len() < self.batch as usize && self.places.free() > 0;
        if there_is_room
            && (!looks_ahead || self.turn.may_look_at_everything(Instant::now()))
            && let Err(error) = self.look(Reach::Everything, &mut placed).await
        {
            if placed.is_empty() {
                return Err(error);
            }
            warn!(queues = self.queue_prefix, %error, "not all work claimed");
        }
        Ok(placed)
    }

    /// Looks once, and notes what that took.
    async fn look(&self, reach: Reach, placed: &mut Placed) -> Result<(), StoreError> {
        if self.lease.holder().is_none() {
            return Ok(());
        }
        let (began, before) = (Instant::now(), placed.len());
        let claimed = self.claim_in_turn(reach, placed).await;
        let rows = claimed.as_ref().copied().unwrap_or_else(|_| placed.len() - before);
        self.turn.looked(reach, rows, Instant::now(), began.elapsed());
        if placed.len() >= self.batch as usize {
            self.turn.filled(reach, Instant::now());
        }
        claimed.map(drop)
    }

    /// Claims from the queue on whose turn it is, then from those before it. Returns how many rows.
    async fn claim_in_turn(&self, reach: Reach, placed: &mut Placed) -> Result<usize, StoreError> {
        let some_queue_is_full = self.places.busy().iter().any(|(_, free)| *free == 0);
        let (begin, end) = (self.queue_prefix.clone(), end_of_prefix(&self.queue_prefix));
        let turn = self.turn.next_queue().clamp(begin.clone(), end.clone());
        let mut rows = 0;
        let mut somebody_is_held = false;
        for (queue_from, queue_until) in [(turn.clone(), end), (begin, turn)] {
            let held = self.places.held_back();
            somebody_is_held |= !held.is_empty();
            for part in parts(queue_from, queue_until, &held) {
                rows += self.claim_between(reach, part, placed).await?;
            }
        }
        if rows > 0 || some_queue_is_full || somebody_is_held {
            self.places.wake_me();
        }
        Ok(rows)
    }

    async fn claim_between(
        &self,
        reach: Reach,
        part: Part,
        placed: &mut Placed,
    ) -> Result<usize, StoreError> {
        let Part { queue_from, queue_until, rows_max } = part;
        let limit = (self.batch as usize).saturating_sub(placed.len()).min(self.places.free()).min(rows_max);
        let Some(runner_id) = self.lease.holder() else { return Ok(0) };
        if limit == 0 {
            self.places.wake_me();
            return Ok(0);
        }
        let request = ClaimRequest {
            runner_id,
            kind: self.kind,
            queue_from,
            queue_until,
            free_per_queue: self.places.free_by_default(),
            busy: self.places.busy(),
            tenants_full: self.places.tenants_full(),
            limit: i64::try_from(limit).unwrap_or(i64::MAX),
        };
        let lanes = match reach {
            Reach::Everything => None,
            Reach::Ahead => Some(self.turn.lanes(&request, self.store.now())),
        };
        let skimmed = self.store.skim(&request, lanes.as_deref()).await?;
        self.turn.claimed(&request, &skimmed);
        crate::failpoint::reached("claim.after");
        let rows = skimmed.claims.len();
        if let Some(last) = skimmed.claims.last() {
            self.turn.served(&last.queue);
        }
        let guards: Vec<ClaimGuard> =
            skimmed.claims.into_iter().map(|claim| self.returns.guard(claim)).collect();
        placed.extend(guards.into_iter().filter_map(|guard| {
            // A caller may have taken the place since it was counted; then the row goes back untouched.
            let place = self.places.try_take(&guard.claim().queue, &guard.claim().tenant_id)?;
            Some((guard, place))
        }));
        Ok(rows)
    }
}

/// A range of queues, and how many rows may be claimed there at most.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    queue_from: String,
    queue_until: String,
    rows_max: usize,
}

/// A range in parts: what belongs to a party that is held back stands alone, and is left out where nothing may be asked of it.
fn parts(queue_from: String, queue_until: String, held: &[(String, usize)]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut push = |from: &str, until: &str, rows_max: usize| {
        if from < until && rows_max > 0 {
            parts.push(Part { queue_from: from.to_owned(), queue_until: until.to_owned(), rows_max });
        }
    };
    let mut from = queue_from;
    for (party, free) in held {
        let until = queue_until.as_str();
        let (begin, end) = (party.as_str().min(until), end_of_prefix(party));
        let (begin, end) = (begin.max(from.as_str()), end.as_str().min(until).max(from.as_str()));
        push(&from, begin, usize::MAX);
        push(begin, end, *free);
        from = end.to_owned();
    }
    push(&from, &queue_until, usize::MAX);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(from: &str, until: &str, held: &[(&str, usize)]) -> Vec<String> {
        let held: Vec<(String, usize)> =
            held.iter().map(|(party, free)| ((*party).to_owned(), *free)).collect();
        let parts = parts(from.to_owned(), until.to_owned(), &held);
        let rows = |part: &Part| {
            if part.rows_max == usize::MAX { "all".to_owned() } else { part.rows_max.to_string() }
        };
        parts.iter().map(|part| format!("{}..{} {}", part.queue_from, part.queue_until, rows(part))).collect()
    }

    #[test]
    fn what_is_held_back_is_left_out_and_a_probe_stands_alone() {
        assert_eq!(said("a/", "a0", &[]), ["a/..a0 all"]);
        assert_eq!(said("a/", "a/", &[]), Vec::<String>::new());
        assert_eq!(said("a/", "a0", &[("a/x/", 0)]), ["a/..a/x/ all", "a/x0..a0 all"]);
        assert_eq!(
            said("a/", "a0", &[("a/x/", 1), ("a/y/", 0)]),
            ["a/..a/x/ all", "a/x/..a/x0 1", "a/x0..a/y/ all", "a/y0..a0 all"]
        );
    }

    #[test]
    fn a_range_that_begins_or_ends_within_what_is_held_back_keeps_to_its_own() {
        let held = [("a/x/", 1)];
        assert_eq!(said("a/x/m", "a0", &held), ["a/x/m..a/x0 1", "a/x0..a0 all"]);
        assert_eq!(said("a/", "a/x/m", &held), ["a/..a/x/ all", "a/x/..a/x/m 1"]);
        assert_eq!(said("a/x/m", "a/x/n", &[("a/x/", 0)]), Vec::<String>::new());
        assert_eq!(said("b/", "b0", &held), ["b/..b0 all"]);
        assert_eq!(said("A/", "A0", &held), ["A/..A0 all"]);
    }
}
