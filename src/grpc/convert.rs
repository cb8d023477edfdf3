//! Between the domain's own types and the protocol's messages. One file a resource; no rule lives here but those of form.

pub mod bank_account;
pub mod boleto;
pub mod charges;
pub mod delivery;
pub mod endpoint;
pub mod job;
pub mod openbanking;
pub mod order;
pub mod payment;
pub mod process;
pub mod queue;
pub mod reconciliation;
pub mod transfer;
pub mod tree;
pub mod work;

use std::time::Duration;

use chrono::{DateTime, Utc};
use prost_types::Timestamp;

pub fn timestamp(at: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: at.timestamp(),
        nanos: i32::try_from(at.timestamp_subsec_nanos()).unwrap_or_default(),
    }
}

/// A moment of the protocol; none for one that no calendar has.
pub fn moment(timestamp: &Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(timestamp.seconds, u32::try_from(timestamp.nanos).ok()?)
}

pub fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(duration).unwrap_or_default()
}
