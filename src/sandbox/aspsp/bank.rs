//! One bank: its holders' consents and accounts, its payments, and how often it was asked.
//!
//! **Owns** all of that, in memory.
//! **Fails** with a refusal in no standard's form.
//! **Limits**: both standards are two views of this one state. It remembers the newest 200,000 names of calls.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::RangeInclusive;

use chrono::{DateTime, Days, NaiveDate, Utc};

use super::account::{Account, Kept};
use super::ask::{Note, Refusal};
use super::bulk::AspspBulk;
use super::consent::{AspspConsent, Consent, Ended};
use super::options::{AspspComeBack, AspspRules, PageTrap};
use super::payment::Payments;
use super::quota::{Counted, Quota};
use super::tokens::Tokens;

const REQUEST_IDS_MAX: usize = 200_000;
/// How often a bulk consent's accounts may be read in a window unless the rules say otherwise.
const BULK_FREQUENCY: u32 = 4;

/// A bank.
#[derive(Default)]
pub struct Bank {
    pub number: u8,
    pub rules: AspspRules,
    pub bulk: Option<AspspBulk>,
    pub accounts: HashMap<String, Kept>,
    pub consents: HashMap<String, Consent>,
    pub traps: HashMap<String, PageTrap>,
    pub tokens: Tokens,
    pub payments: Payments,
    quota: Quota,
    request_ids: RequestIds,
}

/// The newest names of calls, none of which may come again.
#[derive(Default)]
struct RequestIds {
    known: HashSet<u128>,
    in_order: VecDeque<u128>,
}

impl Bank {
    pub fn new(number: u8) -> Self {
        Bank { number, ..Bank::default() }
    }

    /// False when a call of this name came before.
    pub fn is_new(&mut self, request_id: u128) -> bool {
        let ids = &mut self.request_ids;
        if !ids.known.insert(request_id) {
            return false;
        }
        ids.in_order.push_back(request_id);
        if ids.in_order.len() > REQUEST_IDS_MAX
            && let Some(oldest) = ids.in_order.pop_front()
        {
            ids.known.remove(&oldest);
        }
        true
    }

    pub fn consent(&self, id: &str, now: DateTime<Utc>) -> Option<Consent> {
        if let Some(consent) = self.consents.get(id) {
            return Some(consent.clone());
        }
        let bulk = self.bulk.as_ref()?;
        let (user, number) = bulk.find(id)?;
        let about = AspspConsent {
            id: id.to_owned(),
            accounts: bulk.accounts_of(self.number, user, number),
            valid_until: now.date_naive() + Days::new(90),
            frequency_per_day: BULK_FREQUENCY,
            tokens: true,
            single: false,
        };
        Some(Consent { about, made_at: now, said: None })
    }

    /// The consent that an access token is of, while both are good.
    pub fn consent_of_token(&self, access: &str, now: DateTime<Utc>, epoch: u64) -> Option<String> {
        let known = self.tokens.consent_of(access, now, epoch).map(str::to_owned);
        // A bulk consent's token is its id.
        known.or_else(|| self.bulk.as_ref()?.find(access).map(|_| access.to_owned()))
    }

    /// A consent by which may be read, or how it has ended.
    pub fn open_consent(&self, id: &str, now: DateTime<Utc>) -> Result<Consent, Refusal> {
        let unknown = || Refusal::new(403, "CONSENT_UNKNOWN", "this consent is not known");
        let consent = self.consent(id, now).ok_or_else(unknown)?;
        match consent.check(now) {
            Ok(()) => Ok(consent),
            Err(Ended::Expired) => Err(Refusal::new(401, "CONSENT_EXPIRED", "this consent has expired")),
            Err(Ended::Otherwise) => Err(Refusal::new(401, "CONSENT_INVALID", "this consent is not valid")),
        }
    }

    pub fn account(&self, number: &str) -> Option<Account<'_>> {
        if let Some(kept) = self.accounts.get(number) {
            return Some(Account::Kept(kept));
        }
        self.bulk.as_ref()?.account(self.number, number).map(Account::Bulk)
    }

    /// Counts a read without its holder, or says that there were too many.
    pub fn count(&mut self, note: &mut Note, frequency_per_day: u32) -> Result<(), Refusal> {
        let counted = Counted {
            consent: note.consent.clone().unwrap_or_default(),
            step: note.step,
            account: note.account.clone(),
        };
        let most = self.rules.reads_max.unwrap_or(frequency_per_day);
        let outcome = self.quota.count(counted, most, self.rules.window, note.at);
        note.quota = self.rules.tells_quota.then_some(outcome.unwrap_or_else(|left| left));
        let wait_s = match outcome {
            Ok(_) => {
                note.counted = true;
                return Ok(());
            }
            Err(left) => left.seconds,
        };
        let mut refusal = Refusal::new(429, "ACCESS_EXCEEDED", "read too often without the account's holder");
        match self.rules.come_back {
            AspspComeBack::Header => refusal.retry_after_s = Some(wait_s),
            AspspComeBack::Words => refusal.text = format!("{}; try again in {wait_s} seconds", refusal.text),
            AspspComeBack::Silence => {}
        }
        Err(refusal)
    }

    /// The days that are asked for, within those that are told at all.
    pub fn days(
        &self,
        from: Option<NaiveDate>,
        to: Option<NaiveDate>,
        now: DateTime<Utc>,
    ) -> Result<RangeInclusive<NaiveDate>, Refusal> {
        let first = now.date_naive() - Days::new(self.rules.history_days.into());
        // What waits may have a day to come.
        let to = to.unwrap_or_else(|| now.date_naive());
        let from = from.unwrap_or(first);
        if from < first {
            let text = format!("nothing before {first} is told without the account's holder");
            return Err(Refusal::new(400, "PERIOD_INVALID", text));
        }
        if from > to {
            return Err(Refusal::complaint(400, "PERIOD_INVALID", "the first day comes after the last"));
        }
        Ok(from..=to)
    }
}
