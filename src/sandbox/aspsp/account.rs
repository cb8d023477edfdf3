//! Accounts: those that tests put there one by one, and those that are made of a seed while they are read.
//!
//! **Owns** the items of the former.
//! **Fails** never.
//! **Limits**: an account of the former kind is sorted anew for each page, so it is meant for hundreds of items.

use std::ops::RangeInclusive;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::bulk::BulkAccount;
use super::entry::{AspspEntry, Item};
use super::options::AspspIds;

/// An account that a test puts there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AspspAccount {
    /// Its number.
    pub iban: String,
    /// Three letters.
    pub currency: String,
    /// Digits behind the dot, 0 to 3. PolishAPI knows only two.
    pub decimals: u8,
    /// What was in it before the first item, in the smallest unit.
    pub opening: i64,
}

impl AspspAccount {
    /// An empty one in złoty.
    pub fn in_zloty(iban: impl Into<String>) -> Self {
        AspspAccount { iban: iban.into(), currency: "PLN".to_owned(), decimals: 2, opening: 0 }
    }
}

/// Which items are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    Booked,
    Pending,
    Holds,
    /// All that wait, where the standard knows no holds.
    Waiting,
    /// Booked ones, and after them all that wait.
    Both,
}

/// An account whose items are kept.
pub struct Kept {
    pub about: AspspAccount,
    pub entries: Vec<AspspEntry>,
    pub ids: AspspIds,
    pub blocked: bool,
}

/// Any account.
pub enum Account<'a> {
    Kept(&'a Kept),
    Bulk(BulkAccount),
}

impl Account<'_> {
    pub fn iban(&self) -> &str {
        match self {
            Account::Kept(kept) => &kept.about.iban,
            Account::Bulk(bulk) => &bulk.iban,
        }
    }

    pub fn currency(&self) -> &str {
        match self {
            Account::Kept(kept) => &kept.about.currency,
            Account::Bulk(_) => "PLN",
        }
    }

    pub fn decimals(&self) -> u8 {
        match self {
            Account::Kept(kept) => kept.about.decimals,
            Account::Bulk(_) => 2,
        }
    }

    pub fn is_blocked(&self) -> bool {
        matches!(self, Account::Kept(kept) if kept.blocked)
    }

    /// What is in it: booked, and less what waits to leave.
    pub fn balances(&self, now: DateTime<Utc>) -> (i64, i64) {
        match self {
            Account::Kept(kept) => {
                let (mut booked, mut leaving) = (kept.about.opening, 0);
                for entry in &kept.entries {
                    if entry.books_at <= now {
                        booked += entry.amount;
                    } else if entry.traded_at <= now {
                        // What waits to come in cannot be spent yet.
                        leaving += entry.amount.min(0);
                    }
                }
                (booked, booked + leaving)
            }
            Account::Bulk(bulk) => (bulk.balance(), bulk.balance()),
        }
    }

    /// When it last moved.
    pub fn last_change(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let Account::Kept(kept) = self else { return None };
        kept.entries.iter().map(|entry| entry.books_at).filter(|booked_at| *booked_at <= now).max()
    }

    /// Items of the list within the days, the newest first, without so many of the first.
    pub fn items(
        &self,
        list: List,
        days: &RangeInclusive<NaiveDate>,
        now: DateTime<Utc>,
        skip: usize,
    ) -> Box<dyn Iterator<Item = Item> + '_> {
        match self {
            Account::Kept(kept) => Box::new(kept.items(list, days, now).into_iter().skip(skip)),
            Account::Bulk(bulk) if matches!(list, List::Booked | List::Both) => {
                Box::new(bulk.items(days, skip))
            }
            Account::Bulk(_) => Box::new(std::iter::empty()),
        }
    }
}

impl Kept {
    fn items(&self, list: List, days: &RangeInclusive<NaiveDate>, now: DateTime<Utc>) -> Vec<Item> {
        let mut booked: Vec<_> = self.entries.iter().filter(|entry| entry.books_at <= now).collect();
        // Stable, so that two of one moment stay in the order in which they came.
        booked.sort_by_key(|entry| entry.books_at);
        let mut balance = self.about.opening;
        let mut told = Vec::new();
        if matches!(list, List::Booked | List::Both) {
            for entry in booked {
                balance += entry.amount;
                told.push(Item { balance_after: Some(balance), ..Item::of(entry, now, self.ids) });
            }
            told.reverse();
        }
        let waits = |entry: &&AspspEntry| {
            let is_wanted = match list {
                List::Booked => false,
                List::Pending => !entry.hold,
                List::Holds => entry.hold,
                List::Waiting | List::Both => true,
            };
            is_wanted && entry.books_at > now && entry.traded_at <= now
        };
        told.extend(self.entries.iter().filter(waits).map(|entry| Item::of(entry, now, self.ids)));
        told.retain(|item| days.contains(&item.day()));
        told
    }
}
