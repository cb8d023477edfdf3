//! `ListFeeds`: the feeds, and how this process stands with them.
//!
//! **Owns** nothing. **Fails** with the store's trouble. **Limits**: as many as are configured.

use crate::grpc::convert::transfer as convert;
use crate::grpc::gate::Gate;
use crate::grpc::status::ApiError;
use crate::proto::transfer::v1 as proto;

pub(super) async fn list(gate: &Gate) -> Result<proto::ListFeedsResponse, ApiError> {
    let (house, tenant) = (gate.house()?, gate.tenant()?);
    let mut feeds = Vec::new();
    for feed in house.transfers.feeds.values().filter(|feed| feed.tenant == tenant) {
        // Before what is open is counted: whatever it says to have been taken in is among that.
        let status = feed.status.borrow().clone();
        let open = house.store.open_transfers(&tenant, &feed.name).await?;
        feeds.push(convert::feed(feed, status, &open));
    }
    Ok(proto::ListFeedsResponse { feeds })
}
