//! What holders have agreed to: which accounts may be read, how often, until when.
//!
//! **Owns** nothing; the bank keeps them.
//! **Fails** never.
//! **Limits**: every consent is for accounts, balances and transactions alike; days are UTC's.

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

/// A consent that a test puts there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AspspConsent {
    /// Its name.
    pub id: String,
    /// The numbers of the accounts that it is for.
    pub accounts: Vec<String>,
    /// The last day of it.
    pub valid_until: NaiveDate,
    /// How often a day each may be read without its holder.
    pub frequency_per_day: u32,
    /// Its holder was sent through OAuth, so calls carry a token. PolishAPI's always do.
    pub tokens: bool,
    /// Its privileges are good for one use, which is none for a scheduler. Only PolishAPI says so.
    #[serde(default)]
    pub single: bool,
}

impl AspspConsent {
    /// For these accounts, for 90 days from this moment on, four times a day, with tokens.
    pub fn of(id: impl Into<String>, accounts: &[&str], now: DateTime<Utc>) -> Self {
        AspspConsent {
            id: id.into(),
            accounts: accounts.iter().map(|account| (*account).to_owned()).collect(),
            valid_until: now.date_naive() + Days::new(90),
            frequency_per_day: 4,
            tokens: true,
            single: false,
        }
    }
}

/// The tokens that came of a consent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AspspTokens {
    /// For `Authorization`.
    pub access: String,
    /// For another one of those.
    pub refresh: String,
}

/// A consent on file.
#[derive(Clone)]
pub struct Consent {
    pub about: AspspConsent,
    pub made_at: DateTime<Utc>,
    /// What somebody has made of it, such as `revokedByPsu`; otherwise the days say how it is.
    pub said: Option<String>,
}

/// Why a consent lets nobody read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Expired,
    Otherwise,
}

impl Consent {
    /// In the Berlin Group's words.
    pub fn status(&self, now: DateTime<Utc>) -> &str {
        match &self.said {
            Some(said) => said,
            None if now.date_naive() > self.about.valid_until => "expired",
            None => "valid",
        }
    }

    pub fn check(&self, now: DateTime<Utc>) -> Result<(), Ended> {
        match self.status(now) {
            "valid" => Ok(()),
            "expired" => Err(Ended::Expired),
            _ => Err(Ended::Otherwise),
        }
    }
}
