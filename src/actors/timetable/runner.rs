//! Works on the runs of one job, whoever began them.
//!
//! **Owns** the claims of runs in hand. **Fails** by ending when a run panicked, which is a bug; its supervisor starts it again,
//! and the run goes on as its next attempt, from where it last reported.
//! **Limits**: [`IN_FLIGHT_MAX`] runs of the job in this process; a run whose end is wanted is dropped after `drain_timeout`.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::watch;
use tracing::{Instrument as _, debug, error, field, info, info_span, warn};

use crate::actors::bank_attempt::{to_microseconds, write_down};
use crate::actors::hands::Hands;
use crate::domain::ids::JobRunId;
use crate::domain::job::{RunState, queue};
use crate::domain::work::Claim;
use crate::messages::jobs::{EndWanted, Job, JobContext, JobEnd, JobRunnerMessage, Jobs};
use crate::store::job_run::JobRun;
use crate::store::job_run_end::{AttemptChange, AttemptEnd};
use crate::supervision::{Actor, ActorError, Address, ChildSpec, Context, Shutdown};
use crate::telemetry;
use crate::work::ticker::Ticker;
use crate::work::{ClaimGuard, Claimer, Hints, Place};

/// Runs of one job at a time in one process; more than one only where they may overlap.
pub const IN_FLIGHT_MAX: u32 = 8;

/// What a job's runner works with; all of it outlives any one incarnation.
#[derive(Clone)]
pub struct Means {
    /// What the runner is called in the tree.
    pub actor: String,
    /// The job's name.
    pub name: String,
    pub job: Arc<dyn Job>,
    pub claimer: Claimer,
    pub hints: Hints,
    pub jobs: Jobs,
    pub poll_interval: Duration,
    pub drain_timeout: Duration,
}

/// The runner of one job.
pub struct JobRunner {
    means: Arc<Means>,
    hands: Hands<JobRunnerMessage>,
    stopping: watch::Sender<bool>,
    _ticker: Ticker,
}

impl JobRunner {
    /// The runner as a child of the workers.
    pub fn spec(means: Means) -> ChildSpec {
        let (actor, drain_timeout) = (means.actor.clone(), means.drain_timeout);
        let means = Arc::new(means);
        let (_, spec): (Address<JobRunnerMessage>, _) =
            ChildSpec::worker(actor, move |context: Context<JobRunnerMessage>| {
                let means = means.clone();
                async move {
                    let hint = means.hints.listen(&queue(&means.name));
                    // What waits from before this incarnation is looked for at once.
                    hint.notify_one();
                    let ticker =
                        Ticker::start(context.myself.clone(), means.poll_interval, Some(hint), || {
                            JobRunnerMessage::WorkAvailable
                        });
                    let claimer = means.claimer.clone();
                    let hands = Hands::new(claimer, context.myself, JobRunnerMessage::Claimed, || {
                        JobRunnerMessage::RunPanicked
                    });
                    Ok(Self { means, hands, stopping: watch::channel(false).0, _ticker: ticker })
                }
            });
        spec.shutdown(Shutdown::Timeout(drain_timeout))
    }

    fn run(&mut self, mut guard: ClaimGuard, place: Place) {
        let claim = guard.claim();
        let id = JobRunId(claim.id.0);
        // Whatever is logged within carries the execution id, which is the trace's id too.
        let span = info_span!(
            "job.run",
            "executionData.id" = %id,
            job = self.means.name,
            attempt = claim.attempt,
            end = field::Empty
        );
        guard.trace(&span);
        let attempt = Attempt { means: self.means.clone(), guard, stopping: self.stopping.subscribe() };
        self.hands.spawn(
            async move {
                attempt.make().await;
                drop(place);
            }
            .instrument(span),
        );
    }
}

/// An attempt at a run, about to be made.
struct Attempt {
    means: Arc<Means>,
    guard: ClaimGuard,
    stopping: watch::Receiver<bool>,
}

impl Attempt {
    async fn make(mut self) {
        let claim = self.guard.claim().clone();
        self.guard.begin();
        let store = &self.means.claimer.store;
        let begun = write_down(&self.means.claimer, &claim, |_| store.begin_run(&claim, store.now())).await;
        let change = match begun {
            Ok(None) => return debug!("run dropped: the row is not ours any more"),
            Ok(Some(None)) => AttemptChange::Moot,
            Ok(Some(Some(run))) if run.cancel_reason.is_some() => cancelled(),
            Ok(Some(Some(run))) => {
                self.means.jobs.changes.send_modify(|count| *count += 1);
                info!("{}", self.means.job.start_message());
                match self.work(run, &claim).await {
                    Some(change) => change,
                    None => return warn!("run dropped: the row is not ours any more"),
                }
            }
            // The guard puts the row back, with its attempt counted.
            Err(error) => return error!(%error, "run not begun"),
        };
        self.settle(claim, change).await;
    }

    /// Has the job do its work, until it has or its end is wanted. Nothing where the row is no longer ours.
    async fn work(&mut self, run: JobRun, claim: &Claim) -> Option<AttemptChange> {
        let (id, means) = (run.id, self.means.clone());
        let store = means.claimer.store.clone();
        let wanted: watch::Sender<Option<EndWanted>> = watch::channel(None).0;
        let context =
            JobContext::new(run, store.clone(), claim.clone(), wanted.clone(), means.jobs.changes.clone());
        let working = means.job.run(context);
        tokio::pin!(working);
        let why = tokio::select! {
            biased;
            () = means.claimer.lease.lost(claim.runner_id) => EndWanted::LostLease,
            end = &mut working => return after(end, *wanted.borrow()),
            why = self.end_wanted(id, &wanted) => why,
        };
        wanted.send_replace(Some(why));
        if why == EndWanted::LostLease {
            return None;
        }
        // What does not end by itself is dropped; a process that ends leaves the runner that long as a whole.
        let end = tokio::time::timeout(means.drain_timeout, working).await.ok();
        after(end.unwrap_or(JobEnd::Interrupted), Some(why))
    }

    /// Waits until somebody wants the run's end.
    async fn end_wanted(&mut self, id: JobRunId, wanted: &watch::Sender<Option<EndWanted>>) -> EndWanted {
        let mut changes = self.means.jobs.changes.subscribe();
        let mut told = wanted.subscribe();
        loop {
            tokio::select! {
                _ = self.stopping.wait_for(|stopping| *stopping) => return EndWanted::Stopping,
                // The job's own report has told it.
                why = told.wait_for(Option::is_some) => {
                    return why.ok().and_then(|why| *why).unwrap_or(EndWanted::Cancelled);
                }
                () = tokio::time::sleep(self.means.poll_interval) => {}
                _ = changes.changed() => {}
            }
            if let Ok(true) = self.means.claimer.store.run_is_to_end(id).await {
                return EndWanted::Cancelled;
            }
            // Reports of a busy job must not have the store asked each time.
            changes.mark_unchanged();
        }
    }

    /// Writes the end down, however long the store is away, for as long as the lease holds.
    async fn settle(self, claim: Claim, change: AttemptChange) {
        let Self { means, guard, .. } = self;
        let now = to_microseconds(means.claimer.store.now());
        let end = AttemptEnd { claim, job: means.name.clone(), change, now };
        let write = |may_be_committed: bool| {
            let (means, end) = (means.clone(), end.clone());
            async move {
                let was_held = means.claimer.store.end_attempt(&end).await?;
                if may_be_committed && !was_held {
                    return means.claimer.store.work_ended_by(&end.claim).await;
                }
                Ok(was_held)
            }
        };
        match write_down(&means.claimer, &end.claim, write).await {
            Ok(Some(true)) => {
                drop(guard.settled());
                tell(&end);
                // Whoever waited behind it may begin.
                means.hints.there_is_work(&queue(&means.name));
                means.jobs.changes.send_modify(|count| *count += 1);
            }
            Ok(_) => warn!("end of a run dropped: the row had moved on"),
            // The guard puts the row back, with its attempt counted.
            Err(error) => error!(%error, "end of a run cannot be written down"),
        }
    }
}

fn cancelled() -> AttemptChange {
    AttemptChange::Ended { state: RunState::Cancelled, error: None }
}

/// What an attempt's end comes to. Nothing where the row is no longer ours.
fn after(end: JobEnd, wanted: Option<EndWanted>) -> Option<AttemptChange> {
    let ended = |state, error| AttemptChange::Ended { state, error };
    Some(match (end, wanted) {
        (_, Some(EndWanted::LostLease)) => return None,
        (JobEnd::Completed, _) => ended(RunState::Completed, None),
        (JobEnd::Interrupted | JobEnd::Later { .. }, Some(EndWanted::Cancelled)) => cancelled(),
        // A job that ends early though nobody wanted it is asked again, as after a crash.
        (JobEnd::Interrupted, _) => AttemptChange::Interrupted,
        (JobEnd::Failed { error }, _) => ended(RunState::Failed, Some(error)),
        (JobEnd::RateLimited { error }, _) => ended(RunState::RateLimited, Some(error)),
        (JobEnd::Later { run_at, error }, _) => AttemptChange::Later { run_at, error },
    })
}

fn tell(end: &AttemptEnd) {
    let took_ms = (Utc::now() - end.claim.created_at).num_milliseconds();
    match &end.change {
        AttemptChange::Ended { state, error: None } => {
            info!(state = state.as_str(), took_ms, "run ended");
        }
        AttemptChange::Ended { state, error: Some(error) } => {
            telemetry::note_failure(state.as_str());
            warn!(state = state.as_str(), took_ms, error, "run ended");
        }
        AttemptChange::Later { run_at, error } => {
            telemetry::note_failure("attempt_failed");
            warn!(%run_at, error, "run goes on later");
        }
        AttemptChange::Interrupted => info!("run goes on elsewhere"),
        AttemptChange::Moot => debug!("nothing to run"),
    }
}

impl Actor for JobRunner {
    type Message = JobRunnerMessage;

    async fn handle(&mut self, message: JobRunnerMessage) -> Result<(), ActorError> {
        match message {
            JobRunnerMessage::WorkAvailable => self.hands.claim(),
            JobRunnerMessage::Claimed(claims) => {
                for (guard, place) in claims {
                    self.run(guard, place);
                }
                self.hands.claim();
            }
            JobRunnerMessage::RunPanicked => return Err(self.hands.after_a_panic().await),
        }
        Ok(())
    }

    async fn stopping(&mut self) {
        self.stopping.send_replace(true);
        self.hands.finish().await;
    }

    fn describe(message: &JobRunnerMessage) -> &'static str {
        match message {
            JobRunnerMessage::WorkAvailable => "WorkAvailable",
            JobRunnerMessage::Claimed(_) => "Claimed",
            JobRunnerMessage::RunPanicked => "RunPanicked",
        }
    }
}
