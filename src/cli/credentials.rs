//! What a command shows to be let in: a token out of a file or out of the environment.
//!
//! **Owns** nothing. **Fails** as invalid input when the file cannot be read or holds no token; it is not said back what it holds.
//! **Limits**: never by an argument, which everybody on the machine could read; a file holds at most 4 KiB.

use std::env;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Code, Request, Status};

use super::failure::{Failure, why};
use crate::caller::MASKED;
use crate::domain::token::ApiToken;

/// A token, where no file is named.
pub(super) const VARIABLE: &str = "BURSAR_TOKEN";
const FILE_BYTES_MAX: u64 = 4_096;

/// Adds the token to every call, and whether persons are to be masked.
#[derive(Clone, Default)]
pub(super) struct Credentials {
    token: Option<MetadataValue<Ascii>>,
    wants_masks: bool,
}

impl Credentials {
    /// The token of the file, or else of the environment; none where there is neither.
    pub fn read(file: Option<&Path>) -> Result<Self, Failure> {
        match file {
            Some(path) => {
                let source = path.display().to_string();
                let unreadable = |error: std::io::Error| {
                    Failure::found(Code::InvalidArgument, format!("{source}: {}", why(&error)))
                };
                let mut text = String::new();
                let file = File::open(path).map_err(unreadable)?;
                file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
                Self::of(&text, &source)
            }
            None => match env::var(VARIABLE) {
                Ok(text) if !text.is_empty() => Self::of(&text, VARIABLE),
                _ => Ok(Self::default()),
            },
        }
    }

    /// Whether there is a token to be shown.
    pub fn hold_a_token(&self) -> bool {
        self.token.is_some()
    }

    /// The same, and sees persons in masks only, whatever the token allows: nobody knows who looks at a screen that stays.
    pub fn masked(self) -> Self {
        Self { wants_masks: true, ..self }
    }

    /// The token of a text that comes from there.
    pub fn of(text: &str, source: &str) -> Result<Self, Failure> {
        let no_token = || {
            let words = format!("{source} holds no token; one looks like bursar_PREFIX_SECRET");
            Failure::found(Code::InvalidArgument, words)
        };
        let token = ApiToken::parse(text.trim()).ok_or_else(no_token)?;
        let mut value: MetadataValue<Ascii> =
            format!("Bearer {}", token.reveal()).parse().map_err(|_| no_token())?;
        value.set_sensitive(true);
        Ok(Self { token: Some(value), wants_masks: false })
    }
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        if self.wants_masks {
            request.metadata_mut().insert(MASKED, MetadataValue::from_static("yes"));
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_with_every_call_and_is_not_shown() {
        let text = ApiToken::of_bits([1; 6], [2; 32]).reveal();
        let Ok(mut credentials) = Credentials::of(&format!("{text}\n"), "a file") else {
            panic!("it is a token")
        };
        let request = credentials.call(Request::new(())).unwrap();
        let sent = request.metadata().get("authorization").unwrap();
        assert_eq!(sent.to_str().unwrap(), format!("Bearer {text}"));
        assert!(!format!("{request:?}").contains("0202"));
        assert!(request.metadata().get(MASKED).is_none());
        let masked = credentials.masked().call(Request::new(())).unwrap();
        assert!(masked.metadata().get(MASKED).is_some() && masked.metadata().get("authorization").is_some());
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_said_back() {
        let Err(Failure::Told(report)) = Credentials::of("hunter2", "a file") else { panic!("it is none") };
        assert!(report.message.contains("a file") && !report.message.contains("hunter2"));
    }
}
