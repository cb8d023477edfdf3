//! What a visit was told before its run was cut off, so that the bank is asked nothing twice but what was under way.
//!
//! A visit makes one call at a time, takes an access before it, and takes over what it was told before it makes the next. So of its
//! calls that are written down all but the last have been of use, and the last has too once an access was taken behind it.
//!
//! **Owns** nothing. **Fails** as the store does. **Limits**: where a bank counts by the customer, an access of another consent's may
//! stand for one of this visit's; then what the last call told waits for the next run.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::{NotKept, Run};
use crate::connectors::aspsps::Operation;
use crate::domain::ids::AccountId;
use crate::messages::aspsps::AspspDesk;
use crate::store::openbanking::consent::Consent;
use crate::store::openbanking::session::{ApiSession, VisitCall};

/// See the page.
pub(super) struct Before {
    /// When the visit was opened first.
    began: DateTime<Utc>,
    told: HashSet<(String, Option<AccountId>)>,
}

impl Before {
    /// Reads it where the run was begun before.
    pub async fn read(
        run: &Run,
        desk: &AspspDesk,
        consent: &Consent,
        session: &ApiSession,
    ) -> Result<Self, NotKept> {
        let began = session.started_at;
        if run.context.attempt() <= 1 {
            return Ok(Self { began, told: HashSet::new() });
        }
        let store = &run.means.store;
        let calls = run.patiently(|| store.calls_of_visit(session.id)).await?;
        // Whatever the bank counts by, its holder is the same for all that a visit asks.
        let newest_access = match desk.quota(consent, Operation::Transactions, "") {
            None => None,
            Some((key, _)) => {
                let made = run.patiently(|| store.accesses_of(key.holder_id, began)).await?;
                made.first().map(|(_, at)| *at)
            }
        };
        Ok(Self { began, told: of_use(&calls, newest_access) })
    }

    /// Whether this was told, and taken over.
    pub fn told(&self, operation: Operation, account: Option<AccountId>) -> bool {
        self.told.contains(&(operation.as_str().to_owned(), account))
    }

    /// Whether what was taken over at that moment was so by this visit.
    pub fn has(&self, moment: Option<DateTime<Utc>>) -> bool {
        moment.is_some_and(|moment| moment >= self.began)
    }
}

/// What was told and taken over, of calls in the order in which they were made.
fn of_use(calls: &[VisitCall], newest_access: Option<DateTime<Utc>>) -> HashSet<(String, Option<AccountId>)> {
    let key = |call: &VisitCall| (call.endpoint.clone(), call.account_id);
    let mut told: HashSet<_> = calls.iter().filter(|call| call.is_good).map(key).collect();
    if let Some(last) = calls.last()
        && newest_access.is_none_or(|access| access <= last.sent_at)
    {
        told.remove(&key(last));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(second: i64, endpoint: &str, is_good: bool) -> VisitCall {
        let sent_at = at(second);
        VisitCall { endpoint: endpoint.to_owned(), account_id: None, is_good, sent_at }
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_000_000 + second, 0).unwrap()
    }

    fn names(calls: &[VisitCall], newest_access: Option<i64>) -> Vec<String> {
        let mut names: Vec<String> =
            of_use(calls, newest_access.map(at)).into_iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_was_under_way_is_asked_again_and_nothing_else() {
        let calls = [call(1, "accounts", true), call(2, "transactions", false), call(3, "balances", true)];
        assert_eq!(names(&calls, Some(3)), ["accounts"]);
        assert_eq!(names(&calls, Some(4)), ["accounts", "balances"], "another was begun behind it");
        assert_eq!(names(&calls, None), ["accounts"], "nobody counts here");
        let pages = [call(1, "transactions_pending", true), call(2, "transactions_pending", true)];
        assert!(names(&pages, Some(1)).is_empty(), "the last page may be missing");
        assert!(names(&[], Some(1)).is_empty());
    }
}
