//! `WatchTransfers` and `ListTransferChanges`: changes in the order in which they were committed, resumable after each, and
//! everything that happened to one transfer.
//!
//! **Owns** nothing; a cursor is written as [`boleto_watch`] writes its own, and is the caller's. **Fails** with
//! `CURSOR_OF_ANOTHER_STORE` for a place in another store; with the store's trouble, after which the caller goes on from its last
//! cursor. **Limits**: a permit held inside the stream; 256 changes a message; a slow reader holds back only itself. Of one
//! transfer its first thousand changes.
//!
//! [`boleto_watch`]: crate::grpc::boleto_watch

use std::pin::Pin;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

use super::erase::required_id;
use super::{convert, found};
use crate::domain::ids::TransferId;
use crate::domain::violation::Violation;
use crate::grpc::boleto_watch::{Start, cursor_text};
use crate::grpc::gate::Gate;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::grpc::streams::StreamPermit;
use crate::proto::transfer::v1 as proto;
use crate::store::boleto_watch::ChangeCursor;

/// The stream that a watcher gets.
pub(super) type Changes = Pin<Box<dyn Stream<Item = Result<proto::WatchTransfersResponse, Status>> + Send>>;

const CHANGES_MAX: i64 = 256;
/// Messages that wait for a slow reader; the next is read from the store when one has gone.
const BUFFERED: usize = 4;

pub(super) async fn changes(
    gate: &Gate,
    request: proto::ListTransferChangesRequest,
) -> Result<proto::ListTransferChangesResponse, ApiError> {
    let mut violations = Vec::new();
    let Some(id) = required_id(&request.id, &mut violations) else {
        return Err(ApiError::Invalid(violations));
    };
    let store = &gate.house()?.store;
    found(gate, id).await?;
    let changes = store.transfer_changes_of(&gate.tenant(), id).await?;
    let changes =
        changes.iter().map(|change| convert::change(change, cursor_text(store.store_id(), change.cursor)));
    Ok(proto::ListTransferChangesResponse { changes: changes.collect() })
}

pub(super) async fn watch(
    gate: &Gate,
    request: proto::WatchTransfersRequest,
    permit: StreamPermit,
) -> Result<Changes, ApiError> {
    let house = gate.house()?;
    let mut violations = Vec::new();
    let transfer = request::optional_id("transfer_id", &request.transfer_id, &mut violations);
    let from = Start::read(&request.cursor);
    if from.is_none() {
        violations.push(Violation::new("cursor", "is not one of this stream's"));
    }
    let Some(from) = from.filter(|_| violations.is_empty()) else {
        return Err(ApiError::Invalid(violations));
    };
    let cursor = match from {
        Start::Now => house.store.transfer_change_head().await?,
        Start::TheBeginning => ChangeCursor::default(),
        Start::After { store_id, place } if store_id == house.store.store_id() => place,
        Start::After { .. } => return Err(ApiError::CursorOfAnotherStore),
    };
    let (sender, receiver) = mpsc::channel(BUFFERED);
    tokio::spawn(follow(gate.clone(), transfer, cursor, sender));
    let stream = ReceiverStream::new(receiver).map(move |message| {
        // The permit lives as long as the stream does.
        let _ = &permit;
        message
    });
    Ok(Box::pin(stream))
}

async fn follow(
    gate: Gate,
    transfer: Option<TransferId>,
    mut cursor: ChangeCursor,
    sender: mpsc::Sender<Result<proto::WatchTransfersResponse, Status>>,
) {
    let Ok(house) = gate.house() else { return };
    let tenant = gate.tenant();
    let text = |place| cursor_text(house.store.store_id(), place);
    let mut changes = house.transfers.changes.subscribe();
    // The first message says from where the watch goes on, before anything has changed.
    let mut says_where = true;
    loop {
        let found = match house.store.transfer_changes_after(&tenant, transfer, cursor, CHANGES_MAX).await {
            Ok(found) => found,
            Err(error) => {
                let _ = sender.send(Err(ApiError::from(error).into())).await;
                return;
            }
        };
        cursor = found.last().map_or(cursor, |change| change.cursor);
        if says_where || !found.is_empty() {
            let message = proto::WatchTransfersResponse {
                changes: found.iter().map(|change| convert::change(change, text(change.cursor))).collect(),
                cursor: text(cursor),
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
