//! Which of the transactions that a bank tells are known already: so that nothing is doubled and nothing lost, whatever the bank
//! does with its ids.
//!
//! Banks give ids that are blank, that are other ones the next day, and that belong to two transactions at once; and two equal
//! transactions on one day are two. So a whole window of dates is held against what is known of the same window: first by the
//! bank's ids, as far as they can be believed, then by what the transactions say, each known one taken at most once.
//!
//! **Owns** nothing. **Fails** nowhere. **Limits**: both sides are whole: a list that was read by half is not held against anything.
//! A transaction that a bank redates by itself is taken for another; what is missing from a window is said, and never deleted.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;

/// A booked transaction, as far as it says which one it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks {
    /// The bank's ids, strongest first, such as the item's and then the transaction's. Blank ones are no ids.
    pub ids: Vec<String>,
    pub booked_on: NaiveDate,
    /// Signed, in the currency's smallest unit that the bank tells.
    pub amount: i64,
    pub currency: String,
    /// Who stands on the other side, as the bank writes it.
    pub counterparty: String,
    pub text: String,
    /// The account's balance behind it, where the bank tells.
    pub balance_after: Option<i64>,
}

/// What a delivery says of a window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matched {
    /// Known and delivered: one and the same.
    pub same: Vec<(usize, usize)>,
    /// Delivered, and not known.
    pub new: Vec<usize>,
    /// Known, and not delivered.
    pub missing: Vec<usize>,
}

/// What a transaction says, without its ids and its balance.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Content<'a> {
    booked_on: NaiveDate,
    amount: i64,
    currency: &'a str,
    counterparty: String,
    text: String,
}

/// Holds a delivered window against what is known of it.
pub fn match_window(known: &[Marks], delivered: &[Marks]) -> Matched {
    let delivered_ids = believed_ids(delivered);
    let known_ids = believed_ids(known);
    let mut state = Matching {
        known,
        delivered,
        free: known.iter().map(|_| true).collect(),
        open: Vec::new(),
        same: Vec::new(),
    };
    // A page that came twice brings the same transaction twice.
    let mut seen = HashSet::new();
    for (place, marks) in delivered.iter().enumerate() {
        let repeated = first_id(marks).is_some_and(|id| delivered_ids.contains(id) && !seen.insert(id));
        if !repeated {
            state.open.push(place);
        }
    }
    state.by_ids(&known_ids, &delivered_ids);
    state.by_content(|known, delivered| {
        known.balance_after.is_some() && known.balance_after == delivered.balance_after
    });
    state.by_content(|known, delivered| known.balance_after.is_none() || delivered.balance_after.is_none());
    let missing = state.free.iter().enumerate().filter(|(_, free)| **free).map(|(place, _)| place).collect();
    state.same.sort_unstable();
    Matched { same: state.same, new: state.open, missing }
}

struct Matching<'a> {
    known: &'a [Marks],
    delivered: &'a [Marks],
    /// Which known ones have not been taken.
    free: Vec<bool>,
    /// Which delivered ones have not been found, in their order.
    open: Vec<usize>,
    same: Vec<(usize, usize)>,
}

impl Matching<'_> {
    fn by_ids(&mut self, known_ids: &HashSet<&str>, delivered_ids: &HashSet<&str>) {
        let mut holders: HashMap<&str, usize> = HashMap::new();
        for (place, marks) in self.known.iter().enumerate() {
            for id in ids(marks).filter(|id| known_ids.contains(id)) {
                holders.entry(id).or_insert(place);
            }
        }
        let (known, delivered) = (self.known, self.delivered);
        self.settle(|free, place| {
            let marks = &delivered[place];
            let holder = |id: &str| holders.get(id).copied();
            // An id under which another amount stands has been given to another transaction.
            let is_it = |known: &Marks| known.amount == marks.amount && known.currency == marks.currency;
            ids(marks)
                .filter(|id| delivered_ids.contains(id))
                .filter_map(holder)
                .find(|place| free[*place] && is_it(&known[*place]))
        });
    }

    fn by_content(&mut self, fits: impl Fn(&Marks, &Marks) -> bool) {
        let mut alike: HashMap<Content<'_>, Vec<usize>> = HashMap::new();
        for (place, marks) in self.known.iter().enumerate().filter(|(place, _)| self.free[*place]) {
            alike.entry(content(marks)).or_default().push(place);
        }
        let (known, delivered) = (self.known, self.delivered);
        self.settle(|free, place| {
            let marks = &delivered[place];
            let candidates = alike.get(&content(marks))?;
            candidates.iter().copied().find(|place| free[*place] && fits(&known[*place], marks))
        });
    }

    /// Takes the known one that `find` finds for each delivered one that is still open.
    fn settle(&mut self, find: impl Fn(&[bool], usize) -> Option<usize>) {
        let (free, same) = (&mut self.free, &mut self.same);
        self.open.retain(|place| {
            let Some(found) = find(free, *place) else { return true };
            free[found] = false;
            same.push((found, *place));
            false
        });
    }
}

fn ids(marks: &Marks) -> impl Iterator<Item = &str> {
    marks.ids.iter().map(|id| id.trim()).filter(|id| !id.is_empty())
}

fn first_id(marks: &Marks) -> Option<&str> {
    ids(marks).next()
}

/// The ids that mean one transaction: not those under which a list has two that differ.
fn believed_ids(list: &[Marks]) -> HashSet<&str> {
    let mut contents: HashMap<&str, (Content<'_>, Option<i64>)> = HashMap::new();
    let mut doubted = HashSet::new();
    for marks in list {
        for id in ids(marks) {
            let said = (content(marks), marks.balance_after);
            match contents.get(id) {
                Some(known) if *known != said => {
                    doubted.insert(id);
                }
                Some(_) => {}
                None => {
                    contents.insert(id, said);
                }
            }
        }
    }
    contents.into_keys().filter(|id| !doubted.contains(id)).collect()
}

fn content(marks: &Marks) -> Content<'_> {
    // Banks change blanks and letters from one day to the next.
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    Content {
        booked_on: marks.booked_on,
        amount: marks.amount,
        currency: &marks.currency,
        counterparty: plain(&marks.counterparty),
        text: plain(&marks.text),
    }
}

#[cfg(test)]
mod tests;
