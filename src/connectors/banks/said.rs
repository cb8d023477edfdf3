//! What is said to a bank and what it answers, whichever bank it is.
//!
//! **Owns** nothing. **Fails** with a [`BankError`], cut by what the caller does next.

use std::time::Duration;

use chrono::NaiveDate;

use crate::domain::bank_account::BankAccount;
use crate::domain::boleto::amendment::{AmendPart, Amendment};
use crate::domain::boleto::barcode::Barcode;
use crate::domain::boleto::terms::Terms;
use crate::domain::boleto::{BankResponse, Boleto};
use crate::domain::money::Cents;
use crate::domain::payer::Payer;

/// What differs from bank to bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// The bank takes a CNPJ with letters.
    pub alphanumeric_cnpj: bool,
    /// Asking twice to register the same boleto makes no second title: the bank refuses our number, or our attempt's
    /// key, the second time. Where this is false and nothing can be looked up, an unknown outcome is a person's to end.
    pub repeatable: bool,
    /// The bank can be asked what it has on file.
    pub look_up: bool,
    /// How long after a send "not found" may still turn into "on file".
    pub settle_after: Duration,
    /// Who makes the codes.
    pub codes: CodesFrom,
    /// What the bank changes on request.
    pub amend: &'static [AmendPart],
    /// The bank takes a boleto off file on request.
    pub cancel: bool,
    /// How what was paid at the bank becomes known.
    pub reconciled_by: ReconciledBy,
}

/// How it becomes known what was paid at a bank, and what it took off file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReconciledBy {
    /// The bank lists what happened within some days.
    Listing,
    /// The bank is asked about one open boleto after the other: its answer says whether it was paid, how much and when.
    LookUp,
    /// The bank cannot be asked.
    Nothing,
}

impl ReconciledBy {
    /// Its name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listing => "listing",
            Self::LookUp => "look_up",
            Self::Nothing => "none",
        }
    }

    /// By look-ups, where somebody has turned them on.
    pub(super) fn look_up_if(is_on: bool) -> Self {
        if is_on { Self::LookUp } else { Self::Nothing }
    }
}

/// Who makes the codes of a boleto.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodesFrom {
    /// We do, before the bank is asked.
    Us,
    /// The number is ours; the barcode is known when the bank has given it.
    BankUnderOurNumber,
    /// The bank does, the number too.
    Bank,
}

/// A boleto that somebody would like to have.
#[derive(Debug, Clone, Copy)]
pub struct Proposal<'a> {
    pub account: &'a BankAccount,
    pub payer: &'a Payer,
    pub amount: Cents,
    pub due_date: NaiveDate,
    pub terms: &'a Terms,
    pub instructions: Option<&'a str>,
}

/// What is to be registered.
#[derive(Debug, Clone, Copy)]
pub struct RegisterRequest<'a> {
    pub account: &'a BankAccount,
    pub boleto: &'a Boleto,
    /// The key under which this attempt was recorded before any byte left.
    pub attempt_key: &'a str,
    /// The civil date of issue in America/Sao_Paulo.
    pub issue_date: NaiveDate,
}

impl<'a> RegisterRequest<'a> {
    /// The boleto as it was proposed: a row may be older than a rule.
    pub fn proposal(&self) -> Proposal<'a> {
        Proposal {
            account: self.account,
            payer: &self.boleto.payer,
            amount: self.boleto.amount,
            due_date: self.boleto.due_date,
            terms: &self.boleto.terms,
            instructions: self.boleto.instructions.as_deref(),
        }
    }
}

/// What is to be looked up.
#[derive(Debug, Clone, Copy)]
pub struct LookUpRequest<'a> {
    pub account: &'a BankAccount,
    pub boleto: &'a Boleto,
}

/// What is to be changed.
#[derive(Debug, Clone, Copy)]
pub struct AmendRequest<'a> {
    pub account: &'a BankAccount,
    /// As it is on file.
    pub boleto: &'a Boleto,
    /// As it is to be. Only what differs is the bank's business.
    pub amendment: &'a Amendment,
    pub attempt_key: &'a str,
}

/// What is to be taken off file.
#[derive(Debug, Clone, Copy)]
pub struct CancelRequest<'a> {
    pub account: &'a BankAccount,
    pub boleto: &'a Boleto,
    /// In the caller's words; banks that want a reason from a list get the most general one.
    pub reason: &'a str,
    pub attempt_key: &'a str,
}

/// Which payments are asked for.
#[derive(Debug, Clone, Copy)]
pub struct MovementsRequest<'a> {
    pub account: &'a BankAccount,
    /// The first day, inclusive, America/Sao_Paulo.
    pub since: NaiveDate,
    /// The last day, inclusive.
    pub until: NaiveDate,
    /// Where the page before ended; none for the first.
    pub cursor: Option<&'a str>,
}

/// What the bank says to a request for registration when it does not say no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegisterAnswer {
    /// It is on file.
    Registered(Registration),
    /// The bank has taken it and says later what came of it; it is asked under this reference.
    Accepted { bank_reference: String },
}

/// The bank has the boleto on file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    pub response: BankResponse,
    /// What the bank made of the codes, where it makes them; compared with amount, date and bank already.
    pub codes: Option<GivenCodes>,
    /// The Pix text, where the bank made one.
    pub pix_emv: Option<String>,
    /// The bank's own name for it, where there is one.
    pub bank_reference: Option<String>,
    /// Where the bank shows it.
    pub url: Option<String>,
}

/// Codes that a bank made, in accordance with what we asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenCodes {
    /// Where the bank chose it, and said so.
    pub nosso_numero: Option<String>,
    pub barcode: Barcode,
}

/// What the bank has on file under a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookUp {
    /// There is a title; whether it is ours is said by [`Title::agreement`].
    OnFile(Box<Title>),
    /// The bank has taken it and has not decided yet.
    InProgress,
    /// The bank took it, and then said no.
    Refused(BankResponse),
    /// The bank says that there is none.
    NotFound,
}

/// A title as the bank describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Title {
    pub response: BankResponse,
    pub state: TitleState,
    pub agreement: Agreement,
    pub barcode: Option<Barcode>,
    /// The number, where the bank chose it.
    pub nosso_numero: Option<String>,
    /// What was paid so far, where the bank says so.
    pub paid: Option<Cents>,
    /// The day on which it was paid, where the bank says so.
    pub paid_on: Option<NaiveDate>,
    /// The Pix text, where the look-up brings it.
    pub pix_emv: Option<String>,
}

/// How a title stands at the bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TitleState {
    /// On file and payable, or on its way there.
    Open,
    /// Paid in full.
    Settled,
    /// Taken off file (baixado).
    Cancelled,
    /// On file and paid in part.
    PartlyPaid,
    /// On file in a way that is none of the above (notary, a code that we do not know).
    Other,
}

/// Whether a title on file is the boleto that we hold, by everything that the bank lets us compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agreement {
    /// All that can be compared agrees, the amount and the due date among it.
    Agrees,
    /// These parts differ.
    Differs(Vec<&'static str>),
}

/// Some of what was paid or taken off file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovementPage {
    pub movements: Vec<Movement>,
    /// Where to go on; none after the last page.
    pub next: Option<String>,
}

/// Something that happened to one title at the bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// The number as [`Boleto::codes`] has it, without its check digit; empty where the bank gives none.
    pub nosso_numero: String,
    /// The bank's own name for it, where it is known by that.
    pub bank_reference: Option<String>,
    pub kind: MovementKind,
    /// The bank's code for it.
    pub response: BankResponse,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MovementKind {
    /// Paid in full; the amount is what the payer paid.
    Paid { amount: Cents, on: NaiveDate },
    /// Paid in part, so far.
    PartlyPaid { amount: Cents, on: NaiveDate },
    /// Taken off file.
    Cancelled { on: NaiveDate },
}

/// Why a bank call failed, sorted by what the caller does next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BankError {
    /// The bank said no; asking again gives the same answer.
    #[error("bank refused the boleto: {}", response.code)]
    Refused { response: BankResponse },
    /// The bank has a title under this number already; look it up and compare.
    #[error("a title is already on file under this number: {}", response.code)]
    AlreadyOnFile { response: BankResponse },
    /// The bank has it on file in a way that contradicts what was asked for; a person decides.
    #[error("the bank's answer disagrees with what was asked: {}", parts.join(", "))]
    Disagrees { response: BankResponse, parts: Vec<&'static str> },
    /// Nobody knows whether the bank kept it; look before registering again.
    #[error("outcome unknown: {reason}")]
    OutcomeUnknown { reason: String },
    /// The bank kept nothing of this call; wait, then ask again.
    #[error("bank unavailable: {reason}")]
    Unavailable { retry_after: Option<Duration>, reason: String },
    /// The bank kept nothing, and will not until an operator corrects something.
    #[error("bank connector misconfigured: {reason}")]
    Misconfigured { reason: String },
    /// This bank cannot take such a boleto. Decided before any byte left.
    #[error("not supported by this bank: {reason}")]
    Unsupported { reason: String },
}
