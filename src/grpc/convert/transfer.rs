//! Transfers, their runs, answers and changes, and the feeds that they come from.
//!
//! A run's result is part of an analysis, every reading of which is audited: [`to_proto`] leaves it out, [`with_result`] is for
//! those who have written down who reads.

use super::timestamp;
use crate::domain::analysis::Outcome;
use crate::domain::transfer::TransferState;
use crate::messages::transfers::{Feed, FeedState, FeedStatus};
use crate::proto::transfer::v1 as proto;
use crate::proto::transfer::v1::transfer::State;
use crate::store::transfer_analysis::KeptAnswer;
use crate::store::transfer_list::{OpenTransfers, TransferRun, TransferSeen};
use crate::store::transfer_watch::TransferChange;

/// A transfer without what was measured.
pub fn to_proto(seen: &TransferSeen) -> proto::Transfer {
    let mut transfer = with_result(seen);
    if let Some(run) = &mut transfer.run {
        run.result.clear();
    }
    transfer
}

/// A transfer with its newest run's result.
pub fn with_result(seen: &TransferSeen) -> proto::Transfer {
    let TransferSeen { transfer, run, answered } = seen;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    proto::Transfer {
        id: transfer.id.to_string(),
        feed: transfer.feed.clone(),
        key: transfer.key.to_string(),
        state: state(transfer.state).into(),
        reason: text(&transfer.reason),
        record_time: transfer.recorded_at.map(timestamp),
        company_key: text(&transfer.company_key),
        survey_key: text(&transfer.survey_key),
        person_key: text(&transfer.person_key),
        user_key: text(&transfer.user_key),
        alias_key: transfer.alias_key.as_ref().map(ToString::to_string).unwrap_or_default(),
        questions: small(transfer.questions.unwrap_or_default()),
        run: run.as_ref().map(run_to_proto),
        answered: small(*answered),
        create_time: Some(timestamp(transfer.created_at)),
        update_time: Some(timestamp(transfer.updated_at)),
        etag: transfer.version.to_string(),
    }
}

pub fn run_to_proto(run: &TransferRun) -> proto::Run {
    proto::Run {
        number: small(run.number),
        analyzer: run.analyzer.clone(),
        formula: run.formula.clone().unwrap_or_default(),
        result: run.result.clone().unwrap_or_default(),
        has_fillers: run.has_fillers,
        audio_key: run.audio_key.as_ref().map(ToString::to_string).unwrap_or_default(),
        tells_owners: run.tells_owners,
        write_back: run.write_back.clone().unwrap_or_default(),
        start_time: Some(timestamp(run.started_at)),
        end_time: run.ended_at.map(timestamp),
    }
}

pub fn answer(answer: &KeptAnswer) -> proto::Answer {
    let risk = match &answer.outcome {
        Outcome::Scored(risk) => Some(*risk),
        _ => None,
    };
    proto::Answer {
        position: small(answer.position),
        outcome: outcome(&answer.outcome).into(),
        vendor_risk_score: risk.map(|risk| i32::from(risk.score())),
        vendor_risk: risk.map(|risk| i32::from(risk.risk())),
        segments: answer.segments.map(small),
        reason: answer.outcome.reason().unwrap_or_default().to_owned(),
        attempt: i32::try_from(answer.attempt).unwrap_or(i32::MAX),
        vendor_id: answer.vendor_id.clone().unwrap_or_default(),
        end_time: Some(timestamp(answer.ended_at)),
    }
}

pub fn change(change: &TransferChange, cursor: String) -> proto::TransferChange {
    proto::TransferChange {
        r#type: change.event_type.clone(),
        transfer_id: change.transfer_id.to_string(),
        feed: change.feed.clone(),
        key: change.key.to_string(),
        state: state(change.state).into(),
        version: change.version,
        reason: change.reason.clone().unwrap_or_default(),
        occur_time: Some(timestamp(change.occurred_at)),
        cursor,
        event_id: change.id.to_string(),
    }
}

pub fn feed(feed: &Feed, status: FeedStatus, open: &OpenTransfers) -> proto::Feed {
    use proto::feed::State as Standing;
    let (standing, reason) = match status.state {
        FeedState::Elsewhere => (Standing::Elsewhere, String::new()),
        FeedState::Connecting => (Standing::Connecting, String::new()),
        FeedState::Following => (Standing::Following, String::new()),
        FeedState::Lost { reason } => (Standing::Lost, reason),
        FeedState::Refused { reason } => (Standing::Refused, reason),
    };
    proto::Feed {
        name: feed.name.clone(),
        analyzer: feed.analyzer.as_str().to_owned(),
        state: standing.into(),
        reason,
        since_time: Some(timestamp(status.since)),
        news_time: status.news_at.map(timestamp),
        reconcile_time: status.reconciled_at.map(timestamp),
        records: i64::try_from(status.records).unwrap_or(i64::MAX),
        open: open.open,
        oldest_open_time: open.oldest_at.map(timestamp),
    }
}

fn state(state: TransferState) -> State {
    match state {
        TransferState::Queued => State::Queued,
        TransferState::Analysing => State::Analysing,
        TransferState::WritingBack => State::WritingBack,
        TransferState::Done => State::Done,
        TransferState::Failed => State::Failed,
        TransferState::Skipped => State::Skipped,
        TransferState::Erased => State::Erased,
    }
}

/// The state of that number; none for `UNSPECIFIED` and for numbers that we do not know.
pub fn state_from_proto(number: i32) -> Option<TransferState> {
    let wanted = State::try_from(number).ok()?;
    TransferState::ALL.into_iter().find(|known| state(*known) == wanted)
}

fn outcome(outcome: &Outcome) -> proto::answer::Outcome {
    use proto::answer::Outcome as Named;
    match outcome {
        Outcome::Scored(_) => Named::Scored,
        Outcome::Measured { .. } => Named::Measured,
        Outcome::NoSpeech => Named::NoSpeech,
        Outcome::AudioMissing => Named::AudioMissing,
        Outcome::VendorRefused { .. } => Named::VendorRefused,
        Outcome::Unreadable { .. } => Named::Unreadable,
        Outcome::GaveUp { .. } => Named::GaveUp,
    }
}

/// Counts of transfers are far below what 32 bits hold.
fn small(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;
    use crate::domain::analysis::formula::VendorRisk;

    #[test]
    fn no_outcome_but_a_score_has_a_number() {
        let risk = VendorRisk::kept(62, 3).unwrap();
        let why = || "why".to_owned();
        let outcomes = [
            (Outcome::Scored(risk), proto::answer::Outcome::Scored, Some(38), ""),
            (Outcome::Measured { segments: 3 }, proto::answer::Outcome::Measured, None, ""),
            (Outcome::NoSpeech, proto::answer::Outcome::NoSpeech, None, ""),
            (Outcome::AudioMissing, proto::answer::Outcome::AudioMissing, None, ""),
            (Outcome::VendorRefused { reason: why() }, proto::answer::Outcome::VendorRefused, None, "why"),
            (Outcome::Unreadable { reason: why() }, proto::answer::Outcome::Unreadable, None, "why"),
            (Outcome::GaveUp { reason: why() }, proto::answer::Outcome::GaveUp, None, "why"),
        ];
        for (outcome, named, score, reason) in outcomes {
            let kept = KeptAnswer {
                position: 0,
                outcome,
                segments: Some(3),
                vendor_id: None,
                attempt: 1,
                raw_answer_id: None,
                ended_at: Utc::now(),
            };
            let told = answer(&kept);
            assert_eq!((told.outcome(), told.vendor_risk_score), (named, score));
            assert_eq!((told.vendor_risk.is_some(), told.reason.as_str()), (score.is_some(), reason));
        }
    }

    #[test]
    fn every_state_is_told_and_read_back() {
        for known in TransferState::ALL {
            assert_eq!(state_from_proto(state(known).into()), Some(known));
        }
        assert_eq!((state_from_proto(0), state_from_proto(99)), (None, None));
    }
}
