//! Users by the thousand, made of a seed while they are read, so that they take no memory and hardly any time.
//!
//! User 7's second consent is `bulk-7-1`, and its access token the same text; it has no refresh token and never ends.
//!
//! **Owns** nothing but the numbers that all is made of.
//! **Fails** never; what is not of the bulk is not found.
//! **Limits**: all is booked; new items come to every account at once; a user's number has at most eight digits.

use std::ops::RangeInclusive;

use chrono::{DateTime, Days, NaiveDate, TimeZone as _, Utc};
use serde::{Deserialize, Serialize};

use super::entry::Item;

const SHOPS: u64 = 40;

/// How many there are of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AspspBulk {
    /// From 0.
    pub users: u32,
    /// Of each user.
    pub consents: u16,
    /// Of each consent.
    pub accounts: u16,
    /// In each account.
    pub transactions: u32,
    /// And after those so many more, all of the newest day: what has come since.
    #[serde(default)]
    pub added: u32,
    /// The day of the newest item; the others are spread over the days before it.
    pub newest: NaiveDate,
    /// How many days they are spread over.
    pub days: u16,
    /// The same number makes the same items.
    pub seed: u64,
}

impl AspspBulk {
    /// The id of a consent, and its access token.
    pub fn consent_id(user: u32, consent: u16) -> String {
        format!("bulk-{user}-{consent}")
    }

    /// The number of an account at a bank.
    pub fn number(bank: u8, user: u32, consent: u16, account: u16) -> String {
        iban(bank, user, consent, account)
    }

    /// The user and the number of the consent of this id.
    pub fn find(&self, id: &str) -> Option<(u32, u16)> {
        let (user, consent) = id.strip_prefix("bulk-")?.split_once('-')?;
        let (user, consent) = (user.parse().ok()?, consent.parse().ok()?);
        // Numbers have other spellings, and ids have none.
        let is_known = user < self.users && consent < self.consents && Self::consent_id(user, consent) == id;
        is_known.then_some((user, consent))
    }

    /// The numbers of a consent's accounts at a bank.
    pub fn accounts_of(&self, bank: u8, user: u32, consent: u16) -> Vec<String> {
        (0..self.accounts).map(|account| iban(bank, user, consent, account)).collect()
    }

    /// The account of this number at a bank.
    pub fn account(&self, bank: u8, number: &str) -> Option<BulkAccount> {
        let digits = number.get(4..)?;
        let part = |at: std::ops::Range<usize>| digits.get(at)?.parse::<u32>().ok();
        let (user, consent, account) = (part(8..16)?, part(16..20)?, part(20..24)?);
        let (consent, account) = (u16::try_from(consent).ok()?, u16::try_from(account).ok()?);
        let is_known = user < self.users && consent < self.consents && account < self.accounts;
        let is_spelt_so = is_known && iban(bank, user, consent, account) == number;
        let place = (u64::from(user) << 32) | (u64::from(consent) << 16) | u64::from(account);
        is_spelt_so.then(|| BulkAccount { iban: number.to_owned(), bulk: *self, place })
    }
}

/// An account of the bulk.
pub struct BulkAccount {
    pub iban: String,
    bulk: AspspBulk,
    place: u64,
}

impl BulkAccount {
    pub fn balance(&self) -> i64 {
        self.balance_after(i64::from(self.count()) - 1)
    }

    /// Booked items within the days, the newest first, without so many of the first.
    pub fn items(&self, days: &RangeInclusive<NaiveDate>, skip: usize) -> impl Iterator<Item = Item> + '_ {
        let count = self.count();
        // Days grow with the number, so that both ends are found without looking at what is between.
        let begin = partition_point(count, |at| self.day(at) < *days.start());
        let end = partition_point(count, |at| self.day(at) <= *days.end());
        let end = end.saturating_sub(u32::try_from(skip).unwrap_or(u32::MAX));
        (begin..end.max(begin)).rev().map(|at| self.item(at))
    }

    fn count(&self) -> u32 {
        self.bulk.transactions.saturating_add(self.bulk.added)
    }

    fn day(&self, at: u32) -> NaiveDate {
        // What was added has no age, so that nothing older changes its day by it.
        let age = u64::from(self.bulk.transactions.saturating_sub(at.saturating_add(1)));
        let back = age * u64::from(self.bulk.days.max(1)) / u64::from(self.bulk.transactions.max(1));
        self.bulk.newest.checked_sub_days(Days::new(back)).unwrap_or(self.bulk.newest)
    }

    /// Any balance is as good as another; what an item amounts to follows from two of them.
    fn balance_after(&self, at: i64) -> i64 {
        let step = i64::try_from(self.noise(at.cast_unsigned()) % 50_000).unwrap_or_default();
        // The sign turns with each item, so that none of them is of nothing.
        let side = if at % 2 == 0 { 50_001 } else { 0 };
        1_000_000 + step + side
    }

    fn noise(&self, at: u64) -> u64 {
        let mut bits = self.bulk.seed ^ self.place.rotate_left(17) ^ at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn item(&self, at: u32) -> Item {
        let balance = self.balance_after(at.into());
        let shop = self.noise(u64::from(at) | 1 << 40) % SHOPS;
        let booked_at = noon(self.day(at));
        Item {
            id: Some(format!("{:x}-{at}", self.place)),
            amount: balance - self.balance_after(i64::from(at) - 1),
            traded_at: booked_at,
            booked_at: Some(booked_at),
            balance_after: Some(balance),
            text: format!("Sandbox purchase {at}"),
            other_name: format!("Sandbox shop {shop}"),
            other_account: None,
            books_at: booked_at,
        }
    }
}

fn noon(day: NaiveDate) -> DateTime<Utc> {
    day.and_hms_opt(12, 0, 0).map_or(DateTime::<Utc>::MIN_UTC, |noon| Utc.from_utc_datetime(&noon))
}

fn partition_point(count: u32, holds: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

/// A Polish number with its check digits (ISO 7064, mod 97-10). The bank's code is nobody's.
pub fn iban(bank: u8, user: u32, consent: u16, account: u16) -> String {
    let body = format!("9990{bank:04}{user:08}{consent:04}{account:04}");
    // PL is 25 21, and 00 stands where the check digits will be.
    let rest =
        body.bytes().chain(*b"252100").fold(0_u32, |rest, digit| (rest * 10 + u32::from(digit - b'0')) % 97);
    format!("PL{:02}{body}", 98 - rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk() -> AspspBulk {
        let newest = NaiveDate::from_ymd_opt(2026, 11, 22).unwrap();
        AspspBulk {
            users: 3,
            consents: 2,
            accounts: 2,
            transactions: 100,
            added: 0,
            newest,
            days: 50,
            seed: 7,
        }
    }

    #[test]
    fn numbers_check_and_are_found_again() {
        let number = iban(1, 2, 1, 1);
        let turned = format!("{}2521{}", &number[4..], &number[2..4]);
        let rest = turned.bytes().fold(0_u32, |rest, digit| (rest * 10 + u32::from(digit - b'0')) % 97);
        assert_eq!((number.len(), rest), (28, 1));
        assert!(bulk().account(1, &number).is_some());
        for other in [iban(0, 2, 1, 1), iban(1, 3, 1, 1), iban(1, 2, 2, 1), number.replace("PL", "PT")] {
            assert!(bulk().account(1, &other).is_none(), "{other}");
        }
        assert_eq!(bulk().find("bulk-2-1"), Some((2, 1)));
        assert_eq!((bulk().find("bulk-3-1"), bulk().find("bulk-02-1")), (None, None));
    }

    #[test]
    fn an_account_is_the_same_whoever_reads_it_and_its_balances_add_up() {
        let account = bulk().account(0, &iban(0, 1, 0, 1)).unwrap();
        let days = NaiveDate::MIN..=NaiveDate::MAX;
        let all: Vec<_> = account.items(&days, 0).collect();
        assert_eq!(all.len(), 100);
        assert_eq!(account.items(&days, 30).collect::<Vec<_>>(), all[30..]);
        for pair in all.windows(2) {
            let [newer, older] = pair else { unreachable!("windows are of two") };
            assert_eq!(older.balance_after.unwrap() + newer.amount, newer.balance_after.unwrap());
            assert!(newer.amount != 0 && newer.day() >= older.day());
        }
        assert_eq!(all[0].balance_after, Some(account.balance()));
        let week = all[0].day() - Days::new(6)..=all[0].day() - Days::new(1);
        let found: Vec<_> = account.items(&week, 0).collect();
        assert_eq!(found, all.iter().filter(|item| week.contains(&item.day())).cloned().collect::<Vec<_>>());
        assert_eq!(found.len(), 12);
        let more = AspspBulk { added: 3, ..bulk() }.account(0, &iban(0, 1, 0, 1)).unwrap();
        assert_eq!(more.items(&days, 3).collect::<Vec<_>>(), all);
        assert_eq!(more.items(&days, 0).next().unwrap().balance_after, Some(more.balance()));
    }
}
