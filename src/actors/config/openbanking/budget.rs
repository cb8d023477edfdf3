//! What the timetable costs of each bank's quota: the most accesses that fall into one window, looked at for a year ahead, so that
//! the days on which clocks change are among them.
//!
//! **Owns** nothing. **Fails** nowhere. **Limits**: one visit of one account a slot, each answer on one page. What people ask for by
//! hand comes on top. Where a consent says how often, it is taken to say what the law does.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};

use super::{AspspEntry, OpenBankingConfig, SyncConfig, Via};
use crate::actors::config::timetable::TimetableConfig;
use crate::connectors::aspsps::Operation;
use crate::connectors::aspsps::config::Standard;
use crate::domain::openbanking::quota::Window;

/// How far it is looked ahead: every change of the clocks, and every length of a month.
const DAYS: i64 = 400;
/// Slots that are looked at: half a year of every hour and more. A narrower timetable shows in its first days what it breaks.
const SLOTS_MAX: usize = 10_000;
/// Four accesses in 24 hours (Delegated Regulation 2018/389, article 36(5)(b)).
const LAWFUL: u32 = 4;

/// What is asked of one bank at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    pub aspsp: String,
    /// Under which name it is counted; empty where all is counted together.
    pub endpoint: String,
    pub limit: u32,
    /// Whether each consent says its own limit, and this is the law's.
    pub by_consent: bool,
    /// The most that fall into one window.
    pub accesses_max: u32,
    /// The first access of that window.
    pub from: DateTime<Utc>,
}

impl Budget {
    /// Whether more is planned than is allowed.
    pub fn is_broken(&self) -> bool {
        self.accesses_max > self.limit
    }
}

impl OpenBankingConfig {
    /// What the timetable costs of each bank's quota, from a moment on. Nothing where nobody asks the banks by a timetable.
    pub fn budgets(&self, timetable: &TimetableConfig, now: DateTime<Utc>) -> Vec<Budget> {
        let job = &timetable.sync_update.job;
        let Ok(slots) = job.timetable() else { return Vec::new() };
        if !job.enabled || self.sync.via == Via::InternalApi {
            return Vec::new();
        }
        let end = now + TimeDelta::days(DAYS);
        let slots: Vec<DateTime<Utc>> = slots.between(now, end).map(|fire| fire.at).take(SLOTS_MAX).collect();
        let of_bank = |(name, entry): (&String, &AspspEntry)| budgets_of(name, entry, &self.sync, &slots);
        self.aspsps.iter().flat_map(of_bank).collect()
    }
}

fn budgets_of(name: &str, entry: &AspspEntry, sync: &SyncConfig, slots: &[DateTime<Utc>]) -> Vec<Budget> {
    let counting = entry.counting();
    let mut accesses: BTreeMap<(&'static str, u32), Vec<DateTime<Utc>>> = BTreeMap::new();
    let mut ask = |operation, at| {
        if let Some(counted) = counting.together(entry.connector.standard, operation) {
            accesses.entry(counted).or_default().push(at);
        }
    };
    let details_every = TimeDelta::from_std(sync.details_every).unwrap_or(TimeDelta::MAX);
    let mut details_at: Option<DateTime<Utc>> = None;
    for slot in slots {
        let wants_details = details_at.is_none_or(|before| *slot - before >= details_every);
        if wants_details {
            details_at = Some(*slot);
        }
        operations(entry, sync, wants_details).into_iter().for_each(|operation| ask(operation, *slot));
    }
    let budget = |((endpoint, limit), accesses): ((&'static str, u32), Vec<DateTime<Utc>>)| {
        let (accesses_max, from) = busiest(&accesses, counting.window)?;
        let (limit, by_consent) = if limit > 0 { (limit, false) } else { (LAWFUL, true) };
        let (aspsp, endpoint) = (name.to_owned(), endpoint.to_owned());
        Some(Budget { aspsp, endpoint, limit, by_consent, accesses_max, from })
    };
    accesses.into_iter().filter_map(budget).collect()
}

/// What one visit asks of one account.
fn operations(entry: &AspspEntry, sync: &SyncConfig, wants_details: bool) -> Vec<Operation> {
    let (berlin, polish) = (&entry.connector.berlin_group, &entry.connector.polish_api);
    let is_berlin = entry.connector.standard == Standard::BerlinGroup;
    let has_pending = if is_berlin { berlin.pending && !berlin.both } else { polish.pending };
    let asked = [
        (Operation::Transactions, true),
        (Operation::TransactionsPending, sync.pending && has_pending),
        (Operation::Holds, sync.holds && !is_berlin && polish.holds),
        // In PolishAPI the details come with the balances.
        (Operation::Balances, sync.balances && (is_berlin || !wants_details)),
        (Operation::Accounts, wants_details),
        (Operation::AccountDetails, wants_details),
    ];
    asked.into_iter().filter(|(_, is_asked)| *is_asked).map(|(operation, _)| operation).collect()
}

/// The most accesses of one window, and the first of them. In their order.
fn busiest(accesses: &[DateTime<Utc>], window: Window) -> Option<(u32, DateTime<Utc>)> {
    let mut counts: BTreeMap<DateTime<Utc>, u32> = BTreeMap::new();
    match window {
        Window::Rolling(length) => {
            let length = TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX);
            let mut end = 0;
            for (begin, from) in accesses.iter().enumerate() {
                // The ends included, as the quota itself counts: within its run a visit comes a little earlier or later each time.
                while accesses.get(end).is_some_and(|at| *at - *from <= length) {
                    end += 1;
                }
                counts.entry(*from).or_insert(u32::try_from(end - begin).unwrap_or(u32::MAX));
            }
        }
        Window::Day(_) | Window::Month(_) => {
            let mut first: Option<(DateTime<Utc>, (i32, u32, u32))> = None;
            for at in accesses {
                let name = calendar(*at, window);
                let from = match first {
                    Some((from, of)) if of == name => from,
                    _ => *at,
                };
                first = Some((from, name));
                *counts.entry(from).or_default() += 1;
            }
        }
    }
    // Of several that are as busy, the first.
    counts
        .into_iter()
        .map(|(from, count)| (count, from))
        .reduce(|most, next| if next.0 > most.0 { next } else { most })
}

/// The day, or the month, of a moment.
fn calendar(at: DateTime<Utc>, window: Window) -> (i32, u32, u32) {
    match window {
        Window::Rolling(_) => (0, 0, 0),
        Window::Day(zone) => {
            let day = at.with_timezone(&zone).date_naive();
            (day.year(), day.month(), day.day())
        }
        Window::Month(zone) => {
            let day = at.with_timezone(&zone).date_naive();
            (day.year(), day.month(), 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Sources};

    const BANK: &str = "openbanking.aspsps.north.base_url";

    fn budgets(sources: Sources) -> Vec<(String, u32, u32)> {
        let config = Config::load(&sources.with(BANK, "https://bank.example/psd2")).unwrap();
        // Before both changes of the clocks.
        let now = "2026-11-23T00:00:00Z".parse().unwrap();
        let budgets = config.openbanking.budgets(&config.timetable, now);
        assert!(budgets.iter().all(|budget| budget.is_broken() == (budget.accesses_max > budget.limit)));
        budgets.into_iter().map(|budget| (budget.endpoint, budget.accesses_max, budget.limit)).collect()
    }

    fn enabled() -> Sources {
        Sources::default().with("timetable.sync_update.enabled", "true")
    }

    fn of(found: &[(String, u32, u32)], endpoint: &str) -> (u32, u32) {
        let budget = found.iter().find(|(name, ..)| name == endpoint).unwrap();
        (budget.1, budget.2)
    }

    #[test]
    fn eight_hours_fit_and_six_do_not() {
        let found = budgets(enabled());
        assert_eq!(of(&found, "transactions"), (4, 4));
        assert_eq!(of(&found, "accounts"), (2, 4), "once a day");
        let six = enabled().with("timetable.sync_update.every", "6h");
        assert_eq!(of(&budgets(six.clone()), "transactions"), (5, 4));
        let day = six.with("openbanking.aspsp.quota.window", "day");
        assert_eq!(of(&budgets(day), "transactions"), (4, 4), "the clock of a calendar begins anew");
    }

    #[test]
    fn the_day_of_23_hours_is_looked_at() {
        // Twice in 24 hours, and once more in the night to 28 March.
        let rolling = enabled()
            .with("timetable.sync_update.every", "12h")
            .with("timetable.sync_update.anchor", "00:00")
            .with("openbanking.aspsp.quota.length", "23h")
            .with("openbanking.aspsp.quota.limit", "2");
        assert_eq!(of(&budgets(rolling.clone()), "transactions"), (3, 2));
        let utc = rolling.with("timetable.sync_update.time_zone", "UTC");
        assert_eq!(of(&budgets(utc), "transactions"), (2, 2));
    }

    #[test]
    fn what_is_counted_together_adds_up() {
        let lists = budgets(enabled().with("openbanking.aspsp.quota.per_list", "false"));
        assert_eq!(of(&lists, "transactions"), (8, 4));
        let all = budgets(enabled().with("openbanking.aspsp.quota.per_endpoint", "false"));
        assert_eq!(all.len(), 1);
        assert!(of(&all, "").0 > 12, "{all:?}");
        let month = enabled()
            .with("openbanking.aspsp.quota.window", "month")
            .with("openbanking.aspsp.quota.limit", "4")
            .with("openbanking.aspsp.quota.endpoints.balances", "420");
        let found = budgets(month);
        assert_eq!((of(&found, "transactions"), of(&found, "balances")), ((93, 4), (93, 420)));
    }

    #[test]
    fn where_nobody_asks_by_a_timetable_nothing_is_planned() {
        assert_eq!(budgets(Sources::default().with("timetable.sync_update.enabled", "false")), []);
        let internal = enabled()
            .with("openbanking.sync.via", "internal_api")
            .with("openbanking.internal_api.base_url", "http://127.0.0.1:1")
            .with("openbanking.internal_api.user_header", "x-user");
        assert_eq!(budgets(internal), []);
    }
}
