//! A claim in hand. Dropping it gives the row back, by its fence, whatever the reason: a panic, a kill, a cancelled task,
//! a caller that hung up. So no row is ever orphaned under a live process.
//!
//! **Owns** the claim and the queue of those to be given back. **Fails** softly: what cannot be given back while the store
//! is away is tried again until it can, or until this process is buried and everything returns at once. The span of an attempt that
//! was cut off says so.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{Span, debug, warn};

use super::hints::Hints;
use super::pace::Pace;
use crate::domain::ids::WorkId;
use crate::domain::work::{Claim, RetryPolicy, WorkState};
use crate::store::Store;
use crate::store::work::{Ending, PutBack};
use crate::telemetry;

/// Rows given back in one statement at most.
const GROUP_MAX: usize = 64;
/// Between two tries while the store is away.
const AWAY_WAIT: Duration = Duration::from_millis(500);

/// What becomes of a row whose attempt had begun and was dropped, beside its attempt counting.
const DROPPED: &str = "the attempt was cut off";

/// Where guards leave what they held; clones are the same place.
#[derive(Clone)]
pub struct Returns {
    entry: mpsc::UnboundedSender<Returned>,
    policy: Arc<RetryPolicy>,
    held: Held,
}

/// The rows that this process has in hand, or is about to give back; clones are the same.
#[derive(Clone, Default)]
pub struct Held {
    rows: Arc<Mutex<HashSet<(WorkId, i64)>>>,
    /// How many go out of hand with an end.
    pace: Pace,
}

impl Held {
    /// Whether somebody has this row in hand.
    pub fn has(&self, row: &(WorkId, i64)) -> bool {
        self.lock().contains(row)
    }

    /// How many rows are in hand.
    pub fn count(&self) -> u64 {
        self.lock().len() as u64
    }

    /// How fast queues move by what leaves the hand.
    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    fn enter(&self, claim: &Claim) {
        self.lock().insert((claim.id, claim.fence));
    }

    fn leave(&self, claim: &Claim) {
        self.lock().remove(&(claim.id, claim.fence));
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<(WorkId, i64)>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Returned {
    claim: Claim,
    begun: bool,
}

impl Returns {
    /// Opens the place and the task that empties it; the task ends with the last guard and handle.
    pub fn open(store: Store, hints: Hints, held: Held, policy: RetryPolicy) -> Self {
        let (entry, exit) = mpsc::unbounded_channel();
        let policy = Arc::new(policy);
        tokio::spawn(give_back_all(store, hints, held.clone(), policy.clone(), exit));
        Self { entry, policy, held }
    }

    /// Takes a claim in hand.
    pub fn guard(&self, claim: Claim) -> ClaimGuard {
        self.held.enter(&claim);
        ClaimGuard { held: Some(claim), begun: false, returns: self.clone() }
    }

    /// How failed attempts are spaced.
    pub fn policy(&self) -> &RetryPolicy {
        &self.policy
    }
}

/// A claim in hand.
pub struct ClaimGuard {
    held: Option<Claim>,
    begun: bool,
    returns: Returns,
}

impl ClaimGuard {
    /// The row.
    pub fn claim(&self) -> &Claim {
        self.held.as_ref().expect("only `settled` takes the claim out, and it consumes the guard")
    }

    /// Makes a span this attempt's: it goes on with the trace of whoever asked for the work, and has a link to the last attempt before
    /// that is known. Its parent counts only before anything has asked for the span's context.
    pub fn trace(&mut self, span: &Span) {
        Self::trace_together([self], span);
    }

    /// Makes a span that of several attempts, which goes on with the trace of the first and has a link to each of the others; a span
    /// bears 128 of them.
    pub fn trace_together<'a>(guards: impl IntoIterator<Item = &'a mut Self>, span: &Span) {
        let mut claims: Vec<&mut Claim> =
            guards.into_iter().filter_map(|guard| guard.held.as_mut()).collect();
        let mut links = BTreeSet::new();
        for (index, claim) in claims.iter().enumerate() {
            match &claim.traceparent {
                Some(traceparent) if index == 0 => telemetry::set_parent(span, traceparent),
                other => links.extend(other.as_deref()),
            }
            links.extend(claim.earlier_span.as_deref());
        }
        // What is tried again together was often tried together before.
        links.into_iter().for_each(|link| telemetry::add_link(span, link));
        let own = telemetry::traceparent_of(span);
        for claim in &mut claims {
            claim.span.clone_from(&own);
        }
    }

    /// From here on a drop counts as an attempt: whatever cut it off may do so again.
    pub fn begin(&mut self) {
        self.begun = true;
    }

    /// The row's end, or its next attempt, has been written down: there is nothing to give back.
    pub fn settled(mut self) -> Claim {
        let claim = self.held.take().expect("only `settled` takes the claim out, and it consumes the guard");
        self.returns.held.leave(&claim);
        self.returns.held.pace.ended(&claim.queue, Instant::now());
        claim
    }
}

impl Drop for ClaimGuard {
    fn drop(&mut self) {
        if let Some(claim) = self.held.take() {
            if std::thread::panicking() {
                telemetry::note_failure("panic");
            } else if self.begun {
                telemetry::note_failure("cut_off");
            }
            // The receiver ends only with the runtime.
            let _ = self.returns.entry.send(Returned { claim, begun: self.begun });
        }
    }
}

async fn give_back_all(
    store: Store,
    hints: Hints,
    held: Held,
    policy: Arc<RetryPolicy>,
    mut exit: mpsc::UnboundedReceiver<Returned>,
) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    while exit.recv_many(&mut group, GROUP_MAX).await > 0 {
        while let Err(error) = give_back(&store, &policy, &group).await {
            if !error.is_transient() {
                // Nobody holds them from here on, so the reaper finds them running and puts them back one by one.
                warn!(%error, rows = group.len(), "rows not given back");
                break;
            }
            tokio::time::sleep(AWAY_WAIT).await;
        }
        for returned in group.drain(..) {
            held.leave(&returned.claim);
            debug!(work_id = %returned.claim.id, begun = returned.begun, "claim given back");
            hints.there_is_work(&returned.claim.queue);
        }
    }
}

async fn give_back(
    store: &Store,
    policy: &RetryPolicy,
    group: &[Returned],
) -> Result<(), crate::store::StoreError> {
    let now = store.now();
    let is_spent = |returned: &&Returned| returned.begun && !returned.claim.has_attempts_left();
    let spent: Vec<Ending> = group
        .iter()
        .filter(is_spent)
        .map(|returned| Ending::of(&returned.claim, WorkState::Discarded, Some(DROPPED.to_owned())))
        .collect();
    let back: Vec<PutBack> = group
        .iter()
        .filter(|returned| !is_spent(returned))
        .map(|Returned { claim, begun }| PutBack {
            id: claim.id,
            runner_id: claim.runner_id,
            fence: claim.fence,
            span: claim.span.clone(),
            state: if *begun { WorkState::Retryable } else { WorkState::Available },
            run_at: if *begun { now + policy.wait_after(claim.attempt, rand::random()) } else { now },
            error: begun.then(|| DROPPED.to_owned()),
            attempt_counts: *begun,
            // A row that was made as this process's own and never begun has its mark from its making.
            nothing_was_sent: !begun && claim.fence == 1,
        })
        .collect();
    if !spent.is_empty() {
        store.end_alone(&spent, now).await?;
    }
    if !back.is_empty() {
        store.put_back_alone(&back).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::SpanId;
    use tracing::info_span;

    use super::*;
    use crate::domain::work::a_claim;
    use crate::store::StoreConfig;
    use crate::telemetry::tests::keeping;

    const TRACES: [&str; 2] = ["0af7651916cd43dd8448eb211c80319c", "4bf92f3577b34da6a3ce929d0e0e4736"];

    fn context(trace: usize, span_id: u64) -> Option<String> {
        Some(format!("00-{}-{span_id:016x}-01", TRACES[trace]))
    }

    #[tokio::test]
    async fn a_span_of_several_attempts_has_one_parent_and_one_link_to_each_other() {
        let folder = std::env::temp_dir().join(format!("bursar-guard-{}", uuid::Uuid::now_v7()));
        let url = crate::store::connect::default_url(&folder);
        let store = Store::open(&StoreConfig { url, ..crate::config::Config::default().store })
            .await
            .expect("a store");
        let policy = RetryPolicy { base: AWAY_WAIT, cap: AWAY_WAIT };
        let returns = Returns::open(store.clone(), Hints::default(), Held::default(), policy);
        // Asked for by, and tried before as: two were tried together.
        let rows = [
            (context(0, 1), context(0, 9)),
            (context(1, 2), context(0, 9)),
            (context(1, 2), None),
            (None, context(1, 8)),
        ];
        let mut guards = rows.map(|(traceparent, earlier_span)| {
            returns.guard(Claim { traceparent, earlier_span, ..a_claim() })
        });
        let (subscriber, kept) = keeping();
        tracing::subscriber::with_default(subscriber, || {
            let span = info_span!("attempts");
            ClaimGuard::trace_together(&mut guards, &span);
        });
        let span = kept.span("attempts");
        assert_eq!(
            (span.span_context.trace_id().to_string().as_str(), span.parent_span_id),
            (TRACES[0], SpanId::from(1))
        );
        let linked: Vec<SpanId> = span.links.iter().map(|link| link.span_context.span_id()).collect();
        assert_eq!(linked, [9, 2, 8].map(SpanId::from));
        let own = Some(format!("00-{}-{}-01", TRACES[0], span.span_context.span_id()));
        for guard in guards {
            assert_eq!(guard.settled().span, own);
        }
        store.close().await.expect("closed");
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
