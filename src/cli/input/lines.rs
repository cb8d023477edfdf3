//! JSON lines that a person hands over: a document a line, from a file or from standard input.
//!
//! **Owns** the file that is read. **Fails** as invalid input, naming the line. **Limits**: a line of 64 KiB, one in memory at a time.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, stdin};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use tonic::Code;

use crate::cli::failure::{Failure, Violation, why};

const LINE_BYTES_MAX: u64 = 64 * 1024;

/// What is read, line by line.
pub struct Lines {
    path: PathBuf,
    source: Box<dyn BufRead + Send>,
    number: usize,
    text: String,
}

impl Lines {
    /// Opens a file, or standard input where it is `-`.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let source: Box<dyn BufRead + Send> = if path == Path::new("-") {
            Box::new(BufReader::new(stdin()))
        } else {
            let file = File::open(path).map_err(|error| refused(path, 0, &why(&error)))?;
            Box::new(BufReader::new(file))
        };
        Ok(Self { path: path.to_owned(), source, number: 0, text: String::new() })
    }

    /// The next document with the number of its line; empty lines are passed over.
    pub fn next<T: DeserializeOwned>(&mut self) -> Result<Option<(usize, T)>, Failure> {
        loop {
            self.text.clear();
            self.number += 1;
            let read = (&mut self.source).take(LINE_BYTES_MAX + 1).read_line(&mut self.text);
            let read = read.map_err(|error| self.refused(self.number, &error.kind().to_string()))?;
            if read as u64 > LINE_BYTES_MAX {
                return Err(self.refused(self.number, "longer than 64 KiB"));
            }
            if read == 0 {
                return Ok(None);
            }
            if self.text.trim().is_empty() {
                continue;
            }
            let place = format!("{}, request {}", self.path.display(), self.number);
            let document = super::parse(self.text.trim(), None, &place)?;
            return Ok(Some((self.number, document)));
        }
    }

    /// That a line is no good.
    pub fn refused(&self, line: usize, why: &str) -> Failure {
        refused(&self.path, line, why)
    }
}

fn refused(path: &Path, line: usize, why: &str) -> Failure {
    let violation = Violation { field: format!("line {line}"), description: why.to_owned() };
    let message = format!("{} cannot be read", path.display());
    Failure::violated(Code::InvalidArgument, message, vec![violation])
}
