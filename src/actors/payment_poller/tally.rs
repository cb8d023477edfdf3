//! How far a run has come, and what it has counted.
//!
//! **Owns** the counts while the run is in hand; what was reported of them outlives a crash, and the next attempt counts on.
//! **Fails** nowhere. **Limits**: a crash loses what was counted since the last report; the payments themselves lose nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::connectors::aspsps::AspspError;
use crate::domain::job::Progress;
use crate::domain::openbanking::payment::Meaning;
use crate::store::openbanking::outcome::{Answer, Answered};

/// Names of banks in a note at most.
const NAMED_MAX: usize = 5;

/// Calls, whatever came of them.
const CALLS: &str = "calls";
/// Calls after which the bank wanted to be left alone, and banks that were left alone for what they had said before.
const RATE_LIMITED: &str = "rate_limited";
/// Calls that were answered otherwise.
const ANSWERED: &str = "answered";
/// Payments that were not asked about: the next run does.
const LEFT: &str = "left";

/// The counts of a run.
pub(super) struct Tally {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    done: i64,
    total: i64,
    counts: BTreeMap<String, i64>,
    /// Banks about which this run has nothing more to ask.
    banks_done: BTreeSet<String>,
    /// Why banks were left early, by what is said of them.
    left: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Tally {
    /// Counts on from what an attempt before has reported.
    pub fn resume(progress: &Progress) -> Self {
        let position = progress.position.as_deref();
        // A position that cannot be read costs a look at banks where nothing is due any more.
        let banks_done = position.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let (done, counts) = (progress.done, progress.counts.clone());
        let inner = Inner { done, total: done, counts, banks_done, ..Inner::default() };
        Self { inner: Mutex::new(inner) }
    }

    /// Whether this run has done with a bank.
    pub fn is_done(&self, aspsp: &str) -> bool {
        self.lock().banks_done.contains(aspsp)
    }

    /// So many payments are due at a bank.
    pub fn expect(&self, due: i64) {
        self.lock().total += due;
    }

    /// A bank has been dealt with, but for so many of its payments, which were not asked about.
    pub fn bank_done(&self, aspsp: &str, left: i64) {
        let mut inner = self.lock();
        inner.banks_done.insert(aspsp.to_owned());
        if left > 0 {
            inner.done += left;
            inner.count(LEFT, left);
        }
    }

    /// A bank was left, and why: a name, as notes and counts have it.
    pub fn bank_left(&self, aspsp: &str, why: &'static str) {
        let mut inner = self.lock();
        if inner.left.entry(why).or_default().insert(aspsp.to_owned()) {
            inner.count(why, 1);
        }
    }

    /// A bank is left alone for what it said before this run.
    pub fn bank_rests(&self) {
        self.lock().count(RATE_LIMITED, 1);
    }

    /// So many payments that were due have been dealt with.
    pub fn payments_done(&self, payments: i64) {
        self.lock().done += payments;
    }

    /// Something else, by its name.
    pub fn count(&self, name: &str, by: i64) {
        if by != 0 {
            self.lock().count(name, by);
        }
    }

    /// A call was made.
    pub fn called(&self, error: Option<&AspspError>, status: Option<u16>) {
        let mut inner = self.lock();
        inner.count(CALLS, 1);
        match error {
            Some(error) if error.is_put_off() => inner.count(RATE_LIMITED, 1),
            _ if status.is_some() => inner.count(ANSWERED, 1),
            _ => {}
        }
    }

    /// An answer was written down.
    pub fn settled(&self, answer: &Answer, answered: Answered) {
        let mut inner = self.lock();
        match answered {
            Answered::Ended(state) => inner.count(state.as_str(), 1),
            Answered::InProgress => inner.count("in_progress", 1),
            Answered::Before(_) => inner.count("ended_before", 1),
            Answered::NotFound => inner.count("gone", 1),
        }
        match answer {
            Answer::Status { meaning: Meaning::Unknown, .. } => inner.count("unknown_word", 1),
            Answer::Unverifiable { .. } => inner.count("unverifiable", 1),
            Answer::Nothing { .. } => inner.count("no_answer", 1),
            Answer::Status { .. } | Answer::GivenUp { .. } => {}
        }
    }

    /// Whether banks have said nothing but that they want to be left alone.
    pub fn is_rate_limited(&self) -> bool {
        let inner = self.lock();
        let count = |name| inner.counts.get(name).copied().unwrap_or_default();
        count(RATE_LIMITED) > 0 && count(ANSWERED) == 0
    }

    /// As it is reported.
    pub fn progress(&self) -> Progress {
        let inner = self.lock();
        Progress {
            done: inner.done,
            // What is tracked while the run is on its way may be asked about without having been counted.
            total: Some(inner.total.max(inner.done)),
            counts: inner.counts.clone(),
            note: inner.note(),
            position: serde_json::to_string(&inner.banks_done).ok(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn count(&mut self, name: &str, by: i64) {
        *self.counts.entry(name.to_owned()).or_default() += by;
    }

    fn note(&self) -> Option<String> {
        let said = self.left.iter().map(|(why, banks)| {
            let mut named: Vec<&str> = banks.iter().take(NAMED_MAX).map(String::as_str).collect();
            if banks.len() > NAMED_MAX {
                named.push("…");
            }
            format!("{}: {}", why.replace('_', " "), named.join(", "))
        });
        let said: Vec<String> = said.collect();
        (!said.is_empty()).then(|| said.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::openbanking::payment::PaymentState;

    fn limited() -> AspspError {
        AspspError::RateLimited { retry_after: None, code: "status 429".to_owned() }
    }

    #[test]
    fn the_next_attempt_counts_on() {
        let tally = Tally::resume(&Progress::default());
        tally.expect(5);
        tally.payments_done(1);
        let answer = Answer::Status { raw: "ACSC".to_owned(), meaning: Meaning::State(PaymentState::Done) };
        tally.settled(&answer, Answered::Ended(PaymentState::Done));
        tally.bank_left("a", "held_back");
        tally.bank_done("a", 2);
        let reported = tally.progress();
        assert_eq!((reported.done, reported.total), (3, Some(5)));
        assert_eq!(reported.note.as_deref(), Some("held back: a"));
        let again = Tally::resume(&reported);
        assert!(again.is_done("a") && !again.is_done("b"));
        // Two are still due.
        again.expect(2);
        let counts: Vec<_> = reported.counts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        assert_eq!(counts, [("done", 1), ("held_back", 1), ("left", 2)]);
        assert_eq!(again.progress(), Progress { note: None, ..reported });
        let broken = Progress { position: Some("a".to_owned()), ..Progress::default() };
        assert!(!Tally::resume(&broken).is_done("a"));
    }

    #[test]
    fn a_run_to_which_nobody_said_anything_else_is_rate_limited() {
        let tally = Tally::resume(&Progress::default());
        assert!(!tally.is_rate_limited(), "nobody was asked");
        tally.called(Some(&AspspError::Pending), None);
        assert!(!tally.is_rate_limited());
        tally.called(Some(&limited()), Some(429));
        assert!(tally.is_rate_limited());
        tally.called(None, Some(200));
        assert!(!tally.is_rate_limited());
        let tally = Tally::resume(&Progress::default());
        tally.bank_rests();
        assert!(tally.is_rate_limited(), "it was left alone for what it had said before");
    }

    #[test]
    fn a_note_names_a_few() {
        let tally = Tally::resume(&Progress::default());
        assert_eq!(tally.progress().note, None);
        for bank in 0..9 {
            tally.bank_left(&format!("bank-{bank}"), "not_configured");
        }
        let note = tally.progress().note.unwrap();
        assert_eq!(note, "not configured: bank-0, bank-1, bank-2, bank-3, bank-4, …");
        assert_eq!(tally.progress().counts["not_configured"], 9);
    }
}
