//! What a shop has done with a boleto after it was issued, and what it reads about it.

use bursar::proto::boleto::v1::{
    AmendBoletoRequest, AmendBoletoResponse, Boleto, BoletoOrder, BoletoOrderState, BoletoStatus,
    CancelBoletoRequest, CancelBoletoResponse, GetBoletoHistoryRequest, GetBoletoHistoryResponse,
    ResolveBoletoRequest,
};
use tonic::Status;

use super::{Shop, eventually};

impl Shop {
    /// Has a boleto cancelled, whatever its version.
    pub async fn cancels(&self, id: &str, reason: &str) -> Result<CancelBoletoResponse, Status> {
        self.asks_to_cancel(CancelBoletoRequest {
            id: id.to_owned(),
            reason: reason.to_owned(),
            ..CancelBoletoRequest::default()
        })
        .await
    }

    pub async fn asks_to_cancel(&self, request: CancelBoletoRequest) -> Result<CancelBoletoResponse, Status> {
        Ok(self.boletos.clone().cancel_boleto(request).await?.into_inner())
    }

    /// Has a boleto amended, whatever its version.
    pub async fn amends(
        &self,
        id: &str,
        change: impl FnOnce(&mut AmendBoletoRequest),
    ) -> Result<AmendBoletoResponse, Status> {
        let mut request = AmendBoletoRequest {
            id: id.to_owned(),
            reason: "agreed by telephone".to_owned(),
            ..AmendBoletoRequest::default()
        };
        change(&mut request);
        Ok(self.boletos.clone().amend_boleto(request).await?.into_inner())
    }

    pub async fn resolves(&self, request: ResolveBoletoRequest) -> Result<Boleto, Status> {
        let answer = self.boletos.clone().resolve_boleto(request).await?.into_inner();
        Ok(answer.boleto.expect("a boleto in the answer"))
    }

    pub async fn reads_history(&self, id: &str) -> GetBoletoHistoryResponse {
        let request = GetBoletoHistoryRequest { id: id.to_owned() };
        let answer = self.boletos.clone().get_boleto_history(request).await;
        answer.unwrap_or_else(|status| panic!("{status:?}")).into_inner()
    }

    /// Waits until the last order of a boleto has come so far.
    pub async fn sees_order(&self, id: &str, state: BoletoOrderState) -> BoletoOrder {
        eventually(&format!("order {state:?}"), async || {
            self.reads_history(id).await.orders.pop().filter(|order| order.state() == state)
        })
        .await
    }

    /// Everything that became of a boleto, by the names of the events, which must count up without a gap.
    pub async fn reads_events(&self, id: &str) -> Vec<String> {
        let changes = self.reads_history(id).await.changes;
        let versions: Vec<i64> = changes.iter().map(|change| change.version).collect();
        assert_eq!(versions, (1..=changes.len() as i64).collect::<Vec<_>>());
        changes.into_iter().map(|change| change.event_type).collect()
    }
}

/// A person's decision about a boleto in review.
pub fn a_resolution(id: &str, resolution: BoletoStatus, reason: &str) -> ResolveBoletoRequest {
    ResolveBoletoRequest {
        id: id.to_owned(),
        resolution: resolution.into(),
        reason: reason.to_owned(),
        ..ResolveBoletoRequest::default()
    }
}
