//! The audit as documents.

use serde_json::{Value, json};

use super::{short, time};
use crate::cli::table::{Column, plain};
use crate::domain::audit::{Break, Flaw};
use crate::proto::access::v1::audit_break::Flaw as ProtoFlaw;
use crate::proto::access::v1::{AuditBreak, AuditRecord};

/// What a list shows of each.
pub(in crate::cli) const ROW: [Column; 8] = [
    Column::plain("SEQUENCE", "/sequence"),
    Column::time("TIME", "/time"),
    Column::plain("WHO", "/actor"),
    Column::plain("METHOD", "/method"),
    Column::plain("SUBJECT", "/subject"),
    Column::plain("REASON", "/reason"),
    Column { title: "BEFORE", pointer: "/before", show: compact },
    Column { title: "AFTER", pointer: "/after", show: compact },
];

/// What is shown of a verification.
pub(in crate::cli) const VERIFIED: [Column; 4] = [
    Column::plain("records as they were written", "/records"),
    Column::plain("last", "/sequence"),
    Column::plain("hash", "/hash"),
    Column::plain("records outside the chain", "/records_outside"),
];

/// The record as a document.
pub(in crate::cli) fn record(record: &AuditRecord) -> Value {
    // What is no JSON is shown as the text that it is: it may have been changed.
    let document = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    json!({
        "id": record.id,
        "sequence": record.sequence,
        "time": time(record.time.as_ref()),
        "actor": record.actor,
        "tenant_id": record.tenant_id,
        "method": record.method,
        "subject": record.subject,
        "reason": record.reason,
        "before": document(&record.before),
        "after": document(&record.after),
        "traceparent": record.traceparent,
    })
}

/// The break as a document.
pub(in crate::cli) fn broken(found: &AuditBreak) -> Value {
    let flaw = ProtoFlaw::try_from(found.flaw).ok().map(|flaw| flaw.as_str_name());
    json!({ "sequence": found.sequence, "id": found.id, "flaw": short(found.flaw, "FLAW_", flaw) })
}

/// The same, of a store that we have looked into ourselves.
pub(in crate::cli) fn broken_in_store(found: &Break) -> Value {
    let flaw = match found.flaw {
        Flaw::Missing => ProtoFlaw::Missing,
        Flaw::OutOfPlace => ProtoFlaw::OutOfPlace,
        Flaw::Changed => ProtoFlaw::Changed,
        Flaw::Head => ProtoFlaw::Head,
        Flaw::Unexpected => ProtoFlaw::Unexpected,
    };
    let id = found.id.map(|id| id.to_string()).unwrap_or_default();
    broken(&AuditBreak { sequence: found.sequence, id, flaw: flaw.into() })
}

/// A break in words.
pub(in crate::cli) fn words(broken: &Value) -> String {
    let (flaw, id) = (plain(&broken["flaw"]), plain(&broken["id"]));
    match flaw.as_str() {
        "missing" => "there is no record".to_owned(),
        "out_of_place" => {
            format!(
                "record {id} did not follow the one before it; one of the two was moved, put in or replaced"
            )
        }
        "changed" => format!("record {id} is not what was written"),
        "head" => "the last record is another than was noted as the last".to_owned(),
        "unexpected" => format!("record {id} has another hash than the one that was kept"),
        other => format!("{other} {id}"),
    }
}

/// Nothing for what tells nothing, such as what was read.
fn compact(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        value => plain(value),
    }
}
