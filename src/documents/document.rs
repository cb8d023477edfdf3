//! What is printed: everything that the form shows, as plain values.
//!
//! **Owns** nothing. Personal data: there is no `Debug`. **Fails** with [`DocumentError`].
//! **Limits**: whoever fills it answers for its truth; here only the room on the form is looked at. A document that may
//! not be paid has no barcode, no line and no Pix, by construction.

use chrono::NaiveDate;

use crate::domain::boleto::barcode::Barcode;
use crate::domain::money::Cents;
use crate::domain::payer::Payer;
use crate::domain::tax_id::TaxId;
use crate::domain::violation::Violation;

/// A boleto as it is printed.
#[derive(Clone)]
pub struct BoletoDocument {
    pub bank: Bank,
    /// Whether it may be paid, and by which codes.
    pub standing: Standing,
    /// Who is paid (beneficiário).
    pub beneficiary: Party,
    /// Agency and beneficiary code with their digits, as the bank prints them: `1234-5 / 0123456-7`.
    pub agency_and_code: String,
    pub payer: Party,
    /// The payer's guarantor (sacador/avalista).
    pub guarantor: Option<Party>,
    /// The number with its digit, as the bank prints it: `19/00000000002-8`.
    pub nosso_numero: String,
    /// The owner's own number (número do documento).
    pub document_number: String,
    /// Espécie do documento: `DM`, `DS`, …
    pub document_kind: String,
    /// Aceite: `N` or `S`.
    pub acceptance: String,
    pub issue_date: NaiveDate,
    pub processing_date: NaiveDate,
    pub due_date: NaiveDate,
    pub amount: Cents,
    pub carteira: String,
    /// Where it may be paid, in words. Not shown on what may not be paid.
    pub payment_place: String,
    /// Paragraphs for the cashier and the payer: the owner's own, then those that the charges make.
    pub instructions: Vec<String>,
}

/// Whose boleto it is.
#[derive(Clone)]
pub struct Bank {
    pub name: String,
    /// The bank's code with its check digit, `237-2`.
    pub code: String,
}

/// Somebody on the form.
#[derive(Clone)]
pub struct Party {
    pub name: String,
    pub tax_id: Option<TaxId>,
    /// The whole address in one line.
    pub address: Option<String>,
}

/// Whether a document may be paid.
#[derive(Clone)]
pub enum Standing {
    /// The bank has it on file.
    Payable {
        barcode: Barcode,
        /// The Pix text that the bank gave, drawn as it is; its check sum and amount are the caller's to look at.
        pix_emv: Option<String>,
    },
    /// Nobody may pay it, for this reason in the payer's words: "cancelado em 20/11/2026".
    NotPayable { reason: String },
}

/// Why a document cannot be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Each text that is longer than the form can hold; fields are named as in [`BoletoDocument`].
    #[error("the form cannot hold the document")]
    TooLong(Vec<Violation>),
}

impl From<&Payer> for Party {
    fn from(payer: &Payer) -> Self {
        Self {
            name: payer.name.clone(),
            tax_id: Some(payer.tax_id),
            address: Some(super::words::postal_address(&payer.address)),
        }
    }
}
