//! `WatchBoletos`: every change of every boleto, or of one.
//!
//! **Owns** nothing. **Fails** and **Limits** as every watch ([`super::watch`]).

use tokio::sync::watch::Receiver;

use super::convert::boleto as convert;
use super::gate::Gate;
use super::request;
use super::seats::StreamSeat;
use super::status::ApiError;
use super::watch::{self, Answers, Watched};
use crate::domain::ids::{BoletoId, TenantId};
use crate::messages::House;
use crate::proto::boleto::v1 as proto;
use crate::store::boleto_watch::{BoletoChange, ChangeCursor};
use crate::store::{Store, StoreError};

/// The stream that a watcher gets.
pub(super) type Changes = Answers<proto::WatchBoletosResponse>;

pub(super) async fn watch(
    gate: &Gate,
    request: proto::WatchBoletosRequest,
    seat: StreamSeat,
) -> Result<Changes, ApiError> {
    let mut violations = Vec::new();
    let boleto = request::optional_id("boleto_id", &request.boleto_id, &mut violations);
    watch::open(gate, Boletos(boleto), &request.cursor, violations, seat).await
}

/// All of a tenant's, or one.
struct Boletos(Option<BoletoId>);

impl Watched for Boletos {
    type Change = BoletoChange;
    type Answer = proto::WatchBoletosResponse;

    async fn head(store: &Store) -> Result<ChangeCursor, StoreError> {
        store.change_head().await
    }

    async fn after(
        &self,
        store: &Store,
        tenant: &TenantId,
        place: ChangeCursor,
        limit: i64,
    ) -> Result<Vec<BoletoChange>, StoreError> {
        store.changes_after(tenant, self.0, place, limit).await
    }

    fn changes(house: &House) -> Receiver<u64> {
        house.changes.subscribe()
    }

    fn place(change: &BoletoChange) -> ChangeCursor {
        change.cursor
    }

    fn answer(changes: Vec<(BoletoChange, String)>, cursor: String) -> proto::WatchBoletosResponse {
        let changes = changes.iter().map(|(change, cursor)| convert::change_to_proto(change, cursor.clone()));
        proto::WatchBoletosResponse { changes: changes.collect(), cursor }
    }
}
