//! A boleto: what is owed, by whom, until when, under which codes, and how far its registration has come.
//!
//! **Owns** nothing. Its codes are made by [`issuer`], read back by [`parse`]; what may happen to it is said by [`status`].
//! **Limits**: amounts from 1 to 9,999,999,999 cents; a due date at most 5,500 days ahead, which is as far as
//! a due-date factor can be read back.

pub mod arrecadacao;
pub mod barcode;
pub mod check_digit;
pub mod digits;
pub mod due_date_factor;
pub mod issuer;
pub mod linha_digitavel;
pub mod parse;
pub mod status;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use self::barcode::Barcode;
use self::linha_digitavel::LinhaDigitavel;
use self::status::Status;
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
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// The numbers a boleto is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codes {
    /// The full number without its check digit, as the bank's barcode rule needs it.
    pub nosso_numero: String,
    /// The number's own check digit where the bank has one (`P` and `X` exist).
    pub nosso_numero_dv: Option<String>,
    pub barcode: Barcode,
    pub linha_digitavel: LinhaDigitavel,
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
    /// Whether anybody may pay it now: the bank has it on file and nobody has ended it.
    pub fn payable(&self) -> bool {
        self.status == Status::Registered
    }
}
