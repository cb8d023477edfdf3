//! `GetTransfer` and `FindTransfer`.
//!
//! **Owns** nothing. **Fails** with every violation at once, with `TRANSFER_NOT_FOUND` for what is not here, and with
//! `FEED_NOT_FOUND` for a feed that neither the configuration nor the store knows. A feed that cannot be asked hides nothing of
//! what is known here: its trouble is told beside it. **Limits**: the feed is asked once, and waited for [`FEED_PATIENCE`] long.

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::{Named, audit_read, convert, found, named};
use crate::connectors::transfer_feeds::TransferFeed as _;
use crate::domain::ids::TransferId;
use crate::domain::transfer::record::TransferRecord;
use crate::domain::violation::Violation;
use crate::grpc::convert::timestamp;
use crate::grpc::gate::Gate;
use crate::grpc::request;
use crate::grpc::status::ApiError;
use crate::messages::House;
use crate::proto::transfer::v1 as proto;
use crate::store::transfer_list::TransferSeen;

const METHOD: &str = "FindTransfer";
/// Whoever asks wants to know what is here even if the feed hangs.
const FEED_PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn get(
    gate: &Gate,
    request: proto::GetTransferRequest,
) -> Result<proto::GetTransferResponse, ApiError> {
    let house = gate.house()?;
    let seen = match (request.id.as_str(), request.key.as_str()) {
        ("", "") => return Err(ApiError::field("id", "required, unless key is given")),
        (id, "") => {
            let mut violations = Vec::new();
            let id: Option<TransferId> = request::optional_id("id", id, &mut violations);
            if !request.feed.is_empty() {
                violations.push(Violation::new("feed", "goes with key"));
            }
            let Some(id) = id.filter(|_| violations.is_empty()) else {
                return Err(ApiError::Invalid(violations));
            };
            found(gate, id).await?
        }
        ("", key) => {
            let named = named(gate, house, &request.feed, key)?;
            known(gate, house, &named).await?.ok_or_else(|| nowhere(&named))?
        }
        _ => return Err(ApiError::field("key", "one of id and key")),
    };
    Ok(proto::GetTransferResponse { transfer: Some(convert::to_proto(&seen)) })
}

pub(super) async fn find(
    gate: &Gate,
    request: proto::FindTransferRequest,
) -> Result<proto::FindTransferResponse, ApiError> {
    let house = gate.house()?;
    let named = named(gate, house, &request.feed, &request.key)?;
    let (seen, in_feed) = tokio::join!(known(gate, house, &named), in_feed(&named));
    let seen = seen?;
    if seen.is_none() && named.feed.is_none() {
        return Err(nowhere(&named));
    }
    let mut answer = match &seen {
        Some(seen) => told(gate, house, seen).await?,
        None => proto::FindTransferResponse::default(),
    };
    match in_feed {
        Ok(Some(record)) => {
            answer.in_feed = Some(true);
            // A record that is no transfer says nothing of its processing.
            let read = TransferRecord::read(&named.key, &record, None);
            answer.processed_in_feed = read.ok().and_then(|record| record.is_processed);
        }
        Ok(None) => answer.in_feed = Some(false),
        Err(why) => answer.feed_error = why,
    }
    Ok(answer)
}

/// What the store has under a feed and a key.
pub(super) async fn known(
    gate: &Gate,
    house: &House,
    named: &Named,
) -> Result<Option<TransferSeen>, ApiError> {
    Ok(house.store.transfer_by_key(&gate.tenant()?, &named.feed_name, &named.key).await?)
}

/// That there is no such transfer, or not even such a feed.
fn nowhere(named: &Named) -> ApiError {
    ApiError::NotFound(if named.feed.is_some() { "TRANSFER" } else { "FEED" })
}

/// What the feed has under a key, or why it could not be asked.
async fn in_feed(named: &Named) -> Result<Option<Value>, String> {
    let Some(feed) = &named.feed else { return Err("no feed of this name is configured".to_owned()) };
    match timeout(FEED_PATIENCE, feed.connector.read(&named.key)).await {
        Ok(Ok(record)) => Ok(record),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("the feed did not answer within {FEED_PATIENCE:?}")),
    }
}

/// All that is known here. Who reads an analysis is written down first.
async fn told(
    gate: &Gate,
    house: &House,
    seen: &TransferSeen,
) -> Result<proto::FindTransferResponse, ApiError> {
    let (tenant, id) = (gate.tenant()?, seen.transfer.id);
    let runs = house.store.transfer_runs(&tenant, id).await?;
    let answers = match seen.transfer.run {
        0 => Vec::new(),
        run => house.store.answers(&tenant, id, run).await?,
    };
    if !runs.is_empty() || !answers.is_empty() {
        audit_read(gate, house, id, METHOD, String::new()).await?;
    }
    let attempt = house.store.transfer_attempt(&tenant, id).await?;
    Ok(proto::FindTransferResponse {
        transfer: Some(convert::with_result(seen)),
        runs: runs.iter().map(convert::run_to_proto).collect(),
        answers: answers.iter().map(convert::answer).collect(),
        last_error: attempt.last_error.unwrap_or_default(),
        next_attempt_time: attempt.next_at.map(timestamp),
        ..proto::FindTransferResponse::default()
    })
}
