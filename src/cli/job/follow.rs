//! `bursar job run --follow`: how far a run comes, as a bar where there is a terminal, until it has ended.
//!
//! **Fails** by how the run ended: one that failed has an exit code of its own, one that was cancelled exits as a conflict, one that was
//! told to ask less as exhausted. **Limits**: an interrupt ends the showing alone.

use serde_json::json;
use tonic::{Code, Streaming};

use crate::cli::connection::Connection;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::progress::Progress;
use crate::cli::render::job;
use crate::cli::screen::Screen;
use crate::cli::table;
use crate::proto::control::v1::{JobRun, JobRunState, WatchJobRunsRequest, WatchJobRunsResponse};

pub(in crate::cli) async fn run(
    id: String,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let request = WatchJobRunsRequest { id };
    let stream = connection.call(connection.control().watch_job_runs(request)).await?;
    let mut progress = Progress::begin("running");
    let end = tokio::select! {
        end = follow(stream, &mut progress, screen) => end,
        // Where no signal can be caught, an interrupt ends the process the hard way, and nothing is lost by it.
        Ok(()) = tokio::signal::ctrl_c() => {
            Err(Failure::found(Code::Cancelled, "interrupted; the run goes on, `bursar job runs` shows it"))
        }
    };
    progress.end(screen);
    let end = end?;
    if !screen.is_json() {
        screen
            .show(&json!({ "run": job::run(&end) }), |document| table::detail(&job::RUN, &document["run"]))?;
    }
    outcome(&end)
}

async fn follow(
    mut stream: Streaming<WatchJobRunsResponse>,
    progress: &mut Progress,
    screen: &mut Screen,
) -> Result<JobRun, Failure> {
    while let Some(answer) = stream.message().await? {
        let Some(run) = answer.run else { continue };
        if screen.is_json() {
            screen.show_line(&json!({ "run": job::run(&run) }), |_| String::new())?;
        }
        let count = |count: i64| u64::try_from(count).unwrap_or_default();
        progress.step(count(run.done), run.total.map(count), screen);
        if run.end_time.is_some() {
            return Ok(run);
        }
    }
    Err(Failure::found(Code::Unavailable, "the service ended the stream; the run goes on"))
}

fn outcome(end: &JobRun) -> Result<(), Failure> {
    match end.state() {
        JobRunState::Completed => Ok(()),
        JobRunState::Failed => {
            Err(Failure::ended(Exit::Failed, format!("the run has failed: {}", end.error)))
        }
        JobRunState::RateLimited => Err(Failure::found(Code::ResourceExhausted, end.error.clone())),
        JobRunState::Cancelled => Err(Failure::found(Code::FailedPrecondition, "the run was cancelled")),
        _ => Err(Failure::found(Code::Internal, "the service called this an end")),
    }
}
