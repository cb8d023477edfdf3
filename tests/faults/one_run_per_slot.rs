//! Each slot of a timetable is run once, whatever dies: at every boundary between a slot's coming and its run's end, and in the
//! middle of a run. A run that was cut off goes on elsewhere as the same run, from where it last reported.
//!
//! The job is the program's own rehearsal: it writes each of its steps into a file, which is the outside.

use std::collections::{BTreeMap, BTreeSet};

use bursar::proto::control::v1::control_service_client::ControlServiceClient;
use bursar::proto::control::v1::{
    GetInfoRequest, GetJobRunRequest, GetScheduleRequest, JobRun, JobRunState, ListJobRunsRequest, Slot,
    SlotOutcome, TriggerJobRequest,
};
use bursar::store::{Store, StoreConfig};
use chrono::TimeDelta;
use tonic::transport::Channel;

use crate::boundaries::{self, Boundary, Day, days};
use crate::database::Kind;
use crate::process::{PATIENCE, eventually};
use crate::stage::{House, Stage};

const JOB: &str = "rehearsal";
const STEPS: usize = 3;
/// By which the replaced scheduler was told to leave payments alone.
const OLD_VARIABLE: &str = "SchedulerServiceStartupConfig__Jobs__DailyJobs__paymentUpdate__disabled";
/// Minutes for which nobody has looked, and so slots that have come.
const MISSED: i64 = 4;
/// Those that are late. What comes in time, the newest and whatever comes during a play, may be passed over behind them.
const LATE: usize = 3;

/// What every play must come by.
const NEEDED: [&str; 7] = [
    "timetable.slot.after",
    "timetable.decide.before",
    "timetable.decide.after",
    "job_run.begin.after",
    "job_run.report.after",
    "job_run.end.before",
    "job_run.end.after",
];

/// Some slots have come, and each is run.
#[derive(Clone, Copy, Debug)]
struct Slots;

fn rehearsal(stage: &Stage) -> (&'static str, String) {
    ("BURSAR_REHEARSAL", format!("{}:{STEPS}", stage.file("steps").display()))
}

/// The timetable was last looked at some minutes ago.
async fn miss(stage: &Stage) {
    let url = stage.database_url.clone();
    let store =
        Store::open(&StoreConfig { url, connections_max: 2, timeout: PATIENCE }).await.expect("a store");
    let then = store.now() - TimeDelta::minutes(MISSED);
    store.open_schedule(JOB, true, then).await.expect("a timetable");
    store.close().await.expect("closed");
}

async fn control(house: &House) -> Option<ControlServiceClient<Channel>> {
    Some(ControlServiceClient::new(house.channel().await?))
}

async fn runs(house: &House) -> Option<Vec<JobRun>> {
    let request = ListJobRunsRequest { job: JOB.to_owned(), page_size: 100, ..Default::default() };
    Some(control(house).await?.list_job_runs(request).await.ok()?.into_inner().runs)
}

/// Waits until every slot that came has been run to its end.
async fn all_run(house: &House) -> Vec<JobRun> {
    eventually("the end of every run", async || {
        let runs = runs(house).await?;
        let ended = runs.iter().all(|run| run.state() == JobRunState::Completed);
        (ended && runs.len() >= LATE).then_some(runs)
    })
    .await
}

/// Which attempts did which step of which run.
fn steps(stage: &Stage) -> BTreeMap<String, Vec<(i64, usize)>> {
    let text = std::fs::read_to_string(stage.file("steps")).unwrap_or_default();
    let mut steps: BTreeMap<String, Vec<(i64, usize)>> = BTreeMap::new();
    for line in text.lines() {
        let parts: Vec<&str> = line.split(' ').collect();
        let [run, attempt, step] = parts.as_slice() else { panic!("a torn line: {line}") };
        let did = (attempt.parse().expect("an attempt"), step.parse().expect("a step"));
        steps.entry((*run).to_owned()).or_default().push(did);
    }
    steps
}

/// Waits until every slot that came has had all its steps; of their runs the last may still be ending.
async fn all_stepped(stage: &Stage) {
    eventually("every step of every run", async || {
        let steps = steps(stage);
        let all = steps.values().all(|did| did.iter().any(|(_, step)| *step + 1 == STEPS));
        (all && steps.len() >= LATE).then_some(())
    })
    .await;
}

/// The slots that have come.
async fn slots(control: &mut ControlServiceClient<Channel>) -> Vec<Slot> {
    let request = GetScheduleRequest { job: JOB.to_owned(), next_max: 100 };
    let schedule = control.get_schedule(request).await.expect("a schedule").into_inner().schedule;
    schedule.expect("a schedule").past
}

fn run_of(slots: &[Slot]) -> BTreeSet<&str> {
    let run = slots.iter().filter(|slot| slot.outcome() == SlotOutcome::Run);
    run.map(|slot| slot.run_id.as_str()).collect()
}

/// Every slot has one run, every run did all its steps, and no more was done twice than a crash may cost.
async fn judge(stage: &Stage, house: &House, crashes: usize) {
    let mut control = control(house).await.expect("a house that listens");
    // The next slot may come at any of these looks: what came before the runs were listed has its run, and none has another.
    let before = slots(&mut control).await;
    let runs = all_run(house).await;
    let after = slots(&mut control).await;
    let ids: BTreeSet<&str> = runs.iter().map(|run| run.id.as_str()).collect();
    assert!(
        run_of(&before).is_subset(&ids) && ids.is_subset(&run_of(&after)),
        "{before:?} {ids:?} {after:?}"
    );
    let at: BTreeSet<(&str, i32)> = after.iter().map(|slot| (slot.local_date.as_str(), slot.place)).collect();
    assert_eq!(at.len(), after.len());

    let mut steps = steps(stage);
    steps.retain(|run, _| ids.contains(run.as_str()));
    assert_eq!(steps.keys().map(String::as_str).collect::<BTreeSet<_>>(), ids);
    for (run, did) in &steps {
        let done: BTreeSet<usize> = did.iter().map(|(_, step)| *step).collect();
        assert_eq!(done, (0..STEPS).collect(), "{run}");
        assert!(did.is_sorted_by_key(|(attempt, _)| *attempt), "{run}: {did:?}");
        // An attempt goes on where the one before has reported, so it repeats the step that was under way and no other.
        let attempts: BTreeSet<i64> = did.iter().map(|(attempt, _)| *attempt).collect();
        assert!(did.len() - STEPS < attempts.len(), "{run}: {did:?}");
        assert!(crashes > 0 || attempts.len() == 1, "{run}: {did:?}");
    }
}

impl Day for Slots {
    async fn rehearse(self, kind: Kind) -> Vec<Boundary> {
        let stage = Stage::open(kind).await;
        miss(&stage).await;
        let house = stage.house_with(&[], &[rehearsal(&stage), boundaries::logged(&stage)]).await;
        assert!(house.opened().await, "{}", house.program.said());
        judge(&stage, &house, 0).await;
        let points = boundaries::reached(&stage);
        house.close().await;
        stage.close().await;
        boundaries::enumerate(&points, 0, |point| NEEDED.contains(&point))
    }

    async fn crash(self, kind: Kind, boundary: &Boundary) -> bool {
        let stage = Stage::open(kind).await;
        miss(&stage).await;
        let mut house = stage.house_with(&[], &[rehearsal(&stage), boundaries::armed(boundary)]).await;
        let mut status = None;
        tokio::select! {
            ended = house.program.ended() => status = Some(ended),
            () = all_stepped(&stage) => {}
        }
        if status.is_none() {
            house.program.signal("TERM");
            status = Some(house.program.ended().await);
        }
        let has_crashed = status.is_some_and(boundaries::has_aborted);
        let house = stage.house_with(&[], &[rehearsal(&stage)]).await;
        assert!(house.opened().await, "{}", house.program.said());
        judge(&stage, &house, usize::from(has_crashed)).await;
        house.close().await;
        stage.close().await;
        has_crashed
    }

    fn judge(self, boundaries: &[Boundary], missed: &[&Boundary]) {
        for needed in NEEDED {
            assert!(boundaries.iter().any(|(point, _)| point == needed), "{needed} was not reached");
        }
        // Which of two comes last varies; one in five may be missed, and no first one.
        assert!(missed.len() * 5 <= boundaries.len(), "{missed:?} of {boundaries:?}");
        assert!(missed.iter().all(|(_, time)| *time > 1), "{missed:?}");
    }
}

days! {
    a_crash_at_any_boundary_costs_no_slot_and_doubles_none: super::Slots,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_process_is_killed_goes_on_in_the_other_as_the_same_run() {
    let stage = Stage::open(Kind::PostgreSql).await;
    let hold = stage.file("steps.hold");
    std::fs::write(&hold, "").expect("a file");
    let mut houses = Vec::new();
    for _ in 0..2 {
        let house = stage.house_with(&[], &[rehearsal(&stage), (OLD_VARIABLE, "true".to_owned())]).await;
        assert!(house.opened().await, "{}", house.program.said());
        let told =
            house.program.find(|line| line.contains("timetable.payment_update.enabled takes its place"));
        assert!(told.is_some(), "{}", house.program.said());
        houses.push(house);
    }
    let mut first = control(&houses[0]).await.expect("a house that listens");
    let wish = TriggerJobRequest { job: JOB.to_owned(), allow_overlap: true, ..Default::default() };
    let run = first.trigger_job(wish).await.expect("begun").into_inner().run.expect("a run");
    eventually("the first step", async || steps(&stage).contains_key(&run.id).then_some(())).await;
    let request = GetJobRunRequest { id: run.id.clone() };
    let work = first.get_job_run(request.clone()).await.expect("a run").into_inner().work.expect("its work");
    let info = first.get_info(GetInfoRequest {}).await.expect("info").into_inner();
    let holder = usize::from(info.runner_id != work.runner_id);
    let started = houses[holder].program.find(|line| line.contains("Job rehearsal started"));
    let line: serde_json::Value = serde_json::from_str(&started.expect("its line")).expect("JSON");
    assert_eq!(line["executionData"]["id"], run.id);

    houses[holder].program.kill().await;
    std::fs::remove_file(&hold).expect("a file that was there");
    let other = &houses[1 - holder];
    let ended = eventually("the end of the run", async || {
        let answer = control(other).await?.get_job_run(request.clone()).await.ok()?;
        answer.into_inner().run.filter(|run| run.end_time.is_some())
    })
    .await;
    assert_eq!((ended.state(), ended.attempt), (JobRunState::Completed, 2));
    let did = steps(&stage).remove(&run.id).expect("its steps");
    let done: BTreeSet<usize> = did.iter().map(|(_, step)| *step).collect();
    assert_eq!(done, (0..STEPS).collect());
    assert!(did.len() <= STEPS + 1, "what was reported was not done again: {did:?}");
    houses.remove(1 - holder).close().await;
    stage.close().await;
}
