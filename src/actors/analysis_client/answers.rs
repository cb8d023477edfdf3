//! Asks a vendor about the answers of a transfer that have no outcome yet, and writes each outcome down.
//!
//! While an answer is on its way into the store, the vendor is asked about the next one already; about the one after that not
//! before the first is written down. So a slow store does not idle a slot, and a crash repeats at most what was under way.
//!
//! **Owns** nothing. **Fails** with a [`Cut`]; what had come in until then is written down first. **Limits**: `questions_max` answers
//! a call; an answer that cannot be read is asked for again as often as its analyzer says, in the same attempt.

use bytes::Bytes;
use chrono::Utc;
use sha2::{Digest as _, Sha256};
use tracing::{Instrument as _, info_span, warn};
use uuid::Uuid;

use super::attempt::Attempt;
use super::audio::NoAudio;
use super::course::{Course, Cut, Working};
use crate::actors::bank_attempt::{to_microseconds, write_down};
use crate::actors::feed_attempt::{Later, Wait};
use crate::connectors::analyzers::{Analysis, Analyzer as _, AnalyzerError, AudioForm, Question, RawAnswer};
use crate::domain::analysis::Outcome;
use crate::domain::ids::TransferId;
use crate::store::transfer_analysis::{Checkpoint, KeptAnswer};
use crate::work::breaker::Verdict;

/// What the vendor is told instead of a questionnaire's name, where its protocol wants one: its text is nobody's business.
const TOPIC: &str = "T";

/// What came of one call, or of several about the same answers.
#[derive(Default)]
struct Asked {
    answers: Vec<KeptAnswer>,
    /// The vendor's own words, each once, however many answers are from them.
    raw: Vec<(Uuid, Bytes)>,
    cut: Option<Cut>,
}

/// An answer that is asked about.
struct Open {
    position: u32,
    asked_again: u32,
}

impl Attempt {
    /// Asks about every answer that has no outcome, and about the first while it is written down how many there are.
    pub async fn ask_all(&self, course: &mut Course, working: &Working) -> Result<(), Cut> {
        self.check_ending()?;
        let open = course.open();
        let mut calls = open.chunks(course.analyzer.questions_max().max(1));
        let first = async { Ok(self.ask(course, working, calls.next().unwrap_or_default()).await) };
        let (mut under_way, ()) = tokio::try_join!(first, self.keep_questions(working))?;
        loop {
            if let Some(cut) = under_way.cut.take() {
                self.keep(course, under_way).await?;
                return Err(cut);
            }
            let Some(positions) = calls.next() else { return self.keep(course, under_way).await };
            if let Err(cut) = self.may_go_on(course).await {
                self.keep(course, under_way).await?;
                return Err(cut);
            }
            let asking = async { Ok(self.ask(course, working, positions).await) };
            let (asked, kept) = tokio::try_join!(asking, self.write(course, under_way))?;
            note(course, kept);
            under_way = asked;
        }
    }

    async fn may_go_on(&self, course: &mut Course) -> Result<(), Cut> {
        self.check_ending()?;
        self.claim_at_feed(course).await
    }

    async fn keep(&self, course: &mut Course, asked: Asked) -> Result<(), Cut> {
        let kept = self.write(course, asked).await?;
        note(course, kept);
        Ok(())
    }

    /// Writes outcomes down, and returns them.
    async fn write(&self, course: &Course, asked: Asked) -> Result<Vec<KeptAnswer>, Cut> {
        if asked.answers.is_empty() {
            return Ok(vec![]);
        }
        let (means, claim) = (&self.means, &self.claim);
        let checkpoint = Checkpoint {
            claim: claim.clone(),
            run: course.transfer.run,
            answers: asked.answers,
            raw: asked.raw,
            now: to_microseconds(Utc::now()),
        };
        let write = |_| means.checkpoints.run(checkpoint.clone());
        self.is_kept(write_down(&means.claimer, claim, write).await)?;
        Ok(checkpoint.answers)
    }

    /// Asks about these answers until each has an outcome, or the vendor has none to give.
    async fn ask(&self, course: &Course, working: &Working, positions: &[u32]) -> Asked {
        let span = info_span!("transfer.answer", position = positions.first(), answers = positions.len());
        let mut asked = Asked::default();
        async {
            let mut open: Vec<Open> =
                positions.iter().map(|position| Open { position: *position, asked_again: 0 }).collect();
            while !open.is_empty() && asked.cut.is_none() {
                open = self.ask_once(course, working, open, &mut asked).await;
            }
        }
        .instrument(span)
        .await;
        asked
    }

    /// Asks once, and returns what is to be asked again.
    async fn ask_once(
        &self,
        course: &Course,
        working: &Working,
        open: Vec<Open>,
        asked: &mut Asked,
    ) -> Vec<Open> {
        let mut questions = Vec::with_capacity(open.len());
        let mut told = Vec::with_capacity(open.len());
        for answer in open {
            match self.question(course, working, answer.position).await {
                Ok(question) => {
                    questions.push(question);
                    told.push(answer);
                }
                Err(NoAudio::Final(outcome)) => asked.push(self, answer.position, without_words(outcome)),
                Err(NoAudio::Cut(cut)) => {
                    asked.cut = Some(cut);
                    return vec![];
                }
            }
        }
        if questions.is_empty() {
            return vec![];
        }
        crate::failpoint::reached("vendor.analyse.before");
        let mut results = course.analyzer.analyze(&questions).await.into_iter();
        crate::failpoint::reached("vendor.analyse.after");
        let mut again = Vec::new();
        for answer in told {
            let unsaid = || {
                let reason = "the vendor's answer lacks this question".to_owned();
                Err(AnalyzerError::OutcomeUnknown { reason })
            };
            let result = results.next().unwrap_or_else(unsaid);
            self.means.claimer.places.report(&self.claim.queue, verdict(result.as_ref().err()));
            match result {
                Ok(analysis) => asked.push(self, answer.position, analysis),
                Err(AnalyzerError::Unreadable { again_max, .. }) if answer.asked_again < again_max => {
                    again.push(Open { asked_again: answer.asked_again + 1, ..answer });
                }
                Err(error @ (AnalyzerError::Refused { .. } | AnalyzerError::Unreadable { .. })) => {
                    let analysis = self.given_up_on(course, working, answer.position, &error).await;
                    asked.push(self, answer.position, analysis);
                }
                Err(error) => {
                    asked.cut = asked.cut.take().or(Some(trouble(&self.claim.queue, &error).into()))
                }
            }
        }
        again
    }

    async fn question(&self, course: &Course, working: &Working, position: u32) -> Result<Question, NoAudio> {
        let transfer = &course.transfer;
        Ok(Question {
            position: position as usize,
            audio: self.audio(course, working, position).await?,
            length: None,
            topic: TOPIC.to_owned(),
            question: format!("Q{}", position + 1),
            request_id: request_id(transfer.id, transfer.run, position),
            consent: working.has_consent,
        })
    }

    /// What came of an answer that a vendor will not analyse, or of which it says what nobody can read.
    async fn given_up_on(
        &self,
        course: &Course,
        working: &Working,
        position: u32,
        error: &AnalyzerError,
    ) -> Analysis {
        let by_address = course.analyzer.takes() == AudioForm::Address;
        let outcome = match by_address && self.has_no_audio(course, working, position).await {
            true => Outcome::AudioMissing,
            false => error.final_outcome(),
        };
        Analysis { raw: error.raw().cloned().unwrap_or_default(), ..without_words(outcome) }
    }
}

/// An outcome of which the vendor said nothing.
fn without_words(outcome: Outcome) -> Analysis {
    Analysis { outcome, segments: None, raw: RawAnswer::default(), vendor_id: None }
}

impl Asked {
    fn push(&mut self, attempt: &Attempt, position: u32, analysis: Analysis) {
        let RawAnswer(body) = analysis.raw;
        let raw_answer_id = self.raw_id(body);
        self.answers.push(KeptAnswer {
            position,
            outcome: analysis.outcome,
            segments: analysis.segments,
            vendor_id: analysis.vendor_id,
            attempt: attempt.claim.attempt,
            raw_answer_id,
            ended_at: to_microseconds(Utc::now()),
        });
    }

    /// Under which id these words are kept; the same for the same piece of memory, which several answers share.
    fn raw_id(&mut self, body: Bytes) -> Option<Uuid> {
        if body.is_empty() {
            return None;
        }
        let is_same = |known: &Bytes| known.as_ptr() == body.as_ptr() && known.len() == body.len();
        if let Some((id, _)) = self.raw.iter().find(|(_, known)| is_same(known)) {
            return Some(*id);
        }
        let id = Uuid::now_v7();
        self.raw.push((id, body));
        Some(id)
    }
}

fn note(course: &mut Course, kept: Vec<KeptAnswer>) {
    course.answers.extend(kept.into_iter().map(|answer| (answer.position, answer)));
}

/// What an answer says about the vendor. One that it refuses, or that nobody can read, is about that one recording.
fn verdict(error: Option<&AnalyzerError>) -> Verdict {
    match error {
        None | Some(AnalyzerError::Refused { .. } | AnalyzerError::Unreadable { .. }) => Verdict::Answered,
        Some(
            AnalyzerError::Unavailable { .. }
            | AnalyzerError::OutcomeUnknown { .. }
            | AnalyzerError::Paused { .. }
            | AnalyzerError::Misconfigured { .. },
        ) => Verdict::Failed,
    }
}

/// What a vendor's error means for the work. A vendor that is away costs no attempt; an answer that was lost on the way may be the
/// recording's own doing, and does.
fn trouble(queue: &str, error: &AnalyzerError) -> Later {
    let words = error.to_string();
    match error {
        AnalyzerError::Unavailable { retry_after, .. } => {
            Later { error: words, wait: retry_after.map_or(Wait::Backoff, Wait::AtLeast), counts: false }
        }
        AnalyzerError::Paused { .. } | AnalyzerError::Misconfigured { .. } => {
            warn!(queue, error = %words, "a vendor does not serve us: somebody has to correct this");
            Later::misconfigured(words)
        }
        AnalyzerError::OutcomeUnknown { .. }
        | AnalyzerError::Refused { .. }
        | AnalyzerError::Unreadable { .. } => Later::counting(words),
    }
}

/// The same for every attempt at the same answer of a run, and says nothing of it: 36 bytes.
fn request_id(transfer: TransferId, run: u32, position: u32) -> String {
    let digest = Sha256::new()
        .chain_update(transfer.0.as_bytes())
        .chain_update(run.to_be_bytes())
        .chain_update(position.to_be_bytes())
        .finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_answer_is_asked_about_under_one_name_and_no_two_share_it() {
        let (one, other) = (TransferId(Uuid::from_u128(7)), TransferId(Uuid::from_u128(8)));
        assert_eq!(request_id(one, 1, 2), request_id(one, 1, 2));
        let names: std::collections::BTreeSet<String> = [
            request_id(one, 1, 0),
            request_id(one, 1, 1),
            request_id(one, 2, 0),
            request_id(one, 256, 1),
            request_id(other, 1, 0),
        ]
        .into();
        assert_eq!(names.len(), 5);
        assert!(names.iter().all(|name| name.len() == 36));
    }

    #[test]
    fn a_vendor_that_is_away_costs_no_attempt_and_a_lost_answer_does() {
        let reason = || "x".to_owned();
        let second = Duration::from_secs(1);
        let later = |error: AnalyzerError| {
            let Later { wait, counts, .. } = trouble("analysis/x/t/c", &error);
            (wait, counts, verdict(Some(&error)))
        };
        let (failed, answered) = (Verdict::Failed, Verdict::Answered);
        assert_eq!(
            later(AnalyzerError::Unavailable { retry_after: Some(second), reason: reason() }),
            (Wait::AtLeast(second), false, failed)
        );
        assert_eq!(later(AnalyzerError::OutcomeUnknown { reason: reason() }), (Wait::Backoff, true, failed));
        assert_eq!(later(AnalyzerError::Paused { reason: reason() }), (Wait::Longest, false, failed));
        assert_eq!(later(AnalyzerError::Misconfigured { reason: reason() }), (Wait::Longest, false, failed));
        assert_eq!(verdict(Some(&AnalyzerError::Refused { reason: reason() })), answered);
        assert_eq!(verdict(None), answered);
    }

    #[test]
    fn answers_from_the_same_words_keep_them_once() {
        let mut asked = Asked::default();
        let body = Bytes::from_static(b"both");
        let first = asked.raw_id(body.clone());
        assert_eq!(first, asked.raw_id(body));
        assert_ne!(first, asked.raw_id(Bytes::from(b"both".to_vec())), "another answer that says the same");
        assert_eq!(asked.raw_id(Bytes::new()), None);
        assert_eq!(asked.raw.len(), 2);
    }
}
