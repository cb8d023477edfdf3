//! One page after the other, by a key that says nothing to anybody else, and the traps on the way.
//!
//! **Owns** nothing: a key holds all that it leads to.
//! **Fails** to read a key that it has not made.
//! **Limits**: a page counts from the newest item at the moment of asking, so what comes meanwhile moves the pages, as it
//! does at many banks.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, NaiveDate, Utc};

use super::account::{Account, List};
use super::entry::Item;
use super::options::PageTrap;

/// Where a reader stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub account: String,
    pub list: List,
    pub from: NaiveDate,
    pub to: NaiveDate,
    pub size: usize,
    pub page: u32,
    /// Items that were told before.
    pub skip: usize,
}

impl Cursor {
    pub fn key(&self) -> String {
        let Cursor { account, list, from, to, size, page, skip } = self;
        URL_SAFE_NO_PAD.encode(format!("{account}|{list:?}|{from}|{to}|{size}|{page}|{skip}"))
    }

    pub fn read(key: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(key).ok()?).ok()?;
        let parts: Vec<_> = text.split('|').collect();
        let [account, list, from, to, size, page, skip] = parts[..] else { return None };
        let list = match list {
            "Booked" => List::Booked,
            "Pending" => List::Pending,
            "Holds" => List::Holds,
            "Waiting" => List::Waiting,
            "Both" => List::Both,
            _ => return None,
        };
        Some(Cursor {
            account: account.to_owned(),
            list,
            from: from.parse().ok()?,
            to: to.parse().ok()?,
            size: size.parse().ok()?,
            page: page.parse().ok()?,
            skip: skip.parse().ok()?,
        })
    }

    fn days(&self) -> RangeInclusive<NaiveDate> {
        self.from..=self.to
    }

    fn after(&self, told: usize) -> Self {
        Cursor { page: self.page + 1, skip: self.skip + told, ..self.clone() }
    }
}

/// What is on a page, and what comes after it.
pub struct Page {
    pub items: Vec<Item>,
    pub next: Option<Cursor>,
    /// Where the next one is said to be, when it is said to be elsewhere.
    pub elsewhere: Option<String>,
}

/// Turns to a page.
pub fn turn(
    account: &Account,
    cursor: &Cursor,
    trap: Option<&PageTrap>,
    now: DateTime<Utc>,
    is_wanted: Option<&dyn Fn(&Item) -> bool>,
) -> Page {
    let page = Some(cursor.page);
    let told_again = match trap {
        Some(PageTrap::Empty { page: at }) if page == Some(*at) => {
            return Page { items: Vec::new(), next: Some(cursor.after(0)), elsewhere: None };
        }
        Some(PageTrap::Repeated { page: at }) if page == Some(*at) => cursor.size.min(cursor.skip),
        _ => 0,
    };
    let skip = cursor.skip - told_again;
    let take = cursor.size + 1;
    // Without a sieve the account itself leaves out what was told, which is quicker.
    let mut items: Vec<_> = match is_wanted {
        None => account.items(cursor.list, &cursor.days(), now, skip).take(take).collect(),
        Some(is_wanted) => {
            let all = account.items(cursor.list, &cursor.days(), now, 0);
            all.filter(|item| is_wanted(item)).skip(skip).take(take).collect()
        }
    };
    let more = items.len() > cursor.size;
    items.truncate(cursor.size);
    let next = match trap {
        Some(PageTrap::NextIsSelf { page: at }) if page == Some(*at) => Some(cursor.clone()),
        _ if told_again > 0 => Some(cursor.after(0)),
        _ => more.then(|| cursor.after(items.len())),
    };
    let elsewhere = match trap {
        Some(PageTrap::NextElsewhere { page: at, origin }) if page == Some(*at) => Some(origin.clone()),
        _ => None,
    };
    Page { items, next: next.or_else(|| elsewhere.as_ref().map(|_| cursor.after(0))), elsewhere }
}
