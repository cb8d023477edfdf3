//! The durable engine as the house runs it, with a worker whose jobs do nothing: a process that has entered and beats,
//! claims through places, guards, acknowledgement by the batch or one commit each.
//!
//! **Owns** its tree and its store. **Fails** when the store does not open; what fails later is seen as jobs that do
//! not end, within the patience of whoever waits. **Limits**: one queue, one kind of job.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::Context as _;
use chrono::Utc;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::worker::{How, Means, Worker};
use crate::config::{Config, Sources};
use crate::domain::ids::{TenantId, WorkId};
use crate::domain::work::{NewWork, RetryPolicy};
use crate::store::{Store, StoreKind};
use crate::supervision::{Strategy, SupervisorSpec, Tree};
use crate::work::acknowledge::Acknowledgements;
use crate::work::bell::Bell;
use crate::work::claimer::Turn;
use crate::work::config::QueueLimit;
use crate::work::lease::{LeaseKeeper, Load};
use crate::work::reaper::Reaper;
use crate::work::tenants::Tenants;
use crate::work::{Claimer, Held, Hints, Lease, Limits, Places, Returns};

/// Jobs under way at a time where each is committed by itself, as many as the peer's.
pub(super) const CONCURRENCY: usize = 24;
/// Jobs inserted by one statement; fewer on SQLite, where a row of a large group costs more.
const GROUP: usize = 1_000;
const GROUP_SQLITE: usize = 64;
/// Rows claimed by one statement, as many as the peer's local queue holds.
const CLAIM_BATCH: &str = "500";
/// Jobs in hand at most where they are acknowledged by the batch: two claims, one worked on while the next is fetched.
const IN_HAND: u32 = 1_000;
const PREFIX: &str = "bench/";
const QUEUE: &str = "bench/no_op";
const KIND: &str = "bench.no_op";
/// No progress for so long means that something is broken.
const STALL_PATIENCE: Duration = Duration::from_secs(30);
const CLOSING_PATIENCE: Duration = Duration::from_secs(20);

/// How jobs are acknowledged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::bench) enum Acknowledged {
    Batched,
    OneByOne,
}

/// An engine at rest: nothing is claimed before [`Engine::work`].
pub(in crate::cli::bench) struct Engine {
    store: Store,
    hints: Hints,
    tree: Tree,
    gate: watch::Sender<bool>,
    ended: watch::Receiver<u64>,
    starts: Option<mpsc::UnboundedReceiver<(WorkId, Instant)>>,
}

impl Engine {
    /// Opens the store and enters as a process. Starts are noted for [`Engine::start_of_one`] alone.
    pub async fn open(
        url: &str,
        how: Acknowledged,
        note_starts: bool,
        set: &[(String, String)],
    ) -> anyhow::Result<Self> {
        let config = config(url, set)?;
        let store = Store::open(&config.store).await.context("cannot open the store")?;
        let (hints, held, lease) = (Hints::default(), Held::default(), Lease::new(&config.work));
        let load = Load { held: held.clone(), places: Arc::new(AtomicU64::new(IN_HAND.into())) };
        let policy = RetryPolicy { base: Duration::from_secs(1), cap: Duration::from_secs(1) };
        let (gate, open) = watch::channel(false);
        let (started, starts) = note_starts.then(mpsc::unbounded_channel).unzip();
        let (count, each_ended) = watch::channel(0);
        let acknowledgements = Acknowledgements::open(store.clone(), lease.clone());
        let ended = match how {
            Acknowledged::Batched => acknowledgements.ended(),
            Acknowledged::OneByOne => each_ended,
        };
        let limits = Limits::uniform(
            QueueLimit { in_flight_max: IN_HAND, rate_per_minute: 0 },
            IN_HAND as usize,
            config.breaker.clone(),
        );
        let means = Means {
            claimer: Claimer {
                store: store.clone(),
                lease: lease.clone(),
                returns: Returns::open(store.clone(), hints.clone(), held.clone(), policy),
                places: Places::new(limits, Tenants::new(config.work.tenants), hints.listen(PREFIX)),
                kind: KIND,
                queue_prefix: PREFIX.to_owned(),
                turn: Turn::default(),
                batch: config.work.claim_batch,
            },
            hints: hints.clone(),
            how: match how {
                Acknowledged::Batched => How::Batched(acknowledgements),
                Acknowledged::OneByOne => {
                    How::OneByOne { at_once: Arc::new(Semaphore::new(CONCURRENCY)), count }
                }
            },
            poll_interval: config.work.poll_interval,
            open,
            started,
        };
        let foundation = SupervisorSpec::new("bench", Strategy::RestForOne)
            .child(Bell::spec(store.clone(), hints.clone(), &config.work))
            .child(LeaseKeeper::spec(store.clone(), lease.clone(), hints.clone(), load, &config.work))
            .child(Reaper::spec(store.clone(), lease, hints.clone(), held, &config.work))
            .child(Worker::spec(means));
        let tree = Tree::start(foundation).await.context("cannot start the engine")?;
        Ok(Self { store, hints, tree, gate, ended, starts })
    }

    /// Inserts jobs that are due, in groups.
    pub async fn insert(&self, jobs: usize) -> anyhow::Result<()> {
        let group_max = match self.store.kind() {
            StoreKind::PostgreSql => GROUP,
            StoreKind::Sqlite => GROUP_SQLITE,
        };
        let mut left = jobs;
        while left > 0 {
            let group: Vec<NewWork> = (0..left.min(group_max)).map(|_| no_op()).collect();
            left -= group.len();
            self.store.insert_work_alone(&group).await?;
        }
        Ok(())
    }

    /// Works from now on, and tells the worker that there is work.
    pub fn work(&self) {
        self.gate.send_replace(true);
        self.hints.there_is_work(QUEUE);
    }

    /// Jobs whose end has been written down so far.
    pub fn ended(&self) -> u64 {
        *self.ended.borrow()
    }

    /// Waits until so many have ended in all.
    pub async fn until_ended(&mut self, jobs: u64) -> anyhow::Result<()> {
        while *self.ended.borrow_and_update() < jobs {
            timeout(STALL_PATIENCE, self.ended.changed())
                .await
                .context("no job ended for a long time")?
                .context("the engine has ended")?;
        }
        Ok(())
    }

    /// Inserts one job and returns the milliseconds from before its insertion to its start.
    pub async fn start_of_one(&mut self) -> anyhow::Result<f64> {
        let starts = self.starts.as_mut().context("starts are not noted")?;
        while starts.try_recv().is_ok() {}
        let job = no_op();
        let id = job.id;
        let asked = Instant::now();
        self.store.insert_work_alone(&[job]).await?;
        self.hints.there_is_work(QUEUE);
        loop {
            let (started, at) = timeout(STALL_PATIENCE, starts.recv())
                .await
                .context("a job was not started")?
                .context("the engine has ended")?;
            if started == id {
                return Ok(at.duration_since(asked).as_secs_f64() * 1_000.0);
            }
        }
    }

    /// Ends the worker, leaves as a process, closes the store.
    pub async fn close(self) -> anyhow::Result<()> {
        self.tree.shutdown(CLOSING_PATIENCE).await;
        self.store.close().await.context("cannot close the store")
    }
}

/// The defaults but for what the peer has too: its connections and the size of its claims.
fn config(url: &str, set: &[(String, String)]) -> anyhow::Result<Config> {
    let mut sources = Sources::default()
        .with("store.url", url)
        .with("store.connections_max", (CONCURRENCY + 1).to_string())
        .with("work.claim_batch", CLAIM_BATCH);
    sources.overrides.extend(set.iter().cloned());
    Ok(Config::load(&sources)?)
}

fn no_op() -> NewWork {
    let now = Utc::now();
    NewWork {
        id: WorkId(Uuid::now_v7()),
        tenant_id: TenantId::default(),
        kind: KIND,
        queue: QUEUE.to_owned(),
        priority: 0,
        run_at: now,
        attempts_max: 25,
        unique_key: None,
        subject_id: Uuid::nil(),
        payload: r#"{"id":1}"#.to_owned(),
        traceparent: None,
        claimed_by: None,
        sent_at: None,
        created_at: now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn jobs_wait_for_the_word_and_are_all_worked_off_either_way() {
        for how in [Acknowledged::Batched, Acknowledged::OneByOne] {
            let folder = std::env::temp_dir().join(format!("bursar-bench-test-{}", Uuid::now_v7()));
            let url = crate::store::connect::default_url(&folder);
            let mut engine = Engine::open(&url, how, true, &[]).await.expect("an engine");
            engine.insert(120).await.expect("inserted");
            assert_eq!(engine.ended(), 0);
            engine.work();
            engine.until_ended(120).await.expect("all ended");
            assert!(engine.start_of_one().await.expect("started") > 0.0);
            engine.until_ended(121).await.expect("the last one ended");
            engine.close().await.expect("closed");
            std::fs::remove_dir_all(folder).expect("removed");
        }
    }
}
