//! Runs of jobs: listed, shown, followed and cancelled.
//!
//! **Fails** as the status table says; a watch as draining when the process is about to end. **Limits**: a page of runs; a watch
//! holds a stream's seat and looks ten times a second at most, at 1,000 runs that live.

use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

use chrono_tz::Tz;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;
use tracing::info;

use super::{checked, reason};
use crate::caller;
use crate::domain::ids::{JobRunId, WorkId};
use crate::domain::violation::Violation;
use crate::grpc::boleto_service::split_page;
use crate::grpc::convert::{job as convert, work as convert_work};
use crate::grpc::gate::Gate;
use crate::grpc::page_token;
use crate::grpc::request;
use crate::grpc::seats::StreamSeat;
use crate::grpc::status::ApiError;
use crate::messages::House;
use crate::proto::control::v1 as proto;
use crate::store::job_run::{JobRun, RunFilter};
use crate::store::job_run_end::CancelRun;

/// The stream that a watcher gets.
pub(super) type Runs = Pin<Box<dyn Stream<Item = Result<proto::WatchJobRunsResponse, Status>> + Send>>;

type Sender = mpsc::Sender<Result<proto::WatchJobRunsResponse, Status>>;

/// Between two looks at least.
const APART: Duration = Duration::from_millis(100);
const BUFFERED: usize = 16;
const LIVE_MAX: u64 = 1_000;

pub(super) async fn list(
    gate: &Gate,
    request: proto::ListJobRunsRequest,
) -> Result<proto::ListJobRunsResponse, ApiError> {
    let size = gate.page_size(request.page_size)?;
    let house = gate.house()?;
    let mut violations = Vec::new();
    let state = convert::state_from_proto(request.state);
    if state.is_none() && request.state != 0 {
        violations.push(Violation::new("state", "is no state"));
    }
    checked(violations)?;
    let job = (!request.job.is_empty()).then(|| request.job.replace('-', "_"));
    let filter = RunFilter { job, state };
    let after = page_token::read(&filter, &request.page_token)?.map(JobRunId);
    let found = house.store.job_runs(&filter, after, size + 1).await?;
    let (page, next) = split_page(&found, size, |run| run.id.0, &filter);
    let runs = page.iter().map(|run| to_proto(house, run)).collect();
    Ok(proto::ListJobRunsResponse { runs, next_page_token: next })
}

pub(super) async fn get(
    gate: &Gate,
    request: proto::GetJobRunRequest,
) -> Result<proto::GetJobRunResponse, ApiError> {
    let house = gate.house()?;
    let run = find(house, request::id("id", &request.id)?).await?;
    let work = house.store.work(WorkId(run.id.0)).await?;
    Ok(proto::GetJobRunResponse {
        run: Some(to_proto(house, &run)),
        work: work.as_ref().map(convert_work::to_proto),
    })
}

pub(super) async fn cancel(
    gate: &Gate,
    request: proto::CancelJobRunRequest,
) -> Result<proto::CancelJobRunResponse, ApiError> {
    let id = request::id("id", &request.id)?;
    let mut violations = Vec::new();
    let reason = reason(request.reason, "", &mut violations);
    checked(violations)?;
    let house = gate.house_for_change()?;
    match house.store.cancel_run(id, &reason, house.store.now()).await? {
        CancelRun::Ended | CancelRun::Asked => {}
        CancelRun::HasEnded(state) => return Err(ApiError::JobRunEnded(state)),
        CancelRun::NotFound => return Err(ApiError::NotFound("JOB_RUN")),
    }
    info!(run_id = %id, "cancelled by an operator");
    house.jobs.changes.send_modify(|count| *count += 1);
    let run = find(house, id).await?;
    house.hints.there_is_work(&crate::domain::job::queue(&run.job));
    Ok(proto::CancelJobRunResponse { run: Some(to_proto(house, &run)) })
}

pub(super) async fn watch(
    gate: &Gate,
    request: proto::WatchJobRunsRequest,
    seat: StreamSeat,
) -> Result<Runs, ApiError> {
    let id = if request.id.is_empty() { None } else { Some(request::id("id", &request.id)?) };
    if let Some(id) = id {
        find(gate.house()?, id).await?;
    }
    let (sender, receiver) = mpsc::channel(BUFFERED);
    caller::spawn(follow(gate.clone(), id, sender));
    let stream = ReceiverStream::new(receiver).map(move |message| {
        // The seat lives as long as the stream does.
        let _ = &seat;
        message
    });
    Ok(Box::pin(stream))
}

async fn follow(gate: Gate, id: Option<JobRunId>, sender: Sender) {
    let Ok(house) = gate.house() else { return };
    let mut changes = house.jobs.changes.subscribe();
    // What the watcher has seen of each run.
    let mut seen: HashMap<JobRunId, i64> = HashMap::new();
    loop {
        changes.mark_unchanged();
        match look(house, id, &seen).await {
            Ok(runs) => {
                for run in runs {
                    if seen.get(&run.id) == Some(&run.version) {
                        continue;
                    }
                    let answer = proto::WatchJobRunsResponse { run: Some(to_proto(house, &run)) };
                    if sender.send(Ok(answer)).await.is_err() {
                        return;
                    }
                    if run.state.has_ended() {
                        seen.remove(&run.id);
                        if id.is_some() {
                            return;
                        }
                    } else {
                        seen.insert(run.id, run.version);
                    }
                }
            }
            Err(error) => {
                let _ = sender.send(Err(error.into())).await;
                return;
            }
        }
        if gate.readiness().is_draining() {
            let _ = sender.send(Err(ApiError::Draining.into())).await;
            return;
        }
        tokio::select! {
            () = sender.closed() => return,
            // What other processes change is seen at the next look.
            () = tokio::time::sleep(APART) => {}
        }
        let _ = tokio::time::timeout(gate.limits().watch_poll, changes.changed()).await;
    }
}

/// The run, or those that live and those that the watcher saw alive.
async fn look(
    house: &House,
    id: Option<JobRunId>,
    seen: &HashMap<JobRunId, i64>,
) -> Result<Vec<JobRun>, ApiError> {
    if let Some(id) = id {
        return Ok(vec![find(house, id).await?]);
    }
    let mut runs = house.store.live_job_runs(LIVE_MAX).await?;
    for id in seen.keys() {
        if !runs.iter().any(|run| run.id == *id)
            && let Some(run) = house.store.job_run(*id).await?
        {
            runs.push(run);
        }
    }
    Ok(runs)
}

async fn find(house: &House, id: JobRunId) -> Result<JobRun, ApiError> {
    house.store.job_run(id).await?.ok_or(ApiError::NotFound("JOB_RUN"))
}

fn to_proto(house: &House, run: &JobRun) -> proto::JobRun {
    let zone: Option<Tz> = house.jobs.find(&run.job).map(|entry| entry.timetable.zone());
    convert::run_to_proto(run, zone)
}
