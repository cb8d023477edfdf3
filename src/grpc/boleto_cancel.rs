//! `CancelBoleto`: takes a boleto off file (baixa), at once where it has never left, else by an order to its bank.
//!
//! **Owns** nothing. **Fails** with every violation at once, and as an order does. **Limits**: one whose registration is
//! under way is cancelled once its outcome is known; one that needs review is a matter of `ResolveBoleto`.

use super::boleto_order::{self, Asked};
use super::gate::Gate;
use super::request;
use super::status::ApiError;
use crate::connectors::banks::Bank as _;
use crate::domain::boleto::order::Wish;
use crate::proto::boleto::v1 as proto;

const METHOD: &str = "CancelBoleto";

pub(super) async fn cancel(
    gate: &Gate,
    mut request: proto::CancelBoletoRequest,
) -> Result<proto::CancelBoletoResponse, ApiError> {
    let house = gate.house_for_change()?;
    let mut violations = Vec::new();
    let request_id = std::mem::take(&mut request.request_id);
    let key = request::key(&gate.tenant()?, METHOD, &request_id, &request, &mut violations);
    let asked = Asked::read(&request.id, request.version, request.reason, key, &mut violations);
    let Some(id) = asked.id.filter(|_| violations.is_empty()) else {
        return Err(ApiError::Invalid(violations));
    };
    if let Some((boleto, order)) = boleto_order::made_before(gate, house, id, asked.key.as_ref()).await? {
        return Ok(proto::CancelBoletoResponse { boleto: Some(boleto), order });
    }
    let boleto = super::boleto_service::find(gate, id).await?;
    let account = boleto_order::account(house, &boleto).await?;
    let can = house
        .registrars
        .get(&account.provider)
        .is_some_and(|registrar| registrar.connector.capabilities(&account).cancel);
    let cannot = (!can)
        .then(|| format!("the connector {} cannot have a boleto taken off file", account.provider.as_str()));
    let (boleto, order) = boleto_order::place(gate, house, &boleto, asked, Wish::Cancel, cannot).await?;
    Ok(proto::CancelBoletoResponse { boleto: Some(boleto), order })
}
