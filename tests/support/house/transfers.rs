//! What somebody who keeps the house asks about transfers.

use bursar::proto::transfer::v1::transfer::State;
use bursar::proto::transfer::v1::{
    EraseTransferRequest, FindTransferRequest, FindTransferResponse, ReprocessTransferRequest,
    ReprocessTransferResponse, Transfer, reprocess_transfer_request,
};
use tonic::Status;

use super::{Operator, eventually};

impl Operator {
    /// What is known of a key of the only feed.
    pub async fn finds_transfer(&self, key: &str) -> FindTransferResponse {
        let request = FindTransferRequest { key: key.to_owned(), ..FindTransferRequest::default() };
        self.transfers.clone().find_transfer(request).await.expect("an answer").into_inner()
    }

    /// Waits until a transfer of the only feed is in a state, and returns it.
    pub async fn sees_transfer(&self, key: &str, state: State) -> Transfer {
        eventually(&format!("{key} is {state:?}"), async || {
            let found = self.finds_transfer(key).await.transfer?;
            (found.state() == state).then_some(found)
        })
        .await
    }

    /// Has a transfer analysed once more; `request_id` may be empty.
    pub async fn reprocesses(
        &self,
        id: &str,
        tell_owners: bool,
        request_id: &str,
    ) -> Result<ReprocessTransferResponse, Status> {
        let request = ReprocessTransferRequest {
            which: Some(reprocess_transfer_request::Which::Id(id.to_owned())),
            tell_owners,
            reason: "heard wrongly".to_owned(),
            request_id: request_id.to_owned(),
            ..ReprocessTransferRequest::default()
        };
        Ok(self.transfers.clone().reprocess_transfer(request).await?.into_inner())
    }

    /// Has everything of a transfer taken away.
    pub async fn erases(&self, id: &str) -> Result<Transfer, Status> {
        let request = EraseTransferRequest {
            id: id.to_owned(),
            reason: "asked for by the person".to_owned(),
            ..EraseTransferRequest::default()
        };
        let answer = self.transfers.clone().erase_transfer(request).await?.into_inner();
        Ok(answer.transfer.expect("a transfer in the answer"))
    }
}
