//! What of a boleto may be changed after its registration, and what a change comes to.
//!
//! **Owns** nothing. **Fails** nowhere: what a bank cannot change is said by its connector, what breaks a rule by the
//! rules of amounts, dates and charges.
//! **Limits**: who owes and under which number never changes; that is another boleto.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::Boleto;
use super::charges::Charges;
use super::due_date_factor::DueDateFactor;
use super::pix::BrCode;
use crate::domain::money::Cents;

/// A boleto's terms as they are to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amendment {
    pub amount: Cents,
    pub due_date: NaiveDate,
    #[serde(default, skip_serializing_if = "Charges::is_none")]
    pub charges: Charges,
}

/// A part that may change by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AmendPart {
    Amount,
    DueDate,
    Fine,
    Interest,
    Discounts,
    Abatement,
}

impl AmendPart {
    /// The field of a request that changes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Amount => "amount_cents",
            Self::DueDate => "due_date",
            Self::Fine => "charges.fine",
            Self::Interest => "charges.interest",
            Self::Discounts => "charges.discounts",
            Self::Abatement => "charges.abatement",
        }
    }
}

impl Amendment {
    /// The terms as they are.
    pub fn of(boleto: &Boleto) -> Self {
        Self { amount: boleto.amount, due_date: boleto.due_date, charges: boleto.terms.charges.clone() }
    }

    /// The boleto as it is once the bank has amended it. Codes that we hold are recomposed; a Pix text that names another
    /// amount is not kept. Nothing for an amount or a date that no code can carry.
    pub fn apply(&self, boleto: &Boleto) -> Option<Boleto> {
        let mut amended = boleto.clone();
        amended.amount = self.amount;
        amended.due_date = self.due_date;
        amended.terms.charges = self.charges.clone();
        if let Some(barcode) = boleto.codes.barcode {
            let factor = DueDateFactor::of(self.due_date).ok()?;
            amended.codes.barcode = Some(barcode.amended(self.amount, factor).ok()?);
        }
        let names_another = |text: &String| {
            let amount = BrCode::parse(text).ok().and_then(|code| code.amount());
            amount.is_some_and(|amount| amount != self.amount)
        };
        amended.pix_emv = amended.pix_emv.filter(|text| !names_another(text));
        Some(amended)
    }

    /// In what it differs from the boleto as it is.
    pub fn parts(&self, boleto: &Boleto) -> Vec<AmendPart> {
        let (ours, theirs) = (&self.charges, &boleto.terms.charges);
        let parts = [
            (AmendPart::Amount, self.amount != boleto.amount),
            (AmendPart::DueDate, self.due_date != boleto.due_date),
            (AmendPart::Fine, ours.fine != theirs.fine),
            (AmendPart::Interest, ours.interest != theirs.interest),
            (AmendPart::Discounts, ours.discounts != theirs.discounts),
            (AmendPart::Abatement, ours.abatement != theirs.abatement),
        ];
        parts.into_iter().filter(|(_, differs)| *differs).map(|(part, _)| part).collect()
    }
}
