//! Scripted answers about the timetable and the runs of its jobs.

use std::pin::Pin;

use tokio_stream::Stream;
use tonic::{Code, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::Answer;
use crate::proto::control::v1::*;

/// The stream of a run, from its first step to its end.
pub type Runs = Pin<Box<dyn Stream<Item = Result<WatchJobRunsResponse, Status>> + Send>>;

/// The job that there is. Its run ends as the reason says for which it was begun.
pub const JOB: &str = "sync_update";
/// A job of this name has a run that lives.
pub const BUSY: &str = "busy";

const TOTAL: i64 = 4;
const TRACE: &str = "0190b0c0000070008000000000000001";

fn slot(second: i64, outcome: SlotOutcome) -> Slot {
    Slot {
        local_date: "2026-11-22".to_owned(),
        place: 1,
        time: Some(prost_types::Timestamp { seconds: second, nanos: 0 }),
        local_time: "2026-11-22T12:00:00-03:00".to_owned(),
        outcome: outcome.into(),
        run_id: String::new(),
    }
}

pub fn running(id: &str, done: i64) -> JobRun {
    JobRun {
        id: id.to_owned(),
        job: JOB.to_owned(),
        cause: JobRunCause::Manual.into(),
        state: JobRunState::Running.into(),
        attempt: 1,
        done,
        total: Some(TOTAL),
        trace_id: TRACE.to_owned(),
        version: done,
        ..JobRun::default()
    }
}

/// A run is named after the state in which it ends.
fn ended(id: &str) -> JobRun {
    let name = format!("JOB_RUN_STATE_{}", id.to_uppercase());
    let state = JobRunState::from_str_name(&name).unwrap_or(JobRunState::Completed);
    let error = if state == JobRunState::Completed { "" } else { "as scripted" };
    let end_time = Some(prost_types::Timestamp { seconds: 9, nanos: 0 });
    JobRun { state: state.into(), error: error.to_owned(), end_time, ..running(id, TOTAL) }
}

fn of(job: &str) -> Schedule {
    Schedule {
        job: job.to_owned(),
        enabled: true,
        is_done: true,
        time_zone: "America/Sao_Paulo".to_owned(),
        every: Some(prost_types::Duration { seconds: 28_800, nanos: 0 }),
        overlap: "skip".to_owned(),
        next: vec![slot(28_800, SlotOutcome::Unspecified)],
        past: vec![slot(0, SlotOutcome::Missed)],
        ..Schedule::default()
    }
}

/// Two jobs, the later slot first.
pub fn schedules(_: ListSchedulesRequest) -> Answer<ListSchedulesResponse> {
    let early = Schedule { next: vec![slot(60, SlotOutcome::Unspecified)], ..of("payment_update") };
    Ok(Response::new(ListSchedulesResponse { schedules: vec![of(JOB), early] }))
}

/// Knows one.
pub fn schedule(request: GetScheduleRequest) -> Answer<GetScheduleResponse> {
    if request.job != JOB {
        return Err(Status::not_found("no such job"));
    }
    Ok(Response::new(GetScheduleResponse { schedule: Some(of(JOB)) }))
}

/// As it was wished.
pub fn paused(request: PauseScheduleRequest) -> Answer<PauseScheduleResponse> {
    let pause = SchedulePause { reason: request.reason, time: None };
    Ok(Response::new(PauseScheduleResponse { pause: Some(pause) }))
}

/// A run that is named after the reason for it.
pub fn triggered(request: TriggerJobRequest) -> Answer<TriggerJobResponse> {
    if request.job == BUSY && !request.allow_overlap {
        let details = ErrorDetails::with_error_info("JOB_RUNS", "bursar", []);
        return Err(Status::with_error_details(Code::FailedPrecondition, "a run lives", details));
    }
    Ok(Response::new(TriggerJobResponse { run: Some(running(&request.reason, 0)) }))
}

/// Two of three slots.
pub fn backfilled(request: BackfillJobRequest) -> Answer<BackfillJobResponse> {
    let run_ids = if request.dry_run { Vec::new() } else { vec!["a".to_owned(), "b".to_owned()] };
    Ok(Response::new(BackfillJobResponse { slots: 3, run_before: 1, runs: 2, run_ids }))
}

/// Two pages of a run each.
pub fn runs(request: ListJobRunsRequest) -> Answer<ListJobRunsResponse> {
    let (id, next) = if request.page_token.is_empty() { ("running", "2") } else { ("failed", "") };
    let run = if id == "running" { running(id, 1) } else { ended(id) };
    Ok(Response::new(ListJobRunsResponse { runs: vec![run], next_page_token: next.to_owned() }))
}

/// The run with its end, without its work.
pub fn run(request: GetJobRunRequest) -> Answer<GetJobRunResponse> {
    Ok(Response::new(GetJobRunResponse { run: Some(ended(&request.id)), work: None }))
}

/// Two steps and the end; nothing of the end where the run is `endless`.
pub fn watched(request: WatchJobRunsRequest) -> Runs {
    let mut answers = vec![running(&request.id, 1), running(&request.id, 3)];
    if request.id != "endless" {
        answers.push(ended(&request.id));
    }
    Box::pin(tokio_stream::iter(answers.into_iter().map(|run| Ok(WatchJobRunsResponse { run: Some(run) }))))
}

/// As somebody has it in hand.
pub fn cancelled(request: CancelJobRunRequest) -> Answer<CancelJobRunResponse> {
    let run = JobRun { cancel_reason: request.reason, ..running(&request.id, 1) };
    Ok(Response::new(CancelJobRunResponse { run: Some(run) }))
}
