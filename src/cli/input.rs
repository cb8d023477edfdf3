//! JSON that a person hands over, from a file or from standard input, with the field names of the protocol.
//!
//! **Owns** nothing. **Fails** as invalid input; the text of an error names fields and places, never values, for
//! they may be personal data. An unknown field is refused, so that a misspelt one is not lost.
//! **Limits**: 1 MiB.

pub mod account;
pub mod boleto;
pub mod lines;
pub mod openbanking;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, stdin};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_json::value::RawValue;
use tonic::Code;

use super::failure::{Failure, Violation, why};

const INPUT_BYTES_MAX: u64 = 1024 * 1024;

/// Reads a JSON document from a file, or from standard input when it is `-`.
///
/// A document that is nothing but one field of the name `wrapper`, as our own `--json` prints it, is unwrapped.
pub(super) fn read<T: DeserializeOwned>(path: &Path, wrapper: Option<&str>) -> Result<T, Failure> {
    let refused = |why: String| Failure::found(Code::InvalidArgument, format!("{}: {why}", path.display()));
    let source: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(stdin().lock()),
        false => Box::new(File::open(path).map_err(|error| refused(why(&error)))?),
    };
    let mut text = String::new();
    source.take(INPUT_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| refused(why(&error)))?;
    if text.len() as u64 > INPUT_BYTES_MAX {
        return Err(refused("longer than 1 MiB".to_owned()));
    }
    parse(&text, wrapper, &path.display().to_string())
}

/// Reads a JSON document; `source` is what an error calls the place that it came from.
pub(super) fn parse<T: DeserializeOwned>(
    text: &str,
    wrapper: Option<&str>,
    source: &str,
) -> Result<T, Failure> {
    serde_json::from_str(unwrapped(text, wrapper)).map_err(|error| {
        let place = format!("{source}, line {} column {}", error.line(), error.column());
        let description = match error.classify() {
            Category::Data => complaint(&error),
            Category::Eof => "ends too early".to_owned(),
            Category::Io | Category::Syntax => "is not JSON".to_owned(),
        };
        let violation = Violation { field: place, description };
        Failure::violated(Code::InvalidArgument, "the document cannot be read", vec![violation])
    })
}

/// The document inside the wrapper, or the text itself when there is none.
fn unwrapped<'a>(text: &'a str, wrapper: Option<&str>) -> &'a str {
    let Some(wrapper) = wrapper else { return text };
    let Ok(fields) = serde_json::from_str::<BTreeMap<String, &'a RawValue>>(text) else { return text };
    match fields.get(wrapper) {
        Some(inner) if fields.len() == 1 => inner.get(),
        _ => text,
    }
}

/// What serde says about fields is safe to repeat; what it says about values would repeat them.
fn complaint(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let about_fields = ["unknown field", "missing field", "duplicate field"];
    match about_fields.iter().any(|start| text.starts_with(start)) {
        true => text.rsplit_once(" at line ").map_or(text.clone(), |(said, _)| said.to_owned()),
        false => "the value is of the wrong kind".to_owned(),
    }
}

#[cfg(test)]
mod tests;
