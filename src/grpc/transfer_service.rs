//! `TransferService`: recorded questionings, from their feed to their result.
//!
//! **Owns** nothing. **Fails** as the status table says; a feed is named where a key is and there are several.
//! **Limits**: what was measured is handed out only to whom the audit names: `FindTransfer`, `GetAnalysis` and
//! `ProcessTransfer` write down that it was read, every other answer leaves it out.

mod analysis;
mod erase;
mod feeds;
mod find;
mod follow;
mod list;
mod process;
mod reprocess;
mod watch;

use std::sync::Arc;

use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert::transfer as convert;
use super::gate::Gate;
use super::request;
use super::seats::ApiSeats;
use super::status::ApiError;
use crate::domain::ids::TransferId;
use crate::domain::transfer::TransferKey;
use crate::domain::violation::Violation;
use crate::messages::House;
use crate::messages::transfers::Feed;
use crate::proto::transfer::v1 as proto;
use crate::proto::transfer::v1::transfer_service_server::TransferService;
use crate::store::raw_answer::AnalysisRead;
use crate::store::transfer_list::TransferSeen;

/// The service.
pub(super) struct Transfers {
    pub gate: Gate,
    pub seats: ApiSeats,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl TransferService for Transfers {
    async fn get_transfer(
        &self,
        request: Request<proto::GetTransferRequest>,
    ) -> Answer<proto::GetTransferResponse> {
        Ok(Response::new(find::get(&self.gate, request.into_inner()).await?))
    }

    async fn find_transfer(
        &self,
        request: Request<proto::FindTransferRequest>,
    ) -> Answer<proto::FindTransferResponse> {
        Ok(Response::new(find::find(&self.gate, request.into_inner()).await?))
    }

    async fn list_transfers(
        &self,
        request: Request<proto::ListTransfersRequest>,
    ) -> Answer<proto::ListTransfersResponse> {
        Ok(Response::new(list::list(&self.gate, request.into_inner()).await?))
    }

    type ProcessTransferStream = follow::Steps;

    async fn process_transfer(
        &self,
        request: Request<proto::ProcessTransferRequest>,
    ) -> Answer<Self::ProcessTransferStream> {
        let seat = self.seats.stream(request.remote_addr())?;
        Ok(Response::new(process::process(&self.gate, request.into_inner(), seat).await?))
    }

    async fn reprocess_transfer(
        &self,
        request: Request<proto::ReprocessTransferRequest>,
    ) -> Answer<proto::ReprocessTransferResponse> {
        Ok(Response::new(reprocess::reprocess(&self.gate, request.into_inner()).await?))
    }

    async fn get_analysis(
        &self,
        request: Request<proto::GetAnalysisRequest>,
    ) -> Answer<proto::GetAnalysisResponse> {
        Ok(Response::new(analysis::get(&self.gate, request.into_inner()).await?))
    }

    type WatchTransfersStream = watch::Changes;

    async fn watch_transfers(
        &self,
        request: Request<proto::WatchTransfersRequest>,
    ) -> Answer<Self::WatchTransfersStream> {
        let seat = self.seats.stream(request.remote_addr())?;
        Ok(Response::new(watch::watch(&self.gate, request.into_inner(), seat).await?))
    }

    async fn erase_transfer(
        &self,
        request: Request<proto::EraseTransferRequest>,
    ) -> Answer<proto::EraseTransferResponse> {
        Ok(Response::new(erase::erase(&self.gate, request.into_inner()).await?))
    }

    async fn list_transfer_changes(
        &self,
        request: Request<proto::ListTransferChangesRequest>,
    ) -> Answer<proto::ListTransferChangesResponse> {
        Ok(Response::new(watch::changes(&self.gate, request.into_inner()).await?))
    }

    async fn list_feeds(
        &self,
        _request: Request<proto::ListFeedsRequest>,
    ) -> Answer<proto::ListFeedsResponse> {
        Ok(Response::new(feeds::list(&self.gate).await?))
    }
}

/// Which transfer a caller means by a feed and a key.
struct Named {
    /// Nothing for a name that no feed of this configuration has; what it offered once is here all the same.
    feed: Option<Arc<Feed>>,
    feed_name: String,
    key: TransferKey,
}

/// Reads feed and key. One feed need not be named where there is one.
fn named(gate: &Gate, house: &House, feed: &str, key: &str) -> Result<Named, ApiError> {
    let mut violations = Vec::new();
    let read = TransferKey::parse(key);
    if let Err(error) = read {
        violations
            .push(Violation::new("key", if key.is_empty() { "required".into() } else { error.to_string() }));
    }
    let tenant = gate.tenant()?;
    let mut feeds = house.transfers.feeds.values().filter(|feed| feed.tenant == tenant);
    let feed = match feed {
        "" => match (feeds.next(), feeds.next()) {
            (Some(only), None) => Some((only.name.clone(), Some(only.clone()))),
            (Some(_), Some(_)) => {
                violations.push(Violation::new("feed", "required: there are several feeds"));
                None
            }
            (None, _) if violations.is_empty() => return Err(ApiError::NotFound("FEED")),
            (None, _) => None,
        },
        name => {
            let name =
                request::optional_text("feed", name.to_owned(), list::FILTER_CHARS_MAX, &mut violations);
            name.map(|name| (name.clone(), feeds.find(|feed| feed.name == name).cloned()))
        }
    };
    match (read, feed) {
        (Ok(key), Some((feed_name, feed))) if violations.is_empty() => Ok(Named { feed, feed_name, key }),
        _ => Err(ApiError::Invalid(violations)),
    }
}

/// A tenant's transfer, or that there is none.
async fn found(gate: &Gate, id: TransferId) -> Result<TransferSeen, ApiError> {
    let seen = gate.house()?.store.transfer(&gate.tenant()?, id).await?;
    seen.ok_or(ApiError::NotFound("TRANSFER"))
}

/// The feed that offered a transfer; one that is configured no longer is not found.
fn feed_of<'a>(house: &'a House, seen: &TransferSeen) -> Result<&'a Arc<Feed>, ApiError> {
    let feed = house.transfers.feeds.get(&seen.transfer.feed);
    feed.filter(|feed| feed.tenant == seen.transfer.tenant_id).ok_or(ApiError::NotFound("FEED"))
}

/// Writes down who reads an analysis: before it is handed out.
async fn audit_read(
    gate: &Gate,
    house: &House,
    id: TransferId,
    method: &'static str,
    reason: String,
) -> Result<(), ApiError> {
    let read = AnalysisRead {
        id: Uuid::now_v7(),
        tenant_id: gate.tenant()?,
        transfer_id: id,
        method,
        reason,
        traceparent: crate::telemetry::traceparent(),
        now: request::now(),
    };
    Ok(house.store.audit_analysis_read(&read).await?)
}

/// Tells those of this process who wait for work, and those who follow transfers.
fn there_is_work(house: &House, queue: &str) {
    house.hints.there_is_work(queue);
    changed(house);
}

/// Tells those of this process who follow transfers.
fn changed(house: &House) {
    house.transfers.changes.send_modify(|count| *count += 1);
}
