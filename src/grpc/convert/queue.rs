//! Queues and what holds them back.

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::{duration, timestamp};
use crate::proto::control::v1 as proto;
use crate::store::queue::{QueuePause, QueueView};
use crate::work::breaker::BreakerState;
use crate::work::places::Standing;

pub fn to_proto(
    queue: &QueueView,
    standing: Option<&Standing>,
    ended_last_minute: u64,
    now: DateTime<Utc>,
) -> proto::Queue {
    let age = |since: DateTime<Utc>| duration((now - since).to_std().unwrap_or_default());
    proto::Queue {
        name: queue.name.clone(),
        pause: queue.pause.as_ref().map(pause_to_proto),
        available: queue.available,
        scheduled: queue.scheduled,
        retryable: queue.retryable,
        running: queue.running,
        oldest_due_age: queue.oldest_due_at.map(age),
        breaker: standing.map(|standing| breaker_to_proto(standing, now)),
        ended_last_minute: i64::try_from(ended_last_minute).unwrap_or(i64::MAX),
    }
}

pub fn pause_to_proto(pause: &QueuePause) -> proto::QueuePause {
    proto::QueuePause {
        name: pause.name.clone(),
        reason: pause.reason.clone(),
        time: Some(timestamp(pause.paused_at)),
    }
}

pub fn breaker_to_proto(standing: &Standing, now: DateTime<Utc>) -> proto::Breaker {
    let (state, probe_time) = match standing.breaker {
        BreakerState::Closed => (proto::BreakerState::Closed, None),
        BreakerState::Open { until } => {
            // The breaker goes by the monotonic clock; people read the other one.
            let wait = until.saturating_duration_since(Instant::now());
            let probe_at =
                chrono::Duration::from_std(wait).ok().and_then(|wait| now.checked_add_signed(wait));
            (proto::BreakerState::Open, probe_at.map(timestamp))
        }
        BreakerState::HalfOpen => (proto::BreakerState::HalfOpen, None),
    };
    proto::Breaker {
        state: state.into(),
        probe_time,
        failures: i32::try_from(standing.failures).unwrap_or(i32::MAX),
    }
}
