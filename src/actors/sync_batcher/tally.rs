//! What a run has come to so far, for whoever watches it.
//!
//! **Owns** the counts. **Fails** nowhere. **Limits**: a visit that had ended before its run was cut off counts as it ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::store::openbanking::session::VisitState;

/// The counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Tally {
    /// Customers who have been dealt with, visited or not.
    pub users: i64,
    /// Those of whom all visits came to a good end.
    pub users_synced: i64,
    pub sessions_ok: i64,
    pub sessions_failed: i64,
    pub sessions_rate_limited: i64,
    pub sessions_cancelled: i64,
    pub transactions_new: i64,
    pub transactions_changed: i64,
    pub transactions_missing: i64,
    pub calls: i64,
}

/// What one visit adds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Added {
    pub new: i64,
    pub changed: i64,
    pub missing: i64,
    pub calls: i64,
}

impl Tally {
    /// A visit ended so.
    pub fn add(&mut self, state: VisitState, added: Added) {
        match state {
            VisitState::Open => {}
            VisitState::Ok => self.sessions_ok += 1,
            VisitState::Failed => self.sessions_failed += 1,
            VisitState::RateLimited => self.sessions_rate_limited += 1,
            VisitState::Cancelled => self.sessions_cancelled += 1,
        }
        self.transactions_new += added.new;
        self.transactions_changed += added.changed;
        self.transactions_missing += added.missing;
        self.calls += added.calls;
    }

    /// Visits that ended.
    pub fn sessions(&self) -> i64 {
        self.sessions_ok + self.sessions_failed + self.sessions_rate_limited + self.sessions_cancelled
    }

    /// Whether no bank wanted to be asked by any visit.
    pub fn is_rate_limited(&self) -> bool {
        self.sessions_rate_limited > 0 && self.sessions() == self.sessions_rate_limited
    }

    /// By their names.
    pub fn counts(&self) -> BTreeMap<String, i64> {
        [
            ("users_synced", self.users_synced),
            ("sessions_ok", self.sessions_ok),
            ("sessions_failed", self.sessions_failed),
            ("sessions_rate_limited", self.sessions_rate_limited),
            ("sessions_cancelled", self.sessions_cancelled),
            ("transactions_new", self.transactions_new),
            ("transactions_changed", self.transactions_changed),
            ("transactions_missing", self.transactions_missing),
            ("calls", self.calls),
        ]
        .map(|(name, count)| (name.to_owned(), count))
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_rate_limited_when_every_visit_was() {
        let mut tally = Tally::default();
        assert!(!tally.is_rate_limited(), "nobody was visited");
        tally.add(VisitState::RateLimited, Added { calls: 1, ..Added::default() });
        assert!(tally.is_rate_limited());
        tally.add(VisitState::Ok, Added { new: 3, ..Added::default() });
        assert!(!tally.is_rate_limited());
        assert_eq!(
            (tally.sessions(), tally.counts()["transactions_new"], tally.counts()["calls"]),
            (2, 3, 1)
        );
    }
}
