//! The titles that the bank keeps.
//!
//! **Owns** them, in memory.
//! **Fails** never.
//! **Limits**: nothing is forgotten; a title takes about a hundred bytes.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::NaiveDate;

use super::rules::Checked;

/// A title on file.
#[derive(Clone, Copy)]
pub struct Title {
    pub registration: Checked,
    pub registered_on: NaiveDate,
    pub written_off: bool,
    /// How often its registration was asked for.
    pub attempts: u32,
}

/// By nosso número, which begins with the convênio.
#[derive(Default)]
pub struct Titles(Mutex<HashMap<u64, Title>>);

impl Titles {
    pub fn lock(&self) -> MutexGuard<'_, HashMap<u64, Title>> {
        // Each holder makes one small change, which a panic cannot leave half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Files the title unless it is there, and says whether it was, and how often it was asked for by now.
    pub fn file(&self, registration: Checked, today: NaiveDate) -> (bool, u32) {
        let mut titles = self.lock();
        let fresh = Title { registration, registered_on: today, written_off: false, attempts: 0 };
        let title = titles.entry(registration.title).or_insert(fresh);
        title.attempts += 1;
        (title.attempts == 1, title.attempts)
    }

    /// The number of a title as it stands in a path: twenty digits that begin with 000 and the convênio.
    pub fn number(id: &str, convenio: u64) -> Option<u64> {
        let digits = id.len() == 20 && id.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = digits.then(|| id.parse().ok())??;
        (number / 10_000_000_000 == convenio).then_some(number)
    }
}

/// The ledger's key of a title.
pub fn key(convenio: u64, title: u64) -> String {
    format!("{convenio}+{title:020}")
}
