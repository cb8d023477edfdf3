//! `bursar trace ID`: what was done under one execution id, as the store knows it, across restarts.
//!
//! **Fails** as not found for an id that no run has. **Limits**: the run, the attempts of its work, and `--rows` of its visits to banks and
//! of its calls there, oldest first.

use clap::Args;
use serde_json::json;
use tonic::Code;

use super::connection::Connection;
use super::failure::Failure;
use super::render::{job, openbanking, work};
use super::screen::Screen;
use super::table;
use crate::proto::control::v1::GetJobRunRequest;
use crate::proto::openbanking::v1::{ApiCall, ApiSession, ListCallsRequest, ListSessionsRequest};

#[derive(Args)]
pub(super) struct TraceArgs {
    /// The execution id of a log line, or the trace id of a trace
    id: String,
    /// Visits to banks, and calls there, at most
    #[arg(long, default_value_t = 100)]
    rows: i32,
}

pub(super) async fn run(
    args: TraceArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    // With or without hyphens: a log has the one, a trace the other.
    let Ok(id) = uuid::Uuid::parse_str(args.id.trim()) else {
        return Err(Failure::found(
            Code::InvalidArgument,
            "an execution id is a UUID, a trace id its 32 digits",
        ));
    };
    let request = GetJobRunRequest { id: id.to_string() };
    let answer = connection.call(connection.control().get_job_run(request)).await?;
    let run = answer.run.ok_or_else(Failure::empty_answer)?;
    let (sessions, calls) = visits(&id.to_string(), args.rows, connection).await?;
    let document = json!({
        "run": job::run(&run),
        "work": answer.work.as_ref().map(work::work),
        "sessions": sessions.iter().map(openbanking::session).collect::<Vec<_>>(),
        "calls": calls.iter().map(openbanking::call).collect::<Vec<_>>(),
    });
    screen.show(&document, |document| {
        let mut text = table::detail(&job::RUN, &document["run"]);
        for (rows, columns) in [
            (&document["work"]["attempts"], &work::ATTEMPT[..]),
            (&document["sessions"], &openbanking::SESSION),
            (&document["calls"], &openbanking::CALL),
        ] {
            if let Some(rows) = rows.as_array().filter(|rows| !rows.is_empty()) {
                text.push_str(&format!("\n{}", table::rows(columns, rows)));
            }
        }
        text
    })
}

/// The first visits of a run to banks, and its first calls.
async fn visits(
    run_id: &str,
    page_size: i32,
    connection: &Connection,
) -> Result<(Vec<ApiSession>, Vec<ApiCall>), Failure> {
    let run_id = run_id.to_owned();
    let request = ListSessionsRequest { run_id: run_id.clone(), page_size, ..Default::default() };
    let sessions = match connection.call(connection.syncs().list_sessions(request)).await {
        // A service of an earlier release knows of no visits.
        Err(Failure::Told(report)) if report.code == Code::Unimplemented => return Ok(Default::default()),
        answer => answer?.sessions,
    };
    let request = ListCallsRequest { run_id, page_size, ..Default::default() };
    let calls = connection.call(connection.syncs().list_calls(request)).await?.calls;
    Ok((sessions, calls))
}
