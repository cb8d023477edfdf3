//! How an incarnation ended: the class that policy reads and the story that people read.
//!
//! **Owns** nothing. **Fails** never.
//! **Limits**: a reason is cut at [`REASON_CHARS_MAX`] characters; it is the error's own text, so errors must be fit to be seen.

use std::backtrace::Backtrace;
use std::error::Error;
use std::sync::Arc;
use std::time::SystemTime;

use super::panic::PanicReport;

/// The longest reason that is kept.
pub const REASON_CHARS_MAX: usize = 1_000;

/// The kinds of end, cut by what supervision does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitClass {
    /// Stopped, drained or shut down: as somebody wished.
    Normal,
    /// `handle` returned an error, or a supervisor melted down.
    Error,
    /// It panicked.
    Panic,
    /// It was killed, by force or because its supervisor went away.
    Killed,
    /// Its task was cancelled from outside.
    Cancelled,
    /// It never was ready: an error, a panic or a timeout while starting.
    StartFailed,
}

impl ExitClass {
    /// The name that people and other programs see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Error => "error",
            Self::Panic => "panic",
            Self::Killed => "killed",
            Self::Cancelled => "cancelled",
            Self::StartFailed => "start_failed",
        }
    }

    /// Whether a transient child is started again after such an end.
    pub fn is_abnormal(self) -> bool {
        self != Self::Normal
    }
}

/// One end of one incarnation.
#[derive(Debug, Clone)]
pub struct Exit {
    /// What policy makes of it.
    pub class: ExitClass,
    /// What was said about it.
    pub reason: String,
    /// `file:line:column` of a panic.
    pub location: Option<String>,
    /// The stack of a panic; resolved only when it is displayed.
    pub backtrace: Option<Arc<Backtrace>>,
    /// When it was noticed, by the wall clock, for display only.
    pub at: SystemTime,
}

impl Exit {
    pub(super) fn new(class: ExitClass, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        if let Some((cut, _)) = reason.char_indices().nth(REASON_CHARS_MAX) {
            reason.truncate(cut);
        }
        Self { class, reason, location: None, backtrace: None, at: SystemTime::now() }
    }

    pub(super) fn from_error(class: ExitClass, error: &(dyn Error + 'static)) -> Self {
        let mut reason = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            reason = format!("{reason}: {cause}");
            source = cause.source();
        }
        Self::new(class, reason)
    }

    pub(super) fn from_panic(class: ExitClass, report: PanicReport) -> Self {
        Self {
            location: report.location,
            backtrace: Some(Arc::new(report.backtrace)),
            ..Self::new(class, report.message)
        }
    }
}

/// Carries an exit through ractor, whose own failures are boxed errors.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.reason)]
pub(super) struct Failure(pub(super) Exit);

impl Failure {
    /// Reads the exit that one of our shells put into a ractor error, or makes the best of a foreign one.
    pub(super) fn exit_of(error: ractor::ActorProcessingErr, class: ExitClass) -> Exit {
        match error.downcast::<Self>() {
            Ok(failure) => failure.0,
            Err(foreign) => Exit::from_error(class, foreign.as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_tells_its_causes_and_is_cut() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] std::fmt::Error);
        let exit = Exit::from_error(ExitClass::Error, &Outer(std::fmt::Error));
        assert!(exit.reason.starts_with("outer: an error occurred"), "{}", exit.reason);
        let long = Exit::new(ExitClass::Error, "é".repeat(REASON_CHARS_MAX + 5));
        assert_eq!(long.reason.chars().count(), REASON_CHARS_MAX);
    }

    #[test]
    fn only_a_wished_end_is_normal() {
        use ExitClass::*;
        assert!(!Normal.is_abnormal());
        assert!([Error, Panic, Killed, Cancelled, StartFailed].into_iter().all(ExitClass::is_abnormal));
    }
}
