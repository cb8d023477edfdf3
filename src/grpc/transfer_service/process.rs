//! `ProcessTransfer`: one transfer now, ahead of the queue.
//!
//! **Owns** nothing: whoever hangs up ends the stream alone. **Fails** with every violation at once; with `TRANSFER_NOT_FOUND`
//! for a key that neither the store nor the feed knows; with the feed's trouble where it must be asked; and, unless the caller
//! wants to follow, with `TRANSFER_UNDER_WAY`, `TRANSFER_ENDED` or `TRANSFER_ERASED`. What is not to be analysed ends as skipped,
//! with its reason in the last step. **Limits**: those of streams; a vendor's breaker and limits hold for it as for all others.

use tracing::info;

use super::follow::{self, Steps};
use super::{Named, audit_read, find, found, named, there_is_work};
use crate::connectors::transfer_feeds::TransferFeed as _;
use crate::domain::ids::TransferId;
use crate::domain::transfer::TransferState;
use crate::grpc::gate::Gate;
use crate::grpc::request;
use crate::grpc::seats::StreamSeat;
use crate::grpc::status::ApiError;
use crate::messages::House;
use crate::messages::transfers::OfferTerms;
use crate::proto::transfer::v1 as proto;
use crate::store::transfer_list::TransferSeen;
use crate::store::transfer_offer::Offered;

const METHOD: &str = "ProcessTransfer";
/// Ahead of what feeds offer by themselves, and of what is analysed once more.
const PRIORITY: i64 = -100;
/// Where work on transfers waits, of either kind.
const QUEUES: [&str; 2] = ["analysis/", "write_back/"];

pub(super) async fn process(
    gate: &Gate,
    request: proto::ProcessTransferRequest,
    seat: StreamSeat,
) -> Result<Steps, ApiError> {
    let house = gate.house_for_change()?;
    let named = named(gate, house, &request.feed, &request.key)?;
    let known = find::known(gate, house, &named).await?;
    let seen = match known {
        Some(seen) => seen,
        None => match offer(house, &named).await? {
            // Nothing of it has been told to anybody: all its changes are.
            Offered::New { id, .. } | Offered::QueuedAfterAll { id } => {
                audit_read(gate, house, id, METHOD, String::new()).await?;
                return follow::follow(gate, id, 0, seat);
            }
            // The feed has told of it by itself meanwhile.
            Offered::Known { id, .. } => found(gate, id).await?,
        },
    };
    take_up(gate, house, &seen, request.follow, seat).await
}

/// Takes a record in that nobody has seen yet.
async fn offer(house: &House, named: &Named) -> Result<Offered, ApiError> {
    let feed = named.feed.as_ref().ok_or(ApiError::NotFound("FEED"))?;
    let record = feed.connector.read(&named.key).await?.ok_or(ApiError::NotFound("TRANSFER"))?;
    let terms = OfferTerms {
        priority: PRIORITY,
        attempts_max: house.transfers.analysis_attempts_max,
        delivery_attempts_max: house.delivery_attempts_max,
        traceparent: crate::telemetry::traceparent(),
    };
    let offer = feed.offer(named.key.clone(), &record, terms, request::now());
    let queue = offer.queue.clone();
    let offered = house.transfers.offers.run(offer).await?;
    if !matches!(offered, Offered::Known { .. }) {
        there_is_work(house, &queue);
        // Owners may have to be told that it is skipped or has failed.
        house.hints.there_is_work("delivery/");
    }
    Ok(offered)
}

/// Goes on with one that is known.
async fn take_up(
    gate: &Gate,
    house: &House,
    seen: &TransferSeen,
    follow: bool,
    seat: StreamSeat,
) -> Result<Steps, ApiError> {
    let transfer = &seen.transfer;
    match transfer.state {
        TransferState::Queued => {}
        state if follow && state.is_open() => {}
        _ if follow => {
            audit_read(gate, house, transfer.id, METHOD, String::new()).await?;
            return Ok(follow::ended(seen));
        }
        TransferState::Erased => return Err(ApiError::TransferErased),
        state if state.is_open() => return Err(ApiError::TransferUnderWay(state)),
        state => return Err(ApiError::TransferEnded(state)),
    }
    audit_read(gate, house, transfer.id, METHOD, String::new()).await?;
    hasten(gate, house, transfer.id).await?;
    // The change that led to where it stands is the first that is told.
    follow::follow(gate, transfer.id, transfer.version - 1, seat)
}

async fn hasten(gate: &Gate, house: &House, id: TransferId) -> Result<(), ApiError> {
    if house.store.hasten_transfer(&gate.tenant()?, id, PRIORITY, request::now()).await? {
        for queue in QUEUES {
            there_is_work(house, queue);
        }
        info!(transfer_id = %id, "transfer hastened by hand");
    }
    Ok(())
}
