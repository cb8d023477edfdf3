//! `ExportBoletos`: every boleto that a filter finds, oldest first, page by page.
//!
//! Who exports by which filter is in the audit before anything is handed out, and how many boletos it were once that has ended.
//!
//! **Owns** nothing; where it goes on is the id of the last boleto, which the caller has. **Fails** with the store's
//! trouble and while draining; the caller then goes on after its last boleto.
//! **Limits**: a seat held inside the stream; one page in memory and one on its way, so that a slow reader holds back
//! only itself. Ids are made before they are committed: what is made while an export runs may stand before its place, so an
//! export of everything ends at a time that has passed (`create_time_until`).

use std::pin::Pin;

use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;
use tracing::warn;
use uuid::Uuid;

use super::boleto_service::filter;
use super::convert::boleto as convert;
use super::gate::Gate;
use super::request;
use super::seats::StreamSeat;
use super::status::ApiError;
use crate::caller;
use crate::domain::ids::{BoletoId, TenantId};
use crate::proto::boleto::v1 as proto;
use crate::store::audit_act::Act;
use crate::store::audit_list::Subject;
use crate::store::boleto_list::BoletoFilter;

pub(super) type Exported = Pin<Box<dyn Stream<Item = Result<proto::ExportBoletosResponse, Status>> + Send>>;

/// Some 500 KiB a message with boletos of the usual size, a quarter of what clients take by default at the very worst.
const PAGE: u64 = 250;

pub(super) async fn export(
    gate: &Gate,
    request: proto::ExportBoletosRequest,
    seat: StreamSeat,
) -> Result<Exported, ApiError> {
    gate.house()?;
    let mut violations = Vec::new();
    let after = request::optional_id("after_id", &request.after_id, &mut violations);
    let reason = request::optional_reason(request.reason, &mut violations);
    let filter = match filter(&request.filter.unwrap_or_default()) {
        Ok(filter) if violations.is_empty() => filter,
        Ok(_) => return Err(ApiError::Invalid(violations)),
        Err(ApiError::Invalid(found)) => {
            // A filter's fields are told by their place in this request.
            let found = found.into_iter().map(|mut violation| {
                violation.field = format!("filter.{}", violation.field);
                violation
            });
            violations.extend(found);
            return Err(ApiError::Invalid(violations));
        }
        Err(error) => return Err(error),
    };
    let found = found(&filter, after);
    let id = Uuid::now_v7();
    // Before anything is handed out, and not at all if that fails.
    gate.house()?.store.audit_act(written_down(id, reason.clone(), found, json!(null))).await?;
    let (sender, receiver) = mpsc::channel(1);
    caller::spawn(send_pages(gate.clone(), gate.tenant()?, filter, (id, reason, after), sender));
    let stream = ReceiverStream::new(receiver).map(move |message| {
        // The seat lives as long as the stream does.
        let _ = &seat;
        message
    });
    Ok(Box::pin(stream))
}

async fn send_pages(
    gate: Gate,
    tenant: TenantId,
    filter: BoletoFilter,
    (id, reason, after): (Uuid, String, Option<BoletoId>),
    sender: mpsc::Sender<Result<proto::ExportBoletosResponse, Status>>,
) {
    let Ok(house) = gate.house() else { return };
    let found = found(&filter, after);
    let (boletos, ended) = hand_out(&gate, &tenant, &filter, after, &sender).await;
    let told = json!({ "boletos": boletos, "ended": ended });
    if let Err(error) = house.store.audit_act(written_down(id, reason, found, told)).await {
        warn!(%error, boletos, "the end of an export is not in the audit");
    }
}

/// How many boletos were handed out, and why no more.
async fn hand_out(
    gate: &Gate,
    tenant: &TenantId,
    filter: &BoletoFilter,
    mut after: Option<BoletoId>,
    sender: &mpsc::Sender<Result<proto::ExportBoletosResponse, Status>>,
) -> (usize, &'static str) {
    let mut handed_out = 0;
    let Ok(house) = gate.house() else { return (handed_out, "draining") };
    loop {
        if gate.readiness().is_draining() {
            let _ = sender.send(Err(ApiError::Draining.into())).await;
            return (handed_out, "draining");
        }
        let page = match house.store.export_boletos(tenant, filter, after, PAGE).await {
            Ok(page) => page,
            Err(error) => {
                let _ = sender.send(Err(ApiError::from(error).into())).await;
                return (handed_out, "the store failed");
            }
        };
        let Some(last) = page.last() else { return (handed_out, "complete") };
        after = Some(last.id);
        let is_last = (page.len() as u64) < PAGE;
        let boletos = page.iter().map(convert::to_proto).collect();
        if sender.send(Ok(proto::ExportBoletosResponse { boletos })).await.is_err() {
            // Nobody reads any more: the caller has what it wanted.
            return (handed_out, "hung up");
        }
        handed_out += page.len();
        if is_last {
            return (handed_out, "complete");
        }
    }
}

/// By which filter, but for what names a person or is a secret: of that only whether it was asked for.
fn found(filter: &BoletoFilter, after: Option<BoletoId>) -> serde_json::Value {
    let time = |at: Option<DateTime<Utc>>| at.map(|at| at.to_rfc3339());
    json!({
        "statuses": filter.statuses.iter().map(|status| status.as_str()).collect::<Vec<_>>(),
        "bank_account_id": filter.bank_account_id.map(|id| id.to_string()),
        "by_number": filter.nosso_numero.is_some(),
        "by_reference": filter.reference_id.is_some() || filter.token.is_some(),
        "created_from": time(filter.created_from),
        "created_until": time(filter.created_until),
        "due_from": filter.due_from.map(|date| date.to_string()),
        "due_until": filter.due_until.map(|date| date.to_string()),
        "after_id": after.map(|id| id.to_string()),
    })
}

/// Two records with one subject: that an export began, and what came of it.
fn written_down(id: Uuid, reason: String, filter: serde_json::Value, told: serde_json::Value) -> Act {
    Act {
        method: "ExportBoletos",
        subject: Subject::Id(id),
        reason,
        before: json!({ "filter": filter }),
        after: told,
        now: request::now(),
    }
}
