//! All that is wrong with a configuration.
//!
//! **Owns** the problems. Texts never hold a value: it may be a secret that stands in the wrong place.

use std::fmt;

/// The origin of a problem that no source has alone.
pub(super) const TOGETHER: &str = "all sources together";

/// Something wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// No such key.
    Unknown {
        key: String,
        /// The file or the variable that sets it.
        origin: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// A value that the key does not take.
    Bad { key: String, origin: String, reason: String },
    /// A source that cannot be read.
    Unreadable { origin: String, reason: String },
}

impl Problem {
    pub(super) fn bad(key: impl Into<String>, origin: &str, reason: impl Into<String>) -> Self {
        Self::Bad { key: key.into(), origin: origin.to_owned(), reason: reason.into() }
    }

    /// The key that it is about, if it is about one.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Unknown { key, .. } | Self::Bad { key, .. } => Some(key),
            Self::Unreadable { .. } => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { key, origin, nearest } => {
                write!(f, "unknown key {key} ({origin})")?;
                nearest.as_ref().map_or(Ok(()), |nearest| write!(f, "; did you mean {nearest}?"))
            }
            Self::Bad { key, origin, reason } => write!(f, "{key} ({origin}): {reason}"),
            Self::Unreadable { origin, reason } => write!(f, "{origin} cannot be read: {reason}"),
        }
    }
}

/// The configuration is refused; to be shown to whoever starts the process, one line per problem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.problems))]
pub struct ConfigErrors {
    problems: Vec<Problem>,
}

impl ConfigErrors {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    /// Every problem, in the order of the sources; never empty.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}
