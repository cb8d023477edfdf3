//! `bursar transfer process`: has one transfer analysed now and shows each step as it happens.
//!
//! **Fails** by how it ended: skipped and failed have exit codes of their own, one that is refused exits as a conflict, and one
//! that is nowhere as not found. **Limits**: an interrupt (Ctrl-C) ends the showing alone, the transfer goes on; `--timeout` bounds
//! the beginning of the stream only.

use clap::Args;
use serde_json::{Value, json};
use tonic::{Code, Streaming};

use super::Keyed;
use crate::cli::connection::Connection;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::transfer;
use crate::cli::screen::Screen;
use crate::cli::table::{plain, safe};
use crate::proto::transfer::v1::process_transfer_response::Step;
use crate::proto::transfer::v1::transfer::State;
use crate::proto::transfer::v1::{ProcessTransferRequest, ProcessTransferResponse, Transfer};

#[derive(Args)]
pub(in crate::cli) struct ProcessArgs {
    #[command(flatten)]
    keyed: Keyed,
    /// Follow it if somebody works on it already, and tell how it ended if it has
    #[arg(long)]
    follow: bool,
}

pub(super) async fn run(
    args: ProcessArgs,
    connection: &Connection,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let Keyed { key, feed } = args.keyed;
    let request = ProcessTransferRequest { key, feed, follow: args.follow };
    let stream = connection.call(connection.transfers().process_transfer(request)).await?;
    let end = tokio::select! {
        end = show_steps(stream, screen) => end?,
        // Where no signal can be caught, an interrupt ends the process the hard way, and nothing is lost by it.
        Ok(()) = tokio::signal::ctrl_c() => {
            return Err(Failure::found(Code::Cancelled, "interrupted; the transfer goes on, --follow shows the rest"));
        }
    };
    outcome(&end)
}

async fn show_steps(
    mut stream: Streaming<ProcessTransferResponse>,
    screen: &mut Screen,
) -> Result<Transfer, Failure> {
    while let Some(message) = stream.message().await? {
        let Some(step) = message.step else { continue };
        match step {
            Step::Change(change) => {
                screen.show_line(&json!({ "change": transfer::change(&change) }), changed)?
            }
            Step::Answer(answer) => {
                screen.show_line(&json!({ "answer": transfer::answer(&answer) }), answered)?
            }
            Step::Wait(wait) => screen.show_line(&json!({ "wait": transfer::wait(&wait) }), waits)?,
            Step::End(end) => {
                screen.show_line(&json!({ "end": transfer::transfer(&end) }), ended)?;
                return Ok(end);
            }
        }
    }
    Err(Failure::found(Code::Unavailable, "the service ended the stream; the transfer goes on"))
}

fn changed(step: &Value) -> String {
    let change = &step["change"];
    said([text(change, "occur_time"), text(change, "state"), text(change, "reason")])
}

fn answered(step: &Value) -> String {
    let answer = &step["answer"];
    let position = answer["position"].as_i64().unwrap_or_default();
    let score = match answer["vendor_risk_score"].as_i64() {
        Some(score) => format!("vendor risk score {score}"),
        None => String::new(),
    };
    let segments = match answer["segments"].as_i64() {
        Some(segments) => format!("segments {segments}"),
        None => String::new(),
    };
    let place = format!("answer {position}");
    let (at, outcome, reason) = (text(answer, "end_time"), text(answer, "outcome"), text(answer, "reason"));
    said([at, place, outcome, score, segments, reason])
}

fn waits(step: &Value) -> String {
    let wait = &step["wait"];
    let attempt = format!("attempt {} ended", plain(&wait["attempt"]));
    let next = format!("next {}", text(wait, "next_attempt_time"));
    said([attempt, text(wait, "reason"), next])
}

fn ended(step: &Value) -> String {
    let end = &step["end"];
    let result = match text(&end["run"], "result") {
        empty if empty.is_empty() => empty,
        result => format!("vendor risk scores {result}"),
    };
    said(["end".to_owned(), text(end, "state"), result, text(end, "reason")])
}

fn text(document: &Value, field: &str) -> String {
    plain(&document[field])
}

/// The parts that say something, in one line.
fn said<const N: usize>(parts: [String; N]) -> String {
    let parts = parts.iter().filter(|part| !part.is_empty()).map(|part| safe(part));
    parts.collect::<Vec<_>>().join("  ")
}

fn outcome(end: &Transfer) -> Result<(), Failure> {
    let told = |words: &str| match end.reason.as_str() {
        "" => words.to_owned(),
        reason => format!("{words}: {reason}"),
    };
    match end.state() {
        State::Done => Ok(()),
        State::Skipped => Err(Failure::ended(Exit::Skipped, told("the transfer was skipped"))),
        State::Failed => Err(Failure::ended(Exit::Failed, told("the transfer has failed"))),
        State::Erased => Err(Failure::found(Code::FailedPrecondition, "the transfer was erased")),
        State::Unspecified | State::Queued | State::Analysing | State::WritingBack => {
            Err(Failure::found(Code::Internal, "the service called this an end"))
        }
    }
}
