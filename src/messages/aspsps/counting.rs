//! How a bank counts accesses without the customer: what together, over which window, and how many it allows.
//!
//! Counted is what reads accounts. Calls about payments, consents and tokens are not under that law.
//!
//! **Owns** nothing. **Fails** nowhere. **Limits**: what counts against one customer at two banks is never the same access, for a
//! bank's name is then a part of what is counted.

use crate::connectors::aspsps::Operation;
use crate::connectors::aspsps::config::Standard;
use crate::domain::openbanking::quota::{Quota, Window};
use crate::store::openbanking::consent::Consent;
use crate::store::openbanking::quota::QuotaKey;

/// How one bank counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counting {
    /// Accesses in a window; 0 for as many as the consent says.
    pub limit: u32,
    pub window: Window,
    /// Whether all consents of a customer are counted together.
    pub per_user: bool,
    pub per_endpoint: bool,
    pub per_resource: bool,
    /// Whether lists of transactions are counted apart.
    pub per_list: bool,
    /// Whether each page of a set is an access of its own.
    pub per_page: bool,
    pub endpoints: EndpointLimits,
}

/// Operations with a limit of their own; 0 for the one of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EndpointLimits {
    pub accounts: u32,
    pub account_details: u32,
    pub balances: u32,
    pub transactions: u32,
    pub holds: u32,
}

impl Counting {
    /// What an access counts against; nothing where the operation is not counted.
    pub fn of(
        &self,
        aspsp: &str,
        standard: Standard,
        consent: &Consent,
        operation: Operation,
        resource: &str,
    ) -> Option<(QuotaKey, Quota)> {
        let (endpoint, limit) = self.together(standard, operation)?;
        let key = QuotaKey {
            holder_id: if self.per_user { consent.user_id.0 } else { consent.id.0 },
            endpoint: if self.per_user { format!("{aspsp}:{endpoint}") } else { endpoint.to_owned() },
            // The list is asked for without an account.
            resource: if self.per_resource && operation != Operation::Accounts { resource } else { "" }
                .to_owned(),
        };
        let limit = if limit > 0 { limit } else { consent.frequency_per_day };
        Some((key, Quota { limit, window: self.window }))
    }

    /// Under what name an operation is counted, empty where all are counted together, and the limit; 0 for as many as the consent
    /// says. Nothing where it is not counted.
    pub fn together(&self, standard: Standard, operation: Operation) -> Option<(&'static str, u32)> {
        let (endpoint, own_limit) = self.endpoint(standard, operation)?;
        if !self.per_endpoint {
            return Some(("", self.limit));
        }
        Some((endpoint.as_str(), if own_limit > 0 { own_limit } else { self.limit }))
    }

    /// What the bank takes an operation for, and the limit of that alone.
    fn endpoint(&self, standard: Standard, operation: Operation) -> Option<(Operation, u32)> {
        let endpoints = &self.endpoints;
        let found = match operation {
            Operation::Accounts => (operation, endpoints.accounts),
            Operation::AccountDetails => (operation, endpoints.account_details),
            Operation::Balances => match standard {
                Standard::BerlinGroup => (operation, endpoints.balances),
                // They come with the account, by the same call.
                Standard::PolishApi => (Operation::AccountDetails, endpoints.account_details),
            },
            Operation::Transactions => (operation, endpoints.transactions),
            Operation::TransactionsPending
            | Operation::TransactionsScheduled
            | Operation::TransactionsRejected
            | Operation::TransactionsCancelled => {
                (if self.per_list { operation } else { Operation::Transactions }, endpoints.transactions)
            }
            Operation::Holds => (operation, endpoints.holds),
            Operation::ConsentStatus
            | Operation::Payment
            | Operation::Payments
            | Operation::Bundle
            | Operation::Recurring
            | Operation::TokenRefresh
            | Operation::RefreshActiveAccounts => return None,
        };
        Some(found)
    }
}
