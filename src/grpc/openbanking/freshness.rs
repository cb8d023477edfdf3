//! How fresh what is known of an account is, and if it is not, why.
//!
//! What the last visit said comes first, but where nothing will make the account fresher: then that is what its owner has to know.
//! One that nobody has said anything of is stale too when it was not read for more than two periods of the timetable.
//!
//! **Owns** nothing. **Fails** nowhere. **Limits**: the words before the colon are those that the README lists.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::grpc::convert::timestamp;
use crate::messages::House;
use crate::proto::openbanking::v1 as proto;
use crate::proto::openbanking::v1::freshness::State;
use crate::store::openbanking::account::Account;
use crate::store::openbanking::look::Prospect;

/// The job by which accounts are refreshed.
pub(super) const SYNC_JOB: &str = "sync_update";
/// Who was not read for so many periods is overdue.
const PERIODS: u32 = 2;

/// The time between two runs, where there are any.
pub(super) fn period(house: &House) -> Option<Duration> {
    house.jobs.find(SYNC_JOB).filter(|entry| entry.is_at_work()).map(|entry| entry.timetable.period())
}

pub(super) fn of(
    account: &Account,
    prospect: Option<Prospect>,
    period: Option<Duration>,
    now: DateTime<Utc>,
) -> proto::Freshness {
    let why = hindrance(account, prospect)
        .map(|(reason, since)| (reason.to_owned(), since))
        .or_else(|| account.stale.clone().map(|(reason, since)| (reason, Some(since))))
        .or_else(|| overdue(account, period, now));
    let state = match (&why, account.synced_at) {
        (None, Some(_)) => State::Fresh,
        (_, None) => State::Never,
        (Some(_), Some(_)) => State::Stale,
    };
    let (reason, since) = why.unwrap_or_default();
    proto::Freshness {
        state: state.into(),
        reason,
        since_time: since.map(timestamp),
        sync_time: account.synced_at.map(timestamp),
        synced_through: account.synced_through.map(|day| day.to_string()).unwrap_or_default(),
        is_partly_read: account.unfinished.is_some(),
    }
}

/// Why nothing will make it fresher as things stand.
fn hindrance(account: &Account, prospect: Option<Prospect>) -> Option<(&'static str, Option<DateTime<Utc>>)> {
    if let Some(gone_at) = account.gone_at {
        return Some(("gone: the bank has it no more", Some(gone_at)));
    }
    if !account.enabled {
        return Some(("disabled: an operator does not want it asked about", None));
    }
    let prospect = prospect?;
    if !prospect.is_allowed {
        return Some(("no_consent: no consent that is valid now allows it", None));
    }
    (!prospect.is_wanted)
        .then_some(("not_wanted: its customer is not active, or lets no account be read while away", None))
}

fn overdue(
    account: &Account,
    period: Option<Duration>,
    now: DateTime<Utc>,
) -> Option<(String, Option<DateTime<Utc>>)> {
    let patience = TimeDelta::from_std(period?.checked_mul(PERIODS)?).ok()?;
    let due = account.synced_at?.checked_add_signed(patience)?;
    (due < now)
        .then(|| ("overdue: not read for more than two periods of the timetable".to_owned(), Some(due)))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::{AccountId, PsuUserId, TenantId};
    use crate::domain::openbanking::account::AccountKey;

    const EIGHT_HOURS: Option<Duration> = Some(Duration::from_hours(8));
    const GOOD: Option<Prospect> = Some(Prospect { is_allowed: true, is_wanted: true });

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_000_000 + hour * 3_600, 0).unwrap()
    }

    fn account() -> Account {
        Account {
            id: AccountId(Uuid::nil()),
            tenant_id: TenantId::default(),
            user_id: PsuUserId(Uuid::nil()),
            aspsp: "bank".to_owned(),
            key: AccountKey::new("PL61109010140000071219812874", "PLN").unwrap(),
            name: None,
            enabled: true,
            gone_at: None,
            synced_at: Some(at(0)),
            synced_through: None,
            unfinished: None,
            stale: None,
            details: None,
            details_at: None,
            created_at: at(-1),
            updated_at: at(0),
        }
    }

    fn told(account: &Account, prospect: Option<Prospect>, hour: i64) -> (State, String) {
        let freshness = of(account, prospect, EIGHT_HOURS, at(hour));
        let word = freshness.reason.split(':').next().unwrap_or_default().to_owned();
        (freshness.state(), word)
    }

    #[test]
    fn what_was_read_lately_is_fresh_and_what_was_not_says_why() {
        let fresh = account();
        assert_eq!(told(&fresh, GOOD, 16), (State::Fresh, String::new()));
        assert_eq!(told(&fresh, GOOD, 17), (State::Stale, "overdue".to_owned()));
        let stale = Account { stale: Some(("rate_limited: later".to_owned(), at(8))), ..account() };
        assert_eq!(told(&stale, GOOD, 9), (State::Stale, "rate_limited".to_owned()));
        let never = Account { synced_at: None, ..account() };
        assert_eq!(told(&never, GOOD, 9), (State::Never, String::new()));
    }

    #[test]
    fn that_nothing_will_make_it_fresher_is_said_first() {
        let stale = Account { stale: Some(("rate_limited: later".to_owned(), at(8))), ..account() };
        let no_consent = Some(Prospect { is_allowed: false, is_wanted: true });
        assert_eq!(told(&stale, no_consent, 9), (State::Stale, "no_consent".to_owned()));
        let not_wanted = Some(Prospect { is_allowed: true, is_wanted: false });
        assert_eq!(told(&account(), not_wanted, 1), (State::Stale, "not_wanted".to_owned()));
        let disabled = Account { enabled: false, ..account() };
        assert_eq!(told(&disabled, GOOD, 1), (State::Stale, "disabled".to_owned()));
        let gone = Account { gone_at: Some(at(1)), enabled: false, ..account() };
        assert_eq!(told(&gone, GOOD, 1), (State::Stale, "gone".to_owned()));
    }
}
