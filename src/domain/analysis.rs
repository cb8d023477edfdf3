//! What came of a recorded answer. A failure is an outcome of its own and never a number.
//!
//! **Owns** nothing. **Fails** nowhere. **Limits**: a vendor risk score is 5 to 95 and has no meaning but the vendor's: reviews of
//! this family of methods found them at chance level for telling deception, so that it is labelled wherever it is shown and
//! no band, verdict or mean is made of it.

pub mod formula;

use formula::VendorRisk;

/// What an analysis of one answer came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The vendor gave a risk, and the formula a score.
    Scored(VendorRisk),
    /// Measured by an analyzer that has no score formula.
    Measured { segments: u32 },
    /// Nobody speaks in the recording.
    NoSpeech,
    /// There is no recording, or one that holds nothing.
    AudioMissing,
    /// The vendor will not analyse it.
    VendorRefused { reason: String },
    /// The vendor's answer cannot be read.
    Unreadable { reason: String },
    /// No attempts are left.
    GaveUp { reason: String },
}

impl Outcome {
    /// The outcomes' names in the store.
    pub const NAMES: [&'static str; 7] =
        ["scored", "measured", "no_speech", "audio_missing", "vendor_refused", "unreadable", "gave_up"];

    /// Its name in the store.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Scored(_) => Self::NAMES[0],
            Self::Measured { .. } => Self::NAMES[1],
            Self::NoSpeech => Self::NAMES[2],
            Self::AudioMissing => Self::NAMES[3],
            Self::VendorRefused { .. } => Self::NAMES[4],
            Self::Unreadable { .. } => Self::NAMES[5],
            Self::GaveUp { .. } => Self::NAMES[6],
        }
    }

    /// Why there is no number, where somebody has to know.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::VendorRefused { reason } | Self::Unreadable { reason } | Self::GaveUp { reason } => {
                Some(reason)
            }
            _ => None,
        }
    }

    /// The vendor risk score.
    pub fn score(&self) -> Option<u8> {
        match self {
            Self::Scored(risk) => Some(risk.score()),
            _ => None,
        }
    }
}

/// What the service before this one wrote for whatever went wrong.
pub const LEGACY_FILLER: u8 = 40;

/// The scores as the feed holds them, joined by `|` in the order of the questions. An answer without one keeps its place, empty,
/// or with the filler of the service before, for readers who cannot do without.
pub fn result_text(outcomes: &[Outcome], legacy_score: bool) -> String {
    let part = |outcome: &Outcome| match outcome.score() {
        Some(score) => score.to_string(),
        None if legacy_score => LEGACY_FILLER.to_string(),
        None => String::new(),
    };
    outcomes.iter().map(part).collect::<Vec<_>>().join("|")
}

/// Whether fillers stand in such a text.
pub fn has_fillers(outcomes: &[Outcome], legacy_score: bool) -> bool {
    legacy_score && outcomes.iter().any(|outcome| outcome.score().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_a_score_keeps_its_place_and_is_no_number() {
        let risk = |text| formula::read_risk_row(text).unwrap();
        let unreadable = || Outcome::Unreadable { reason: "no row".to_owned() };
        let outcomes = [
            Outcome::Scored(risk("TQ1;C0;3;14.67;62")),
            Outcome::NoSpeech,
            unreadable(),
            Outcome::Scored(risk("TQ1;C0;1;1.00;5")),
        ];
        assert_eq!(result_text(&outcomes, false), "38|||95");
        assert_eq!(result_text(&outcomes, true), "38|40|40|95");
        assert!(has_fillers(&outcomes, true));
        assert!(!has_fillers(&outcomes, false));
        assert!(!has_fillers(&outcomes[..1], true));
        assert_eq!(result_text(&[], true), "");
        assert_eq!((unreadable().name(), unreadable().reason()), ("unreadable", Some("no row")));
    }
}
