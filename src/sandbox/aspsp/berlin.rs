//! The Berlin Group's NextGenPSD2 1.3.x: what a caller who works unattended may read.
//!
//! **Owns** nothing; it is one view of a [`Bank`].
//! **Fails** with `tppMessages`, in the standard's codes.
//! **Limits**: reads alone. Delta lists and card accounts are not there; a payment's own data are made up.

mod lists;
mod payments;
mod signs;
mod token;
mod wire;

use super::ask::{Ask, Note, Refusal, Told};
use super::bank::Bank;
use super::consent::Consent;
use super::entry::digest;
use crate::sandbox::script::AspspStep;
use wire::{Message, Messages};

pub use payments::told_final;
pub use token::{invalid, refreshed};

/// What is asked for, by its path.
#[derive(Clone, Copy)]
pub enum Asked<'a> {
    Token,
    ConsentStatus { id: &'a str },
    Consent { id: &'a str },
    Accounts,
    Account { id: &'a str },
    Balances { id: &'a str },
    Transactions { id: &'a str },
    Download { id: &'a str, key: &'a str },
    PaymentStatus { service: &'a str, product: &'a str, id: &'a str },
    Payment { service: &'a str, product: &'a str, id: &'a str },
}

impl<'a> Asked<'a> {
    /// Reads a path; nothing where the standard has no such place.
    pub fn read(path: &'a str) -> Option<Self> {
        if path == "/token" {
            return Some(Asked::Token);
        }
        let parts: Vec<_> = path.strip_prefix("/v1/")?.split('/').collect();
        Some(match parts[..] {
            ["consents", id, "status"] => Asked::ConsentStatus { id },
            ["consents", id] => Asked::Consent { id },
            ["accounts"] => Asked::Accounts,
            ["accounts", id] => Asked::Account { id },
            ["accounts", id, "balances"] => Asked::Balances { id },
            ["accounts", id, "transactions"] => Asked::Transactions { id },
            ["accounts", id, "transactions", "download", key] => Asked::Download { id, key },
            [service, product, id, "status"] => Asked::PaymentStatus { service, product, id },
            [service, product, id] => Asked::Payment { service, product, id },
            _ => return None,
        })
    }

    pub fn step(&self) -> AspspStep {
        match self {
            Asked::Token => AspspStep::Token,
            Asked::ConsentStatus { .. } | Asked::Consent { .. } => AspspStep::Consent,
            Asked::Accounts => AspspStep::Accounts,
            Asked::Account { .. } => AspspStep::Account,
            Asked::Balances { .. } => AspspStep::Balances,
            Asked::Transactions { .. } | Asked::Download { .. } => AspspStep::Transactions,
            Asked::PaymentStatus { .. } | Asked::Payment { .. } => AspspStep::Payment,
        }
    }
}

/// Answers a request; what a script wants refused comes after the request's own faults.
pub fn answer(
    bank: &mut Bank,
    asked: Asked,
    ask: &Ask,
    refuse: Option<&str>,
    note: &mut Note,
) -> Result<Told, Refusal> {
    if let Asked::Token = asked {
        return token::answer(bank, ask, refuse);
    }
    signs::check_headers(bank, ask, note)?;
    if let Some(code) = refuse {
        return Err(Refusal::scripted(code));
    }
    match asked {
        Asked::Token => unreachable!("a token was answered above"),
        Asked::ConsentStatus { id } => lists::consent_status(bank, id, ask, note),
        Asked::Consent { id } => lists::consent(bank, id, ask, note),
        Asked::Accounts => lists::accounts(bank, ask, note),
        Asked::Account { id } => lists::account(bank, id, ask, note),
        Asked::Balances { id } => lists::balances(bank, id, ask, note),
        Asked::Transactions { id } => lists::transactions(bank, id, ask, note),
        Asked::Download { id, key } => lists::download(bank, id, key, ask, note),
        Asked::PaymentStatus { service, product, id } => {
            payments::status(bank, &payments::Place { service, product, id }, ask)
        }
        Asked::Payment { service, product, id } => {
            payments::information(bank, &payments::Place { service, product, id }, ask)
        }
    }
}

/// A refusal as the standard says it.
pub fn say(refusal: &Refusal) -> Vec<u8> {
    let message = Message { category: "ERROR", code: &refusal.code, text: &refusal.text };
    Told::of(&Messages { tpp_messages: [message] }).body
}

/// An account's name for as long as one consent lives.
fn resource_id(consent: &str, iban: &str) -> String {
    digest(&[consent, iban])
}

/// The consent that a read names, once its token is good too.
fn reading_consent(bank: &Bank, ask: &Ask, note: &mut Note) -> Result<Consent, Refusal> {
    let Some(id) = ask.header("consent-id") else {
        return Err(Refusal::complaint(400, "FORMAT_ERROR", "Consent-ID is missing"));
    };
    note.consent = Some(id.to_owned());
    let is_unknown = bank.consent(id, ask.now).is_none();
    let wants_token = bank.consent(id, ask.now).is_some_and(|consent| consent.about.tokens);
    if wants_token && !is_unknown {
        let of = ask.bearer().and_then(|access| bank.consent_of_token(access, ask.now, ask.epoch));
        if of.is_none() {
            return Err(Refusal::new(401, "TOKEN_INVALID", "the token is missing, unknown or has ended"));
        }
        if of.as_deref() != Some(id) {
            return Err(Refusal::complaint(401, "TOKEN_INVALID", "the token is of another consent"));
        }
    }
    bank.open_consent(id, ask.now)
}
