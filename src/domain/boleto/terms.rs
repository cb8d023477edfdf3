//! What was agreed about a boleto besides its amount and its date: charges, who stands behind the debt, late payment.
//!
//! **Owns** nothing. **Fails** nowhere: charges and addresses check themselves. Personal data: `Debug` shows none of it.
//! **Limits**: kept as one JSON text with the boleto, because nothing is ever looked for by it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::charges::Charges;
use crate::domain::payer::Address;
use crate::domain::tax_id::TaxId;

/// Everything that was agreed besides the amount and the date; nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    #[serde(default, skip_serializing_if = "Charges::is_none")]
    pub charges: Charges,
    /// Who is owed in truth when the beneficiary collects for somebody else (sacador avalista, beneficiário final).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarantor: Option<Guarantor>,
    /// Until when the bank takes a late payment; the agreement decides where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_payment: Option<LatePayment>,
}

/// On whose behalf the beneficiary collects.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guarantor {
    /// 1 to 60 characters.
    pub name: String,
    pub tax_id: TaxId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
}

/// What the bank does with a payment after the due date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatePayment {
    /// Not a day late, and not a cent more or less (strict).
    Refused,
    /// Up to so many days late, and another amount than the nominal one is taken (no strict); from 1 to 365.
    Accepted { days: u16 },
}

impl Terms {
    /// Whether nothing was agreed.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Debug for Guarantor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guarantor(masked)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_agreed_is_written_as_nothing() {
        assert_eq!(serde_json::to_string(&Terms::default()).unwrap(), "{}");
        assert_eq!(serde_json::from_str::<Terms>("{}").unwrap(), Terms::default());
        assert!(serde_json::from_str::<Terms>(r#"{"fee":1}"#).is_err());
    }

    #[test]
    fn late_payment_is_read_back() {
        for late_payment in [LatePayment::Refused, LatePayment::Accepted { days: 60 }] {
            let terms = Terms { late_payment: Some(late_payment), ..Terms::default() };
            let text = serde_json::to_string(&terms).unwrap();
            assert_eq!(serde_json::from_str::<Terms>(&text).unwrap(), terms);
        }
    }

    #[test]
    fn debug_shows_nothing_of_a_person() {
        let guarantor = Guarantor {
            name: "Conceição Araújo".to_owned(),
            tax_id: TaxId::parse("52998224725").unwrap(),
            address: None,
        };
        assert_eq!(format!("{guarantor:?}"), "Guarantor(masked)");
    }
}
