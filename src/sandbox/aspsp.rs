//! Banks of open banking, each with a state of its own that the Berlin Group's and PolishAPI's languages both show.
//!
//! It is written from the reference sheet and the public specifications, and a validating proxy with those is its judge
//! (`tests/conformance/peer_aspsp.rs`).
//!
//! **Owns** the banks' consents, accounts, payments and tokens, their clock, and a journal of calls, all in memory.
//! **Fails** as each standard does. What no caller who keeps to the standard would ever send is answered with an error and
//! kept as a complaint. A script's refusal names a code (`ACCESS_EXCEEDED`, or `409:ANY_CODE` with a status), or
//! `callback`: then PolishAPI says that the answer will come later.
//! **Limits**: unattended reads; nobody gives a consent or a payment here but the tests. Ten banks.
//!
//! Tour: [`service`] answers at the doors; [`berlin`] and [`polish`] are the languages, [`ask`] what they have in common.
//! A [`bank`] has [`account`]s with [`entry`]s, [`bulk`] users that are made while they are read, [`consent`]s,
//! [`tokens`] and [`payment`]s, and counts by its [`quota`]; [`paging`] lays the pages and their traps. [`key`] checks
//! signatures, [`journal`] remembers, [`options`] says what there is to choose, [`control`] steers from elsewhere.
//! [`doors`] are where they are knocked at, and at which [`internal`] answers, the service that others put in between.

mod account;
mod ask;
mod bank;
mod berlin;
mod bulk;
mod consent;
mod control;
mod doors;
mod entry;
mod internal;
mod journal;
mod key;
mod options;
mod paging;
mod payment;
mod polish;
mod quota;
mod service;
mod tokens;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use axum::Router;
use chrono::{DateTime, NaiveDate, Utc};

use super::SandboxError;
use super::line::Bolt;
use super::outside::Outside;
use super::script::{AspspStep, Behaviour, Party};
use account::Kept;
use bank::Bank;
use consent::Consent;
use key::Keys;
use service::Service;

pub use account::AspspAccount;
pub use bulk::AspspBulk;
pub use consent::{AspspConsent, AspspTokens};
pub(super) use control::router as control_router;
pub(super) use doors::Doors as AspspDoors;
pub use entry::AspspEntry;
pub use journal::{AspspCall, AspspStandard};
pub use options::{
    ASPSPS_MAX, AspspAddresses, AspspComeBack, AspspIds, AspspOptions, AspspRules, AspspSigning, AspspWindow,
    PageTrap,
};
pub use payment::{AspspBundle, AspspPayment, AspspPaymentStep, AspspRecurring};

/// The banks as a test sees them; clones are the same ones.
#[derive(Clone)]
pub struct Aspsps {
    service: Arc<Service>,
    bolts: Arc<[Bolt]>,
}

impl Aspsps {
    /// Opens banks without anybody in them, one for each bolt, and writes the caller's key below the data directory.
    pub(super) fn open(
        outside: Arc<Outside>,
        options: &AspspOptions,
        bolts: Vec<Bolt>,
        data_dir: &Path,
    ) -> Result<(Self, AspspSigning), SandboxError> {
        let wrong = |error: std::io::Error| SandboxError::InvalidOption {
            option: "aspsp.signing_key",
            reason: error.to_string(),
        };
        let (keys, signing) =
            Keys::open(options.signing_key.as_deref(), &data_dir.join("aspsp")).map_err(wrong)?;
        let service = Arc::new(Service::new(outside, options.clone(), keys));
        Ok((Aspsps { service, bolts: bolts.into() }, signing))
    }

    pub(super) fn router(&self, bank: u8) -> Router {
        service::router(self.service.clone(), bank)
    }

    /// A bank by its number, from 0. Where there is none of this number, nothing that is done to it has an effect.
    pub fn bank(&self, number: u8) -> Aspsp {
        Aspsp { all: self.clone(), number }
    }

    /// The moment by the banks' clock.
    pub fn now(&self) -> DateTime<Utc> {
        self.service.now()
    }

    /// Sets the banks' clock forward: what waits is booked, what lasts ends, payments settle.
    pub fn move_on(&self, by: Duration) {
        self.service.move_on(by);
    }

    /// The calls that the banks have answered, oldest first.
    pub fn calls(&self) -> Vec<AspspCall> {
        self.service.journal().calls().cloned().collect()
    }

    /// How many calls are so.
    pub fn count(&self, is_so: impl Fn(&AspspCall) -> bool) -> usize {
        self.service.journal().calls().filter(|call| is_so(call)).count()
    }

    /// What was wrong, by the standards themselves, with calls so far.
    pub fn complaints(&self) -> Vec<String> {
        self.service.journal().calls().filter_map(|call| call.complaint.clone()).collect()
    }
}

/// One of the banks.
#[derive(Clone)]
pub struct Aspsp {
    all: Aspsps,
    number: u8,
}

impl Aspsp {
    /// How this bank goes about it from now on.
    pub fn set_rules(&self, rules: AspspRules) {
        self.with(|bank, _| bank.rules = rules);
    }

    /// Users by the thousand, instead of any that were there.
    pub fn put_bulk(&self, bulk: AspspBulk) {
        self.with(|bank, _| bank.bulk = Some(bulk));
    }

    /// An account without items; one of the same number goes, with all that is in it.
    pub fn put_account(&self, about: AspspAccount) {
        self.with(|bank, _| {
            let kept = Kept { about, entries: Vec::new(), ids: AspspIds::Stable, blocked: false };
            bank.accounts.insert(kept.about.iban.clone(), kept);
        });
    }

    /// Takes an account away, though consents may name it.
    pub fn close_account(&self, iban: &str) {
        self.with(|bank, _| bank.accounts.remove(iban));
    }

    /// An account that nobody reads, or everybody again.
    pub fn block_account(&self, iban: &str, blocked: bool) {
        self.change(iban, |account| account.blocked = blocked);
    }

    /// Puts an item into an account. The same one twice is a true twin.
    pub fn put_entry(&self, iban: &str, entry: AspspEntry) {
        self.change(iban, |account| account.entries.push(entry));
    }

    /// Takes the items of this id out of an account again, as banks do with what never was booked.
    pub fn take_entry(&self, iban: &str, id: &str) {
        self.change(iban, |account| account.entries.retain(|entry| entry.id.as_deref() != Some(id)));
    }

    /// What becomes of the ids of an account's items.
    pub fn set_ids(&self, iban: &str, ids: AspspIds) {
        self.change(iban, |account| account.ids = ids);
    }

    /// A trap on the way through an account's pages, until it is taken away again.
    pub fn set_trap(&self, iban: &str, trap: Option<PageTrap>) {
        self.with(|bank, _| match trap {
            Some(trap) => drop(bank.traps.insert(iban.to_owned(), trap)),
            None => drop(bank.traps.remove(iban)),
        });
    }

    /// Files a consent, and gives out its tokens.
    pub fn put_consent(&self, about: AspspConsent) -> AspspTokens {
        let epoch = self.all.service.outside.script.token_epoch();
        let tokens = self.with(|bank, now| {
            let tokens = bank.tokens.issue(&about.id, now, bank.rules.access_ttl_s, epoch);
            bank.consents.insert(about.id.clone(), Consent { about, made_at: now, said: None });
            tokens
        });
        tokens.unwrap_or(AspspTokens { access: String::new(), refresh: String::new() })
    }

    /// What somebody makes of a consent, such as `revokedByPsu`; nothing leaves it to its last day again.
    pub fn set_consent_status(&self, id: &str, status: Option<&str>) {
        self.with(|bank, _| {
            if let Some(consent) = bank.consents.get_mut(id) {
                consent.said = status.map(str::to_owned);
            }
        });
    }

    /// Another last day for a consent.
    pub fn set_valid_until(&self, id: &str, valid_until: NaiveDate) {
        self.with(|bank, _| {
            if let Some(consent) = bank.consents.get_mut(id) {
                consent.about.valid_until = valid_until;
            }
        });
    }

    /// Ends a consent's access tokens before their time.
    pub fn end_access(&self, consent: &str) {
        self.with(|bank, _| bank.tokens.end_access(consent));
    }

    /// Ends a consent's tokens of both kinds, so that only its holder can help.
    pub fn end_tokens(&self, consent: &str) {
        self.with(|bank, _| bank.tokens.end_all(consent));
    }

    /// Files a payment; its steps begin now.
    pub fn put_payment(&self, payment: AspspPayment) {
        self.with(|bank, now| bank.payments.put(payment, now));
    }

    /// Files a bundle of payments that are on file.
    pub fn put_bundle(&self, bundle: AspspBundle) {
        self.with(|bank, now| bank.payments.put_bundle(bundle, now));
    }

    /// Files a payment that is made again and again; its steps begin now.
    pub fn put_recurring(&self, recurring: AspspRecurring) {
        self.with(|bank, now| bank.payments.put_recurring(recurring, now));
    }

    /// A payment has this status now, whatever its steps were.
    pub fn settle(&self, payment: &str, status: &str) {
        self.with(|bank, now| bank.payments.settle(payment, status, now));
    }

    /// The next call of this kind that has no behaviour yet gets this one.
    pub fn once(&self, step: AspspStep, behaviour: Behaviour) {
        self.all.service.outside.script.once(Party::Aspsp(self.number, step), behaviour);
    }

    /// All calls of this kind after those get this one.
    pub fn always(&self, step: AspspStep, behaviour: Behaviour) {
        self.all.service.outside.script.always(Party::Aspsp(self.number, step), behaviour);
    }

    /// How often it was asked so, answered or not.
    pub fn asked(&self, step: AspspStep) -> u64 {
        self.all.service.outside.script.asked(Party::Aspsp(self.number, step))
    }

    /// Has the plain door refuse whoever knocks; those who are connected already stay so.
    pub async fn shut(&self) {
        if let Some(bolt) = self.all.bolts.get(usize::from(self.number)) {
            bolt.shut().await;
        }
    }

    /// Opens that door again; it takes a moment.
    pub fn reopen(&self) {
        if let Some(bolt) = self.all.bolts.get(usize::from(self.number)) {
            bolt.open();
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Bank, DateTime<Utc>) -> T) -> Option<T> {
        let now = self.all.service.now();
        let mut bank: MutexGuard<'_, Bank> = self.all.service.bank(self.number)?;
        Some(act(&mut bank, now))
    }

    fn change(&self, iban: &str, act: impl FnOnce(&mut Kept)) {
        self.with(|bank, _| bank.accounts.get_mut(iban).map(act));
    }
}
