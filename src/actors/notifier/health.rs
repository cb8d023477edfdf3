//! How long an endpoint has failed, and when it is not told any more.
//!
//! **Owns** nothing: since when it fails is a column of its row. **Fails** softly: what is not noted now is noted after the next
//! delivery. **Limits**: `notification.disable_after`.

use tracing::warn;

use super::Means;
use crate::connectors::channels::{ChannelError, Receipt};
use crate::domain::ids::EndpointId;
use crate::store::StoreError;
use crate::store::delivery::DueDelivery;
use crate::store::endpoint::EndpointEnd;

/// Hears what one call to an endpoint came to.
pub(super) async fn note(means: &Means, due: &DueDelivery, results: &[Vec<Result<Receipt, ChannelError>>]) {
    if let Err(error) = try_to_note(means, due, results).await {
        warn!(endpoint_id = %due.endpoint_id, %error, "the endpoint's health was not noted");
    }
}

async fn try_to_note(
    means: &Means,
    due: &DueDelivery,
    results: &[Vec<Result<Receipt, ChannelError>>],
) -> Result<(), StoreError> {
    let store = &means.claimer.store;
    let all = || results.iter().flatten();
    if due.disabled || all().next().is_none() {
        return Ok(());
    }
    if all().any(|result| matches!(result, Err(ChannelError::Disabled))) {
        return disable(means, due.endpoint_id, "the destination said that it is gone".to_owned()).await;
    }
    if all().any(Result::is_ok) {
        // The happy path writes nothing.
        return if due.failing_since.is_some() {
            store.note_endpoint_health(due.endpoint_id, None).await
        } else {
            Ok(())
        };
    }
    let now = store.now();
    let Some(since) = due.failing_since else {
        return store.note_endpoint_health(due.endpoint_id, Some(now)).await;
    };
    let failed_for = (now - since).to_std().unwrap_or_default();
    if failed_for < means.config.disable_after {
        return Ok(());
    }
    let limit = humantime::format_duration(means.config.disable_after);
    disable(means, due.endpoint_id, format!("every delivery has failed for {limit}")).await
}

async fn disable(means: &Means, endpoint_id: EndpointId, reason: String) -> Result<(), StoreError> {
    let store = &means.claimer.store;
    let end = EndpointEnd {
        endpoint_id,
        reason,
        delivery_attempts_max: i64::from(means.config.attempts_max),
        now: store.now(),
    };
    if store.disable_endpoint(&end).await? {
        warn!(%endpoint_id, reason = %end.reason, "endpoint disabled");
        // Whoever else is told of it is told now.
        means.hints.there_is_work("delivery/");
    }
    Ok(())
}
