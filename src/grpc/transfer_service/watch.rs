//! `WatchTransfers` and `ListTransferChanges`: every change of every transfer, or of one.
//!
//! **Owns** nothing. **Fails** and **Limits** as every watch (`grpc::watch`); of one transfer its first thousand changes.

use tokio::sync::watch::Receiver;

use super::erase::required_id;
use super::{convert, found};
use crate::domain::ids::{TenantId, TransferId};
use crate::grpc::gate::Gate;
use crate::grpc::request;
use crate::grpc::seats::StreamSeat;
use crate::grpc::status::ApiError;
use crate::grpc::watch::{self, Answers, Watched, cursor_text};
use crate::messages::House;
use crate::proto::transfer::v1 as proto;
use crate::store::boleto_watch::ChangeCursor;
use crate::store::transfer_watch::TransferChange;
use crate::store::{Store, StoreError};

/// The stream that a watcher gets.
pub(super) type Changes = Answers<proto::WatchTransfersResponse>;

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
    let changes = store.transfer_changes_of(&gate.tenant()?, id).await?;
    let changes =
        changes.iter().map(|change| convert::change(change, cursor_text(store.store_id(), change.cursor)));
    Ok(proto::ListTransferChangesResponse { changes: changes.collect() })
}

pub(super) async fn watch(
    gate: &Gate,
    request: proto::WatchTransfersRequest,
    seat: StreamSeat,
) -> Result<Changes, ApiError> {
    let mut violations = Vec::new();
    let transfer = request::optional_id("transfer_id", &request.transfer_id, &mut violations);
    watch::open(gate, Watching(transfer), &request.cursor, violations, seat).await
}

/// All of a tenant's, or one.
struct Watching(Option<TransferId>);

impl Watched for Watching {
    type Change = TransferChange;
    type Answer = proto::WatchTransfersResponse;

    async fn head(store: &Store) -> Result<ChangeCursor, StoreError> {
        store.transfer_change_head().await
    }

    async fn after(
        &self,
        store: &Store,
        tenant: &TenantId,
        place: ChangeCursor,
        limit: i64,
    ) -> Result<Vec<TransferChange>, StoreError> {
        store.transfer_changes_after(tenant, self.0, place, limit).await
    }

    fn changes(house: &House) -> Receiver<u64> {
        house.transfers.changes.subscribe()
    }

    fn place(change: &TransferChange) -> ChangeCursor {
        change.cursor
    }

    fn answer(changes: Vec<(TransferChange, String)>, cursor: String) -> proto::WatchTransfersResponse {
        let changes = changes.iter().map(|(change, cursor)| convert::change(change, cursor.clone()));
        proto::WatchTransfersResponse { changes: changes.collect(), cursor }
    }
}
