//! `bursar trace ID`: what was done under one execution id, as the store knows it, across restarts.
//!
//! **Fails** as not found for an id that no run has. **Limits**: the run, its slot and the attempts of its work; sessions and calls are
//! shown once jobs make them.

use clap::Args;
use serde_json::json;
use tonic::Code;

use super::connection::Connection;
use super::failure::Failure;
use super::render::{job, work};
use super::screen::Screen;
use super::table;
use crate::proto::control::v1::GetJobRunRequest;

#[derive(Args)]
pub(super) struct TraceArgs {
    /// The execution id of a log line, or the trace id of a trace
    id: String,
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
    let document = json!({ "run": job::run(&run), "work": answer.work.as_ref().map(work::work) });
    screen.show(&document, |document| {
        let detail = table::detail(&job::RUN, &document["run"]);
        let attempts = document["work"]["attempts"].as_array().map(Vec::as_slice).unwrap_or_default();
        match attempts {
            [] => detail,
            attempts => format!("{detail}\n{}", table::rows(&work::ATTEMPT, attempts)),
        }
    })
}
