//! Whether a record that a feed offers is to be analysed, and if not, why: nothing is dropped without a reason.
//!
//! **Owns** nothing. **Fails** nowhere: what cannot be read is a judgement too. **Limits**: what a record refers to is not
//! looked at here; a questionnaire that is missing is found when its turn comes.

use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::Value;

use super::TransferKey;
use super::record::TransferRecord;
use super::recorded_at::{self, Untimely};

/// What a feed's operator has agreed on.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The zone of times that have none.
    pub zone: Tz,
    /// What was recorded longer ago is not analysed.
    pub age_max: Duration,
    /// How far the clocks of those who record may be ahead of ours.
    pub clock_tolerance: Duration,
    /// The field that holds the person's agreement, if the producer writes one.
    pub consent_field: Option<String>,
    /// Whether the analyzer wants that agreement.
    pub wants_consent: bool,
}

/// Why a transfer is not analysed, or was given up. The names are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Recorded longer ago than is analysed.
    TooOld,
    InTheFuture,
    /// The record says no time of recording, or in no known form.
    NoTime,
    /// The person's agreement is wanted and not there.
    NoConsent,
    /// The feed had a result already when its turn came.
    ProcessedElsewhere,
    /// The record was deleted before its turn came.
    Deleted,
    /// The record is no transfer.
    Unreadable,
    /// Its alias leads to nothing, or on to another one.
    Alias,
    QuestionnaireMissing,
    NoQuestions,
    /// No attempts are left.
    GaveUp,
    /// No attempts are left to tell the feed.
    NotWrittenBack,
}

impl Reason {
    /// Every reason there is.
    pub const ALL: [Self; 12] = [
        Self::TooOld,
        Self::InTheFuture,
        Self::NoTime,
        Self::NoConsent,
        Self::ProcessedElsewhere,
        Self::Deleted,
        Self::Unreadable,
        Self::Alias,
        Self::QuestionnaireMissing,
        Self::NoQuestions,
        Self::GaveUp,
        Self::NotWrittenBack,
    ];

    /// Its name in the store and in every message.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooOld => "too_old",
            Self::InTheFuture => "in_the_future",
            Self::NoTime => "no_time",
            Self::NoConsent => "no_consent",
            Self::ProcessedElsewhere => "processed_elsewhere",
            Self::Deleted => "deleted",
            Self::Unreadable => "unreadable",
            Self::Alias => "alias",
            Self::QuestionnaireMissing => "questionnaire_missing",
            Self::NoQuestions => "no_questions",
            Self::GaveUp => "gave_up",
            Self::NotWrittenBack => "not_written_back",
        }
    }

    /// As it is kept: its name, and behind a colon what more there is to say.
    pub fn with(self, more: &str) -> String {
        format!("{}: {more}", self.as_str())
    }
}

/// What is to become of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement {
    /// It is to be analysed.
    Queue,
    /// It is not; told again later, it may be.
    Skip(String),
    /// Nobody can analyse it as it is.
    Fail(String),
}

/// Judges a record, and returns what could be read of it with the time of its recording.
pub fn judge(
    key: &TransferKey,
    value: &Value,
    terms: &Terms,
    now: DateTime<Utc>,
) -> (Judgement, Option<TransferRecord>, Option<DateTime<Utc>>) {
    let record = match TransferRecord::read(key, value, terms.consent_field.as_deref()) {
        Ok(record) => record,
        Err(error) => return (Judgement::Fail(Reason::Unreadable.with(&error.to_string())), None, None),
    };
    let recorded_at = record.recorded_at.as_ref().map(|time| recorded_at::read(time, terms.zone));
    let skip = |reason: Reason, more: &str| Judgement::Skip(reason.with(more));
    let (judgement, recorded_at) = match recorded_at {
        None => (skip(Reason::NoTime, "the record says none"), None),
        Some(Err(error)) => (skip(Reason::NoTime, &error.to_string()), None),
        Some(Ok(at)) => {
            let judgement = match recorded_at::check_age(at, now, terms.age_max, terms.clock_tolerance) {
                Err(error @ Untimely::TooOld) => skip(Reason::TooOld, &error.to_string()),
                Err(error @ Untimely::InTheFuture) => skip(Reason::InTheFuture, &error.to_string()),
                Ok(()) if terms.wants_consent && record.has_consent != Some(true) => {
                    skip(Reason::NoConsent, "the analyzer wants it and the record does not say it")
                }
                Ok(()) => Judgement::Queue,
            };
            (judgement, Some(at))
        }
    };
    (judgement, Some(record), recorded_at)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn judged(value: Value, wants_consent: bool) -> Judgement {
        let terms = Terms {
            zone: Tz::UTC,
            age_max: Duration::from_hours(72),
            clock_tolerance: Duration::from_mins(5),
            consent_field: Some("consentimiento".to_owned()),
            wants_consent,
        };
        let now = "2026-01-16T00:00:00Z".parse().unwrap();
        judge(&TransferKey::parse("own").unwrap(), &value, &terms, now).0
    }

    #[test]
    fn what_is_not_analysed_has_a_reason() {
        let date = "2026/01/15 - 10:20:30";
        assert_eq!(judged(json!({"date": date}), false), Judgement::Queue);
        assert_eq!(judged(json!({"date": date, "consentimiento": true}), true), Judgement::Queue);
        let reasons = [
            (json!({"date": date}), true, "no_consent"),
            (json!({"date": date, "consentimiento": false}), true, "no_consent"),
            (json!({"date": "2026/01/12 - 23:59:59"}), false, "too_old"),
            (json!({"date": "2026/01/16 - 00:05:01"}), false, "in_the_future"),
            (json!({"date": "yesterday"}), false, "no_time"),
            (json!({}), false, "no_time"),
        ];
        for (record, wants_consent, name) in reasons {
            let Judgement::Skip(reason) = judged(record.clone(), wants_consent) else {
                panic!("{record} was not skipped")
            };
            assert_eq!(reason.split(':').next(), Some(name), "{record}");
        }
        let Judgement::Fail(reason) = judged(json!([1]), false) else { panic!("no transfer") };
        assert!(reason.starts_with("unreadable: "), "{reason}");
    }

    #[test]
    fn reasons_have_names_of_their_own() {
        let names: std::collections::BTreeSet<&str> = Reason::ALL.map(Reason::as_str).into();
        assert_eq!(names.len(), Reason::ALL.len());
    }
}
