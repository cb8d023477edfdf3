//! The titles that a bank keeps, whichever bank it is, and how they end.
//!
//! **Owns** them, in memory.
//! **Fails** by saying what state a title is in that cannot be changed any more.
//! **Limits**: nothing is forgotten; a title takes a few hundred bytes. A payment looks at every title of its bank.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::sandbox::script::BankName;

/// What a payer does, from anywhere in the country, without the beneficiary knowing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// Which title: its barcode, its line, its Pix code, the bank's number or the ledger's key.
    pub title: String,
    /// What is paid, whatever is owed.
    pub amount_cents: u64,
    /// The day of the payment.
    pub on: NaiveDate,
    /// By the barcode or by the Pix code.
    #[serde(default)]
    pub by: PaidBy,
    /// Leaves the rest of the title open.
    #[serde(default)]
    pub partial: bool,
    /// Where to look; every bank when it is absent.
    #[serde(default)]
    pub bank: Option<BankName>,
}

impl Payment {
    /// Pays a title whole, by its barcode.
    pub fn of(title: impl Into<String>, amount_cents: u64, on: NaiveDate) -> Self {
        Payment { title: title.into(), amount_cents, on, by: PaidBy::Boleto, partial: false, bank: None }
    }

    /// Pays by the Pix code.
    pub fn by_pix(self) -> Self {
        Payment { by: PaidBy::Pix, ..self }
    }

    /// Pays a part.
    pub fn in_part(self) -> Self {
        Payment { partial: true, ..self }
    }

    /// Pays at this bank, whose numbers other banks may have too.
    pub fn at(self, bank: BankName) -> Self {
        Payment { bank: Some(bank), ..self }
    }
}

/// Which of its two codes a hybrid title was paid by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaidBy {
    /// The barcode or its line.
    #[default]
    Boleto,
    /// The Pix code.
    Pix,
}

/// What a bank keeps of a title besides how it goes.
pub trait Paper: Send + 'static {
    /// The ledger's key, by which effects are judged.
    fn key(&self) -> String;

    /// Whether a payer who holds this text means this title. Leading zeros of a number do not count.
    fn answers_to(&self, text: &str) -> bool;

    /// Whether the bank would take money for it already.
    fn payable(&self) -> bool {
        true
    }
}

/// How a title goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It can be paid, changed and taken off file.
    Open,
    /// It was paid whole.
    Paid,
    /// It was taken off file.
    WrittenOff,
}

/// A payment that a bank took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paid {
    pub cents: u64,
    pub on: NaiveDate,
    pub by: PaidBy,
}

/// A title on file.
#[derive(Clone)]
pub struct Title<P> {
    pub paper: P,
    pub registered_on: NaiveDate,
    pub state: State,
    pub payments: Vec<Paid>,
    /// The day of the last change, by which lists are filtered.
    pub moved_on: NaiveDate,
    /// How often its registration was asked for.
    pub attempts: u32,
}

impl<P> Title<P> {
    /// What was paid so far.
    pub fn paid_cents(&self) -> u64 {
        self.payments.iter().map(|paid| paid.cents).sum()
    }

    /// The last payment.
    pub fn last_payment(&self) -> Option<Paid> {
        self.payments.last().copied()
    }
}

/// The titles by what their bank numbers them with.
pub struct File<N, P>(Mutex<HashMap<N, Title<P>>>);

impl<N, P> Default for File<N, P> {
    fn default() -> Self {
        File(Mutex::default())
    }
}

impl<N: Hash + Eq, P> File<N, P> {
    pub fn lock(&self) -> MutexGuard<'_, HashMap<N, Title<P>>> {
        // Each holder makes one small change, which a panic cannot leave half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Files the title unless it is there, and says whether it was new, and how often it was asked for by now.
    pub fn keep(&self, number: N, paper: P, today: NaiveDate) -> (bool, u32) {
        let mut titles = self.lock();
        let fresh = || Title {
            paper,
            registered_on: today,
            state: State::Open,
            payments: Vec::new(),
            moved_on: today,
            attempts: 0,
        };
        let title = titles.entry(number).or_insert_with(fresh);
        title.attempts += 1;
        (title.attempts == 1, title.attempts)
    }

    /// A copy of the title.
    pub fn find(&self, number: &N) -> Option<Title<P>>
    where
        P: Clone,
    {
        self.lock().get(number).cloned()
    }

    /// Does something to an open title.
    pub fn change<T>(
        &self,
        number: &N,
        today: NaiveDate,
        act: impl FnOnce(&mut Title<P>) -> T,
    ) -> Result<T, Ended> {
        let mut titles = self.lock();
        let title = titles.get_mut(number).ok_or(Ended::NotOnFile)?;
        match title.state {
            State::Open => {
                title.moved_on = today;
                Ok(act(title))
            }
            State::Paid => Err(Ended::Paid),
            State::WrittenOff => Err(Ended::WrittenOff),
        }
    }

    /// Takes an open title off file. One that was paid in part may go: the rest is given up.
    pub fn write_off(&self, number: &N, today: NaiveDate) -> Result<(), Ended> {
        self.change(number, today, |title| title.state = State::WrittenOff)
    }
}

/// Why a title cannot be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nobody knows it.
    NotOnFile,
    /// It was paid.
    Paid,
    /// It was taken off file.
    WrittenOff,
}

/// What became of a payment at one bank.
#[derive(Debug, PartialEq, Eq)]
pub enum Taking {
    /// The title's key, and what was paid for it in all.
    Taken { key: String, paid_cents: u64 },
    /// No title here answers to the text.
    Unknown,
    /// More than one does.
    Several,
    /// The title takes no money.
    Closed,
}

/// A bank's counter, at which anybody may pay.
pub trait Till: Send + Sync {
    /// Whose it is.
    fn bank(&self) -> BankName;

    /// Takes the money, or says why not.
    fn take(&self, payment: &Payment) -> Taking;
}

/// The counter of a bank that keeps its titles in a [`File`].
pub struct Counter<N, P> {
    pub bank: BankName,
    pub file: std::sync::Arc<File<N, P>>,
}

impl<N: Hash + Eq + Send + 'static, P: Paper> Till for Counter<N, P> {
    fn bank(&self) -> BankName {
        self.bank
    }

    fn take(&self, payment: &Payment) -> Taking {
        let mut titles = self.file.lock();
        let mut meant = titles.values_mut().filter(|title| title.paper.answers_to(&payment.title));
        let Some(title) = meant.next() else { return Taking::Unknown };
        if meant.next().is_some() {
            return Taking::Several;
        }
        if title.state != State::Open || !title.paper.payable() {
            return Taking::Closed;
        }
        title.payments.push(Paid { cents: payment.amount_cents, on: payment.on, by: payment.by });
        title.moved_on = payment.on;
        if !payment.partial {
            title.state = State::Paid;
        }
        Taking::Taken { key: title.paper.key(), paid_cents: title.paid_cents() }
    }
}

/// Whether two numbers are the same but for leading zeros.
pub fn same_number(one: &str, other: &str) -> bool {
    let bare = |text: &str| text.trim_start_matches('0').to_owned();
    !one.is_empty() && bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    struct Sheet(&'static str);

    impl Paper for Sheet {
        fn key(&self) -> String {
            format!("test:{}", self.0)
        }

        fn answers_to(&self, text: &str) -> bool {
            same_number(self.0, text) || text == "either"
        }
    }

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
    }

    #[test]
    fn money_is_taken_once_and_only_for_an_open_title_that_is_meant() {
        let file = Arc::new(File::default());
        assert_eq!(file.keep(1, Sheet("0071"), day(1)), (true, 1));
        assert_eq!(file.keep(1, Sheet("0071"), day(2)), (false, 2));
        assert_eq!(file.keep(2, Sheet("72"), day(1)), (true, 1));
        let till = Counter { bank: BankName::Itau, file: file.clone() };
        assert_eq!(till.take(&Payment::of("73", 100, day(3))), Taking::Unknown);
        assert_eq!(till.take(&Payment::of("either", 100, day(3))), Taking::Several);
        let part = till.take(&Payment::of("71", 30, day(3)).in_part());
        assert_eq!(part, Taking::Taken { key: "test:0071".into(), paid_cents: 30 });
        let rest = till.take(&Payment::of("71", 80, day(4)).by_pix());
        assert_eq!(rest, Taking::Taken { key: "test:0071".into(), paid_cents: 110 });
        assert_eq!(till.take(&Payment::of("71", 1, day(5))), Taking::Closed);
        assert_eq!(file.write_off(&1, day(5)), Err(Ended::Paid));
        assert_eq!(file.write_off(&2, day(5)), Ok(()));
        assert_eq!(till.take(&Payment::of("72", 1, day(5))), Taking::Closed);
        assert_eq!(file.write_off(&3, day(5)), Err(Ended::NotOnFile));
        assert_eq!(file.lock()[&1].last_payment().unwrap().by, PaidBy::Pix);
    }
}
