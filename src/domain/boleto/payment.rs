//! A payment that somebody told us of.
//!
//! **Owns** nothing. **Fails** nowhere: a payment that comes too early or too late is written down all the same, for it
//! happened. **Limits**: nobody says here whether the amount was enough; whoever reports a payment says whether more is
//! to come.

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use super::status::Status;
use crate::domain::ids::BoletoId;
use crate::domain::money::Cents;

/// The most that one payment may come to: ten times the largest boleto, so that charges on it fit.
pub const PAYMENT_MAX: Cents = Cents(99_999_999_999);

/// A payment as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    pub id: Uuid,
    pub boleto_id: BoletoId,
    /// May be nothing at all: a bank reports some of its movements without money.
    pub amount: Cents,
    /// The day on which it was paid, in America/Sao_Paulo.
    pub paid_on: NaiveDate,
    /// More is to come.
    pub is_partial: bool,
    pub source: PaymentSource,
    /// The source's own name for it; the same one is written down once per boleto.
    pub external_id: String,
    /// The code by which the bank reported it.
    pub response_code: Option<String>,
    pub created_at: DateTime<Utc>,
}

/// Who told us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PaymentSource {
    /// The boleto's owner.
    Owner,
    /// The bank, asked by us.
    Bank,
}

impl PaymentSource {
    /// Every source there is.
    pub const ALL: [Self; 2] = [Self::Owner, Self::Bank];

    /// The source's name in the store and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Bank => "bank",
        }
    }

    /// The source of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str() == name)
    }
}

/// The status of a boleto after a payment: paid, if it was registered, something was paid, and nothing more is to come.
/// In every other status the payment is a fact beside it.
pub fn status_after(status: Status, amount: Cents, is_partial: bool) -> Status {
    if is_partial || amount <= Cents::ZERO { status } else { status.settle().unwrap_or(status) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_payment_of_something_settles_and_only_what_is_registered() {
        for status in Status::ALL {
            let paid = if status == Status::Registered { Status::Paid } else { status };
            assert_eq!(status_after(status, Cents(1), false), paid);
            assert_eq!(status_after(status, Cents(1), true), status);
            assert_eq!(status_after(status, Cents::ZERO, false), status);
        }
    }

    #[test]
    fn names_are_read_back() {
        for source in PaymentSource::ALL {
            assert_eq!(PaymentSource::from_name(source.as_str()), Some(source));
        }
        assert_eq!(PaymentSource::from_name("payer"), None);
    }
}
