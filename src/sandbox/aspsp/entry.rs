//! What moves an account: items that wait and then are booked, and what is shown of them.
//!
//! **Owns** nothing.
//! **Fails** never.
//! **Limits**: one currency for each account; days are UTC's.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::options::AspspIds;

/// One item of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AspspEntry {
    /// What the bank calls it once it is booked; nothing where the bank has no name for it.
    #[serde(default)]
    pub id: Option<String>,
    /// What the bank calls it while it waits. Berlin Group banks need none.
    #[serde(default)]
    pub pending_id: Option<String>,
    /// In the account's smallest unit; below zero where money leaves.
    pub amount: i64,
    /// When it was made.
    pub traded_at: DateTime<Utc>,
    /// When it is booked; until then it waits.
    pub books_at: DateTime<Utc>,
    /// What it is for.
    pub text: String,
    /// Who is at its other end.
    pub other_name: String,
    /// And at which account.
    #[serde(default)]
    pub other_account: Option<String>,
    /// While it waits it is a hold, not a pending transaction, where the standard keeps them apart.
    #[serde(default)]
    pub hold: bool,
}

impl AspspEntry {
    /// Booked at once, under this id.
    pub fn booked(id: &str, amount: i64, at: DateTime<Utc>) -> Self {
        AspspEntry {
            id: Some(id.to_owned()),
            pending_id: None,
            amount,
            traded_at: at,
            books_at: at,
            text: "Sandbox purchase".to_owned(),
            other_name: "Sandbox shop".to_owned(),
            other_account: None,
            hold: false,
        }
    }

    /// Waits until the moment, and is booked then.
    pub fn pending(id: &str, amount: i64, at: DateTime<Utc>, books_at: DateTime<Utc>) -> Self {
        AspspEntry { pending_id: Some(format!("waiting-{id}")), books_at, ..Self::booked(id, amount, at) }
    }

    /// A hold until the moment, and booked then.
    pub fn held(id: &str, amount: i64, at: DateTime<Utc>, books_at: DateTime<Utc>) -> Self {
        AspspEntry { hold: true, ..Self::pending(id, amount, at, books_at) }
    }
}

/// An item as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is called, if anything; perhaps one space.
    pub id: Option<String>,
    /// In the account's smallest unit; below zero where money leaves.
    pub amount: i64,
    pub traded_at: DateTime<Utc>,
    /// Nothing while it waits.
    pub booked_at: Option<DateTime<Utc>>,
    /// What is in the account after it; only of booked ones.
    pub balance_after: Option<i64>,
    pub text: String,
    pub other_name: String,
    pub other_account: Option<String>,
    /// When it is booked.
    pub books_at: DateTime<Utc>,
}

impl Item {
    /// As it is shown now; what comes after it is for whoever knows the account.
    pub fn of(entry: &AspspEntry, now: DateTime<Utc>, ids: AspspIds) -> Self {
        let is_booked = entry.books_at <= now;
        let id = if is_booked { &entry.id } else { &entry.pending_id };
        Item {
            id: play_ids(id.as_deref(), ids),
            amount: entry.amount,
            traded_at: entry.traded_at,
            booked_at: is_booked.then_some(entry.books_at),
            balance_after: None,
            text: entry.text.clone(),
            other_name: entry.other_name.clone(),
            other_account: entry.other_account.clone(),
            books_at: entry.books_at,
        }
    }

    /// By which it is found in a span of days.
    pub fn day(&self) -> NaiveDate {
        self.booked_at.unwrap_or(self.traded_at).date_naive()
    }
}

pub fn play_ids(id: Option<&str>, ids: AspspIds) -> Option<String> {
    match ids {
        AspspIds::Stable => id.map(str::to_owned),
        AspspIds::Blank => Some(" ".to_owned()),
        AspspIds::Absent => None,
        AspspIds::Reissued(number) => id.map(|id| digest(&[id, &number.to_string()])),
    }
}

/// A name of 32 digits made of others, the same for the same.
pub fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// A sum with a dot and so many decimals behind it.
pub fn decimal(amount: i64, decimals: u8) -> String {
    let sign = if amount < 0 { "-" } else { "" };
    let digits = amount.unsigned_abs();
    let unit = 10_u64.pow(decimals.into());
    if decimals == 0 {
        return format!("{sign}{digits}");
    }
    format!("{sign}{}.{:0width$}", digits / unit, digits % unit, width = decimals.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_written_with_their_decimals() {
        let cases = [(-5, 2, "-0.05"), (12_345, 2, "123.45"), (12_345, 3, "12.345"), (-7, 0, "-7")];
        for (amount, decimals, text) in cases {
            assert_eq!(decimal(amount, decimals), text);
        }
    }

    #[test]
    fn ids_are_reissued_by_number_and_stay_under_one() {
        let under = |number| play_ids(Some("a"), AspspIds::Reissued(number));
        assert_eq!(under(1), under(1));
        assert_ne!(under(1), under(2));
        assert_eq!(play_ids(None, AspspIds::Reissued(1)), None);
        assert_eq!(play_ids(Some("a"), AspspIds::Blank).as_deref(), Some(" "));
    }
}
