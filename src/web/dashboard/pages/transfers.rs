//! Transfers, and what happened to one as a timeline. No result of an analysis is shown: to read one is audited, with a reason.

use serde_json::{Value, json};

use super::{Fields, ROWS, each, field, part};
use crate::proto::transfer::v1::transfer::State;
use crate::proto::transfer::v1::{
    GetTransferRequest, ListFeedsRequest, ListTransferChangesRequest, ListTransfersRequest, Transfer,
    TransferChange, TransferFilter, feed,
};
use crate::web::dashboard::api::{Trouble, Visitor, told};
use crate::web::dashboard::view;

const STATE: &str = "STATE_";
const STATES: [State; 7] = [
    State::Queued,
    State::Analysing,
    State::WritingBack,
    State::Done,
    State::Failed,
    State::Skipped,
    State::Erased,
];

pub async fn list(visitor: &Visitor, query: &Fields) -> Result<Value, Trouble> {
    let wanted = State::from_str_name(&field(query, "state"));
    let asked = ListTransfersRequest {
        filter: wanted.map(|state| TransferFilter { state: state.into(), ..TransferFilter::default() }),
        page_size: ROWS,
        page_token: field(query, "page"),
    };
    let (mut transfers, mut feeds) = (visitor.transfers()?, visitor.transfers()?);
    let (transfers, feeds) =
        tokio::join!(transfers.list_transfers(asked), feeds.list_feeds(ListFeedsRequest {}));
    let transfers = part(
        told(transfers),
        |told| json!({ "rows": each(&told.transfers, transfer), "next": told.next_page_token }),
    )?;
    let feeds = part(told(feeds), |told| each(&told.feeds, feed))?;
    let wanted = wanted.map(|state| state.as_str_name()).unwrap_or_default();
    let choices = each(&STATES, |state| {
        let name = state.as_str_name();
        json!({ "value": name, "words": view::words(i32::from(*state), STATE, Some(name)) })
    });
    Ok(json!({ "transfers": transfers, "feeds": feeds, "wanted": wanted, "choices": choices }))
}

pub async fn one(visitor: &Visitor, id: &str) -> Result<Value, Trouble> {
    let (mut transfers, mut changes) = (visitor.transfers()?, visitor.transfers()?);
    let (found, changes) = tokio::join!(
        transfers.get_transfer(GetTransferRequest { id: id.to_owned(), ..GetTransferRequest::default() }),
        changes.list_transfer_changes(ListTransferChangesRequest { id: id.to_owned() }),
    );
    let found = told(found)?.transfer.as_ref().map(transfer);
    Ok(json!({ "transfer": found, "history": part(told(changes), |told| each(&told.changes, change))? }))
}

fn transfer(transfer: &Transfer) -> Value {
    let (state, mood) = state(transfer.state);
    let run = transfer.run.as_ref();
    json!({
        "id": transfer.id,
        "feed": transfer.feed,
        "key": transfer.key,
        "state": state,
        "mood": mood,
        "reason": transfer.reason,
        "record_time": view::time(transfer.record_time.as_ref()),
        "questions": transfer.questions,
        "answered": transfer.answered,
        "run": run.map_or(0, |run| run.number),
        "analyzer": run.map(|run| run.analyzer.as_str()).unwrap_or_default(),
        "create_time": view::time(transfer.create_time.as_ref()),
        "update_time": view::time(transfer.update_time.as_ref()),
    })
}

fn state(number: i32) -> (String, &'static str) {
    let state = State::try_from(number).ok();
    let mood = match state {
        Some(State::Done) => "good",
        Some(State::Failed) => "bad",
        Some(State::Analysing | State::WritingBack | State::Queued) => "busy",
        _ => "off",
    };
    (view::words(number, STATE, state.map(|state| state.as_str_name())), mood)
}

fn change(change: &TransferChange) -> Value {
    let (state, mood) = state(change.state);
    json!({
        "time": view::time(change.occur_time.as_ref()),
        "what": state,
        "mood": mood,
        "detail": format!("version {}", change.version),
        "reason": change.reason,
        "amount_cents": null,
        "end_time": null,
    })
}

fn feed(feed: &crate::proto::transfer::v1::Feed) -> Value {
    let mood = match feed.state() {
        feed::State::Following => "good",
        feed::State::Connecting => "busy",
        feed::State::Lost | feed::State::Refused => "bad",
        _ => "off",
    };
    let name = feed::State::try_from(feed.state).ok().map(|state| state.as_str_name());
    json!({
        "name": feed.name,
        "state": view::words(feed.state, STATE, name),
        "mood": mood,
        "reason": feed.reason,
        "open": feed.open,
        "oldest_open_time": view::time(feed.oldest_open_time.as_ref()),
    })
}
