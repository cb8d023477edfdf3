//! Acknowledges work by the batch: for work whose end changes nothing but its own row.
//!
//! The holder leaves its guard here and goes on; its place is free at once. What has come together, up to [`GROUP_MAX`]
//! rows or for [`LINGER`] after the first, is ended by one statement. Until then the guards are kept, so that a crash
//! or a lost lease gives the rows back: such work is done again, and must bear it.
//!
//! **Owns** the guards of what is done and not yet written down. **Fails** softly: while the store is away it tries
//! again for as long as the lease holds, and a row that cannot be written is given back by its guard, alone.
//! **Limits**: two batches wait; who comes later waits for a place. Where the end is money or state, it belongs into
//! the transaction of the change instead.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::Utc;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::guard::ClaimGuard;
use super::lease::Lease;
use crate::domain::ids::WorkId;
use crate::domain::work::WorkState;
use crate::store::work::Ending;
use crate::store::{Store, StoreError, StoreKind};

/// Rows ended by one statement at most. From here on the cost of a row no longer falls with the batch's size.
pub const GROUP_MAX: usize = 1_000;
/// The same on SQLite, whose statements name every value: finding a name takes as long as there are names before it, so
/// that the cost of a row grows with the batch (measured: 330 µs a row at 1,000 rows of 16 values).
pub const GROUP_MAX_SQLITE: usize = 64;
/// How long the first of a batch waits for others. Nobody waits for it, so this only bounds what a crash repeats.
pub const LINGER: Duration = Duration::from_millis(5);
/// Between two tries while the store is away.
const AWAY_WAIT: Duration = Duration::from_millis(500);

/// Where holders leave what they have done; clones are the same place.
#[derive(Clone)]
pub struct Acknowledgements {
    entry: mpsc::Sender<Entry>,
    counts: Arc<Counts>,
    ended: watch::Receiver<u64>,
}

#[derive(Default)]
struct Counts {
    stale: AtomicU64,
}

#[expect(
    clippy::large_enum_variant,
    reason = "flushes are rare, and a box would cost every job an allocation"
)]
enum Entry {
    Done(Done),
    /// Told once everything before it has been dealt with.
    Flush(oneshot::Sender<()>),
}

struct Done {
    guard: ClaimGuard,
    state: WorkState,
    error: Option<String>,
}

impl Acknowledgements {
    /// Opens the place and the task that empties it; the task ends with the last handle, after the last batch.
    pub fn open(store: Store, lease: Lease) -> Self {
        let group_max = match store.kind() {
            StoreKind::PostgreSql => GROUP_MAX,
            StoreKind::Sqlite => GROUP_MAX_SQLITE,
        };
        let (entry, exit) = mpsc::channel(2 * group_max);
        let (count, ended) = watch::channel(0);
        let counts = Arc::new(Counts::default());
        tokio::spawn(run(Writer { store, lease, group_max, counts: counts.clone(), count }, exit));
        Self { entry, counts, ended }
    }

    /// Leaves a claim that is done. Returns as soon as there is a place for it, which is at once unless the store is slow.
    pub async fn end(&self, guard: ClaimGuard, state: WorkState, error: Option<String>) {
        // Without the task, which ends only with the runtime, the guard is dropped and its row goes back.
        let _ = self.entry.send(Entry::Done(Done { guard, state, error })).await;
    }

    /// Waits until everything that was left before is written down or given back.
    pub async fn flush(&self) {
        let (told, done) = oneshot::channel();
        if self.entry.send(Entry::Flush(told)).await.is_ok() {
            // The task has ended, and everything before it with it.
            let _ = done.await;
        }
    }

    /// How many rows this has ended so far; changes with each batch.
    pub fn ended(&self) -> watch::Receiver<u64> {
        self.ended.clone()
    }

    /// How many rows were no longer held when their end was to be written; they changed nothing.
    pub fn stale(&self) -> u64 {
        self.counts.stale.load(Ordering::Relaxed)
    }
}

struct Writer {
    store: Store,
    lease: Lease,
    group_max: usize,
    counts: Arc<Counts>,
    count: watch::Sender<u64>,
}

async fn run(writer: Writer, mut exit: mpsc::Receiver<Entry>) {
    let group_max = writer.group_max;
    let mut entries = Vec::with_capacity(group_max);
    while exit.recv_many(&mut entries, group_max).await > 0 {
        let until = Instant::now() + LINGER;
        while entries.len() < group_max && !entries.iter().any(|entry| matches!(entry, Entry::Flush(_))) {
            let left = group_max - entries.len();
            match timeout_at(until, exit.recv_many(&mut entries, left)).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            }
        }
        let mut flushes = Vec::new();
        let mut batch = Vec::with_capacity(entries.len());
        for entry in entries.drain(..) {
            match entry {
                Entry::Done(done) => batch.push(done),
                Entry::Flush(told) => flushes.push(told),
            }
        }
        writer.write(batch).await;
        for told in flushes {
            // Who does not wait any more need not be told.
            let _ = told.send(());
        }
    }
}

impl Writer {
    /// Ends a batch; when the store finds something in it broken, by halves, until the poison row is alone.
    async fn write(&self, mut batch: Vec<Done>) {
        // What was claimed under an identity that is lost goes back by its guard, and is not written down.
        let holder = self.lease.holder();
        batch.retain(|done| Some(done.guard.claim().runner_id) == holder);
        let mut waiting = vec![batch];
        while let Some(batch) = waiting.pop() {
            if batch.is_empty() {
                continue;
            }
            match self.end(&batch).await {
                Ok(ended) => self.settle(batch, &ended),
                Err(StoreError::Broken(_)) if batch.len() > 1 => {
                    let mut first = batch;
                    let second = first.split_off(first.len() / 2);
                    waiting.push(second);
                    waiting.push(first);
                }
                Err(error) => {
                    // The guards give the rows back, or find that they are no longer theirs.
                    warn!(%error, rows = batch.len(), "ended work not written down; given back");
                }
            }
        }
    }

    /// Tries until the store has answered or the lease is lost. After a commit of unknown fate a row that is no longer
    /// there may have been ended by that commit, so it is not counted as stale; whoever ended it, it is not ours.
    async fn end(&self, batch: &[Done]) -> Result<HashSet<WorkId>, StoreError> {
        let endings: Vec<Ending> =
            batch.iter().map(|done| Ending::of(done.guard.claim(), done.state, done.error.clone())).collect();
        let runner_id = endings.first().map(|ending| ending.runner_id);
        let mut fate_was_unknown = false;
        loop {
            if self.lease.holder() != runner_id {
                return Err(StoreError::Unavailable("the lease is lost".to_owned()));
            }
            match self.store.end_alone(&endings, Utc::now()).await {
                Ok(ended) if fate_was_unknown => {
                    let all = endings.iter().map(|ending| ending.id);
                    return Ok(all.chain(ended).collect());
                }
                Err(error) if error.is_transient() => {
                    fate_was_unknown |= matches!(error, StoreError::CommitUnknown(_));
                    tokio::time::sleep(AWAY_WAIT).await;
                }
                answered => return answered,
            }
        }
    }

    fn settle(&self, batch: Vec<Done>, ended: &HashSet<WorkId>) {
        let stale = batch.iter().filter(|done| !ended.contains(&done.guard.claim().id)).count();
        let written = batch.len() - stale;
        for done in batch {
            done.guard.settled();
        }
        if stale > 0 {
            warn!(rows = stale, "work ended here was no longer held; nothing recorded");
            self.counts.stale.fetch_add(stale as u64, Ordering::Relaxed);
        }
        self.count.send_modify(|count| *count += written as u64);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::{RunnerId, TenantId};
    use crate::domain::work::{Claim, NewWork, RetryPolicy};
    use crate::store::StoreConfig;
    use crate::supervision::{Strategy, SupervisorSpec, Tree};
    use crate::work::config::WorkConfig;
    use crate::work::lease::{LeaseKeeper, Load};
    use crate::work::{Held, Hints, Returns};

    const PATIENCE: Duration = Duration::from_secs(10);

    /// A store of its own and a process that has entered it.
    struct House {
        store: Store,
        lease: Lease,
        held: Held,
        tree: Tree,
        folder: std::path::PathBuf,
    }

    impl House {
        async fn open() -> Self {
            let folder = std::env::temp_dir().join(format!("bursar-acknowledge-{}", Uuid::now_v7()));
            let config = crate::config::Config::default();
            let url = crate::store::connect::default_url(&folder);
            let store = Store::open(&StoreConfig { url, ..config.store }).await.expect("a store");
            let work: WorkConfig = config.work;
            let (lease, held) = (Lease::new(&work), Held::default());
            let load = Load { held: held.clone(), places: Arc::default() };
            let keeper = LeaseKeeper::spec(store.clone(), lease.clone(), Hints::default(), load, &work);
            let spec = SupervisorSpec::new("house", Strategy::OneForOne).child(keeper);
            let tree = Tree::start(spec).await.expect("a lease");
            Self { store, lease, held, tree, folder }
        }

        /// Rows that are claimed as they are made.
        async fn claims(&self, count: usize) -> Vec<Claim> {
            let runner_id = self.lease.holder().expect("the lease is held");
            let items: Vec<NewWork> = (0..count).map(|_| claimed_work(runner_id)).collect();
            self.store.insert_work_alone(&items).await.expect("inserted");
            items.iter().map(|item| claim_of(item, runner_id)).collect()
        }

        async fn close(self) {
            self.tree.shutdown(PATIENCE).await;
            self.store.close().await.expect("closed");
            std::fs::remove_dir_all(self.folder).expect("removed");
        }
    }

    fn claimed_work(runner_id: RunnerId) -> NewWork {
        let now = Utc::now();
        NewWork {
            id: WorkId(Uuid::now_v7()),
            tenant_id: TenantId::default(),
            kind: "test.work",
            queue: "test/queue".to_owned(),
            priority: 0,
            run_at: now,
            attempts_max: 3,
            unique_key: None,
            subject_id: Uuid::nil(),
            payload: String::new(),
            traceparent: None,
            claimed_by: Some(runner_id),
            sent_at: None,
            created_at: now,
        }
    }

    fn claim_of(item: &NewWork, runner_id: RunnerId) -> Claim {
        Claim {
            id: item.id,
            tenant_id: item.tenant_id.clone(),
            kind: item.kind.to_owned(),
            queue: item.queue.clone(),
            attempt: 1,
            attempts_max: item.attempts_max,
            runner_id,
            fence: 1,
            subject_id: item.subject_id,
            payload: item.payload.clone(),
            sent_at: None,
            traceparent: None,
            span: None,
            earlier_span: None,
            last_error: None,
            created_at: item.created_at,
        }
    }

    #[tokio::test]
    async fn what_is_left_here_ends_and_what_somebody_else_ended_is_told_as_stale() {
        let house = House::open().await;
        let policy = RetryPolicy { base: PATIENCE, cap: PATIENCE };
        let returns = Returns::open(house.store.clone(), Hints::default(), house.held.clone(), policy);
        let acknowledgements = Acknowledgements::open(house.store.clone(), house.lease.clone());
        let claims = house.claims(5).await;
        let taken = Ending::of(&claims[0], WorkState::Cancelled, None);
        house.store.end_alone(&[taken], Utc::now()).await.expect("ended by somebody else");
        for claim in claims {
            acknowledgements.end(returns.guard(claim), WorkState::Completed, None).await;
        }
        acknowledgements.flush().await;
        assert_eq!((*acknowledgements.ended().borrow(), acknowledgements.stale()), (4, 1));
        let runner_id = house.lease.holder().expect("the lease is held");
        assert!(house.store.rows_running_under(runner_id).await.expect("a store").is_empty());
        assert_eq!(house.held.count(), 0, "nothing is in hand any more");
        house.close().await;
    }

    #[tokio::test]
    async fn a_row_that_cannot_be_written_goes_back_and_its_neighbours_end() {
        let house = House::open().await;
        let policy = RetryPolicy { base: PATIENCE, cap: PATIENCE };
        let returns = Returns::open(house.store.clone(), Hints::default(), house.held.clone(), policy);
        let acknowledgements = Acknowledgements::open(house.store.clone(), house.lease.clone());
        for (place, claim) in house.claims(6).await.into_iter().enumerate() {
            // The archive takes only what has ended; whoever leaves anything else here has a bug.
            let state = if place == 2 { WorkState::Running } else { WorkState::Completed };
            acknowledgements.end(returns.guard(claim), state, None).await;
        }
        acknowledgements.flush().await;
        assert_eq!((*acknowledgements.ended().borrow(), acknowledgements.stale()), (5, 0));
        house.close().await;
    }
}
