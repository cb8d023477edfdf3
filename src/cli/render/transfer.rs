//! Recorded questionings, their runs, answers and changes, and their feeds.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::builder::TypedValueParser;
use serde_json::{Value, json};

use super::{short, short_name_parser, time};
use crate::cli::table::Column;
use crate::proto::transfer::v1::answer::Outcome;
use crate::proto::transfer::v1::get_analysis_response::RawAnswer;
use crate::proto::transfer::v1::process_transfer_response::Wait;
use crate::proto::transfer::v1::transfer::State;
use crate::proto::transfer::v1::{Answer, Feed, Run, Transfer, TransferChange, feed};

/// Every state that a transfer may be in, by its short name.
pub const STATES: [&str; 7] = ["queued", "analysing", "writing_back", "done", "failed", "skipped", "erased"];

const STATE_PREFIX: &str = "STATE_";
const OUTCOME_PREFIX: &str = "OUTCOME_";

/// What a list shows of each.
pub const ROW: [Column; 9] = [
    Column::plain("KEY", "/key"),
    Column::plain("FEED", "/feed"),
    Column::plain("STATE", "/state"),
    Column::time("RECORDED", "/record_time"),
    Column::plain("RUN", "/run/number"),
    Column::plain("ANSWERED", "/answered"),
    Column::plain("OF", "/questions"),
    Column::time("UPDATED", "/update_time"),
    Column::plain("REASON", "/reason"),
];

/// What is shown of one.
pub const DETAIL: [Column; 15] = [
    Column::plain("id", "/id"),
    Column::plain("feed", "/feed"),
    Column::plain("key", "/key"),
    Column::plain("state", "/state"),
    Column::plain("reason", "/reason"),
    Column::time("recorded", "/record_time"),
    Column::plain("company", "/company_key"),
    Column::plain("survey", "/survey_key"),
    Column::plain("person", "/person_key"),
    Column::plain("user", "/user_key"),
    Column::plain("alias of", "/alias_key"),
    Column::plain("answered", "/answered"),
    Column::plain("questions", "/questions"),
    Column::time("created", "/create_time"),
    Column::time("updated", "/update_time"),
];

/// What is shown of each run.
pub const RUN: [Column; 8] = [
    Column::plain("RUN", "/number"),
    Column::plain("ANALYZER", "/analyzer"),
    Column::plain("FORMULA", "/formula"),
    Column::plain("VENDOR RISK SCORES", "/result"),
    Column::plain("FILLERS", "/has_fillers"),
    Column::plain("WRITE-BACK", "/write_back"),
    Column::time("STARTED", "/start_time"),
    Column::time("ENDED", "/end_time"),
];

/// What is shown of each answer.
pub const ANSWER: [Column; 7] = [
    Column::plain("POSITION", "/position"),
    Column::plain("OUTCOME", "/outcome"),
    Column::plain("VENDOR RISK SCORE", "/vendor_risk_score"),
    Column::plain("VENDOR RISK", "/vendor_risk"),
    Column::plain("SEGMENTS", "/segments"),
    Column::plain("ATTEMPT", "/attempt"),
    Column::plain("REASON", "/reason"),
];

/// What is shown of each change.
pub const CHANGE: [Column; 4] = [
    Column::time("WHEN", "/occur_time"),
    Column::plain("VERSION", "/version"),
    Column::plain("CHANGE", "/type"),
    Column::plain("REASON", "/reason"),
];

/// What a list shows of each feed.
pub const FEED: [Column; 9] = [
    Column::plain("FEED", "/name"),
    Column::plain("ANALYZER", "/analyzer"),
    Column::plain("STATE", "/state"),
    Column::time("SINCE", "/since_time"),
    Column::time("LAST NEWS", "/news_time"),
    Column::time("LOOKED THROUGH", "/reconcile_time"),
    Column::plain("RECORDS", "/records"),
    Column::plain("OPEN", "/open"),
    Column::plain("REASON", "/reason"),
];

/// The transfer as a document.
pub fn transfer(transfer: &Transfer) -> Value {
    json!({
        "id": transfer.id,
        "feed": transfer.feed,
        "key": transfer.key,
        "state": state(transfer.state),
        "reason": transfer.reason,
        "record_time": time(transfer.record_time.as_ref()),
        "company_key": transfer.company_key,
        "survey_key": transfer.survey_key,
        "person_key": transfer.person_key,
        "user_key": transfer.user_key,
        "alias_key": transfer.alias_key,
        "questions": transfer.questions,
        "run": transfer.run.as_ref().map(run),
        "answered": transfer.answered,
        "create_time": time(transfer.create_time.as_ref()),
        "update_time": time(transfer.update_time.as_ref()),
        "etag": transfer.etag,
    })
}

/// A run as a document.
pub fn run(run: &Run) -> Value {
    json!({
        "number": run.number,
        "analyzer": run.analyzer,
        "formula": run.formula,
        "result": run.result,
        "has_fillers": run.has_fillers,
        "audio_key": run.audio_key,
        "tells_owners": run.tells_owners,
        "write_back": run.write_back,
        "start_time": time(run.start_time.as_ref()),
        "end_time": time(run.end_time.as_ref()),
    })
}

/// An answer as a document.
pub fn answer(answer: &Answer) -> Value {
    json!({
        "position": answer.position,
        "outcome": outcome(answer.outcome),
        "vendor_risk_score": answer.vendor_risk_score,
        "vendor_risk": answer.vendor_risk,
        "segments": answer.segments,
        "reason": answer.reason,
        "attempt": answer.attempt,
        "vendor_id": answer.vendor_id,
        "end_time": time(answer.end_time.as_ref()),
    })
}

/// A vendor's own words as a document: text where they are text, base64 where they are not.
pub fn raw_answer(raw: &RawAnswer) -> Value {
    let body = match std::str::from_utf8(&raw.body) {
        Ok(text) => text.to_owned(),
        Err(_) => STANDARD.encode(&raw.body),
    };
    json!({ "positions": raw.positions, "body": body, "end_time": time(raw.end_time.as_ref()) })
}

/// A change as a document.
pub fn change(change: &TransferChange) -> Value {
    json!({
        "type": change.r#type,
        "transfer_id": change.transfer_id,
        "feed": change.feed,
        "key": change.key,
        "state": state(change.state),
        "version": change.version,
        "reason": change.reason,
        "occur_time": time(change.occur_time.as_ref()),
        "cursor": change.cursor,
        "event_id": change.event_id,
    })
}

/// A wait as a document.
pub fn wait(wait: &Wait) -> Value {
    json!({
        "reason": wait.reason,
        "next_attempt_time": time(wait.next_attempt_time.as_ref()),
        "attempt": wait.attempt,
    })
}

/// A feed as a document.
pub fn feed(feed: &Feed) -> Value {
    json!({
        "name": feed.name,
        "analyzer": feed.analyzer,
        "state": feed_state(feed.state),
        "reason": feed.reason,
        "since_time": time(feed.since_time.as_ref()),
        "news_time": time(feed.news_time.as_ref()),
        "reconcile_time": time(feed.reconcile_time.as_ref()),
        "records": feed.records,
        "open": feed.open,
        "oldest_open_time": time(feed.oldest_open_time.as_ref()),
    })
}

/// A state's short name.
pub fn state(number: i32) -> String {
    short(number, STATE_PREFIX, State::try_from(number).ok().map(|state| state.as_str_name()))
}

/// An outcome's short name.
pub fn outcome(number: i32) -> String {
    short(number, OUTCOME_PREFIX, Outcome::try_from(number).ok().map(|outcome| outcome.as_str_name()))
}

pub(super) fn feed_state(number: i32) -> String {
    short(number, STATE_PREFIX, feed::State::try_from(number).ok().map(|state| state.as_str_name()))
}

/// Reads the short name of a state.
pub fn state_parser() -> impl TypedValueParser<Value = State> {
    short_name_parser(&STATES, STATE_PREFIX, State::from_str_name)
}
