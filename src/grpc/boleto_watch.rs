//! `WatchBoletos`: changes in the order in which they were committed, resumable after each.
//!
//! **Owns** nothing: the cursor is the caller's. **Fails** with the store's trouble, after which the caller goes on from its
//! last cursor. **Limits**: a permit held inside the stream; 256 changes a message; a slow reader holds back only itself.

use std::pin::Pin;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

use super::convert::boleto as convert;
use super::gate::Gate;
use super::request;
use super::status::ApiError;
use super::streams::StreamPermit;
use crate::domain::ids::BoletoId;
use crate::domain::violation::Violation;
use crate::proto::boleto::v1 as proto;
use crate::store::boleto_watch::ChangeCursor;

/// The stream that a watcher gets.
pub(super) type Changes = Pin<Box<dyn Stream<Item = Result<proto::WatchBoletosResponse, Status>> + Send>>;

const CHANGES_MAX: i64 = 256;
/// Messages that wait for a slow reader; the next is read from the store when one has gone.
const BUFFERED: usize = 4;

pub(super) async fn watch(
    gate: &Gate,
    request: proto::WatchBoletosRequest,
    permit: StreamPermit,
) -> Result<Changes, ApiError> {
    let house = gate.house()?;
    let mut violations = Vec::new();
    let boleto = request::optional_id("boleto_id", &request.boleto_id, &mut violations);
    let cursor = if request.cursor.is_empty() { None } else { convert::cursor_from_text(&request.cursor) };
    if !request.cursor.is_empty() && cursor.is_none() {
        violations.push(Violation::new("cursor", "is not one of this stream's"));
    }
    if !violations.is_empty() {
        return Err(ApiError::Invalid(violations));
    }
    let cursor = match cursor {
        Some(cursor) => cursor,
        None => house.store.change_head().await?,
    };
    let (sender, receiver) = mpsc::channel(BUFFERED);
    tokio::spawn(follow(gate.clone(), boleto, cursor, sender));
    let stream = ReceiverStream::new(receiver).map(move |message| {
        // The permit lives as long as the stream does.
        let _ = &permit;
        message
    });
    Ok(Box::pin(stream))
}

async fn follow(
    gate: Gate,
    boleto: Option<BoletoId>,
    mut cursor: ChangeCursor,
    sender: mpsc::Sender<Result<proto::WatchBoletosResponse, Status>>,
) {
    let Ok(house) = gate.house() else { return };
    let tenant = gate.tenant();
    let mut changes = house.changes.subscribe();
    // The first message says from where the watch goes on, before anything has changed.
    let mut says_where = true;
    loop {
        let found = match house.store.changes_after(&tenant, boleto, cursor, CHANGES_MAX).await {
            Ok(found) => found,
            Err(error) => {
                let _ = sender.send(Err(ApiError::from(error).into())).await;
                return;
            }
        };
        cursor = found.last().map_or(cursor, |change| change.cursor);
        if says_where || !found.is_empty() {
            let message = proto::WatchBoletosResponse {
                changes: found.iter().map(convert::change_to_proto).collect(),
                cursor: convert::cursor_text(cursor),
            };
            if sender.send(Ok(message)).await.is_err() {
                return;
            }
            says_where = false;
        }
        if found.is_empty() {
            if gate.readiness().is_draining() {
                let _ = sender.send(Err(ApiError::Draining.into())).await;
                return;
            }
            tokio::select! {
                () = sender.closed() => return,
                _ = tokio::time::timeout(gate.limits().watch_poll, changes.changed()) => {}
            }
        }
    }
}
