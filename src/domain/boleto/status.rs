//! How far a boleto has come, and what may happen to it next.
//!
//! ```text
//! issued ──► pending_registration ──► registered ──► paid
//!    │              │                     │
//!    ├──────────────┴──► refused          │
//!    ├──────────────┴──► needs_review ──► registered | refused | cancelled
//!    └──────────────┴─────────────────────┴──► cancelled
//! ```
//!
//! **Owns** nothing. **Fails** with the change that was asked for and is not allowed.
//! **Limits**: a status changes only through the four methods here; there is no setter.

use serde::{Deserialize, Serialize};

/// The state of a boleto.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// On file here; the bank has not been asked yet.
    Issued,
    /// Asked, and nobody knows the bank's answer yet.
    PendingRegistration,
    /// The bank has it; it may be paid.
    Registered,
    /// The bank said no.
    Refused,
    /// The bank has something under this number that cannot be told to be ours; a person decides.
    NeedsReview,
    /// Ended by request (baixa).
    Cancelled,
    /// Settled.
    Paid,
}

/// What an attempt to register came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistrationOutcome {
    /// The bank has it.
    Registered,
    /// The bank said no, and would say so again.
    Refused,
    /// Already on file, and what can be compared does not agree.
    NeedsReview,
    /// No answer, or none that says yes or no; it is asked again.
    Unknown,
}

/// What a person decided about a boleto that needed review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// What the bank has is ours.
    Registered,
    /// The bank does not have ours, and never will under this number.
    Refused,
    /// It is given up.
    Cancelled,
}

/// A change that the rules do not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a boleto that is {} cannot become {}", from.as_str(), to.as_str())]
pub struct IllegalTransition {
    /// What it is.
    pub from: Status,
    /// What it was asked to become.
    pub to: Status,
}

impl Status {
    /// Every status there is.
    pub const ALL: [Self; 7] = [
        Self::Issued,
        Self::PendingRegistration,
        Self::Registered,
        Self::Refused,
        Self::NeedsReview,
        Self::Cancelled,
        Self::Paid,
    ];

    /// The status's name in the store, in messages and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::PendingRegistration => "pending_registration",
            Self::Registered => "registered",
            Self::Refused => "refused",
            Self::NeedsReview => "needs_review",
            Self::Cancelled => "cancelled",
            Self::Paid => "paid",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether nothing can happen to it any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Refused | Self::Cancelled | Self::Paid)
    }

    /// Whether the bank's decision is still open, so that registering it makes sense.
    pub fn awaits_registration(self) -> bool {
        matches!(self, Self::Issued | Self::PendingRegistration)
    }

    /// The status after an attempt to register.
    ///
    /// # Errors
    /// The bank's decision is no longer open.
    pub fn after(self, outcome: RegistrationOutcome) -> Result<Self, IllegalTransition> {
        let to = match outcome {
            RegistrationOutcome::Registered => Self::Registered,
            RegistrationOutcome::Refused => Self::Refused,
            RegistrationOutcome::NeedsReview => Self::NeedsReview,
            RegistrationOutcome::Unknown => Self::PendingRegistration,
        };
        self.change(to, self.awaits_registration())
    }

    /// The status after a person has decided.
    ///
    /// # Errors
    /// It did not need review.
    pub fn resolve(self, resolution: Resolution) -> Result<Self, IllegalTransition> {
        let to = match resolution {
            Resolution::Registered => Self::Registered,
            Resolution::Refused => Self::Refused,
            Resolution::Cancelled => Self::Cancelled,
        };
        self.change(to, self == Self::NeedsReview)
    }

    /// The status after a cancellation (baixa). One that needs review is cancelled by [`Status::resolve`].
    ///
    /// # Errors
    /// It has ended, or needs review.
    pub fn cancel(self) -> Result<Self, IllegalTransition> {
        self.change(Self::Cancelled, self.awaits_registration() || self == Self::Registered)
    }

    /// The status after its settlement.
    ///
    /// # Errors
    /// Only what is registered can be paid.
    pub fn settle(self) -> Result<Self, IllegalTransition> {
        self.change(Self::Paid, self == Self::Registered)
    }

    fn change(self, to: Self, allowed: bool) -> Result<Self, IllegalTransition> {
        if allowed { Ok(to) } else { Err(IllegalTransition { from: self, to }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every change that the diagram of this page draws.
    const ALLOWED: &[(Status, Status)] = &[
        (Status::Issued, Status::PendingRegistration),
        (Status::Issued, Status::Registered),
        (Status::Issued, Status::Refused),
        (Status::Issued, Status::NeedsReview),
        (Status::Issued, Status::Cancelled),
        (Status::PendingRegistration, Status::PendingRegistration),
        (Status::PendingRegistration, Status::Registered),
        (Status::PendingRegistration, Status::Refused),
        (Status::PendingRegistration, Status::NeedsReview),
        (Status::PendingRegistration, Status::Cancelled),
        (Status::Registered, Status::Cancelled),
        (Status::Registered, Status::Paid),
        (Status::NeedsReview, Status::Registered),
        (Status::NeedsReview, Status::Refused),
        (Status::NeedsReview, Status::Cancelled),
    ];

    fn every_change(from: Status) -> Vec<Result<Status, IllegalTransition>> {
        use RegistrationOutcome as Outcome;
        let outcomes = [Outcome::Registered, Outcome::Refused, Outcome::NeedsReview, Outcome::Unknown];
        let resolutions = [Resolution::Registered, Resolution::Refused, Resolution::Cancelled];
        let mut changes: Vec<_> = outcomes.into_iter().map(|outcome| from.after(outcome)).collect();
        changes.extend(resolutions.into_iter().map(|resolution| from.resolve(resolution)));
        changes.extend([from.cancel(), from.settle()]);
        changes
    }

    #[test]
    fn exactly_the_drawn_changes_can_be_made() {
        for from in Status::ALL {
            let changes = every_change(from);
            for to in Status::ALL {
                let possible = changes.contains(&Ok(to));
                assert_eq!(possible, ALLOWED.contains(&(from, to)), "{from:?} to {to:?}");
            }
            assert_eq!(from.is_final(), changes.iter().all(Result::is_err), "{from:?}");
        }
    }

    #[test]
    fn a_change_that_is_refused_says_which() {
        let error = Status::Paid.cancel().unwrap_err();
        assert_eq!(error.to_string(), "a boleto that is paid cannot become cancelled");
    }

    #[test]
    fn names_are_read_back() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
        assert_eq!(Status::parse("REGISTERED"), None);
    }
}
