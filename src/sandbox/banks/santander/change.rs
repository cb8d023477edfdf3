//! Changes and the write-off: `PATCH /workspaces/{id}/bank_slips`.
//!
//! **Owns** nothing.
//! **Fails** when there is nothing or more than one thing to do, for a title that has ended, and for one that is not on
//! file.
//! **Limits**: protest and its end are accepted and leave the title as it is.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use serde_json::json;

use super::answers::{Fault, errors, not_recorded};
use super::request::{ChangeRequest, bare_number};
use super::{Santander, Slip};
use crate::sandbox::banks::desk::{Call, play, today};
use crate::sandbox::banks::file::{Ended, Title};
use crate::sandbox::banks::rules::{cents, iso_date};
use crate::sandbox::script::Act;

/// What is to be done.
enum Change {
    Due(NaiveDate),
    Deduction(u64),
    /// Kept under this name and looked at no further.
    Terms(&'static str),
    WriteOff,
}

pub async fn change(State(bank): State<Arc<Santander>>, Path(id): Path<String>, call: Call) -> Response {
    // What a call wants decides whose part of the script it plays.
    let wants_write_off = serde_json::from_slice::<serde_json::Value>(&call.body)
        .is_ok_and(|body| body["operation"] == "BAIXAR");
    let act = if wants_write_off { Act::WriteOff } else { Act::Amend };
    play(bank, act, call, async move |bank: Arc<Santander>, call: Call, refuse| {
        match bank.admit::<ChangeRequest>(&call, refuse) {
            Ok(request) => bank.change(&id, &request).await,
            Err(refusal) => *refusal,
        }
    })
    .await
}

impl Santander {
    async fn change(&self, workspace: &str, request: &ChangeRequest) -> Response {
        let change = match wanted(request) {
            Ok(change) => change,
            Err(field) => return refuse("0422", field, "missing, invalid, or more than one"),
        };
        let covenant = request.covenant_code.digits().unwrap_or_default();
        if !self.allows(workspace, covenant) {
            return errors(StatusCode::NOT_FOUND, "no such workspace for this covenant", &[]);
        }
        let number = bare_number(&request.bank_number).map(|title| format!("{covenant}.{title}"));
        let changed = number
            .ok_or(Ended::NotOnFile)
            .and_then(|number| self.desk.file.change(&number, today(), |title| apply(title, &change)));
        let key = match changed {
            Ok(Some(key)) => key,
            Ok(None) => return refuse("0422", "deductionValue", "not below nominalValue"),
            Err(Ended::NotOnFile) => return errors(StatusCode::NOT_FOUND, "bill not found", &[]),
            Err(Ended::Paid) => return refuse("0406", "bankNumber", "already settled"),
            Err(Ended::WrittenOff) => return refuse("0407", "bankNumber", "already written off"),
        };
        let recorded = match change {
            Change::WriteOff => self.desk.written_off(key).await,
            Change::Due(due) => self.desk.amended(key, json!({"due_date": due})).await,
            Change::Deduction(cents) => self.desk.amended(key, json!({"rebate_cents": cents})).await,
            Change::Terms(name) => self.desk.amended(key, json!({"terms": name})).await,
        };
        if recorded.is_err() {
            return not_recorded();
        }
        let (covenant, number) = (request.covenant_code.text(), request.bank_number.text());
        let answer = json!({"covenantCode": covenant, "bankNumber": number, "message": "accepted"});
        Json(answer).into_response()
    }
}

/// The one thing that a request asks for.
fn wanted(request: &ChangeRequest) -> Result<Change, &'static str> {
    let mut wanted = Vec::new();
    if let Some(text) = &request.due_date {
        wanted.push(Change::Due(iso_date(text).ok_or("dueDate")?));
    }
    if let Some(value) = &request.deduction_value {
        wanted.push(Change::Deduction(cents(&value.text()).ok_or("deductionValue")?));
    }
    match request.operation.as_deref() {
        None => {}
        Some("BAIXAR") => wanted.push(Change::WriteOff),
        Some("PROTESTAR") => wanted.push(Change::Terms("PROTESTAR")),
        Some("CANCELAR_PROTESTO") => wanted.push(Change::Terms("CANCELAR_PROTESTO")),
        Some(_) => return Err("operation"),
    }
    if request.discount.is_some() {
        wanted.push(Change::Terms("discount"));
    }
    if request.fine_percentage.is_some() || request.fine_quantity_days.is_some() {
        wanted.push(Change::Terms("fine"));
    }
    if request.interest_percentage.is_some() {
        wanted.push(Change::Terms("interest"));
    }
    if request.write_off_quantity_days.is_some() {
        wanted.push(Change::Terms("write_off"));
    }
    let first = wanted.pop();
    first.filter(|_| wanted.is_empty()).ok_or("operation")
}

/// Does it and returns the title's key, unless the deduction would leave nothing to pay.
fn apply(title: &mut Title<Slip>, change: &Change) -> Option<String> {
    let checked = &mut title.paper.checked;
    match *change {
        Change::Due(due) => checked.due = due,
        Change::Deduction(cents) if cents >= checked.cents => return None,
        Change::Deduction(cents) => checked.deduction_cents = cents,
        Change::Terms(_) => {}
        Change::WriteOff => title.state = crate::sandbox::banks::file::State::WrittenOff,
    }
    Some(title.paper.key.clone())
}

fn refuse(code: &str, field: &str, text: &str) -> Response {
    errors(StatusCode::BAD_REQUEST, "refused", &[Fault::new(code, field, text)])
}
