//! The course of a run: page by page, batch by batch, slice by slice.
//!
//! **Owns** the run's position, which it reports whenever a slice is done. **Fails** as [`JobEnd`] says. **Limits**: the wait for a
//! batch ends at once when the run's end is wanted; a named customer waits for no batch.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use tracing::{error, info, warn};

use super::batch;
use super::position::Position;
use super::tally::Tally;
use super::{NotKept, Run};
use crate::actors::config::openbanking::Order;
use crate::domain::ids::PsuUserId;
use crate::domain::job::Progress;
use crate::domain::openbanking::pacing::interleaved;
use crate::domain::openbanking::sync::SyncArguments;
use crate::messages::jobs::{EndWanted, JobEnd};
use crate::store::openbanking::user::{DueOrder, DueUser};

/// Customers who are read from the store at a time, at most.
pub(super) const SLICE_MAX: usize = 1_000;
/// Customers of a page, at least: so that banks take turns also where batches are small.
const PAGE_MIN: usize = 100;

/// Does the run, or what is left of it.
pub(super) async fn run(run: Arc<Run>) -> JobEnd {
    let ended = match &run.context.run.arguments {
        Some(arguments) => match SyncArguments::from_text(arguments) {
            Some(arguments) => named(&run, &arguments.users).await,
            None => return failed("arguments: they say nothing that is known"),
        },
        None => match &run.context.run.progress.position {
            None => begin(&run).await,
            Some(position) => match Position::from_text(position) {
                Some(position) => Course { run: run.clone(), position }.go_on().await,
                None => return failed("position: it says nothing that is known"),
            },
        },
    };
    match ended {
        Ok(tally) if tally.is_rate_limited() => {
            let sessions = tally.sessions();
            JobEnd::RateLimited {
                error: format!("rate_limited: every bank of {sessions} visits wanted no more"),
            }
        }
        Ok(tally) => {
            info!(
                users = tally.users,
                ok = tally.sessions_ok,
                failed = tally.sessions_failed,
                rate_limited = tally.sessions_rate_limited,
                new = tally.transactions_new,
                "accounts refreshed"
            );
            JobEnd::Completed
        }
        Err(NotKept::Wanted(_)) => JobEnd::Interrupted,
        Err(NotKept::Broken(error)) => {
            error!(%error, "the run cannot go on");
            failed("store: it does not hold what it should")
        }
    }
}

fn failed(error: &str) -> JobEnd {
    JobEnd::Failed { error: error.to_owned() }
}

/// Only these customers, at once.
async fn named(run: &Arc<Run>, users: &[PsuUserId]) -> Result<Tally, NotKept> {
    let total = i64::try_from(users.len()).ok();
    let mut tally = Tally::default();
    for slice in users.chunks(SLICE_MAX) {
        let report = |tally: &Tally| Progress {
            done: tally.users,
            total,
            counts: tally.counts(),
            note: None,
            position: None,
        };
        tally = batch::run_slice(run, slice, tally, &report).await?;
        run.context.report(&report(&tally)).await.map_err(NotKept::Wanted)?;
    }
    Ok(tally)
}

/// Begins a run from its first customer.
async fn begin(run: &Arc<Run>) -> Result<Tally, NotKept> {
    let now = run.now();
    let idle = TimeDelta::from_std(run.means.config.get().sync.idle_min).unwrap_or_default();
    let synced_until = now.checked_sub_signed(idle).unwrap_or(DateTime::UNIX_EPOCH);
    let store = &run.means.store;
    let total = run.patiently(|| store.due_psu_user_count(synced_until, now)).await?;
    Course { run: run.clone(), position: Position::new(now, synced_until, total) }.go_on().await
}

struct Course {
    run: Arc<Run>,
    position: Position,
}

impl Course {
    async fn go_on(mut self) -> Result<Tally, NotKept> {
        let pacing = self.run.means.pacing;
        let batch_size = pacing.batch_size.max(1);
        // Where a crash came between, the batch before has ended by now.
        let mut end_of_before = (self.position.batch > 0).then(|| self.run.now());
        self.report(None).await?;
        loop {
            if self.position.left.is_empty() && !self.turn_the_page().await? {
                break;
            }
            if self.position.in_batch == 0 {
                self.await_batch(end_of_before).await?;
            }
            let wanted = usize::try_from(batch_size - self.position.in_batch).unwrap_or(usize::MAX);
            let count = wanted.min(self.position.left.len()).min(SLICE_MAX);
            let slice: Vec<PsuUserId> = self.position.left[..count].to_vec();
            let report = |tally: &Tally| self.progress(tally, Some(self.note()));
            let tally = batch::run_slice(&self.run, &slice, self.position.tally, &report).await?;
            self.position.tally = tally;
            if self.position.dealt_with(count, batch_size) {
                end_of_before = Some(self.run.now());
            }
            self.report(None).await?;
        }
        let tally = self.position.tally;
        // Where it was is of no use to anybody any more.
        let last = Progress { position: None, ..self.progress(&tally, None) };
        self.run.context.report(&last).await.map_err(NotKept::Wanted)?;
        Ok(tally)
    }

    /// Reads the next page of those who are due; false where there is none.
    async fn turn_the_page(&mut self) -> Result<bool, NotKept> {
        if self.position.at_end {
            return Ok(false);
        }
        let (run, position) = (&self.run, &mut self.position);
        let order = match run.means.config.get().sync.order {
            Order::LeastRecentlySynced => DueOrder::LeastRecentlySynced,
            Order::Shuffled => DueOrder::Shuffled { seed: run.context.run.seed.cast_unsigned() },
        };
        let limit =
            usize::try_from(run.means.pacing.batch_size).unwrap_or(SLICE_MAX).clamp(PAGE_MIN, SLICE_MAX);
        let rows = i64::try_from(limit).unwrap_or(i64::MAX);
        let (store, now) = (&run.means.store, run.now());
        let (until, after) = (position.synced_until, position.after);
        let page = run.patiently(|| store.due_psu_users(until, now, order, after, rows)).await?;
        position.at_end = page.len() < limit;
        if let Some(last) = page.last() {
            position.after = Some((last.place, last.id));
        }
        let page = interleaved(page, |due: &DueUser| &due.aspsp);
        position.left = page.into_iter().map(|due| due.id).collect();
        Ok(!position.left.is_empty())
    }

    /// Waits until the next batch is to begin.
    async fn await_batch(&self, end_of_before: Option<DateTime<Utc>>) -> Result<(), NotKept> {
        let (pacing, position) = (self.run.means.pacing, &self.position);
        let start = pacing.start(position.begun_at, position.batch, end_of_before);
        let planned = pacing.start(position.begun_at, position.batch, Some(position.begun_at));
        let slip = start - planned;
        if !pacing.eager && slip > TimeDelta::zero() {
            warn!(
                batch = position.batch,
                slip_ms = slip.num_milliseconds(),
                "batch begins later than planned"
            );
        }
        let wait = (start - self.run.now()).to_std().unwrap_or(Duration::ZERO);
        if wait.is_zero() {
            return self.run.context.is_wanted().map_err(NotKept::Wanted);
        }
        let at = start.to_rfc3339_opts(SecondsFormat::Secs, true);
        self.report(Some(format!("{}, at {at}", self.note()))).await?;
        wait_for(&self.run, wait).await.map_err(NotKept::Wanted)
    }

    fn note(&self) -> String {
        let batches = self.run.means.pacing.batches(u64::try_from(self.position.total).unwrap_or_default());
        let number = u64::from(self.position.batch) + 1;
        format!("batch {number} of {}", batches.max(number))
    }

    fn progress(&self, tally: &Tally, note: Option<String>) -> Progress {
        Progress {
            done: tally.users,
            total: Some(self.position.total.max(tally.users)),
            counts: tally.counts(),
            note,
            position: Some(self.position.to_text()),
        }
    }

    async fn report(&self, note: Option<String>) -> Result<(), NotKept> {
        let note = note.or_else(|| Some(self.note()));
        let progress = self.progress(&self.position.tally, note);
        self.run.context.report(&progress).await.map_err(NotKept::Wanted)?;
        crate::failpoint::reached("sync.position.kept");
        Ok(())
    }
}

/// Waits so long, or until the run is to end.
async fn wait_for(run: &Run, wait: Duration) -> Result<(), EndWanted> {
    tokio::select! {
        biased;
        why = run.context.end_wanted() => Err(why),
        () = tokio::time::sleep(wait) => Ok(()),
    }
}
