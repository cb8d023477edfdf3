//! PolishAPI 2.1.x: what a caller who works unattended may read.
//!
//! **Owns** nothing; it is one view of a [`Bank`].
//! **Fails** with `code` and `message`. The codes are the sandbox's own, for the standard has none.
//! **Limits**: reads and refreshed tokens alone. Lists of rejected, cancelled and scheduled transactions are empty, and
//! items are not found by an earlier item's id. Answers are not signed.

mod envelope;
mod lists;
mod payments;
mod token;
mod wire;

use chrono::{DateTime, SecondsFormat, Utc};

use super::ask::{Ask, Note, Refusal, Told};
use super::bank::Bank;
use crate::sandbox::script::AspspStep;
use wire::{Error, ResponseHeader};

/// The versions whose paths are known: 2.1.1, 2.1.2, and how 3.0 is written.
const VERSIONS: [&str; 3] = ["2_1_1.1", "2_1_2.1", "3_0.1"];

/// What is asked for, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Token,
    Accounts,
    Account,
    Done,
    Pending,
    /// Rejected, cancelled and scheduled ones.
    NeverAny,
    Holds,
    Payment,
    Payments,
    Bundle,
    Recurring,
}

impl Asked {
    /// Reads a path; nothing where the standard has no such place, or its two versions differ.
    pub fn read(path: &str) -> Option<Self> {
        let parts: Vec<_> = path.strip_prefix('/')?.split('/').collect();
        let [first, service, second, operation] = parts[..] else { return None };
        if first != second || !VERSIONS.contains(&first.strip_prefix('v')?) {
            return None;
        }
        Some(match (service, operation) {
            ("auth", "token") => Asked::Token,
            ("accounts", "getAccounts") => Asked::Accounts,
            ("accounts", "getAccount") => Asked::Account,
            ("accounts", "getTransactionsDone") => Asked::Done,
            ("accounts", "getTransactionsPending") => Asked::Pending,
            (
                "accounts",
                "getTransactionsRejected" | "getTransactionsCancelled" | "getTransactionsScheduled",
            ) => Asked::NeverAny,
            ("accounts", "getHolds") => Asked::Holds,
            ("payments", "getPayment") => Asked::Payment,
            ("payments", "getMultiplePayments") => Asked::Payments,
            ("payments", "getBundle") => Asked::Bundle,
            ("payments", "getRecurringPayment") => Asked::Recurring,
            _ => return None,
        })
    }

    pub fn step(self) -> AspspStep {
        match self {
            Asked::Token => AspspStep::Token,
            Asked::Accounts => AspspStep::Accounts,
            Asked::Account => AspspStep::Account,
            Asked::Done | Asked::NeverAny => AspspStep::Transactions,
            Asked::Pending => AspspStep::Pending,
            Asked::Holds => AspspStep::Holds,
            Asked::Payment => AspspStep::Payment,
            Asked::Payments => AspspStep::Payments,
            Asked::Bundle => AspspStep::Bundle,
            Asked::Recurring => AspspStep::Recurring,
        }
    }

    /// Whether the standard declares a bearer token for it.
    fn has_bearer(self) -> bool {
        !matches!(self, Asked::Token | Asked::Payments)
    }
}

/// What a script refuses for, to have the answer come later by a call back that never comes.
const CALLBACK: &str = "callback";

/// Answers a request; what a script wants refused comes after the request's own faults.
pub fn answer(
    bank: &mut Bank,
    asked: Asked,
    ask: &Ask,
    refuse: Option<&str>,
    note: &mut Note,
) -> Result<Told, Refusal> {
    envelope::check_headers(asked, ask, note)?;
    match asked {
        Asked::Token => token::answer(bank, ask, refuse, note),
        Asked::Accounts => lists::accounts(bank, ask, refuse, note),
        Asked::Account => lists::account(bank, ask, refuse, note),
        Asked::Done | Asked::Pending | Asked::NeverAny => lists::transactions(bank, asked, ask, refuse, note),
        Asked::Holds => lists::holds(bank, ask, refuse, note),
        Asked::Payment => payments::payment(bank, ask, refuse, note),
        Asked::Payments => payments::payments(bank, ask, refuse, note),
        Asked::Bundle => payments::bundle(bank, ask, refuse, note),
        Asked::Recurring => payments::recurring(bank, ask, refuse, note),
    }
}

/// A refusal as the standard has it.
pub fn say(refusal: &Refusal, request_id: Option<&str>, now: DateTime<Utc>) -> Vec<u8> {
    let header = ResponseHeader { request_id, send_date: moment(now, false), is_callback: false };
    Told::of(&Error { response_header: header, code: &refusal.code, message: &refusal.text }).body
}

/// What a script wants instead of an answer, once the request was found to be right.
fn play(refuse: Option<&str>, ask: &Ask, note: &Note) -> Result<Option<Told>, Refusal> {
    match refuse {
        None => Ok(None),
        Some(CALLBACK) => {
            let header = ResponseHeader { is_callback: true, ..header(ask, note) };
            Ok(Some(Told::of(&wire::Bare { response_header: header })))
        }
        Some(code) => Err(Refusal::scripted(code)),
    }
}

fn header<'a>(ask: &Ask, note: &'a Note) -> ResponseHeader<'a> {
    let send_date = moment(ask.now, false);
    ResponseHeader { request_id: note.request_id.as_deref(), send_date, is_callback: false }
}

/// A moment as the standard writes it, or as banks do that forget the zone.
fn moment(moment: DateTime<Utc>, zoneless: bool) -> String {
    let text = moment.to_rfc3339_opts(SecondsFormat::Millis, true);
    if zoneless { text.trim_end_matches('Z').to_owned() } else { text }
}
