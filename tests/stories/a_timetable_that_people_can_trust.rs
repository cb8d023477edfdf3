//! A job runs by its timetable: what an outage swallowed is caught up with once, what somebody wants now begins now, and nobody has
//! to guess what became of a slot.
//!
//! Time is not waited for: an outage is a timetable that was last looked at some hours ago.

use std::sync::Arc;
use std::time::Duration;

use bursar::cli::house;
use bursar::domain::job::{Overlap, Progress};
use bursar::domain::timetable::{CatchUp, Reach, Timetable};
use bursar::messages::jobs::{Job, JobContext, JobEnd, JobEntry};
use bursar::proto::control::v1::{
    BackfillJobRequest, CancelJobRunRequest, GetJobRunRequest, GetScheduleRequest, JobRun, JobRunCause,
    JobRunState, ListJobRunsRequest, ListSchedulesRequest, PauseScheduleRequest, ResumeScheduleRequest,
    Schedule, SlotOutcome, TriggerJobRequest, WatchJobRunsRequest,
};
use bursar::store::Store;
use chrono::{NaiveTime, TimeDelta, Timelike as _, Utc};
use prost_types::Timestamp;
use tokio::sync::Semaphore;
use tonic::Code;

use crate::support::database::Kind;
use crate::support::house::{House, Opened, eventually};

const JOB: &str = "count_sheep";
/// Nobody does this one.
const UNDONE: &str = "shear_sheep";
const STEPS: i64 = 3;

/// Counts to three, a step for each permit.
struct Counting {
    permits: Arc<Semaphore>,
}

#[async_trait::async_trait]
impl Job for Counting {
    fn start_message(&self) -> &'static str {
        "Job countSheep started"
    }

    async fn run(&self, context: JobContext) -> JobEnd {
        for done in 1..=STEPS {
            tokio::select! {
                permit = self.permits.acquire() => permit.expect("an open semaphore").forget(),
                _ = context.end_wanted() => return JobEnd::Interrupted,
            }
            let progress = Progress { done, total: Some(STEPS), ..Progress::default() };
            if context.report(&progress).await.is_err() {
                return JobEnd::Interrupted;
            }
        }
        JobEnd::Completed
    }
}

/// A house that counts every hour; its timetable was last looked at so many hours ago.
async fn opens(kind: Kind, hours_ago: i64) -> (Opened, Arc<Semaphore>) {
    let surroundings = House::new().on(kind).without_account().prepare().await;
    let store = Store::open(&surroundings.database.config()).await.expect("a store");
    let then = store.now() - TimeDelta::hours(hours_ago);
    store.open_schedule(JOB, true, then).await.expect("a timetable");
    store.close().await.expect("closed");
    // With it goes its lock on an embedded database.
    drop(store);

    let permits = Arc::new(Semaphore::new(0));
    // Half an hour from any slot, so that none comes while the story is told.
    let minute = (then.minute() + 30) % 60;
    let anchor = NaiveTime::from_hms_opt(0, minute, 0).expect("a time");
    let timetable = Timetable::new(Duration::from_mins(60), anchor, chrono_tz::Europe::Warsaw, Reach::AllDay);
    let entry = JobEntry {
        name: JOB.to_owned(),
        job: Some(Arc::new(Counting { permits: permits.clone() })),
        timetable: timetable.expect("an hour divides the day"),
        enabled: true,
        overlap: Overlap::Skip,
        catch_up: CatchUp::Latest,
        catch_up_window: Duration::from_hours(24),
        jitter: Duration::ZERO,
    };
    let undone = JobEntry { name: UNDONE.to_owned(), job: None, ..entry.clone() };
    let opened = house::open_with(&surroundings.config(), vec![entry, undone]).await.expect("an open house");
    (surroundings.moved_in(opened).await, permits)
}

async fn runs(house: &Opened) -> Vec<JobRun> {
    let request = ListJobRunsRequest { job: JOB.to_owned(), ..ListJobRunsRequest::default() };
    house.operator().control.list_job_runs(request).await.expect("runs").into_inner().runs
}

async fn schedule(house: &Opened) -> Schedule {
    let request = GetScheduleRequest { job: "count-sheep".to_owned(), next_max: 50 };
    let answer = house.operator().control.get_schedule(request).await.expect("a schedule");
    answer.into_inner().schedule.expect("a schedule")
}

async fn waits_for(house: &Opened, what: &str, states: &[JobRunState]) -> Vec<JobRun> {
    eventually(what, async || {
        let found = runs(house).await;
        let stand: Vec<JobRunState> = found.iter().map(JobRun::state).collect();
        (stand == states).then_some(found)
    })
    .await
}

fn trigger() -> TriggerJobRequest {
    TriggerJobRequest {
        job: JOB.to_owned(),
        reason: "the shepherd asked".to_owned(),
        request_id: "r-1".to_owned(),
        ..TriggerJobRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_caught_up_with_once_and_every_slot_of_it_is_accounted_for() {
    let (house, permits) = opens(Kind::Sqlite, 5).await;
    permits.add_permits(STEPS as usize);
    let run = waits_for(&house, "the newest slot is run", &[JobRunState::Completed]).await.remove(0);
    assert_eq!((run.cause(), run.done, run.total), (JobRunCause::CatchUp, STEPS, Some(STEPS)));
    assert_eq!(run.trace_id, run.id.replace('-', ""));

    let schedule = schedule(&house).await;
    let outcomes: Vec<SlotOutcome> = schedule.past.iter().map(|slot| slot.outcome()).collect();
    assert_eq!(outcomes[0], SlotOutcome::Run);
    assert!(outcomes.len() >= 5 && outcomes[1..].iter().all(|outcome| *outcome == SlotOutcome::Missed));
    assert_eq!(schedule.past[0].run_id, run.id);
    assert_eq!((schedule.next.len(), schedule.time_zone.as_str()), (50, "Europe/Warsaw"));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wanted_now_begins_now_and_is_followed_to_its_end() {
    let (house, permits) = opens(Kind::PostgreSql, 0).await;
    let mut control = house.operator().control;
    let begun = control.trigger_job(trigger()).await.expect("begun").into_inner().run.expect("a run");
    assert_eq!((begun.cause(), begun.reason.as_str()), (JobRunCause::Manual, "the shepherd asked"));
    let again = control.trigger_job(trigger()).await.expect("the same request").into_inner();
    assert_eq!(again.run.expect("a run").id, begun.id, "asked again, it is the same run");
    let other = TriggerJobRequest { allow_overlap: true, ..trigger() };
    let refused = control.trigger_job(other).await.expect_err("the name is taken");
    assert_eq!(refused.code(), Code::AlreadyExists);
    let other = TriggerJobRequest { request_id: String::new(), ..trigger() };
    let refused = control.trigger_job(other).await.expect_err("one runs already");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains(&begun.id), "{refused:?}");

    let request = WatchJobRunsRequest { id: begun.id.clone() };
    let mut watch = control.watch_job_runs(request).await.expect("a watch").into_inner();
    permits.add_permits(STEPS as usize);
    let mut done = Vec::new();
    while let Some(answer) = watch.message().await.expect("a whole stream") {
        done.push(answer.run.expect("a run"));
    }
    assert!(done.is_sorted_by_key(|run| (run.done, run.version)));
    let end = done.last().expect("an end");
    assert_eq!((end.state(), end.done, end.attempt), (JobRunState::Completed, STEPS, 1));
    let answer = control.get_job_run(GetJobRunRequest { id: begun.id }).await.expect("a run").into_inner();
    assert_eq!(answer.work.expect("its work").kind, "job.run");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_nobody_wants_any_more_is_ended_and_a_slot_passed_over_is_run_later() {
    let (house, permits) = opens(Kind::Sqlite, 4).await;
    let mut control = house.operator().control;
    let run = waits_for(&house, "the newest slot is run", &[JobRunState::Running]).await.remove(0);
    let cancel = CancelJobRunRequest { id: run.id.clone(), reason: "too early".to_owned() };
    control.cancel_job_run(cancel.clone()).await.expect("asked");
    let ended = waits_for(&house, "it ends", &[JobRunState::Cancelled]).await.remove(0);
    assert_eq!(ended.cancel_reason, "too early");
    let again = control.cancel_job_run(cancel).await.expect_err("it has ended");
    assert_eq!(again.code(), Code::FailedPrecondition);

    let now = Utc::now().timestamp();
    let moment = |hours: i64| Some(Timestamp { seconds: now - hours * 3_600, nanos: 0 });
    let ask = BackfillJobRequest {
        job: JOB.to_owned(),
        after: moment(4),
        until: moment(0),
        dry_run: true,
        reason: "they were missed".to_owned(),
        request_id: "r-2".to_owned(),
    };
    let counted = control.backfill_job(ask.clone()).await.expect("counted").into_inner();
    assert_eq!((counted.slots, counted.run_before, counted.runs), (4, 1, 3));
    assert_eq!(runs(&house).await.len(), 1, "counting runs nothing");
    let in_earnest = BackfillJobRequest { dry_run: false, ..ask.clone() };
    let made = control.backfill_job(in_earnest.clone()).await.expect("made").into_inner();
    assert_eq!((made.run_ids.len(), made.run_before), (3, 1));
    let again = control.backfill_job(in_earnest).await.expect("the same request").into_inner();
    assert_eq!(again, made, "asked again, it is the same answer");
    permits.add_permits(3 * STEPS as usize);
    let mut expected = vec![JobRunState::Completed; 3];
    expected.push(JobRunState::Cancelled);
    let filled = waits_for(&house, "three in line", &expected).await;
    let mut began: Vec<_> =
        filled[..3].iter().map(|run| run.start_time.expect("begun").to_string()).collect();
    began.reverse();
    assert!(began.is_sorted(), "one after the other, oldest first");
    let counted = control.backfill_job(ask).await.expect("counted").into_inner();
    assert_eq!((counted.run_before, counted.runs), (4, 0));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_timetable_says_why_and_a_job_that_nobody_does_says_so() {
    let (house, permits) = opens(Kind::Sqlite, 0).await;
    let mut control = house.operator().control;
    let pause = |reason: &str| PauseScheduleRequest { job: JOB.to_owned(), reason: reason.to_owned() };
    let unsaid = control.pause_schedule(pause("")).await.expect_err("without a reason");
    assert_eq!(unsaid.code(), Code::InvalidArgument);
    control.pause_schedule(pause("the bank moves house")).await.expect("paused");
    assert_eq!(schedule(&house).await.pause.expect("a pause").reason, "the bank moves house");
    // Somebody may want a run all the same.
    permits.add_permits(STEPS as usize);
    control.trigger_job(trigger()).await.expect("begun");
    waits_for(&house, "the run by hand", &[JobRunState::Completed]).await;
    let resume = ResumeScheduleRequest { job: JOB.to_owned(), ..Default::default() };
    assert!(control.resume_schedule(resume.clone()).await.expect("resumed").into_inner().was_paused);
    assert!(!control.resume_schedule(resume).await.expect("an answer").into_inner().was_paused);

    let all = control.list_schedules(ListSchedulesRequest { next_max: 0 }).await.expect("schedules");
    let all = all.into_inner().schedules;
    let names: Vec<&str> = all.iter().map(|one| one.job.as_str()).collect();
    assert_eq!(names, [JOB, "payment_update", UNDONE, "sync_update"]);
    let stand = |name: &str| all.iter().find(|one| one.job == name).map(|one| (one.enabled, one.is_done));
    assert_eq!((stand(JOB), stand(UNDONE)), (Some((true, true)), Some((false, false))));
    let unbuilt = TriggerJobRequest { job: UNDONE.to_owned(), ..trigger() };
    let refused = control.trigger_job(unbuilt).await.expect_err("nobody does it");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let unknown = TriggerJobRequest { job: "dip_sheep".to_owned(), ..trigger() };
    assert_eq!(control.trigger_job(unknown).await.expect_err("no such job").code(), Code::NotFound);
    house.close().await;
}
