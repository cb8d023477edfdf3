//! Analyzers: vendors that measure the voice in a recorded answer, each spoken to in its own protocol.
//!
//! **Owns** connections, nothing that a crash may lose; what came of an answer is the caller's to keep.
//! **Fails** per answer, with an [`AnalyzerError`] cut by what the caller does next. No failure is ever a number, and no error
//! repeats a vendor's words, an address or a secret: what the vendor said stands in the raw answer alone.
//! **Limits**: each call has a deadline that is longer than the vendor's own, and an answer a longest size; no redirect is
//! followed, because the vendors' own headers would be carried along.

mod call;
pub mod config;
pub mod emotion_logic;
mod nemesysco;
pub mod nemesysco_cloud;
pub mod nemesysco_container;
pub mod nemesysco_ra7;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::domain::analysis::Outcome;

use super::http::{HttpClientError, HttpConfig};
use config::AnalyzersConfig;
use emotion_logic::EmotionLogic;
use nemesysco_cloud::NemesyscoCloud;
use nemesysco_container::NemesyscoContainer;
use nemesysco_ra7::NemesyscoRa7;

/// The smallest recording that can hold anything; the vendors' own pages take none that is smaller.
const AUDIO_BYTES_MIN: u64 = 50;

/// A vendor that analyses recorded answers.
pub trait Analyzer {
    /// Which one it is.
    fn kind(&self) -> AnalyzerKind;

    /// The formula that makes a vendor risk score of its answers; nothing where none has been agreed on, so that an answer
    /// is measured and gets no score.
    fn formula(&self) -> Option<&'static str>;

    /// Whether the person's consent must stand in the record; an answer without it is not sent.
    fn wants_consent(&self) -> bool;

    /// In which form it would rather have the recording.
    fn takes(&self) -> AudioForm;

    /// How many questions are sent in one call.
    fn questions_max(&self) -> usize;

    /// Has answers analysed, and returns one result for each, in their order. More than fit into one call take several.
    fn analyze(
        &self,
        questions: &[Question],
    ) -> impl Future<Output = Vec<Result<Analysis, AnalyzerError>>> + Send;
}

/// A recorded answer that is to be analysed. `Debug` shows its place alone.
#[derive(Clone)]
pub struct Question {
    /// Its place among the questions of the transfer.
    pub position: usize,
    pub audio: Audio,
    /// How long the recording is, where that is known; the deadline grows with it.
    pub length: Option<Duration>,
    /// What the vendor is to call the questionnaire; sent only where its protocol needs it.
    pub topic: String,
    /// What the vendor is to call the question.
    pub question: String,
    /// The same for every attempt at the same answer; at most 36 bytes where the vendor takes one.
    pub request_id: String,
    /// Whether the record says that the person has consented.
    pub consent: bool,
}

/// A recording.
#[derive(Clone)]
pub enum Audio {
    /// From where the vendor fetches it: a short-lived address of this one object, that lets nobody act as a user.
    Address { url: Url, size_bytes: Option<u64> },
    /// The recording itself.
    Bytes { bytes: Bytes, file_name: String },
}

/// How a recording is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioForm {
    /// The vendor fetches it.
    Address,
    /// We send it.
    Upload,
}

impl Question {
    /// Whether the recording is too small to hold anything, as far as its size is known.
    fn has_no_audio(&self) -> bool {
        match &self.audio {
            Audio::Address { size_bytes, .. } => size_bytes.is_some_and(|size| size < AUDIO_BYTES_MIN),
            Audio::Bytes { bytes, .. } => (bytes.len() as u64) < AUDIO_BYTES_MIN,
        }
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("position", &self.position).finish_non_exhaustive()
    }
}

impl fmt::Debug for Audio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address { .. } => "Audio(address)",
            Self::Bytes { .. } => "Audio(bytes)",
        })
    }
}

/// What came of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analysis {
    pub outcome: Outcome,
    /// How many segments of speech the vendor tells of, where it does.
    pub segments: Option<u32>,
    /// The vendor's answer, exactly as it came; one answer to several questions is shared by them. Empty where the vendor
    /// was not asked.
    pub raw: RawAnswer,
    /// By what the vendor knows the analysis.
    pub vendor_id: Option<String>,
}

impl Analysis {
    /// There is nothing to be analysed, so that nobody was asked.
    fn of_no_audio() -> Self {
        Self { outcome: Outcome::AudioMissing, segments: None, raw: RawAnswer::default(), vendor_id: None }
    }
}

/// A vendor's answer as it came. It tells of a person, so that `Debug` shows its length alone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RawAnswer(pub Bytes);

impl fmt::Debug for RawAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawAnswer({} bytes)", self.0.len())
    }
}

/// Why there is no analysis, sorted by what the caller does next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnalyzerError {
    /// Not analysed; wait, then ask again.
    #[error("vendor unavailable: {reason}")]
    Unavailable { retry_after: Option<Duration>, reason: String },
    /// This answer will never be analysed: the vendor will not have it, or it may not be sent.
    #[error("answer refused: {reason}")]
    Refused { reason: String },
    /// The vendor does no work for us at present (licence, payment, permission): hold everything back, call an operator.
    #[error("vendor does not work for us: {reason}")]
    Paused { reason: String },
    /// The vendor has answered, and nobody can tell what. It may be asked again so often; then this is the outcome.
    #[error("answer cannot be read: {reason}")]
    Unreadable { reason: String, again_max: u32, raw: RawAnswer },
    /// Perhaps analysed, perhaps billed, and the answer is lost; asking again does no harm but that.
    #[error("analysis unknown: {reason}")]
    OutcomeUnknown { reason: String },
    /// Nothing will be analysed until somebody corrects our settings.
    #[error("analyzer misconfigured: {reason}")]
    Misconfigured { reason: String },
}

impl AnalyzerError {
    /// What stands with the answer once nobody asks about it any more.
    pub fn final_outcome(&self) -> Outcome {
        let reason = self.to_string();
        match self {
            Self::Refused { .. } => Outcome::VendorRefused { reason },
            Self::Unreadable { .. } => Outcome::Unreadable { reason },
            Self::Unavailable { .. }
            | Self::Paused { .. }
            | Self::OutcomeUnknown { .. }
            | Self::Misconfigured { .. } => Outcome::GaveUp { reason },
        }
    }

    /// What the vendor said, where it said something that nobody could read.
    pub fn raw(&self) -> Option<&RawAnswer> {
        match self {
            Self::Unreadable { raw, .. } if !raw.0.is_empty() => Some(raw),
            _ => None,
        }
    }
}

/// The analyzers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnalyzerKind {
    NemesyscoRa7,
    NemesyscoContainer,
    NemesyscoCloud,
    EmotionLogic,
}

impl AnalyzerKind {
    /// Every kind there is.
    pub const ALL: [Self; 4] =
        [Self::NemesyscoRa7, Self::NemesyscoContainer, Self::NemesyscoCloud, Self::EmotionLogic];

    /// The kind's name in the store, in configuration and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NemesyscoRa7 => "nemesysco_ra7",
            Self::NemesyscoContainer => "nemesysco_container",
            Self::NemesyscoCloud => "nemesysco_cloud",
            Self::EmotionLogic => "emotion_logic",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Every analyzer there is. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub enum AnalyzerConnector {
    NemesyscoRa7(NemesyscoRa7),
    NemesyscoContainer(NemesyscoContainer),
    NemesyscoCloud(NemesyscoCloud),
    EmotionLogic(EmotionLogic),
}

/// Does the same with whichever analyzer it is.
macro_rules! whichever {
    ($connector:expr, $analyzer:ident => $call:expr) => {
        match $connector {
            AnalyzerConnector::NemesyscoRa7($analyzer) => $call,
            AnalyzerConnector::NemesyscoContainer($analyzer) => $call,
            AnalyzerConnector::NemesyscoCloud($analyzer) => $call,
            AnalyzerConnector::EmotionLogic($analyzer) => $call,
        }
    };
}

impl AnalyzerConnector {
    /// The connector of a kind.
    ///
    /// # Errors
    /// An HTTP client that cannot be made.
    pub fn for_kind(
        kind: AnalyzerKind,
        config: &AnalyzersConfig,
        http: &HttpConfig,
    ) -> Result<Self, HttpClientError> {
        let http = config.client(http)?.named(kind.as_str());
        Ok(match kind {
            AnalyzerKind::NemesyscoRa7 => {
                Self::NemesyscoRa7(NemesyscoRa7::new(config.nemesysco_ra7.clone(), http))
            }
            AnalyzerKind::NemesyscoContainer => {
                Self::NemesyscoContainer(NemesyscoContainer::new(config.nemesysco_container.clone(), http))
            }
            AnalyzerKind::NemesyscoCloud => {
                Self::NemesyscoCloud(NemesyscoCloud::new(config.nemesysco_cloud.clone(), http))
            }
            AnalyzerKind::EmotionLogic => {
                Self::EmotionLogic(EmotionLogic::new(config.emotion_logic.clone(), http))
            }
        })
    }
}

impl Analyzer for AnalyzerConnector {
    fn kind(&self) -> AnalyzerKind {
        whichever!(self, analyzer => analyzer.kind())
    }

    fn formula(&self) -> Option<&'static str> {
        whichever!(self, analyzer => analyzer.formula())
    }

    fn wants_consent(&self) -> bool {
        whichever!(self, analyzer => analyzer.wants_consent())
    }

    fn takes(&self) -> AudioForm {
        whichever!(self, analyzer => analyzer.takes())
    }

    fn questions_max(&self) -> usize {
        whichever!(self, analyzer => analyzer.questions_max())
    }

    async fn analyze(&self, questions: &[Question]) -> Vec<Result<Analysis, AnalyzerError>> {
        whichever!(self, analyzer => analyzer.analyze(questions).await)
    }
}

#[cfg(test)]
mod tests;
