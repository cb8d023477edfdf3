//! Why a command did not do what it was asked.
//!
//! **Owns** nothing. Reads the standard details of gRPC errors (`google.rpc`: `ErrorInfo`, `BadRequest`,
//! `RetryInfo`), so that every violation is shown and not only the first, and with what to do ([`super::remedy`]).

use std::fmt;
use std::io;
use std::time::Duration;

use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::exit::{Exit, code_name};
use super::remedy;

/// Why a command failed, sorted by whether anybody is still there to be told.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// There is something to say.
    #[error("{0}")]
    Told(Box<Report>),
    /// What we print is not read any more, as after `| head`; nobody is told.
    #[error("the output was closed")]
    OutputClosed,
    /// What we print cannot be written.
    #[error("cannot write the output: {0}")]
    Output(io::Error),
}

/// What went wrong, in the terms of gRPC, whether the service said so or we found it before asking.
#[derive(Debug)]
pub(super) struct Report {
    pub code: Code,
    /// `google.rpc.ErrorInfo.reason`; absent for what did not come from the service.
    pub reason: Option<String>,
    pub message: String,
    pub violations: Vec<Violation>,
    /// When to ask again, if the service said.
    pub retry_after: Option<Duration>,
    /// Under which request id the same request may safely be sent again.
    pub request_id: Option<String>,
    /// The exit code, where what went wrong has one of its own.
    pub exit: Option<Exit>,
    /// The trace under which the service's logs tell more, if it named one.
    pub trace_id: Option<String>,
    /// What a person does about it; empty where the message says it all.
    pub remedy: &'static str,
}

/// One rule that the input breaks.
#[derive(Debug)]
pub(super) struct Violation {
    pub field: String,
    pub description: String,
}

impl Failure {
    /// A failure that we found ourselves.
    pub fn found(code: Code, message: impl Into<String>) -> Self {
        Self::violated(code, message, Vec::new())
    }

    /// The input breaks rules that we know ourselves.
    pub fn violated(code: Code, message: impl Into<String>, violations: Vec<Violation>) -> Self {
        Self::Told(Box::new(Report {
            code,
            reason: None,
            message: message.into(),
            violations,
            retry_after: None,
            request_id: None,
            exit: None,
            trace_id: None,
            remedy: remedy::of(code, None),
        }))
    }

    /// What was asked for has come to an end that has an exit code of its own.
    pub fn ended(exit: Exit, message: impl Into<String>) -> Self {
        let mut failure = Self::found(Code::FailedPrecondition, message);
        if let Self::Told(report) = &mut failure {
            report.exit = Some(exit);
        }
        failure
    }

    /// The service answered without the message that its answer is about.
    pub fn empty_answer() -> Self {
        Self::found(Code::Internal, "the service answered without content")
    }

    /// Says what a person does about it, more exactly than the code could.
    pub fn with_remedy(mut self, remedy: &'static str) -> Self {
        if let Self::Told(report) = &mut self {
            report.remedy = remedy;
        }
        self
    }

    /// Adds under which id the request may be repeated.
    pub fn with_request_id(mut self, request_id: &str) -> Self {
        if let Self::Told(report) = &mut self {
            report.request_id = Some(request_id.to_owned());
        }
        self
    }

    /// The exit code that tells a script what to do next.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Told(report) => report.exit.unwrap_or_else(|| Exit::of(report.code)),
            Self::OutputClosed => Exit::Success,
            Self::Output(_) => Exit::Failure,
        }
    }

    /// The failure as a JSON document; none when nobody is to be told.
    pub fn to_json(&self) -> Option<Value> {
        match self {
            Self::Told(report) => Some(json!({ "error": report.to_json() })),
            Self::OutputClosed => None,
            Self::Output(_) => {
                let report = json!({ "code": code_name(Code::Unknown), "message": self.to_string() });
                Some(json!({ "error": report }))
            }
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let violations = details.bad_request().map_or_else(Vec::new, |bad_request| {
            let violations = bad_request.field_violations.iter();
            violations
                .map(|one| Violation { field: one.field.clone(), description: one.description.clone() })
                .collect()
        });
        let info = details.error_info();
        // W3C Trace Context §3.2.2: version, trace, parent, flags.
        let traceparent = info.and_then(|info| info.metadata.get("traceparent"));
        let trace_id = traceparent.and_then(|parent| parent.split('-').nth(1)).map(str::to_owned);
        let reason = info.map(|info| info.reason.clone());
        Self::Told(Box::new(Report {
            code: status.code(),
            remedy: remedy::of(status.code(), reason.as_deref()),
            reason,
            message: status.message().to_owned(),
            violations,
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            request_id: None,
            exit: None,
            trace_id,
        }))
    }
}

impl From<io::Error> for Failure {
    /// Only for writing to our own output.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Output(error),
        }
    }
}

/// Why a file cannot be read or written, in words of its reader's; the system's own are of entities.
pub(super) fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "you may not read or write it".to_owned(),
        kind => kind.to_string(),
    }
}

impl Report {
    fn to_json(&self) -> Value {
        let violations: Vec<Value> = self
            .violations
            .iter()
            .map(|one| json!({ "field": one.field, "description": one.description }))
            .collect();
        json!({
            "code": code_name(self.code),
            "reason": self.reason,
            "message": self.message,
            "violations": violations,
            "retry_after": self.retry_after.map(|wait| humantime::format_duration(wait).to_string()),
            "request_id": self.request_id,
            "trace_id": self.trace_id,
            "help": Some(self.remedy).filter(|help| !help.is_empty()),
        })
    }
}

impl fmt::Display for Report {
    /// Several lines: the message, each violation, then what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.message.is_empty() { "no message was given" } else { &self.message })?;
        match &self.reason {
            Some(reason) => write!(f, " ({}, {reason})", code_name(self.code))?,
            None => write!(f, " ({})", code_name(self.code))?,
        }
        let said_already = |violation: &Violation| {
            self.violations.len() == 1
                && self.message == format!("{}: {}", violation.field, violation.description)
        };
        let violations = self.violations.iter().filter(|violation| !said_already(violation));
        for Violation { field, description } in violations {
            match field.is_empty() {
                true => write!(f, "\n  {description}")?,
                false => write!(f, "\n  {field}: {description}")?,
            }
        }
        if let Some(trace_id) = &self.trace_id {
            write!(f, "\ntrace: {trace_id}; the service's logs tell more under it")?;
        }
        if !self.remedy.is_empty() {
            write!(f, "\nhelp: {}", self.remedy)?;
        }
        if let Some(wait) = self.retry_after {
            write!(f, "\nask again in {}", humantime::format_duration(wait))?;
        }
        if let Some(request_id) = &self.request_id {
            write!(f, "\nto send the same request again safely, give --request-id {request_id}")?;
        }
        Ok(())
    }
}
