//! By which terms accounts are refreshed, for whoever plans a run without doing one.
//!
//! **Owns** nothing.

use std::time::Duration;

use crate::domain::openbanking::pacing::Pacing;

/// What a plan needs to know of the settings.
#[derive(Debug, Clone)]
pub struct SyncTerms {
    pub pacing: Pacing,
    /// Who was refreshed so lately is not taken.
    pub idle_min: Duration,
    /// Whether pending transactions are asked for.
    pub pending: bool,
    /// Whether holds are asked for.
    pub holds: bool,
    /// Whether balances are asked for.
    pub balances: bool,
    /// The list of accounts and their details are asked for again no sooner.
    pub details_every: Duration,
    /// So long before its end a token is refreshed.
    pub token_ahead: Duration,
    /// Another service asks the banks, by one call for each customer.
    pub is_internal: bool,
}
