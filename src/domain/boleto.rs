//! A boleto: what is owed, by whom, until when, under which codes, and how far its registration has come.
//!
//! **Owns** nothing. Its codes are made by [`issuer`], read back by [`parse`]; what may happen to it is said by [`status`].
//! **Limits**: amounts from 1 to 9,999,999,999 cents; a due date at most 5,500 days ahead, which is as far as
//! a due-date factor can be read back.

pub mod amendment;
pub mod arrecadacao;
pub mod barcode;
pub mod charges;
pub mod check_digit;
pub mod digits;
pub mod due_date_factor;
pub mod event;
pub mod issuer;
pub mod linha_digitavel;
pub mod order;
pub mod parse;
pub mod payment;
pub mod pix;
pub mod quote;
pub mod status;
pub mod terms;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use self::barcode::Barcode;
use self::linha_digitavel::LinhaDigitavel;
use self::status::Status;
use self::terms::Terms;
use super::ids::{BankAccountId, BoletoId, TenantId};
use super::money::Cents;
use super::payer::Payer;

/// A boleto as the store holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Boleto {
    pub id: BoletoId,
    pub tenant_id: TenantId,
    pub bank_account_id: BankAccountId,
    pub status: Status,
    /// Starts at 1 and grows by one with every change; the owner's message carries it.
    pub version: i64,
    pub amount: Cents,
    /// A civil date in America/Sao_Paulo. The code keeps the nominal date, also on a holiday.
    pub due_date: NaiveDate,
    pub codes: Codes,
    /// What was agreed besides amount and date.
    pub terms: Terms,
    pub payer: Payer,
    /// Printed for the payer, at most 165 characters.
    pub instructions: Option<String>,
    /// The owner's own name for it; echoed in the owner's message.
    pub reference_id: Option<String>,
    /// The owner's own token; a filter, not unique.
    pub token: Option<String>,
    pub bank_response: Option<BankResponse>,
    /// The Pix text that the bank gave; never one of our own making.
    pub pix_emv: Option<String>,
    /// The bank's own name for it, where it has one: what an asynchronous bank is asked by.
    pub bank_reference: Option<String>,
    /// Where the bank shows it, if it said so.
    pub url: Option<String>,
    /// All that was paid so far.
    pub paid: Cents,
    /// The day of the last payment.
    pub paid_on: Option<NaiveDate>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// The numbers that a boleto is known by, as far as they are known: what only the bank can give is absent until then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Codes {
    /// The full number without its check digit, as the bank's barcode rule needs it.
    pub nosso_numero: Option<String>,
    /// The number's own check digit where the bank has one (`P` and `X` exist).
    pub nosso_numero_dv: Option<String>,
    pub barcode: Option<Barcode>,
}

impl Codes {
    /// The line that says the same as the barcode.
    pub fn linha_digitavel(&self) -> Option<LinhaDigitavel> {
        self.barcode.map(|barcode| barcode.to_linha())
    }
}

/// What the bank said when it decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankResponse {
    /// The bank's own code, as text.
    pub code: String,
    /// The bank's own words, cut at 500 characters; may be empty.
    pub message: String,
}

impl Boleto {
    /// Whether nothing is left of who was to pay it.
    pub fn is_erased(&self) -> bool {
        self.payer.is_erased()
    }

    /// Whether anybody may pay it now: the bank has it on file, its codes are known, nobody has ended it, and what is
    /// written down as paid, before its registration perhaps, leaves something to pay.
    pub fn payable(&self) -> bool {
        self.status == Status::Registered && self.codes.barcode.is_some() && self.paid < self.amount
    }

    /// Whether it is past its due date on that day, and still open. Derived, never stored: no clock has to come by.
    pub fn is_overdue(&self, today: NaiveDate) -> bool {
        self.status == Status::Registered && self.due_date < today
    }
}
