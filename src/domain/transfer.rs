//! A recorded questioning: what its feed says of it, whether it is to be analysed, and how far it has come.
//!
//! **Owns** nothing. **Fails** with the rule that a record breaks, never with what stands in it. **Limits**: a key is at most 768
//! bytes, as its feed wants it; a questionnaire has at most [`QUESTIONS_MAX`] questions.

pub mod judgement;
pub mod questions;
pub mod record;
pub mod recorded_at;

use std::fmt;

use serde::{Deserialize, Serialize};

/// Questions of one questionnaire, at most.
pub const QUESTIONS_MAX: usize = 1_000;
/// Bytes of a key, at most.
pub const KEY_BYTES_MAX: usize = 768;

/// The name of a transfer in its feed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TransferKey(String);

/// The text cannot be a key: it is empty, longer than 768 bytes, or holds one of `. $ # [ ] /` or a control character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key is 1 to 768 bytes without . $ # [ ] / and control characters")]
pub struct InvalidKey;

impl TransferKey {
    /// Reads a key.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let forbidden = |character: char| character.is_control() || ".$#[]/".contains(character);
        if text.is_empty() || text.len() > KEY_BYTES_MAX || text.contains(forbidden) {
            return Err(InvalidKey);
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TransferKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for TransferKey {
    type Error = InvalidKey;

    fn try_from(text: String) -> Result<Self, InvalidKey> {
        Self::parse(&text)
    }
}

impl From<TransferKey> for String {
    fn from(key: TransferKey) -> Self {
        key.0
    }
}

/// How far a transfer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransferState {
    /// Known, and waiting for a free slot.
    Queued,
    /// Its answers are being analysed, one after the other; each outcome stays.
    Analysing,
    /// Every answer has an outcome; the feed is to be told.
    WritingBack,
    /// The feed has been told.
    Done,
    /// Given up, for the reason that is kept with it.
    Failed,
    /// Not to be analysed, for the reason that is kept with it.
    Skipped,
    /// Nothing but the fact is left.
    Erased,
}

impl TransferState {
    /// Every state there is.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Analysing,
        Self::WritingBack,
        Self::Done,
        Self::Failed,
        Self::Skipped,
        Self::Erased,
    ];

    /// The state's name in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Analysing => "analysing",
            Self::WritingBack => "writing_back",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Erased => "erased",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether work on it is under way or waits; nothing may start a second run then.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Analysing | Self::WritingBack)
    }

    /// Whether an operator may have it analysed once more.
    pub fn can_be_reprocessed(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_what_the_feed_lets_be_one() {
        for good in ["-Nsample0000000000A1", "a", "ação", &"k".repeat(768)] {
            assert_eq!(TransferKey::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a/b", "a.b", "$a", "#", "[0]", "a\u{7f}", "a\nb", &"k".repeat(769), &"é".repeat(385)]
        {
            assert_eq!(TransferKey::parse(bad), Err(InvalidKey), "{bad}");
        }
    }

    #[test]
    fn a_state_is_open_or_can_be_reprocessed_or_is_gone() {
        for state in TransferState::ALL {
            assert_eq!(TransferState::parse(state.as_str()), Some(state));
            let kinds = [state.is_open(), state.can_be_reprocessed(), state == TransferState::Erased];
            assert_eq!(kinds.into_iter().filter(|kind| *kind).count(), 1, "{state:?}");
        }
    }
}
