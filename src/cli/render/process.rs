//! Processes that share the store.

use serde_json::{Value, json};

use super::{short, time};
use crate::cli::table::{Column, plain};
use crate::proto::control::v1::{Office, Process, ProcessState};

/// What a list shows of each.
pub const ROW: [Column; 9] = [
    Column { title: "PROCESS", pointer: "", show: name },
    Column::plain("RUNNER", "/runner_id"),
    Column::plain("VERSION", "/version"),
    Column::plain("STATE", "/state"),
    Column::time("STARTED", "/start_time"),
    Column::time("HEARTBEAT", "/heartbeat_time"),
    Column::time("ENDED", "/end_time"),
    Column { title: "IN HAND", pointer: "", show: in_hand },
    Column { title: "OFFICES", pointer: "/offices", show: offices },
];

/// The process as a document.
pub fn process(process: &Process) -> Value {
    json!({
        "runner_id": process.runner_id,
        "name": process.name,
        "version": process.version,
        "state": state(process.state),
        "start_time": time(process.start_time.as_ref()),
        "heartbeat_time": time(process.heartbeat_time.as_ref()),
        "end_time": time(process.end_time.as_ref()),
        "in_hand": process.in_hand,
        "places": process.places,
        "offices": process.offices.iter().map(office).collect::<Vec<_>>(),
        "answering": process.answering,
    })
}

pub(super) fn office(office: &Office) -> Value {
    json!({ "name": office.name, "term": office.term, "time": time(office.time.as_ref()) })
}

pub(super) fn state(number: i32) -> String {
    short(number, "PROCESS_STATE_", ProcessState::try_from(number).ok().map(|it| it.as_str_name()))
}

/// The name, and a star for the process that answers.
fn name(process: &Value) -> String {
    let star = if process["answering"] == true { " *" } else { "" };
    format!("{}{star}", plain(&process["name"]))
}

/// `in hand/places`, as a mailbox is shown.
fn in_hand(process: &Value) -> String {
    format!("{}/{}", plain(&process["in_hand"]), plain(&process["places"]))
}

/// Each office with its term.
fn offices(offices: &Value) -> String {
    let list = offices.as_array().map(Vec::as_slice).unwrap_or_default();
    let shown = list.iter().map(|office| format!("{}@{}", plain(&office["name"]), plain(&office["term"])));
    shown.collect::<Vec<_>>().join(", ")
}
