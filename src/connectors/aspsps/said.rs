//! What ASPSPs are asked and what they tell, in words of no standard.
//!
//! Nothing here is guessed: what an ASPSP does not tell is absent, ids are kept apart by what the standard calls them, and
//! blank ones are none. Which of them tells one transaction from another is for the caller to find out.
//!
//! **Owns** nothing. **Limits**: `Debug` shows no text, name, number of an account, balance or token.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use secrecy::SecretString;

use super::amount::Amount;
use super::status::{ConsentStatus, ToldStatus};

/// Under whose consent and by which token something is asked. The PSU is never present.
#[derive(Clone, Copy, Default)]
pub struct Access<'a> {
    /// By what the ASPSP knows the consent.
    pub consent_id: Option<&'a str>,
    pub token: Option<&'a SecretString>,
}

/// What an ASPSP can be asked, known without asking it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AspspCapabilities {
    /// Whether a consent's status can be asked for.
    pub consent_status: bool,
    /// Which lists there are.
    pub lists: Vec<TransactionList>,
    pub holds: bool,
    /// So many payments may be asked about in one call; at least one.
    pub payments_max: usize,
    /// Whether tokens are refreshed by us.
    pub refreshes_tokens: bool,
    /// How many days back an unattended question may go.
    pub history_days_max: u32,
}

/// Which transactions are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionList {
    /// Booked ones; PolishAPI calls them done.
    Booked,
    Pending,
    /// Booked and pending ones in one call.
    Both,
    Scheduled,
    Rejected,
    Cancelled,
}

/// Where a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TransactionState {
    Booked,
    Pending,
    Held,
    Scheduled,
    Rejected,
    Cancelled,
}

impl TransactionState {
    /// The name in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Booked => "booked",
            Self::Pending => "pending",
            Self::Held => "held",
            Self::Scheduled => "scheduled",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One page of transactions, or of holds. The same question is asked for each page of a set, with another cursor.
#[derive(Clone, Copy)]
pub struct TransactionsRequest<'a> {
    /// By what the ASPSP knows the account: its `resourceId`, or its number in full.
    pub account: &'a str,
    /// Both days count; of booked ones the day of booking, of others that of the transaction.
    pub from: NaiveDate,
    pub to: Option<NaiveDate>,
    /// Only what came behind this item, where the ASPSP can be asked so.
    pub after_item: Option<&'a str>,
    /// Where the page before pointed to; none for the first.
    pub cursor: Option<&'a Cursor>,
}

/// Where the next page is. Opaque: it is kept and followed as it came.
#[derive(Clone, PartialEq, Eq)]
pub enum Cursor {
    /// `pageInfo.nextPage`
    Page(String),
    /// `_links.next`, whole.
    Link(String),
    /// `_links.download`, whole: there is no page, but one report that holds everything.
    Download(String),
}

impl Cursor {
    /// As it lies in the store.
    pub fn to_text(&self) -> String {
        match self {
            Self::Page(page) => format!("page:{page}"),
            Self::Link(link) => format!("link:{link}"),
            Self::Download(link) => format!("download:{link}"),
        }
    }

    /// Reads it back.
    pub fn from_text(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "page" => Some(Self::Page(rest.to_owned())),
            "link" => Some(Self::Link(rest.to_owned())),
            "download" => Some(Self::Download(rest.to_owned())),
            _ => None,
        }
    }
}

/// A page of transactions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TransactionPage {
    /// In the ASPSP's order.
    pub transactions: Vec<Transaction>,
    /// Whether the page tells which ones are pending, or held, so that those that a whole set leaves out are so no longer.
    pub tells_pending: bool,
    /// Balances that came along.
    pub balances: Vec<Balance>,
    /// A page without transactions may have a next one.
    pub next: Option<Cursor>,
}

/// A transaction, or a hold.
#[derive(Clone, PartialEq, Eq)]
pub struct Transaction {
    pub state: TransactionState,
    /// PolishAPI's `itemId`.
    pub item_id: Option<String>,
    /// Berlin Group's `entryReference`.
    pub entry_reference: Option<String>,
    /// Berlin Group's `transactionId`.
    pub transaction_id: Option<String>,
    /// In the ASPSP's zone.
    pub booking_date: Option<NaiveDate>,
    pub value_date: Option<NaiveDate>,
    /// When it was made, which is not when it was booked.
    pub trade_date: Option<NaiveDate>,
    /// Negative where it left the account.
    pub amount: Amount,
    /// Absent where it is the account's own.
    pub currency: Option<String>,
    /// What was written about it, in the ASPSP's order.
    pub texts: Vec<String>,
    /// Who is at the other end.
    pub counterparty: Counterparty,
    /// What was on the account then.
    pub balance_after: Option<Amount>,
    /// The ASPSP's or ISO's own code for the kind of transaction.
    pub category: Option<String>,
    /// Of the merchant, in a payment by card.
    pub merchant_category: Option<String>,
    /// When a hold is let go.
    pub held_until: Option<DateTime<Utc>>,
}

/// Who is at the other end of a transaction.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Counterparty {
    pub name: Option<String>,
    /// IBAN where there is one, otherwise what the ASPSP tells.
    pub account: Option<String>,
}

/// Accounts that a consent is for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountPage {
    pub accounts: Vec<Account>,
    pub next: Option<Cursor>,
}

/// An account.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// By what it is asked for. Berlin Group's is only good for as long as the consent; in a list of PolishAPI it is absent where
    /// the number is masked.
    pub resource_id: Option<String>,
    pub iban: Option<String>,
    /// A number that is no IBAN, perhaps masked.
    pub number: Option<String>,
    /// By its ISO 4217 code; the code for "no currency" (`XXX`) for an account of several.
    pub currency: Option<String>,
    /// What the ASPSP or the PSU calls it.
    pub name: Option<String>,
    pub product: Option<String>,
    /// The code of its kind.
    pub kind: Option<String>,
    /// `enabled`, `deleted`, `blocked`; absent means that it can be used.
    pub status: Option<String>,
}

/// An account, with what its ASPSP tells along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountDetails {
    pub account: Account,
    pub balances: Vec<Balance>,
}

/// One of an account's balances.
#[derive(Clone, PartialEq, Eq)]
pub struct Balance {
    /// As the standard calls it: `interimAvailable`, `closingBooked`, `bookingBalance`.
    pub kind: String,
    pub amount: Amount,
    pub currency: Option<String>,
    pub credit_limit_included: Option<bool>,
    pub reference_date: Option<NaiveDate>,
    pub changed_at: Option<DateTime<Utc>>,
    /// The last booked one that it counts; the same as last time means that nothing is new.
    pub last_transaction: Option<String>,
}

/// What an ASPSP tells of a consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentTold {
    pub status: ConsentStatus,
    pub raw_status: String,
    /// The last day on which it is good, in the ASPSP's zone. It may be another one than was asked for.
    pub valid_until: Option<NaiveDate>,
    pub frequency_per_day: Option<u32>,
    /// One that is not is good for one access, which is not ours.
    pub is_recurring: Option<bool>,
}

/// Which payment is asked about.
#[derive(Clone, Copy, Default)]
pub struct PaymentKey<'a> {
    /// The ASPSP's id, where it gave one.
    pub id: Option<&'a str>,
    /// Our own id, which one standard takes in its place.
    pub tpp_id: Option<&'a str>,
    /// `sepa-credit-transfers` and the like, where the standard wants it; the ASPSP's usual one if absent.
    pub product: Option<&'a str>,
    /// The token by which it was started.
    pub token: Option<&'a SecretString>,
}

/// What an ASPSP tells of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentTold {
    pub id: Option<String>,
    pub tpp_id: Option<String>,
    pub status: ToldStatus,
    /// More than the status says, in the ASPSP's words.
    pub detail: Option<String>,
    /// Whether it is to be made on a later day.
    pub is_future_dated: Option<bool>,
    /// Payments of a bundle, where they were asked for and told.
    pub children: Vec<PaymentTold>,
}

/// What a refresh gave. The old refresh token may be dead as soon as it was used.
#[derive(Clone)]
pub struct Grant {
    pub access_token: SecretString,
    /// Absent where the old one stays good.
    pub refresh_token: Option<SecretString>,
    /// How long the access token lives.
    pub expires_in: Option<Duration>,
    /// What it is good for, where the standard tells.
    pub consent: Option<GrantedConsent>,
}

/// What a token is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedConsent {
    pub consent_id: Option<String>,
    pub valid_until: Option<DateTime<Utc>>,
    pub accounts: Vec<GrantedAccount>,
}

/// An account that a token is good for, with its number in full.
#[derive(Clone, PartialEq, Eq)]
pub struct GrantedAccount {
    pub number: Option<String>,
    pub privileges: Vec<Privilege>,
}

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Privilege {
    /// `ais:getTransactionsDone`
    pub operation: String,
    /// One that may be used once only is of no use to a timetable.
    pub is_repeatable: bool,
    /// How many days back, counted from the question.
    pub history_days_max: Option<u32>,
}

/// `Debug` by the type's name and what tells of nobody.
macro_rules! discreet {
    ($($type:ident$(<$life:lifetime>)? { $($field:ident),* })*) => {$(
        impl fmt::Debug for $type$(<$life>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($type))$(.field(stringify!($field), &self.$field))*.finish_non_exhaustive()
            }
        }
    )*};
}

discreet! {
    Access<'_> {}
    TransactionsRequest<'_> { from, to }
    Transaction { state, booking_date }
    Counterparty {}
    Account { currency, kind, status }
    Balance { kind, currency }
    PaymentKey<'_> { product }
    Grant { expires_in }
    GrantedAccount { privileges }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Page(_) => "Cursor(page)",
            Self::Link(_) => "Cursor(link)",
            Self::Download(_) => "Cursor(download)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_as_it_came() {
        for cursor in [
            Cursor::Page(" p:2 ".into()),
            Cursor::Link("https://bank.example/v1/x?page=%2F".into()),
            Cursor::Download("https://bank.example/d".into()),
        ] {
            assert_eq!(Cursor::from_text(&cursor.to_text()), Some(cursor));
        }
        assert_eq!(Cursor::from_text("next:1"), None);
        assert_eq!(Cursor::from_text(""), None);
    }

    #[test]
    fn nothing_shown_tells_of_anybody() {
        let token = SecretString::from("s3cret");
        let key = PaymentKey { id: Some("s3cret"), tpp_id: None, product: None, token: Some(&token) };
        let access = Access { consent_id: Some("s3cret"), token: Some(&token) };
        let who = Counterparty { name: Some("s3cret".into()), account: Some("s3cret".into()) };
        let shown = format!("{key:?} {access:?} {who:?} {:?}", Cursor::Page("s3cret".into()));
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
