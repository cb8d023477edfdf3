//! The exit codes, cut by what a script does next.
//!
//! **Owns** the one table from gRPC's codes to exit codes. **Fails** never.

use std::process::ExitCode;

use tonic::Code;

pub(super) use crate::grpc::code::code_name;

/// The table as `bursar --help` shows it.
pub(super) const HELP: &str = "\
Exit codes:
   0  done
   1  failed in a way that no retry and no change of the input is known to help
   2  wrong usage
   3  invalid input; every violation is listed
   4  not found
   5  conflict: it exists already, has changed, or is in a state that does not allow this
   6  unavailable, no connection, or no answer in time; ask again later
   7  a limit is exhausted; ask again after the time that is told
   8  skipped: the transfer is not to be analysed, for the reason that is told
   9  failed: the transfer was given up, or what was followed has failed, for the reason that is told
  10  not let in: no token that holds, or one that may not do this
  70  the house melted (serve): to be restarted from outside";

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Success = 0,
    /// Failed; nothing is known that would help.
    Failure = 1,
    /// The input must change.
    InvalidInput = 3,
    /// There is no such thing.
    NotFound = 4,
    /// The state of the thing does not allow it.
    Conflict = 5,
    /// Ask again later.
    Unavailable = 6,
    /// Ask again later, and less.
    Exhausted = 7,
    /// A transfer is not to be analysed.
    Skipped = 8,
    /// A transfer was given up.
    Failed = 9,
    /// Who asks is not known, or may not do this.
    NotLetIn = 10,
    /// The house went past its restart intensity; whoever runs the process starts it again (`EX_SOFTWARE`).
    Melted = 70,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

impl Exit {
    /// The exit code for an answer of the service.
    pub(super) fn of(code: Code) -> Self {
        match code {
            Code::Ok => Self::Success,
            Code::InvalidArgument | Code::OutOfRange => Self::InvalidInput,
            Code::NotFound => Self::NotFound,
            Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted => Self::Conflict,
            Code::Unavailable | Code::DeadlineExceeded => Self::Unavailable,
            Code::ResourceExhausted => Self::Exhausted,
            Code::Unauthenticated | Code::PermissionDenied => Self::NotLetIn,
            Code::Cancelled | Code::Unknown | Code::Unimplemented | Code::Internal | Code::DataLoss => {
                Self::Failure
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_the_exit_that_the_help_promises() {
        let table = [
            ("OK", 0),
            ("CANCELLED", 1),
            ("UNKNOWN", 1),
            ("INVALID_ARGUMENT", 3),
            ("DEADLINE_EXCEEDED", 6),
            ("NOT_FOUND", 4),
            ("ALREADY_EXISTS", 5),
            ("PERMISSION_DENIED", 10),
            ("RESOURCE_EXHAUSTED", 7),
            ("FAILED_PRECONDITION", 5),
            ("ABORTED", 5),
            ("OUT_OF_RANGE", 3),
            ("UNIMPLEMENTED", 1),
            ("INTERNAL", 1),
            ("UNAVAILABLE", 6),
            ("DATA_LOSS", 1),
            ("UNAUTHENTICATED", 10),
        ];
        for (number, (name, exit)) in (0..).zip(table) {
            let code = Code::from_i32(number);
            assert_eq!((code_name(code), Exit::of(code) as u8), (name, exit));
        }
    }

    #[test]
    fn the_help_lists_every_exit() {
        use Exit::*;
        let all = [
            Success,
            Failure,
            InvalidInput,
            NotFound,
            Conflict,
            Unavailable,
            Exhausted,
            Skipped,
            Failed,
            NotLetIn,
            Melted,
        ];
        for exit in all {
            let number = format!("{:>4}  ", exit as u8);
            assert!(HELP.lines().any(|line| line.starts_with(&number)), "{exit:?} is not in the help");
        }
    }
}
