//! The list of jobs, who looks at their timetables, and who works on their runs.
//!
//! A job is a table of `[timetable]` and an entry in [`Builder::job_of`]; all else follows.
//!
//! **Owns** nothing. **Fails** nowhere. **Limits**: a job that nobody does yet is shown as disabled, whatever its table says.

use std::sync::Arc;

use super::aspsps::OpenBankingParts;
use super::bounds::Bounds;
use super::{BuildError, Builder};
use crate::actors::config::timetable::{JobConfig, PAYMENT_UPDATE, SYNC_UPDATE};
use crate::actors::timetable::runner::{self, JobRunner};
use crate::actors::timetable::{self, TimetableKeeper};
use crate::config::Config;
use crate::domain::job::queue;
use crate::domain::work::{RetryPolicy, kind};
use crate::messages::Jobs;
use crate::messages::jobs::{Job, JobEntry};
use crate::supervision::ChildSpec;
use crate::work::config::QueueLimit;

/// The timetable's name in the tree.
const TIMETABLE: &str = "timetable";

/// Between attempts at a run that was cut off: a crash is rare, and a run is waited for.
const RETRY: RetryPolicy =
    RetryPolicy { base: std::time::Duration::from_secs(1), cap: std::time::Duration::from_secs(300) };

impl Builder<'_> {
    /// Who does a job; nothing where nobody does yet.
    fn job_of(&self, name: &str, parts: &OpenBankingParts) -> Result<Option<Arc<dyn Job>>, BuildError> {
        Ok(match name {
            PAYMENT_UPDATE => Some(self.payment_poller(parts)),
            SYNC_UPDATE => Some(self.sync_batcher(parts)?),
            _ => None,
        })
    }

    /// Every job of the configuration, and those beside it.
    pub(super) fn jobs(&self, beside: Vec<JobEntry>, parts: &OpenBankingParts) -> Result<Jobs, BuildError> {
        let mut of_config = Vec::new();
        for (name, config) in self.config.timetable.jobs() {
            let job = self.job_of(name, parts)?;
            of_config.extend(entry_of(name, job, config));
        }
        Ok(Jobs::new(of_config.into_iter().chain(beside)))
    }

    /// Has every job of the configuration run as a reload says, and the timetable look at once.
    pub(super) fn rescheduling(&self, jobs: &Jobs) -> impl Fn(&Config) + Send + Sync + 'static {
        let (store, hints, jobs) = (self.store.clone(), self.hints.clone(), jobs.clone());
        move |config| {
            for (name, config) in config.timetable.jobs() {
                let Some(job) = jobs.find(name).map(|entry| entry.job.clone()) else { continue };
                let Some(entry) = entry_of(name, job, config) else { continue };
                jobs.reschedule(entry, store.now());
            }
            hints.there_is_work(TIMETABLE);
        }
    }

    pub(super) fn timetable(&self, jobs: &Jobs) -> ChildSpec {
        let store = self.store.clone();
        let means = timetable::Means {
            store: self.store.clone(),
            office: self.offices.office(timetable::OFFICE),
            hints: self.hints.clone(),
            jobs: jobs.clone(),
            now: Arc::new(move || store.now()),
            poll_interval: self.config.work.poll_interval,
        };
        self.patient(TimetableKeeper::spec(TIMETABLE, means))
    }

    /// One child a job.
    pub(super) fn job_runners(&self, jobs: &Jobs) -> Vec<ChildSpec> {
        jobs.all().iter().map(|entry| self.job_runner(entry, jobs)).collect()
    }

    fn job_runner(&self, entry: &JobEntry, jobs: &Jobs) -> ChildSpec {
        let actor = actor_of(&entry.name);
        let Some(job) = entry.job.clone() else {
            return ChildSpec::disabled(actor, "not built yet");
        };
        let prefix = queue(&entry.name);
        let places = self.places(&prefix, |_| Bounds {
            per_queue: QueueLimit { in_flight_max: runner::IN_FLIGHT_MAX, rate_per_minute: 0 },
            total_max: runner::IN_FLIGHT_MAX as usize,
        });
        let means = runner::Means {
            actor: actor.to_owned(),
            name: entry.name.clone(),
            job,
            claimer: self.claimer(prefix, kind::JOB_RUN, places, RETRY),
            hints: self.hints.clone(),
            jobs: jobs.clone(),
            poll_interval: self.config.work.poll_interval,
            drain_timeout: self.config.work.drain_timeout,
        };
        self.patient(JobRunner::spec(means))
    }
}

/// A job as the configuration has it; none for a period without stable times, which was refused with its configuration.
fn entry_of(name: &str, job: Option<Arc<dyn Job>>, config: &JobConfig) -> Option<JobEntry> {
    Some(JobEntry {
        name: name.to_owned(),
        job,
        timetable: config.timetable().ok()?,
        enabled: config.enabled,
        overlap: config.overlap.into(),
        catch_up: config.catch_up.into(),
        catch_up_window: config.catch_up_window,
        jitter: config.jitter,
    })
}

/// What the actor of a job is called.
fn actor_of(job: &str) -> &str {
    match job {
        PAYMENT_UPDATE => "payment_poller",
        SYNC_UPDATE => "sync_batcher",
        other => other,
    }
}
