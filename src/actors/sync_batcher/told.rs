//! What banks tell of transactions, as it is kept.
//!
//! **Owns** nothing. **Fails** on a booked transaction that no day is told of: half a transaction is worse than a late one.
//! **Limits**: ids are trimmed, blank ones are none, and the strongest come first: the item's or the entry's, then the
//! transaction's. Texts are kept up to [`COUNTERPARTY_CHARS_MAX`] and [`REMITTANCE_CHARS_MAX`] characters. Nothing here changes from
//! one telling to the next unless the bank tells it otherwise, so that what is known is written once.

use std::hash::{DefaultHasher, Hash, Hasher as _};

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

use crate::connectors::aspsps::{Transaction, TransactionState};
use crate::store::openbanking::apply::{BookedTold, PendingTold};

const COUNTERPARTY_CHARS_MAX: usize = 300;
const REMITTANCE_CHARS_MAX: usize = 2_000;

/// What a page, or a set of pages, tells.
#[derive(Default)]
pub(super) struct Mapped {
    pub booked: Vec<BookedTold>,
    pub pending: Vec<PendingTold>,
}

/// A booked transaction without a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a booked transaction has no day")]
pub(super) struct NoDay;

/// What else is told of a transaction, in words of no standard.
#[derive(Serialize)]
struct Details<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trade_date: Option<NaiveDate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    counterparty_account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merchant_category: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_until: Option<DateTime<Utc>>,
}

/// Sorts a page's transactions by what they are. Those that are neither booked nor on their way to it are nobody's money.
pub(super) fn mapped(transactions: Vec<Transaction>, currency: &str) -> Result<Mapped, NoDay> {
    let mut mapped = Mapped::default();
    for transaction in transactions {
        match transaction.state {
            TransactionState::Booked => mapped.booked.push(booked(transaction, currency)?),
            TransactionState::Pending | TransactionState::Held => {
                mapped.pending.push(pending(transaction, currency))
            }
            TransactionState::Scheduled | TransactionState::Rejected | TransactionState::Cancelled => {}
        }
    }
    Ok(mapped)
}

impl Mapped {
    pub fn extend(&mut self, other: Self) {
        append(&mut self.booked, other.booked);
        append(&mut self.pending, other.pending);
    }

    /// Tells this page from another; none for one that cannot be told: an empty one, or one on which all are alike and nothing
    /// says which is which, for those may be twins.
    pub fn mark(&self) -> Option<u64> {
        let says_which = |told: &BookedTold| !told.bank_ids.is_empty() || told.balance_after.is_some();
        let is_telling = self.booked.iter().any(says_which)
            || self.booked.windows(2).any(|pair| pair[0] != pair[1])
            || self.pending.windows(2).any(|pair| pair[0] != pair[1]);
        if !is_telling {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        for told in &self.booked {
            (&told.bank_ids, told.booked_on, told.value_on, told.amount, &told.currency).hash(&mut hasher);
            (&told.counterparty, &told.remittance, told.balance_after, &told.details).hash(&mut hasher);
        }
        self.pending.hash(&mut hasher);
        Some(hasher.finish())
    }
}

/// Without a copy where there is nothing before.
fn append<T>(all: &mut Vec<T>, mut more: Vec<T>) {
    if all.is_empty() {
        *all = more;
    } else {
        all.append(&mut more);
    }
}

fn booked(told: Transaction, currency: &str) -> Result<BookedTold, NoDay> {
    let booked_on = told.booking_date.or(told.value_date).or(told.trade_date).ok_or(NoDay)?;
    let details = details(&told, None, None);
    let strongest = told.item_id.or(told.entry_reference);
    let ids = [strongest, told.transaction_id].into_iter().flatten();
    let ids = ids.map(|id| clean(&id, usize::MAX)).filter(|id| !id.is_empty());
    let counterparty = told.counterparty.name.or(told.counterparty.account).unwrap_or_default();
    Ok(BookedTold {
        bank_ids: ids.collect(),
        booked_on,
        value_on: told.value_date,
        amount: told.amount.thousandths(),
        currency: told.currency.unwrap_or_else(|| currency.to_owned()),
        counterparty: clean(&counterparty, COUNTERPARTY_CHARS_MAX),
        remittance: clean(&told.texts.join("\n"), REMITTANCE_CHARS_MAX),
        balance_after: told.balance_after.map(|balance| balance.thousandths()),
        details,
    })
}

fn pending(told: Transaction, currency: &str) -> PendingTold {
    let id = told.item_id.as_deref().or(told.entry_reference.as_deref()).or(told.transaction_id.as_deref());
    let details = details(&told, Some(told.state.as_str()), id);
    let counterparty = told.counterparty.name.or(told.counterparty.account).unwrap_or_default();
    PendingTold {
        entered_on: told.booking_date.or(told.trade_date).or(told.value_date),
        amount: told.amount.thousandths(),
        currency: told.currency.unwrap_or_else(|| currency.to_owned()),
        counterparty: clean(&counterparty, COUNTERPARTY_CHARS_MAX),
        remittance: clean(&told.texts.join("\n"), REMITTANCE_CHARS_MAX),
        details,
    }
}

fn details(told: &Transaction, state: Option<&'static str>, id: Option<&str>) -> String {
    let details = Details {
        state,
        id,
        trade_date: told.trade_date,
        // Where there is no name, the account stands in its place already.
        counterparty_account: told
            .counterparty
            .account
            .as_deref()
            .filter(|_| told.counterparty.name.is_some()),
        category: told.category.as_deref(),
        merchant_category: told.merchant_category.as_deref(),
        held_until: told.held_until,
    };
    let text = serde_json::to_string(&details).unwrap_or_else(|_| "{}".to_owned());
    // JSON writes the sign that no database keeps as an escape, which another database refuses as well.
    if text.contains("\\u0000") { text.replace("\\u0000", "") } else { text }
}

/// Trimmed, without the one character that a database does not keep, and no longer than that.
fn clean(text: &str, chars_max: usize) -> String {
    let text = text.trim();
    let mut text = if text.contains('\0') { text.replace('\0', "") } else { text.to_owned() };
    if text.len() > chars_max
        && let Some((end, _)) = text.char_indices().nth(chars_max)
    {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::aspsps::Counterparty;
    use crate::connectors::aspsps::amount::Amount;

    fn transaction(state: TransactionState) -> Transaction {
        Transaction {
            state,
            item_id: None,
            entry_reference: Some(" E-1 ".to_owned()),
            transaction_id: Some("T-1".to_owned()),
            booking_date: "2026-11-20".parse().ok(),
            value_date: "2026-11-21".parse().ok(),
            trade_date: "2026-11-19".parse().ok(),
            amount: Amount::from_thousandths(-12_345),
            currency: None,
            texts: vec!["Coffee".to_owned(), "two\0 of them ".to_owned()],
            counterparty: Counterparty { name: Some(" Shop ".to_owned()), account: Some("PL1".to_owned()) },
            balance_after: Some(Amount::from_thousandths(1_000)),
            category: Some("PMNT".to_owned()),
            merchant_category: None,
            held_until: None,
        }
    }

    #[test]
    fn ids_come_strongest_first_and_texts_trimmed() {
        let told = mapped(vec![transaction(TransactionState::Booked)], "PLN").unwrap().booked.remove(0);
        assert_eq!(told.bank_ids, ["E-1", "T-1"]);
        assert_eq!((told.amount, told.balance_after, told.currency.as_str()), (-12_345, Some(1_000), "PLN"));
        assert_eq!((told.counterparty.as_str(), told.remittance.as_str()), ("Shop", "Coffee\ntwo of them"));
        assert_eq!(
            told.details,
            r#"{"trade_date":"2026-11-19","counterparty_account":"PL1","category":"PMNT"}"#
        );
        let polish = Transaction {
            item_id: Some("I-1".to_owned()),
            entry_reference: None,
            transaction_id: Some(" ".to_owned()),
            ..transaction(TransactionState::Booked)
        };
        assert_eq!(mapped(vec![polish], "PLN").unwrap().booked[0].bank_ids, ["I-1"]);
    }

    #[test]
    fn a_day_is_found_or_the_page_is_not_read() {
        let undated = Transaction { booking_date: None, ..transaction(TransactionState::Booked) };
        let by_value = mapped(vec![undated.clone()], "PLN").unwrap().booked[0].booked_on;
        assert_eq!(by_value.to_string(), "2026-11-21");
        let no_day = Transaction { value_date: None, trade_date: None, ..undated };
        assert_eq!(mapped(vec![no_day.clone()], "PLN").err(), Some(NoDay));
        let waiting = Transaction { state: TransactionState::Pending, ..no_day };
        assert_eq!(mapped(vec![waiting], "PLN").unwrap().pending[0].entered_on, None);
    }

    #[test]
    fn what_is_on_its_way_says_how_and_under_which_id() {
        let held = Transaction {
            held_until: "2026-11-30T10:00:00Z".parse().ok(),
            ..transaction(TransactionState::Held)
        };
        let told = mapped(vec![held, transaction(TransactionState::Cancelled)], "PLN").unwrap();
        assert_eq!((told.booked.len(), told.pending.len()), (0, 1));
        let details: serde_json::Value = serde_json::from_str(&told.pending[0].details).unwrap();
        assert_eq!(
            (&details["state"], &details["held_until"]),
            (&"held".into(), &"2026-11-30T10:00:00Z".into())
        );
    }

    #[test]
    fn a_page_is_known_again_unless_it_might_be_twins() {
        let page = |ids: &[Option<&str>]| {
            let one = |id: &Option<&str>| Transaction {
                entry_reference: id.map(str::to_owned),
                transaction_id: None,
                balance_after: None,
                ..transaction(TransactionState::Booked)
            };
            mapped(ids.iter().map(one).collect(), "PLN").unwrap().mark()
        };
        assert!(page(&[Some("a"), Some("b")]).is_some());
        assert_eq!(page(&[Some("a"), Some("b")]), page(&[Some("a"), Some("b")]));
        assert_ne!(page(&[Some("a"), Some("b")]), page(&[Some("b"), Some("a")]));
        assert_eq!(page(&[None, None]), None, "two pages of these are four coffees");
        assert_eq!(page(&[]), None);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(clean(&"ż".repeat(400), COUNTERPARTY_CHARS_MAX), "ż".repeat(300));
        assert_eq!(clean(" short ", 300), "short");
    }
}
