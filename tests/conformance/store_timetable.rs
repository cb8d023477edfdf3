//! What both databases must do with timetables: a slot is run once however many look, a pause and an outage are told from each
//! other, runs wait for each other as they should, and a run that was cut off is the same run.
//!
//! The clock is the test's own: nothing is waited for.

mod moved;
mod wishes;

use std::sync::Arc;
use std::time::Duration;

use bursar::actors::timetable::Means;
use bursar::actors::timetable::look::look;
use bursar::config::Config;
use bursar::domain::ids::{JobRunId, RunnerId, WorkId};
use bursar::domain::job::{Cause, NewRun, Overlap, PlannedSlot, Progress, RunState, SlotOutcome, queue};
use bursar::domain::timetable::{CatchUp, Fire, Reach, Timetable};
use bursar::domain::work::{Claim, kind};
use bursar::messages::Jobs;
use bursar::messages::jobs::{Job, JobContext, JobEnd, JobEntry};
use bursar::store::Store;
use bursar::store::job_run::{JobRun, Reported, RunFilter};
use bursar::store::job_run_end::{AttemptChange, AttemptEnd, CancelRun};
use bursar::store::job_run_wish::{Trigger, Triggered};
use bursar::store::request_key::RequestKey;
use bursar::store::runner::RunnerBeat;
use bursar::store::schedule_decide::SlotDecision;
use bursar::store::work::{ClaimRequest, PutBack, end_of_prefix};
use bursar::work::leader::Offices;
use bursar::work::{Hints, Lease};
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::on_both_databases;
use crate::support::database::{Kind, TestDatabase};
use crate::support::drafts::{now, runner};

on_both_databases!(
    a_slot_is_run_once_however_many_look_at_it,
    the_overlap_is_as_it_is_configured,
    an_outage_is_caught_up_with_as_it_is_configured,
    what_comes_during_a_pause_is_not_run_and_not_caught_up_with,
    a_timetable_that_is_turned_on_begins_then,
    a_backfill_runs_what_was_passed_over_and_nothing_twice,
    a_run_by_hand_is_refused_while_another_lives,
    runs_in_line_are_called_one_by_one,
    a_run_that_was_cut_off_is_the_same_run,
    a_run_is_cancelled_wherever_it_stands,
    a_run_whose_work_has_gone_is_ended,
);

const JOB: &str = "count_to_three";
const EVERY: Duration = Duration::from_mins(60);

/// Nobody runs it here: the tests claim its runs themselves.
struct Nothing;

#[async_trait::async_trait]
impl Job for Nothing {
    fn start_message(&self) -> &'static str {
        "Job nothing started"
    }

    async fn run(&self, _context: JobContext) -> JobEnd {
        JobEnd::Completed
    }
}

fn entry(overlap: Overlap, catch_up: CatchUp) -> JobEntry {
    let timetable = Timetable::new(EVERY, NaiveTime::MIN, chrono_tz::Europe::Warsaw, Reach::AllDay);
    JobEntry {
        name: JOB.to_owned(),
        job: Some(Arc::new(Nothing)),
        timetable: timetable.expect("an hour divides the day"),
        enabled: true,
        overlap,
        catch_up,
        catch_up_window: EVERY * 12,
        jitter: Duration::ZERO,
    }
}

/// Somebody who looks at the timetable, at a time of the test's own.
fn keeper(store: &Store, entry: &JobEntry, at: DateTime<Utc>) -> Means {
    let config = Config::default();
    Means {
        store: store.clone(),
        office: Offices::new(Lease::new(&config.work)).office("timetable"),
        hints: Hints::default(),
        jobs: Jobs::new([entry.clone()]),
        now: Arc::new(move || at),
        poll_interval: Duration::from_secs(1),
    }
}

/// Half past some hour.
fn begin() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2027-03-01T08:30:00Z").expect("a time").to_utc()
}

fn hours(hours: i64) -> DateTime<Utc> {
    begin() + TimeDelta::hours(hours)
}

async fn looks(store: &Store, entry: &JobEntry, at: DateTime<Utc>) {
    look(&keeper(store, entry, at)).await.expect("a look");
}

/// The outcomes of all slots, oldest first.
async fn outcomes(store: &Store) -> Vec<SlotOutcome> {
    let mut slots = store.decided_slots(JOB, 1_000).await.expect("slots");
    slots.reverse();
    slots.into_iter().map(|slot| slot.outcome).collect()
}

/// Every run, oldest first.
async fn runs(store: &Store) -> Vec<JobRun> {
    let mut runs = store.job_runs(&RunFilter::default(), None, 1_000).await.expect("runs");
    runs.reverse();
    runs
}

async fn states(store: &Store) -> Vec<RunState> {
    runs(store).await.into_iter().map(|run| run.state).collect()
}

async fn claims(store: &Store, runner_id: RunnerId) -> Vec<Claim> {
    let request = ClaimRequest {
        runner_id,
        kind: kind::JOB_RUN,
        queue_from: queue(JOB),
        queue_until: end_of_prefix(&queue(JOB)),
        free_per_queue: 100,
        busy: vec![],
        tenants_full: vec![],
        limit: 100,
    };
    store.claim(&request).await.expect("a claim")
}

async fn one_claim(store: &Store, runner_id: RunnerId) -> Claim {
    let mut claims = claims(store, runner_id).await;
    assert_eq!(claims.len(), 1);
    claims.remove(0)
}

async fn ends(store: &Store, claim: &Claim, state: RunState) -> bool {
    let change = AttemptChange::Ended { state, error: None };
    let end = AttemptEnd { claim: claim.clone(), job: JOB.to_owned(), change, now: now() };
    store.end_attempt(&end).await.expect("an answer")
}

fn new_run(cause: Cause) -> NewRun {
    NewRun { id: JobRunId(Uuid::now_v7()), seed: 7, run_at: now(), cause, arguments: None }
}

async fn triggers(store: &Store, overlap: Overlap) -> Triggered {
    wishes(store, overlap, None).await
}

async fn wishes(store: &Store, overlap: Overlap, request: Option<&RequestKey>) -> Triggered {
    let run = new_run(Cause::Manual);
    let trigger = Trigger { job: JOB, run: &run, overlap, reason: "for the test", request, now: now() };
    store.trigger_job(&trigger).await.expect("an answer")
}

async fn a_slot_is_run_once_however_many_look_at_it(kind: Kind) {
    const SLOTS: i64 = 12;
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let mut stores = vec![store.clone()];
    for _ in 1..3 {
        // SQLite has one process; its timetables are of different incarnations.
        stores.push(if kind == Kind::PostgreSql { database.open().await } else { store.clone() });
    }
    let entry = entry(Overlap::Allow, CatchUp::All);
    looks(&store, &entry, begin()).await;
    for hour in 1..=SLOTS {
        let mut looking = JoinSet::new();
        for store in &stores {
            let means = keeper(store, &entry, hours(hour));
            looking.spawn(async move { look(&means).await.expect("a look") });
        }
        looking.join_all().await;
    }
    assert_eq!(outcomes(&store).await, vec![SlotOutcome::Run; 12]);
    let runs = runs(&store).await;
    let mut at: Vec<DateTime<Utc>> = runs.iter().filter_map(|run| Some(run.fire?.at)).collect();
    at.dedup();
    assert_eq!((runs.len(), at.len()), (12, 12));
    let runner = runner(&store).await;
    let mut work: Vec<WorkId> = claims(&store, runner).await.iter().map(|claim| claim.id).collect();
    work.sort();
    assert_eq!(work, runs.iter().map(|run| WorkId(run.id.0)).collect::<Vec<_>>(), "one row of work each");
    assert!(runs.iter().all(|run| run.traceparent.contains(&run.id.0.simple().to_string())));
}

async fn the_overlap_is_as_it_is_configured(kind: Kind) {
    use RunState::{Queued, Waiting};
    for (overlap, expected, skipped) in [
        (Overlap::Skip, vec![Queued], 2),
        (Overlap::QueueOne, vec![Queued, Waiting], 1),
        (Overlap::Allow, vec![Queued, Queued, Queued], 0),
    ] {
        let database = TestDatabase::furnished(kind).await;
        let store = database.open().await;
        let entry = entry(overlap, CatchUp::Latest);
        for hour in 0..=3 {
            looks(&store, &entry, hours(hour) - TimeDelta::minutes(29)).await;
        }
        assert_eq!(states(&store).await, expected, "{overlap:?}");
        let outcomes = outcomes(&store).await;
        let passed_over = outcomes.iter().filter(|one| **one == SlotOutcome::SkippedOverlap).count();
        assert_eq!((outcomes.len(), passed_over), (3, skipped), "{overlap:?}");
    }
}

async fn an_outage_is_caught_up_with_as_it_is_configured(kind: Kind) {
    use SlotOutcome::{Missed, Run};
    let all_run = [vec![Missed; 8], vec![Run; 12]].concat();
    let latest_run = [vec![Missed; 19], vec![Run]].concat();
    for (catch_up, expected) in
        [(CatchUp::None, vec![Missed; 20]), (CatchUp::Latest, latest_run), (CatchUp::All, all_run)]
    {
        let database = TestDatabase::furnished(kind).await;
        let store = database.open().await;
        let entry = entry(Overlap::Skip, catch_up);
        looks(&store, &entry, begin()).await;
        looks(&store, &entry, hours(20)).await;
        assert_eq!(outcomes(&store).await, expected, "{catch_up:?}");
        let runs = runs(&store).await;
        assert!(runs.iter().all(|run| run.cause == Cause::CatchUp), "{catch_up:?}");
        let working = runs.iter().filter(|run| run.state == RunState::Queued).count();
        assert_eq!(working, usize::from(!runs.is_empty()), "{catch_up:?}: the others wait in line");
        looks(&store, &entry, hours(20)).await;
        assert_eq!(outcomes(&store).await.len(), 20, "and nothing is decided twice");
    }
}

async fn what_comes_during_a_pause_is_not_run_and_not_caught_up_with(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let entry = entry(Overlap::Skip, CatchUp::All);
    looks(&store, &entry, begin()).await;
    store.pause_schedule(JOB, "the bank's holiday", hours(0)).await.expect("paused");
    let pause = store.pause_schedule(JOB, "the bank's week", hours(1)).await.expect("paused");
    assert_eq!((pause.reason.as_str(), pause.paused_at), ("the bank's week", hours(0)));
    looks(&store, &entry, hours(2)).await;
    assert_eq!(outcomes(&store).await, vec![SlotOutcome::SkippedPaused; 2]);
    // Nobody looks for some hours, and then it is taken up again.
    assert!(store.resume_schedule(JOB, "", hours(5)).await.expect("resumed"));
    assert!(!store.resume_schedule(JOB, "", hours(5)).await.expect("it was not paused"));
    looks(&store, &entry, hours(5)).await;
    assert!(states(&store).await.is_empty());
    looks(&store, &entry, hours(6)).await;
    assert_eq!(states(&store).await, [RunState::Queued]);
}

async fn a_timetable_that_is_turned_on_begins_then(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let on = entry(Overlap::Skip, CatchUp::All);
    let off = JobEntry { enabled: false, ..on.clone() };
    looks(&store, &off, begin()).await;
    looks(&store, &off, hours(10)).await;
    looks(&store, &on, hours(20)).await;
    assert!(outcomes(&store).await.is_empty(), "what came before is nobody's");
    looks(&store, &on, hours(21)).await;
    assert_eq!(outcomes(&store).await, [SlotOutcome::Run]);
}

fn planned(entry: &JobEntry, until: DateTime<Utc>) -> Vec<PlannedSlot> {
    let plan = |fire: Fire| PlannedSlot { fire, run: Some(new_run(Cause::Backfill)) };
    entry.timetable.between(begin(), until).map(plan).collect()
}

async fn a_backfill_runs_what_was_passed_over_and_nothing_twice(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let entry = entry(Overlap::Skip, CatchUp::Latest);
    looks(&store, &entry, begin()).await;
    // Four are missed, the fifth is run.
    looks(&store, &entry, hours(5)).await;
    let backfill = |until| SlotDecision {
        job: JOB.to_owned(),
        looked_until: None,
        slots: planned(&entry, until),
        overlap: entry.overlap,
        now: hours(5),
    };
    let decided = store.decide_slots(&backfill(hours(3))).await.expect("decided");
    assert_eq!(decided.run.len(), 3);
    let decided = store.decide_slots(&backfill(hours(5))).await.expect("decided");
    assert_eq!(decided.run.len(), 1, "three were run by the first, and one by the timetable");
    let mut expected = vec![RunState::Waiting; 5];
    expected[0] = RunState::Queued;
    assert_eq!(states(&store).await, expected, "and they wait in line");
    assert_eq!(outcomes(&store).await, vec![SlotOutcome::Run; 5]);
}

async fn a_run_by_hand_is_refused_while_another_lives(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let runner = runner(&store).await;
    assert_eq!(triggers(&store, Overlap::Skip).await, Triggered::Begun);
    let first = runs(&store).await.remove(0);
    assert_eq!((first.cause, first.reason.as_deref()), (Cause::Manual, Some("for the test")));
    assert_eq!(triggers(&store, Overlap::Skip).await, Triggered::Overlaps(first.id));
    assert_eq!(triggers(&store, Overlap::Allow).await, Triggered::Begun);
    for claim in claims(&store, runner).await {
        assert!(ends(&store, &claim, RunState::Completed).await);
    }
    assert_eq!(triggers(&store, Overlap::Skip).await, Triggered::Begun);
}

async fn runs_in_line_are_called_one_by_one(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let runner = runner(&store).await;
    let entry = entry(Overlap::Skip, CatchUp::All);
    looks(&store, &entry, begin()).await;
    looks(&store, &entry, hours(4)).await;
    let mut in_order = Vec::new();
    for _ in 0..4 {
        let claim = one_claim(&store, runner).await;
        let run = store.begin_run(&claim, now()).await.expect("an answer").expect("a run");
        assert_eq!((run.state, run.attempt), (RunState::Running, 1));
        in_order.push(run.fire.expect("a slot").at);
        assert!(ends(&store, &claim, RunState::RateLimited).await);
    }
    assert!(in_order.is_sorted() && claims(&store, runner).await.is_empty());
    assert_eq!(states(&store).await, vec![RunState::RateLimited; 4]);
}

async fn a_run_that_was_cut_off_is_the_same_run(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let first = runner(&store).await;
    assert_eq!(triggers(&store, Overlap::Skip).await, Triggered::Begun);
    let lost = one_claim(&store, first).await;
    let begun = store.begin_run(&lost, now()).await.expect("an answer").expect("a run");
    let progress = Progress {
        done: 2,
        total: Some(3),
        counts: [("steps".to_owned(), 2)].into(),
        note: Some("the second".to_owned()),
        position: Some("2".to_owned()),
    };
    assert_eq!(store.report_run(&lost, &progress).await.expect("an answer"), Reported::GoOn);

    store.bury_runner(&RunnerBeat { id: first, beat: 0 }, now()).await.expect("an answer");
    let second = runner(&store).await;
    let claim = one_claim(&store, second).await;
    assert_eq!((claim.id, claim.attempt), (lost.id, 2));
    let again = store.begin_run(&claim, now()).await.expect("an answer").expect("the same run");
    assert_eq!((again.id, again.seed, again.attempt), (begun.id, begun.seed, 2));
    assert_eq!((again.progress, again.started_at), (progress.clone(), begun.started_at));

    assert_eq!(store.report_run(&lost, &progress).await.expect("an answer"), Reported::LostLease);
    assert!(!ends(&store, &lost, RunState::Failed).await, "who was thought dead changes nothing");
    let later = AttemptChange::Later { run_at: now(), error: "later".to_owned() };
    let end = AttemptEnd { claim, job: JOB.to_owned(), change: later, now: now() };
    assert!(store.end_attempt(&end).await.expect("an answer"));
    assert_eq!(states(&store).await, [RunState::Queued]);
    store.promote_due(now()).await.expect("an answer");
    let claim = one_claim(&store, second).await;
    assert!(ends(&store, &claim, RunState::Completed).await);
    assert!(store.begin_run(&claim, now()).await.expect("an answer").is_none());
}

async fn a_run_is_cancelled_wherever_it_stands(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let runner = runner(&store).await;
    let entry = entry(Overlap::Skip, CatchUp::All);
    looks(&store, &entry, begin()).await;
    looks(&store, &entry, hours(4)).await;
    let ids: Vec<JobRunId> = runs(&store).await.iter().map(|run| run.id).collect();
    let cancels = async |id| store.cancel_run(id, "not today", now()).await.expect("an answer");
    assert_eq!(cancels(ids[1]).await, CancelRun::Ended, "one in line");
    assert_eq!(cancels(ids[0]).await, CancelRun::Ended, "one that nobody has in hand");
    assert_eq!(cancels(ids[0]).await, CancelRun::HasEnded(RunState::Cancelled));
    assert_eq!(cancels(JobRunId(Uuid::now_v7())).await, CancelRun::NotFound);

    let claim = one_claim(&store, runner).await;
    assert_eq!(claim.id, WorkId(ids[2].0), "the next in line was called");
    store.begin_run(&claim, now()).await.expect("an answer").expect("a run");
    assert_eq!(cancels(ids[2]).await, CancelRun::Asked);
    assert!(store.run_is_to_end(ids[2]).await.expect("an answer"));
    let reported = store.report_run(&claim, &Progress::default()).await.expect("an answer");
    assert_eq!(reported, Reported::EndWanted);
    assert!(ends(&store, &claim, RunState::Cancelled).await);
    let run = store.job_run(ids[2]).await.expect("an answer").expect("a run");
    assert_eq!(run.cancel_reason.as_deref(), Some("not today"));
    assert_eq!(states(&store).await, [vec![RunState::Cancelled; 3], vec![RunState::Queued]].concat());
}

async fn a_run_whose_work_has_gone_is_ended(kind: Kind) {
    let database = TestDatabase::furnished(kind).await;
    let store = database.open().await;
    let runner = runner(&store).await;
    let entry = entry(Overlap::Skip, CatchUp::All);
    looks(&store, &entry, begin()).await;
    looks(&store, &entry, hours(3)).await;
    let runs = runs(&store).await;
    // Somebody cancels the work of the first, not knowing of runs.
    store.cancel_work(WorkId(runs[0].id.0), "by mistake", now()).await.expect("an answer");
    assert_eq!(store.mend_runs(now()).await.expect("mended"), [JOB]);
    // The second is given up for dead, as after its last attempt.
    let claim = one_claim(&store, runner).await;
    assert_eq!(claim.id, WorkId(runs[1].id.0));
    let back = PutBack {
        id: claim.id,
        runner_id: claim.runner_id,
        fence: claim.fence,
        span: claim.span.clone(),
        state: bursar::domain::work::WorkState::Available,
        run_at: now(),
        error: None,
        attempt_counts: false,
        nothing_was_sent: false,
    };
    store.put_back_alone(&[back]).await.expect("an answer");
    assert!(store.mend_runs(now()).await.expect("an answer").is_empty(), "what waits is left alone");
    let claim = one_claim(&store, runner).await;
    let state = bursar::domain::work::WorkState::Discarded;
    let ending = bursar::store::work::Ending::of(&claim, state, Some("it crashed us".to_owned()));
    store.end_alone(&[ending], now()).await.expect("an answer");
    assert_eq!(store.mend_runs(now()).await.expect("mended"), [JOB]);
    assert!(store.mend_runs(now()).await.expect("an answer").is_empty());
    assert_eq!(states(&store).await, [RunState::Cancelled, RunState::Failed, RunState::Queued]);
    let failed = store.job_run(runs[1].id).await.expect("an answer").expect("a run");
    assert_eq!(failed.error.as_deref(), Some("it crashed us"));
}
