//! `ExportBoletos`: every boleto that a filter finds, oldest first, page by page.
//!
//! **Owns** nothing; where it goes on is the id of the last boleto, which the caller has. **Fails** with the store's
//! trouble and while draining; the caller then goes on after its last boleto.
//! **Limits**: a permit held inside the stream; one page in memory and one on its way, so that a slow reader holds back
//! only itself. Ids are made before they are committed: what is made while an export runs may stand before its place, so an
//! export of everything ends at a time that has passed (`create_time_until`).

use std::pin::Pin;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

use super::boleto_service::filter;
use super::convert::boleto as convert;
use super::gate::Gate;
use super::request;
use super::status::ApiError;
use super::streams::StreamPermit;
use crate::domain::ids::BoletoId;
use crate::proto::boleto::v1 as proto;
use crate::store::boleto_list::BoletoFilter;

pub(super) type Exported = Pin<Box<dyn Stream<Item = Result<proto::ExportBoletosResponse, Status>> + Send>>;

/// Some 500 KiB a message with boletos of the usual size, a quarter of what clients take by default at the very worst.
const PAGE: u64 = 250;

pub(super) async fn export(
    gate: &Gate,
    request: proto::ExportBoletosRequest,
    permit: StreamPermit,
) -> Result<Exported, ApiError> {
    gate.house()?;
    let mut violations = Vec::new();
    let after = request::optional_id("after_id", &request.after_id, &mut violations);
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
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(send_pages(gate.clone(), filter, after, sender));
    let stream = ReceiverStream::new(receiver).map(move |message| {
        // The permit lives as long as the stream does.
        let _ = &permit;
        message
    });
    Ok(Box::pin(stream))
}

async fn send_pages(
    gate: Gate,
    filter: BoletoFilter,
    mut after: Option<BoletoId>,
    sender: mpsc::Sender<Result<proto::ExportBoletosResponse, Status>>,
) {
    let Ok(house) = gate.house() else { return };
    let tenant = gate.tenant();
    loop {
        if gate.readiness().is_draining() {
            let _ = sender.send(Err(ApiError::Draining.into())).await;
            return;
        }
        let page = match house.store.export_boletos(&tenant, &filter, after, PAGE).await {
            Ok(page) => page,
            Err(error) => {
                let _ = sender.send(Err(ApiError::from(error).into())).await;
                return;
            }
        };
        let Some(last) = page.last() else { return };
        after = Some(last.id);
        let is_last = (page.len() as u64) < PAGE;
        let boletos = page.iter().map(convert::to_proto).collect();
        // Nobody reads any more: the caller has what it wanted.
        if sender.send(Ok(proto::ExportBoletosResponse { boletos })).await.is_err() || is_last {
            return;
        }
    }
}
