//! What was asked, call by call: the bank's own truth of how often it was called, and of what was wrong with it.
//!
//! **Owns** the newest calls.
//! **Fails** never.
//! **Limits**: the newest 200,000 calls; the oldest go first.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::quota::Left;
use crate::sandbox::script::AspspStep;

const CALLS_MAX: usize = 200_000;

/// In which language a bank was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AspspStandard {
    /// NextGenPSD2.
    BerlinGroup,
    /// PolishAPI.
    PolishApi,
    /// The service in between.
    InternalApi,
}

/// One call that was answered by the bank itself. What a script answers instead is only counted by the script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AspspCall {
    /// When it came, by the banks' clock.
    pub at: DateTime<Utc>,
    /// Which bank.
    pub bank: u8,
    /// In which language.
    pub standard: AspspStandard,
    /// For what.
    pub step: AspspStep,
    /// As it was named, or known by its token. Of the service in between, the user.
    pub consent: Option<String>,
    /// The account's number.
    pub account: Option<String>,
    /// The caller's name for the call.
    pub request_id: Option<String>,
    /// It counted as a read without the holder.
    pub counted: bool,
    /// It went on with an earlier read.
    pub is_page: bool,
    /// How many reads like it are left, where the bank tells.
    #[serde(skip)]
    pub(super) quota: Option<Left>,
    /// What it was answered with.
    pub status: u16,
    /// What was wrong with it by the standard; whoever keeps to it never hears any of that.
    pub complaint: Option<String>,
}

/// The newest calls.
#[derive(Default)]
pub struct Journal(VecDeque<AspspCall>);

impl Journal {
    pub fn put_down(&mut self, call: AspspCall) {
        if self.0.len() == CALLS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(call);
    }

    pub fn calls(&self) -> impl Iterator<Item = &AspspCall> {
        self.0.iter()
    }
}
