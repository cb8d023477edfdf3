//! Where a run is, as it is kept with the run: a crash goes on from there.
//!
//! **Owns** nothing. **Fails** on a text that is no position. **Limits**: the customers of a page who are still to be visited are
//! named, [`super::course::SLICE_MAX`] at most or the page's; what has ended of a slice is known by its visits.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::tally::Tally;
use crate::domain::ids::PsuUserId;

/// Where a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Position {
    /// From when its batches are counted.
    pub begun_at: DateTime<Utc>,
    /// Who was synced later is not due.
    pub synced_until: DateTime<Utc>,
    /// Customers who were due when it began.
    pub total: i64,
    /// The batch under way, or the next one; from 0.
    pub batch: u32,
    /// Customers of it who have been dealt with.
    pub in_batch: u32,
    /// Behind whom the next page begins.
    pub after: Option<(i64, PsuUserId)>,
    /// Customers of the page before that, in their order.
    pub left: Vec<PsuUserId>,
    /// There is no next page.
    pub at_end: bool,
    /// What had been counted when the slice under way began.
    pub tally: Tally,
}

impl Position {
    /// For a run that begins now.
    pub fn new(begun_at: DateTime<Utc>, synced_until: DateTime<Utc>, total: i64) -> Self {
        Self {
            begun_at,
            synced_until,
            total,
            batch: 0,
            in_batch: 0,
            after: None,
            left: Vec::new(),
            at_end: false,
            tally: Tally::default(),
        }
    }

    /// As it lies in the store.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads it back.
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Takes so many customers as having been dealt with; true where the batch is full by that.
    pub fn dealt_with(&mut self, count: usize, batch_size: u32) -> bool {
        self.left.drain(..count.min(self.left.len()));
        self.in_batch = self.in_batch.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        let is_full = self.in_batch >= batch_size;
        if is_full {
            self.batch = self.batch.saturating_add(1);
            self.in_batch = 0;
        }
        is_full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_back_and_counts_its_batches() {
        let user = |number: u128| PsuUserId(uuid::Uuid::from_u128(number));
        let mut position = Position::new(DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH, 3);
        position.after = Some((-1, user(9)));
        position.left = vec![user(1), user(2), user(3)];
        assert!(!position.dealt_with(1, 2));
        assert_eq!((position.batch, position.in_batch, position.left.len()), (0, 1, 2));
        assert!(position.dealt_with(1, 2));
        assert_eq!((position.batch, position.in_batch, position.left.clone()), (1, 0, vec![user(3)]));
        assert_eq!(Position::from_text(&position.to_text()), Some(position));
        assert_eq!(Position::from_text("{}"), None);
    }
}
