//! `GetBoletoHistory`: everything that happened to a boleto, as the store has it; no bank is asked.
//!
//! **Owns** nothing. **Fails** where there is no such boleto. **Limits**: its first thousand changes.

use super::convert::{boleto as convert, order, payment};
use super::gate::Gate;
use super::request;
use super::status::ApiError;
use super::watch::cursor_text;
use crate::proto::boleto::v1 as proto;
use crate::store::boleto_watch::BoletoChange;

pub(super) async fn history(
    gate: &Gate,
    request: proto::GetBoletoHistoryRequest,
) -> Result<proto::GetBoletoHistoryResponse, ApiError> {
    let id = request::id("id", &request.id)?;
    let boleto = super::boleto_service::find(gate, id).await?;
    let (store, tenant) = (&gate.house()?.store, &boleto.tenant_id);
    let changes = store.changes_of(tenant, id).await?;
    let payments = store.payments_of(tenant, id).await?;
    let orders = store.orders(tenant, id).await?;
    let change = |change: &BoletoChange| {
        convert::change_to_proto(change, cursor_text(store.store_id(), change.cursor))
    };
    Ok(proto::GetBoletoHistoryResponse {
        changes: changes.iter().map(change).collect(),
        payments: payments.iter().map(payment::to_proto).collect(),
        orders: orders.iter().map(order::to_proto).collect(),
    })
}
