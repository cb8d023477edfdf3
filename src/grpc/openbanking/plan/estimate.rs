//! The calls that a visit makes when every answer fits into one page.
//!
//! **Owns** nothing. **Fails** nowhere. **Limits**: an estimate. Whoever makes the visit decides by what the bank tells on the way; a
//! consent of which no account is known yet is taken to have one.

use chrono::{DateTime, TimeDelta, Utc};

use crate::connectors::aspsps::config::Standard;
use crate::connectors::aspsps::{Aspsp as _, AspspCapabilities, Operation, TransactionList};
use crate::domain::ids::AccountId;
use crate::messages::aspsps::AspspDesk;
use crate::messages::sync_terms::SyncTerms;
use crate::store::openbanking::account::AllowedAccount;

/// One call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub operation: Operation,
    pub account: Option<AccountId>,
}

/// What is known before a visit.
pub(super) struct Visited<'a> {
    /// None where the bank is not configured.
    pub standard: Option<Standard>,
    pub capabilities: Option<AspspCapabilities>,
    pub accounts: &'a [AllowedAccount],
    /// Whether there is a token, and until when it holds where that is known.
    pub token_end: Option<Option<DateTime<Utc>>>,
    pub at: DateTime<Utc>,
}

pub(super) fn capabilities(desk: &AspspDesk) -> AspspCapabilities {
    desk.connector().capabilities()
}

impl Visited<'_> {
    /// The calls, in the order in which they are made.
    pub fn calls(&self, terms: &SyncTerms) -> Vec<Asked> {
        let of_none = |operation| Asked { operation, account: None };
        if terms.is_internal {
            return vec![of_none(Operation::RefreshActiveAccounts)];
        }
        let (Some(standard), Some(can)) = (self.standard, &self.capabilities) else { return vec![] };
        let mut calls = Vec::new();
        // A PolishAPI grant names the accounts; without one there is nothing to ask about.
        let wants_grant = standard == Standard::PolishApi && self.accounts.is_empty();
        if can.refreshes_tokens && (self.is_token_old(terms) || (wants_grant && self.token_end.is_some())) {
            calls.push(of_none(Operation::TokenRefresh));
        }
        if standard == Standard::BerlinGroup && self.is_list_due(terms) {
            calls.push(of_none(Operation::Accounts));
        }
        let known = self.accounts.iter().map(|account| &account.account);
        let accounts = known.map(|account| (Some(account.id), account.details_at));
        let nobody_knows = self.accounts.is_empty().then_some((None, None));
        for (account, details_at) in accounts.chain(nobody_knows) {
            let operations = self.of_account(details_at, standard, can, terms);
            calls.extend(operations.into_iter().map(|operation| Asked { operation, account }));
        }
        calls
    }

    fn of_account(
        &self,
        details_at: Option<DateTime<Utc>>,
        standard: Standard,
        can: &AspspCapabilities,
        terms: &SyncTerms,
    ) -> Vec<Operation> {
        let has = |list: TransactionList| can.lists.contains(&list);
        let mut operations = vec![Operation::Transactions];
        if terms.pending && !has(TransactionList::Both) && has(TransactionList::Pending) {
            operations.push(Operation::TransactionsPending);
        }
        if terms.holds && can.holds {
            operations.push(Operation::Holds);
        }
        let details = self.is_due(details_at, terms);
        match standard {
            Standard::BerlinGroup => {
                operations.extend(details.then_some(Operation::AccountDetails));
                operations.extend(terms.balances.then_some(Operation::Balances));
            }
            // Both come by one call.
            Standard::PolishApi => {
                operations.extend((details || terms.balances).then_some(Operation::AccountDetails));
            }
        }
        operations
    }

    fn is_token_old(&self, terms: &SyncTerms) -> bool {
        let ahead = TimeDelta::from_std(terms.token_ahead).unwrap_or(TimeDelta::MAX);
        let refreshed = self.token_end.flatten().and_then(|end| end.checked_sub_signed(ahead));
        refreshed.is_some_and(|refreshed| refreshed <= self.at)
    }

    fn is_list_due(&self, terms: &SyncTerms) -> bool {
        let has_nameless = self.accounts.iter().any(|account| account.resource_id.is_none());
        let newest = self.accounts.iter().filter_map(|account| account.account.details_at).max();
        self.accounts.is_empty() || has_nameless || self.is_due(newest, terms)
    }

    fn is_due(&self, told_at: Option<DateTime<Utc>>, terms: &SyncTerms) -> bool {
        let every = TimeDelta::from_std(terms.details_every).unwrap_or(TimeDelta::MAX);
        let due = told_at.and_then(|at| at.checked_add_signed(every));
        told_at.is_none() || due.is_some_and(|due| due <= self.at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::{ConsentId, PsuUserId, TenantId};
    use crate::domain::openbanking::account::AccountKey;
    use crate::domain::openbanking::pacing::Pacing;
    use crate::store::openbanking::account::Account;

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_000_000 + hour * 3_600, 0).unwrap()
    }

    fn terms() -> SyncTerms {
        SyncTerms {
            pacing: Pacing { batch_size: 10, batch_interval: Duration::from_mins(2), eager: false },
            idle_min: Duration::ZERO,
            pending: true,
            holds: false,
            balances: true,
            details_every: Duration::from_hours(24),
            token_ahead: Duration::from_mins(5),
            is_internal: false,
        }
    }

    fn account(details_at: Option<DateTime<Utc>>) -> AllowedAccount {
        AllowedAccount {
            consent_id: ConsentId(Uuid::nil()),
            account: Account {
                id: AccountId(Uuid::nil()),
                tenant_id: TenantId::default(),
                user_id: PsuUserId(Uuid::nil()),
                aspsp: "bank".to_owned(),
                key: AccountKey::new("PL61109010140000071219812874", "PLN").unwrap(),
                name: None,
                enabled: true,
                gone_at: None,
                synced_at: None,
                synced_through: None,
                unfinished: None,
                stale: None,
                details: None,
                details_at,
                created_at: at(0),
                updated_at: at(0),
            },
            resource_id: Some("r".to_owned()),
            privileges: vec![],
            history_days: None,
        }
    }

    fn can(lists: &[TransactionList]) -> AspspCapabilities {
        AspspCapabilities {
            consent_status: true,
            lists: lists.to_vec(),
            holds: true,
            payments_max: 1,
            refreshes_tokens: true,
            history_days_max: 90,
        }
    }

    fn asked(
        standard: Standard,
        lists: &[TransactionList],
        accounts: &[AllowedAccount],
        hour: i64,
    ) -> Vec<&'static str> {
        let visited = Visited {
            standard: Some(standard),
            capabilities: Some(can(lists)),
            accounts,
            token_end: Some(Some(at(10))),
            at: at(hour),
        };
        visited.calls(&terms()).into_iter().map(|asked| asked.operation.as_str()).collect()
    }

    #[test]
    fn of_known_accounts_only_what_is_due_is_asked() {
        let accounts = [account(Some(at(0))), account(Some(at(0)))];
        let both = [TransactionList::Booked, TransactionList::Both];
        let polish = [TransactionList::Booked, TransactionList::Pending];
        assert_eq!(
            asked(Standard::BerlinGroup, &both, &accounts, 1),
            ["transactions", "balances", "transactions", "balances"]
        );
        assert_eq!(
            asked(Standard::BerlinGroup, &both, &accounts[..1], 24),
            ["token_refresh", "accounts", "transactions", "account_details", "balances"],
            "the details are a day old, and the token is about to end"
        );
        assert_eq!(
            asked(Standard::PolishApi, &polish, &accounts[..1], 1),
            ["transactions", "transactions_pending", "account_details"]
        );
    }

    #[test]
    fn of_a_new_consent_the_accounts_are_asked_for_first_and_one_is_taken_for_granted() {
        assert_eq!(
            asked(Standard::BerlinGroup, &[], &[], 1),
            ["accounts", "transactions", "account_details", "balances"]
        );
        assert_eq!(
            asked(Standard::PolishApi, &[], &[], 1),
            ["token_refresh", "transactions", "account_details"]
        );
    }

    #[test]
    fn another_service_is_asked_once_and_a_bank_that_is_not_configured_never() {
        let visited =
            |standard| Visited { standard, capabilities: None, accounts: &[], token_end: None, at: at(0) };
        assert_eq!(visited(None).calls(&terms()), []);
        let internal = SyncTerms { is_internal: true, ..terms() };
        assert_eq!(visited(None).calls(&internal).len(), 1);
    }
}
