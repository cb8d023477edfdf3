//! What an attempt knows of its transfer: the claim at the feed, the record as it is now, whose recordings are heard, how many
//! questions there are.
//!
//! How old the recording is was judged when the feed offered it, and is not judged again: what waited behind a vendor that was away
//! is late, and late is better than lost. Whether the person agrees is judged each time, for nothing is sent without it to who wants
//! it.
//!
//! **Owns** nothing. **Fails** with a [`Cut`]. **Limits**: `alias_chain_max` aliases one after the other; a few reads of the feed.

use std::sync::Arc;

use serde_json::Value;
use tracing::debug;

use super::attempt::{Answers, Attempt};
use crate::actors::bank_attempt::write_down;
use crate::actors::feed_attempt::{self, Later, Served};
use crate::connectors::analyzers::{Analyzer as _, AnalyzerConnector};
use crate::connectors::transfer_feeds::{Claim as FeedClaim, FeedError, RelatedNode, TransferFeed as _};
use crate::domain::transfer::TransferKey;
use crate::domain::transfer::judgement::Reason;
use crate::domain::transfer::questions::{self, NoQuestions};
use crate::domain::transfer::record::TransferRecord;
use crate::store::StoreError;
use crate::store::transfer::Transfer;

/// A transfer under analysis.
pub(super) struct Course {
    pub transfer: Transfer,
    pub served: Arc<Served>,
    pub analyzer: AnalyzerConnector,
    /// At the feed, once it is ours.
    pub held: Option<FeedClaim>,
    /// Once they have been counted.
    pub questions: Option<u32>,
    /// Those that have been written down, by position.
    pub answers: Answers,
}

/// Why an attempt ended without a result.
pub(super) enum Cut {
    /// The row is no longer ours, or the store is away before anything was done: nothing to write down.
    Nothing,
    Later(Later),
    Skip(String),
    Fail(String),
}

impl From<Later> for Cut {
    fn from(later: Later) -> Self {
        Self::Later(later)
    }
}

/// What is to be analysed, as the feed has it now.
pub(super) struct Working {
    /// Whose recordings are heard: the transfer's own, or those of the one that its alias leads to.
    pub key: TransferKey,
    pub questions: u32,
    /// Whether the person has agreed.
    pub has_consent: bool,
    pub user_key: Option<String>,
}

impl Course {
    /// The positions that have no outcome yet.
    pub fn open(&self) -> Vec<u32> {
        (0..self.questions.unwrap_or(0)).filter(|position| !self.answers.contains_key(position)).collect()
    }

    /// What a feed's error means for the attempt.
    pub fn trouble(&self, error: &FeedError) -> Cut {
        Later::of_feed(&self.transfer.feed, error).into()
    }

    async fn read(&self, key: &TransferKey) -> Result<Option<Value>, Cut> {
        self.served.feed.connector.read(key).await.map_err(|error| self.trouble(&error))
    }
}

impl Attempt {
    /// Claims the transfer at its feed, or renews the claim where half of its time is over.
    pub async fn claim_at_feed(&self, course: &mut Course) -> Result<(), Cut> {
        let now = self.means.claimer.store.now();
        let half = course.served.config.claim_lease / 2;
        let is_fresh = |held: &FeedClaim| (held.lease_until - now).to_std().is_ok_and(|left| left > half);
        if !course.held.as_ref().is_some_and(is_fresh) {
            let claimed = feed_attempt::claim(&course.served, &self.means.claimer, &course.transfer).await;
            course.held = Some(claimed?);
        }
        Ok(())
    }

    /// Reads what is to be analysed.
    pub async fn look(&self, course: &mut Course) -> Result<Working, Cut> {
        let Some(value) = course.read(&course.transfer.key).await? else {
            return Err(Cut::Skip(Reason::Deleted.with("the feed has no such record any more")));
        };
        let record = self.judged(course, &value)?;
        let (key, heard) = self.follow_alias(course, &record).await?;
        let questions = self.count_questions(course, heard.survey_key.as_deref()).await?;
        // The voice is that of the record that is heard; where that one says no, the other's yes does not help.
        let has_consent = record.has_consent == Some(true) && heard.has_consent != Some(false);
        course.answers.retain(|position, _| *position < questions);
        Ok(Working { key, questions, has_consent, user_key: record.user_key })
    }

    fn judged(&self, course: &Course, value: &Value) -> Result<TransferRecord, Cut> {
        let consent_field = course.served.feed.terms.consent_field.as_deref();
        let record = TransferRecord::read(&course.transfer.key, value, consent_field)
            .map_err(|error| Cut::Fail(Reason::Unreadable.with(&error.to_string())))?;
        if record.is_processed == Some(true) && self.is_offered(course) {
            return Err(Cut::Skip(Reason::ProcessedElsewhere.with("the feed has a result already")));
        }
        if course.analyzer.wants_consent() && record.has_consent != Some(true) {
            let more = "the analyzer wants it and the record does not say it";
            return Err(Cut::Skip(Reason::NoConsent.with(more)));
        }
        Ok(record)
    }

    /// Whether the feed has offered it, and nobody has asked for it by hand.
    fn is_offered(&self, course: &Course) -> bool {
        course.transfer.run == 1 && !is_by_hand(&self.claim.payload)
    }

    /// Whose recordings are heard, and what that record says.
    async fn follow_alias(
        &self,
        course: &Course,
        record: &TransferRecord,
    ) -> Result<(TransferKey, TransferRecord), Cut> {
        let fail = |more: &str| Cut::Fail(Reason::Alias.with(more));
        let config = &course.served.config;
        let consent_field = course.served.feed.terms.consent_field.as_deref();
        let mut passed = vec![];
        let (mut key, mut record) = (course.transfer.key.clone(), record.clone());
        while let Some(alias) = record.alias_key.clone() {
            passed.push(key);
            if passed.contains(&alias) {
                return Err(fail("it leads round in a circle"));
            }
            if passed.len() > config.alias_chain_max as usize {
                return Err(fail("it leads on to another one, further than is followed"));
            }
            let value = course.read(&alias).await?.ok_or_else(|| fail("it leads to no record"))?;
            record = TransferRecord::read(&alias, &value, consent_field)
                .map_err(|error| fail(&format!("it leads to what is no transfer: {error}")))?;
            key = alias;
        }
        Ok((key, record))
    }

    async fn count_questions(&self, course: &Course, survey_key: Option<&str>) -> Result<u32, Cut> {
        let missing = |more: &str| Cut::Fail(Reason::QuestionnaireMissing.with(more));
        let survey_key = survey_key.ok_or_else(|| missing("the record names none"))?;
        let connector = &course.served.feed.connector;
        let found = connector.read_related(RelatedNode::Questionnaire, survey_key).await;
        let found = found.map_err(|error| course.trouble(&error))?;
        let questions = questions::count(&found.unwrap_or(Value::Null)).map_err(|error| match error {
            NoQuestions::Missing => missing("the feed has none under its key"),
            _ => Cut::Fail(Reason::NoQuestions.with(&error.to_string())),
        })?;
        u32::try_from(questions).map_err(|_| Cut::Fail(Reason::NoQuestions.with("there are too many")))
    }

    /// Writes down of how many questions the run is.
    pub async fn keep_questions(&self, working: &Working) -> Result<(), Cut> {
        let (claimer, claim) = (&self.means.claimer, &self.claim);
        let write = |_| claimer.store.keep_questions(claim, working.questions, &working.key);
        let kept = write_down(claimer, claim, write).await;
        self.is_kept(kept)
    }

    /// Whether what was written down counts; nothing more is to be done about a row that is no longer ours.
    pub fn is_kept(&self, kept: Result<Option<bool>, StoreError>) -> Result<(), Cut> {
        match kept {
            Ok(Some(true)) => {
                self.tell_of_change();
                Ok(())
            }
            Ok(_) => {
                debug!("attempt dropped: the row has moved on");
                Err(Cut::Nothing)
            }
            Err(error) => Err(feed_attempt::of_store(&self.claim, &error).map_or(Cut::Nothing, Cut::Later)),
        }
    }
}

/// Whether somebody has asked for this work by hand, which its payload says.
fn is_by_hand(payload: &str) -> bool {
    let payload = serde_json::from_str::<Value>(payload).unwrap_or_default();
    payload.get("by_hand").and_then(Value::as_bool).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_by_hand_says_so() {
        assert!(is_by_hand(r#"{"run":1,"by_hand":true}"#));
        for offered in ["{}", r#"{"run":1}"#, r#"{"by_hand":false}"#, "", "no JSON"] {
            assert!(!is_by_hand(offered), "{offered}");
        }
    }
}
