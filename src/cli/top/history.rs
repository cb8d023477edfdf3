//! Everything about one boleto or transfer, and what happened to it as a timeline.
//!
//! **Owns** nothing. **Fails** never: what is missing is shown as nothing. **Limits**: the changes that the service gives, which are
//! the first thousand of a boleto; no result of an analysis, for to read one is audited, with a reason; every text passes [`safe`].

use prost_types::Timestamp;
use serde_json::Value;

use super::rows::{known, moment, said};
use crate::cli::render::{boleto, transfer};
use crate::cli::table::{Column, safe};
use crate::proto::boleto::v1::{Boleto, GetBoletoHistoryResponse};
use crate::proto::transfer::v1::{Transfer, TransferChange};

const BOLETO_CHANGE: [Column; 3] = [
    Column::plain("", "/event_type"),
    Column::plain("version", "/version"),
    Column::plain("because:", "/reason"),
];
const TRANSFER_CHANGE: [Column; 3] =
    [Column::plain("", "/type"), Column::plain("version", "/version"), Column::plain("because:", "/reason")];

/// Something that happened.
type Event<'a> = (Option<&'a Timestamp>, String);

/// A boleto, its changes, its payments and what its bank was asked to do.
pub fn of_boleto(one: &Boleto, history: &GetBoletoHistoryResponse) -> Vec<String> {
    let changes = history.changes.iter();
    let changes = changes.map(|it| (it.occur_time.as_ref(), words(&BOLETO_CHANGE, &boleto::change(it))));
    let payments = history.payments.iter();
    let payments =
        payments.map(|it| (it.create_time.as_ref(), words(&boleto::PAYMENT, &boleto::payment(it))));
    let orders = history.orders.iter();
    let orders = orders.map(|it| {
        let document = boleto::order(it);
        let ended = words(&[Column::time("since", "/end_time")], &document);
        (
            it.create_time.as_ref(),
            format!("{} {ended}", words(&boleto::ORDER, &document)).trim_end().to_owned(),
        )
    });
    let events = changes.chain(payments).chain(orders).collect();
    whole(&boleto::DETAIL, &boleto::boleto(one), events)
}

/// A transfer and its changes.
pub fn of_transfer(one: &Transfer, changes: &[TransferChange]) -> Vec<String> {
    let changes = changes.iter();
    let events = changes.map(|it| (it.occur_time.as_ref(), words(&TRANSFER_CHANGE, &transfer::change(it))));
    whole(&transfer::DETAIL, &transfer::transfer(one), events.collect())
}

/// What is known, a line for each thing, and then what happened, oldest first.
fn whole(columns: &[Column], document: &Value, mut events: Vec<Event>) -> Vec<String> {
    let mut lines = known(said(columns, document));
    events.sort_by_key(|(time, _)| time.map(|time| (time.seconds, time.nanos)));
    lines.push(String::new());
    lines.extend(events.into_iter().map(|(time, what)| format!("{}  {}", moment(time), safe(&what))));
    lines
}

/// What somebody reads of a document in one line: each title with what it says.
fn words(columns: &[Column], document: &Value) -> String {
    let words = |(title, text): (&str, String)| format!("{title} {text}").trim_start().to_owned();
    said(columns, document).filter(|(_, text)| !text.is_empty()).map(words).collect::<Vec<_>>().join(", ")
}
