//! Where an import says what was refused, and how its failures with the database are told.
//!
//! **Owns** the report's file while it runs. **Fails** when that cannot be written.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use serde_json::Value;
use tonic::Code;

use crate::cli::failure::Failure;
use crate::cli::screen::Screen;
use crate::store::StoreError;
use crate::store::connect::OpenError;

/// A file, or the screen.
pub(super) struct Report<'a> {
    file: Option<File>,
    pub screen: &'a mut Screen,
}

impl<'a> Report<'a> {
    pub fn open(path: Option<&Path>, screen: &'a mut Screen) -> Result<Self, Failure> {
        let refused = |error| Failure::found(Code::InvalidArgument, format!("the report: {error}"));
        let file = path.map(|path| File::create(path).map_err(refused)).transpose()?;
        Ok(Self { file, screen })
    }

    /// Something that an operator has to look at.
    pub fn line(&mut self, line: &Value) -> Result<(), Failure> {
        match self.file {
            Some(_) => self.note(line),
            None => self.screen.show_line(line, Value::to_string),
        }
    }

    /// Something that belongs into a file only.
    pub fn note(&mut self, line: &Value) -> Result<(), Failure> {
        let Some(file) = &mut self.file else { return Ok(()) };
        writeln!(file, "{line}")
            .map_err(|error| Failure::found(Code::Internal, format!("the report: {error}")))
    }
}

pub(super) fn of_open(error: &OpenError) -> Failure {
    let code = match error {
        OpenError::UnknownUrl(_) | OpenError::UnreadableUrl(_) => Code::InvalidArgument,
        OpenError::InUse(_) | OpenError::SchemaTooNew { .. } | OpenError::Forgetful { .. } => {
            Code::FailedPrecondition
        }
        OpenError::File { .. } => Code::Unknown,
        OpenError::Store(error) => return of_store(error),
    };
    Failure::found(code, error.to_string())
}

pub(super) fn of_store(error: &StoreError) -> Failure {
    Failure::found(if error.is_transient() { Code::Unavailable } else { Code::Internal }, error.to_string())
}
