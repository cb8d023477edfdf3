//! Jobs: what one is, what it is given, and the list of them that the timetable and the faces share.
//!
//! A later job is an implementation of [`Job`] and an entry in the list. A run is at least once: after a crash the same run goes
//! on, from the position that it last reported, so what it does outside must bear being done again.
//!
//! **Owns** nothing that a crash may lose. **Fails** with a [`JobEnd`]. **Limits**: one report a statement; who reports more
//! often than ten times a second spends more on telling than on doing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tracing::warn;

use crate::domain::job::{Overlap, Progress};
use crate::domain::timetable::{CatchUp, Timetable};
use crate::domain::work::Claim;
use crate::store::Store;
use crate::store::job_run::{JobRun, Reported};
use crate::work::{ClaimGuard, Place};

/// Between two tries to report while the store is away.
const AWAY_WAIT: Duration = Duration::from_millis(250);

/// Something that is done by a timetable.
#[async_trait::async_trait]
pub trait Job: Send + Sync + 'static {
    /// What is logged when a run begins, word for word: people have alerts on it.
    fn start_message(&self) -> &'static str;

    /// Does one run, or what is left of it. Ends soon once [`JobContext::end_wanted`] says so; what does not is dropped.
    async fn run(&self, context: JobContext) -> JobEnd;
}

/// How an attempt at a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEnd {
    Completed,
    /// The run has failed, and the next slot begins anew.
    Failed {
        error: String,
    },
    /// Somebody outside wanted no more questions: neither done nor failed.
    RateLimited {
        error: String,
    },
    /// The run goes on at that time, by the store's clock.
    Later {
        run_at: DateTime<Utc>,
        error: String,
    },
    /// Its end was wanted, and it has reported how far it came.
    Interrupted,
}

/// Why a run is to end early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndWanted {
    /// Somebody wants it to.
    Cancelled,
    /// The process ends; another goes on with it.
    Stopping,
    /// Another process has it.
    LostLease,
}

/// What a run is given.
#[derive(Clone)]
pub struct JobContext {
    /// As it was when this attempt began: whose position says where to go on, and whose seed is whatever is random.
    pub run: JobRun,
    pub store: Store,
    claim: Claim,
    end_wanted: watch::Sender<Option<EndWanted>>,
    changes: watch::Sender<u64>,
}

impl JobContext {
    /// For an attempt under this claim.
    pub fn new(
        run: JobRun,
        store: Store,
        claim: Claim,
        end_wanted: watch::Sender<Option<EndWanted>>,
        changes: watch::Sender<u64>,
    ) -> Self {
        Self { run, store, claim, end_wanted, changes }
    }

    /// Counted from 1.
    pub fn attempt(&self) -> i64 {
        self.claim.attempt
    }

    /// The claim of the run's row of work, for transactions of the job's own that must not outlive it.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Writes down how far the run has come, however long the store is away. An error says that it is to end.
    ///
    /// # Errors
    /// The run is to end: [`JobEnd::Interrupted`] is the answer.
    pub async fn report(&self, progress: &Progress) -> Result<(), EndWanted> {
        loop {
            if *self.end_wanted.borrow() == Some(EndWanted::LostLease) {
                return Err(EndWanted::LostLease);
            }
            match self.store.report_run(&self.claim, progress).await {
                Ok(reported) => {
                    self.changes.send_modify(|count| *count += 1);
                    match reported {
                        Reported::GoOn => break,
                        Reported::EndWanted => self.want_end(EndWanted::Cancelled),
                        Reported::LostLease => self.want_end(EndWanted::LostLease),
                    }
                    break;
                }
                Err(error) if error.is_transient() => tokio::time::sleep(AWAY_WAIT).await,
                Err(error) => {
                    // The next report may be readable; the run's own work is not lost by that.
                    warn!(%error, "progress not written down");
                    break;
                }
            }
        }
        self.is_wanted()
    }

    /// Waits until the run is to end, and says why.
    pub async fn end_wanted(&self) -> EndWanted {
        let mut wanted = self.end_wanted.subscribe();
        // The sender lives as long as this handle does.
        match wanted.wait_for(Option::is_some).await {
            Ok(why) => why.unwrap_or(EndWanted::Stopping),
            Err(_) => EndWanted::Stopping,
        }
    }

    /// Whether the run goes on.
    ///
    /// # Errors
    /// Why it is to end.
    pub fn is_wanted(&self) -> Result<(), EndWanted> {
        self.end_wanted.borrow().map_or(Ok(()), Err)
    }

    fn want_end(&self, why: EndWanted) {
        self.end_wanted.send_if_modified(|known| {
            let is_news = known.is_none();
            known.get_or_insert(why);
            is_news
        });
    }
}

/// One entry of the list.
#[derive(Clone)]
pub struct JobEntry {
    /// As the configuration calls it: `a-z`, `0-9` and underscores.
    pub name: String,
    /// Who does it; nothing where nobody does yet.
    pub job: Option<Arc<dyn Job>>,
    pub timetable: Timetable,
    /// Whether its slots are run.
    pub enabled: bool,
    pub overlap: Overlap,
    pub catch_up: CatchUp,
    pub catch_up_window: Duration,
    /// At most so much later than its slot a run begins.
    pub jitter: Duration,
}

impl JobEntry {
    /// Whether its slots are run here.
    pub fn is_at_work(&self) -> bool {
        self.enabled && self.job.is_some()
    }
}

/// When a job ran until its timetable was replaced while the house was open.
#[derive(Debug, Clone)]
pub struct Replaced {
    pub timetable: Timetable,
    /// From when on the one that took its place holds, by the store's clock.
    pub until: DateTime<Utc>,
}

/// The list; clones are the same.
#[derive(Clone)]
pub struct Jobs {
    entries: Arc<Mutex<BTreeMap<String, Listed>>>,
    /// Grows whenever this process has changed a run.
    pub changes: watch::Sender<u64>,
}

#[derive(Clone)]
struct Listed {
    entry: Arc<JobEntry>,
    replaced: Option<Replaced>,
}

impl Jobs {
    /// The list of these.
    pub fn new(entries: impl IntoIterator<Item = JobEntry>) -> Self {
        let listed =
            |entry: JobEntry| (entry.name.clone(), Listed { entry: Arc::new(entry), replaced: None });
        let entries = entries.into_iter().map(listed).collect();
        Self { entries: Arc::new(Mutex::new(entries)), changes: watch::channel(0).0 }
    }

    /// Every job, by name.
    pub fn all(&self) -> Vec<Arc<JobEntry>> {
        self.lock().values().map(|listed| listed.entry.clone()).collect()
    }

    /// The job of that name; hyphens are read as underscores, as people write them on a command line.
    pub fn find(&self, name: &str) -> Option<Arc<JobEntry>> {
        self.lock().get(&name.replace('-', "_")).map(|listed| listed.entry.clone())
    }

    /// Has a job of the list run as this says from `now` on. Slots that its timetable had before are still its own.
    pub fn reschedule(&self, entry: JobEntry, now: DateTime<Utc>) {
        let mut entries = self.lock();
        let Some(listed) = entries.get_mut(&entry.name) else { return };
        if entry.timetable != listed.entry.timetable {
            listed.replaced = Some(Replaced { timetable: listed.entry.timetable.clone(), until: now });
        }
        listed.entry = Arc::new(entry);
    }

    /// The timetable before the present one, if it was replaced while the house was open.
    pub fn replaced(&self, name: &str) -> Option<Replaced> {
        self.lock().get(name)?.replaced.clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Listed>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Told to whoever works on one job's runs.
pub enum JobRunnerMessage {
    /// There may be runs to claim.
    WorkAvailable,
    /// Rows that were claimed; each is held by its guard.
    Claimed(Vec<(ClaimGuard, Place)>),
    /// A run panicked. Its row has gone back; whoever hears this has a bug and ends.
    RunPanicked,
}

/// Told to the timetable.
pub enum TimetableMessage {
    /// A slot may have come.
    Look,
}
