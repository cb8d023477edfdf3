//! How far a payment has come, by the words of the two standards, and when it is asked about next.
//!
//! **Owns** nothing. **Fails** nowhere: a word that nobody knows leaves the payment in progress, and is said. **Limits**: what has
//! ended never goes back; what no bank ever ends is unresolved in the end, and never rejected by a guess.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// How far a payment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PaymentState {
    InProgress,
    /// Settled on the payer's side at least.
    Done,
    Rejected,
    Cancelled,
    /// A bundle of which some ended one way and some another: its children say.
    Mixed,
    /// Past the age limit, and no bank has said how it ended.
    Unresolved,
}

/// Whose words a status is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Vocabulary {
    /// ISO 20022, as NextGenPSD2 tells it.
    Iso20022,
    /// A single payment of PolishAPI.
    PolishPayment,
    PolishBundle,
    PolishRecurring,
}

impl Vocabulary {
    /// Every vocabulary there is.
    pub const ALL: [Self; 4] =
        [Self::Iso20022, Self::PolishPayment, Self::PolishBundle, Self::PolishRecurring];

    /// Its name in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Iso20022 => "iso20022",
            Self::PolishPayment => "polish_payment",
            Self::PolishBundle => "polish_bundle",
            Self::PolishRecurring => "polish_recurring",
        }
    }

    /// The vocabulary of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|vocabulary| vocabulary.as_str() == name)
    }
}

/// What is paid by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PaymentKind {
    Single,
    /// Many at once, of which each is a payment of its own.
    Bundle,
    /// Again and again.
    Recurring,
}

impl PaymentKind {
    /// Every kind there is.
    pub const ALL: [Self; 3] = [Self::Single, Self::Bundle, Self::Recurring];

    /// Its name in the store and in every message.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Bundle => "bundle",
            Self::Recurring => "recurring",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What a bank's word means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    State(PaymentState),
    /// The children are to be asked about.
    AskChildren,
    /// Nobody knows the word: somebody should look.
    Unknown,
}

impl PaymentState {
    /// Every state there is.
    pub const ALL: [Self; 6] =
        [Self::InProgress, Self::Done, Self::Rejected, Self::Cancelled, Self::Mixed, Self::Unresolved];

    /// Its name in the store and in every message.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Done => "done",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Mixed => "mixed",
            Self::Unresolved => "unresolved",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether the bank has had the last word. An unresolved one is a person's to end.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Rejected | Self::Cancelled | Self::Mixed)
    }
}

/// What a bank's word for a status means.
pub fn meaning(vocabulary: Vocabulary, word: &str) -> Meaning {
    use PaymentState::{Cancelled, Done, InProgress, Rejected};

    let state = match (vocabulary, word.trim()) {
        (
            Vocabulary::Iso20022,
            "RCVD" | "PDNG" | "ACTC" | "ACCP" | "ACFC" | "ACWC" | "ACWP" | "ACSP" | "PATC",
        ) => InProgress,
        (Vocabulary::Iso20022, "ACSC" | "ACCC") => Done,
        (Vocabulary::Iso20022, "RJCT") => Rejected,
        (Vocabulary::Iso20022, "CANC") => Cancelled,
        (Vocabulary::Iso20022, "PART") | (Vocabulary::PolishBundle, "partiallyDone") => {
            return Meaning::AskChildren;
        }
        (Vocabulary::PolishPayment, "submitted" | "pending" | "scheduled") => InProgress,
        (Vocabulary::PolishPayment, "done") => Done,
        (Vocabulary::PolishPayment, "rejected") => Rejected,
        (Vocabulary::PolishPayment, "cancelled") => Cancelled,
        (Vocabulary::PolishBundle, "inProgress") => InProgress,
        (Vocabulary::PolishBundle, "done") => Done,
        (Vocabulary::PolishBundle, "cancelled") => Cancelled,
        (Vocabulary::PolishRecurring, "submitted" | "inProgress") => InProgress,
        (Vocabulary::PolishRecurring, "cancelled") => Cancelled,
        (Vocabulary::PolishRecurring, "close") => Done,
        _ => return Meaning::Unknown,
    };
    Meaning::State(state)
}

/// What a bundle has come to when its children stand so; nothing is lost by an empty list, which leaves it in progress.
pub fn state_of_children(children: &[PaymentState]) -> PaymentState {
    let Some(first) = children.first() else { return PaymentState::InProgress };
    if children.iter().any(|child| !child.is_final()) {
        return PaymentState::InProgress;
    }
    if children.iter().all(|child| child == first) { *first } else { PaymentState::Mixed }
}

/// How often a payment is asked about, by its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgeLadder {
    /// Up to this age in every run.
    pub young_until: Duration,
    /// Past that, so often.
    pub then_every: Duration,
    /// Past this age it is unresolved.
    pub given_up_after: Duration,
}

/// What a run does with a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Ask,
    /// Not before then.
    Wait(DateTime<Utc>),
    /// Past the age limit; it is asked about one last time first, if it was not lately.
    GiveUp,
}

impl AgeLadder {
    /// What a run at `now` does with a payment made at `created` and last asked about at `asked`.
    pub fn step(&self, created: DateTime<Utc>, asked: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Step {
        let age = (now - created).to_std().unwrap_or_default();
        let Some(asked) = asked else { return Step::Ask };
        let since = (now - asked).to_std().unwrap_or_default();
        if age > self.given_up_after {
            return if since < self.then_every { Step::GiveUp } else { Step::Ask };
        }
        if age <= self.young_until || since >= self.then_every {
            return Step::Ask;
        }
        let next = TimeDelta::from_std(self.then_every).ok().and_then(|wait| asked.checked_add_signed(wait));
        Step::Wait(next.unwrap_or(DateTime::<Utc>::MAX_UTC))
    }
}

impl AgeLadder {
    /// From when on a run asks about a payment made at `created` that was asked about at `asked`. While it is young that is the
    /// same moment: every run begins behind it but the one that has just asked.
    pub fn next_ask(&self, created: DateTime<Utc>, asked: DateTime<Utc>) -> DateTime<Utc> {
        if (asked - created).to_std().unwrap_or_default() <= self.young_until {
            return asked;
        }
        let next = TimeDelta::from_std(self.then_every).ok().and_then(|wait| asked.checked_add_signed(wait));
        next.unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_both_standards_has_a_meaning_and_no_other_word_ends_a_payment() {
        let means = |vocabulary, words: &[&str], expected| {
            for word in words {
                assert_eq!(meaning(vocabulary, word), expected, "{word}");
            }
        };
        let state = Meaning::State;
        let iso = Vocabulary::Iso20022;
        let open = ["RCVD", "PDNG", "ACTC", "ACCP", "ACFC", "ACWC", "ACWP", "ACSP", "PATC"];
        means(iso, &open, state(PaymentState::InProgress));
        means(iso, &["ACSC", " ACCC "], state(PaymentState::Done));
        means(iso, &["RJCT"], state(PaymentState::Rejected));
        means(iso, &["CANC"], state(PaymentState::Cancelled));
        means(iso, &["PART"], Meaning::AskChildren);
        means(iso, &["", "rjct", "DONE", "done", "ACXX"], Meaning::Unknown);
        means(
            Vocabulary::PolishPayment,
            &["submitted", "pending", "scheduled"],
            state(PaymentState::InProgress),
        );
        means(Vocabulary::PolishPayment, &["done"], state(PaymentState::Done));
        means(Vocabulary::PolishPayment, &["rejected"], state(PaymentState::Rejected));
        means(Vocabulary::PolishPayment, &["cancelled"], state(PaymentState::Cancelled));
        means(Vocabulary::PolishPayment, &["partiallyDone", "close", "ACSC"], Meaning::Unknown);
        means(Vocabulary::PolishBundle, &["partiallyDone"], Meaning::AskChildren);
        means(Vocabulary::PolishBundle, &["inProgress"], state(PaymentState::InProgress));
        means(Vocabulary::PolishRecurring, &["close"], state(PaymentState::Done));
        means(Vocabulary::PolishRecurring, &["submitted", "inProgress"], state(PaymentState::InProgress));
    }

    #[test]
    fn a_bundle_ends_when_all_its_children_have() {
        use PaymentState::{Cancelled, Done, InProgress, Mixed, Rejected, Unresolved};

        for (children, expected) in [
            (vec![], InProgress),
            (vec![Done, InProgress], InProgress),
            (vec![Done, Unresolved], InProgress),
            (vec![Done, Done], Done),
            (vec![Rejected, Rejected], Rejected),
            (vec![Done, Rejected, Cancelled], Mixed),
        ] {
            assert_eq!(state_of_children(&children), expected, "{children:?}");
        }
    }

    #[test]
    fn old_payments_are_asked_about_daily_and_end_unresolved() {
        let days = |days: i64| DateTime::from_timestamp(1_795_000_000 + days * 86_400, 0).unwrap();
        let day = Duration::from_hours(24);
        let ladder = AgeLadder { young_until: 7 * day, then_every: day, given_up_after: 30 * day };
        let hours = |moment: DateTime<Utc>, hours: i64| moment + TimeDelta::hours(hours);
        assert_eq!(ladder.step(days(0), None, days(40)), Step::Ask, "never asked about");
        assert_eq!(ladder.step(days(0), Some(days(6)), hours(days(6), 1)), Step::Ask);
        assert_eq!(ladder.step(days(0), Some(days(8)), hours(days(8), 6)), Step::Wait(days(9)));
        assert_eq!(ladder.step(days(0), Some(days(8)), days(9)), Step::Ask);
        assert_eq!(ladder.step(days(0), Some(days(30)), hours(days(30), 6)), Step::GiveUp);
        assert_eq!(
            ladder.step(days(0), Some(days(20)), days(31)),
            Step::Ask,
            "asked once more before it is given up"
        );
    }

    #[test]
    fn a_young_payment_is_due_in_the_next_run_and_an_old_one_in_a_day() {
        let days = |days: i64| DateTime::from_timestamp(1_795_000_000 + days * 86_400, 0).unwrap();
        let day = Duration::from_hours(24);
        let ladder = AgeLadder { young_until: 7 * day, then_every: day, given_up_after: 30 * day };
        assert_eq!(ladder.next_ask(days(0), days(7)), days(7));
        assert_eq!(ladder.next_ask(days(0), days(8)), days(9));
    }

    #[test]
    fn names_are_read_back() {
        for vocabulary in Vocabulary::ALL {
            assert_eq!(Vocabulary::parse(vocabulary.as_str()), Some(vocabulary));
        }
        for kind in PaymentKind::ALL {
            assert_eq!(PaymentKind::parse(kind.as_str()), Some(kind));
        }
        for state in PaymentState::ALL {
            assert_eq!(PaymentState::parse(state.as_str()), Some(state));
        }
        assert_eq!(PaymentState::parse("pending"), None);
    }
}
