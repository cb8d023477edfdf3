//! What is added to a boleto that is paid late and taken off one that is paid early: the terms, not the sums.
//!
//! **Owns** nothing. What is owed on a date is calculated by `quote`; what of this a bank can express is said by its
//! connector.
//! **Fails** with every broken rule at once ([`Charges::violations`]).
//! **Limits**: one fine, one interest, three discounts, one abatement; days up to 365. The 2 % that CDC art. 52 §1
//! allows as a fine binds consumer relations only, and nobody tells us which those are, so it is not enforced here.

mod percent;
mod violations;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

pub use self::percent::{Percent, PercentError};
use crate::domain::money::{Cents, Rounding};

/// The most discounts that a boleto may have.
pub const DISCOUNTS_MAX: usize = 3;
/// The most days after the due date on which a fine or interest may begin.
pub const AFTER_DAYS_MAX: u16 = 365;

/// All terms of a boleto; none by default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charges {
    /// Multa.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fine: Option<Fine>,
    /// Juros de mora.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interest: Option<Interest>,
    /// At most three; the one that ends first comes first and gives the most. One applies at a time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discounts: Vec<Discount>,
    /// Abatimento: taken off whenever it is paid, so that what remains is what is owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abatement: Option<Cents>,
}

impl Charges {
    /// Whether nothing is added or taken off, ever.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Owed once, however late the payment is (multa).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fine {
    pub value: FineValue,
    /// It is owed from this many days after the due date on; from 1 to 365.
    #[serde(default = "first_day", skip_serializing_if = "is_first_day")]
    pub after_days: u16,
}

/// How much a fine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FineValue {
    Amount(Cents),
    /// Of the amount without the abatement.
    Percentage(Percent),
}

/// Owed for each day of delay (juros de mora); simple, never compound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interest {
    pub value: InterestValue,
    /// The first day that counts lies this many days after the due date; from 1 to 365. Days before it never count.
    #[serde(default = "first_day", skip_serializing_if = "is_first_day")]
    pub after_days: u16,
}

/// How much interest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InterestValue {
    AmountPerDay(Cents),
    /// Of the amount without the abatement; a day is a thirtieth of a month.
    PercentagePerMonth(Percent),
}

/// What is taken off when it is paid by a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discount {
    /// The last day on which it is given. A weekend or a holiday does not prolong it.
    pub until: NaiveDate,
    pub value: DiscountValue,
}

/// How much a discount is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiscountValue {
    Amount(Cents),
    /// Of the amount without the abatement.
    Percentage(Percent),
    /// For each calendar day between the payment and the due date.
    AmountPerDayEarly(Cents),
}

impl FineValue {
    /// The fine on what is owed.
    pub fn of(self, basis: Cents, rounding: Rounding) -> Cents {
        match self {
            Self::Amount(amount) => amount,
            Self::Percentage(percent) => percent.of(basis, rounding),
        }
    }
}

impl InterestValue {
    /// The interest on what is owed for so many days.
    pub fn of(self, basis: Cents, days: u32, rounding: Rounding) -> Cents {
        match self {
            Self::AmountPerDay(amount) => times(amount, days),
            Self::PercentagePerMonth(percent) => percent.of_days(basis, days, rounding),
        }
    }
}

impl DiscountValue {
    /// The discount on what is owed when it is paid so many days before the due date.
    pub fn of(self, basis: Cents, days_early: u32, rounding: Rounding) -> Cents {
        match self {
            Self::Amount(amount) => amount,
            Self::Percentage(percent) => percent.of(basis, rounding),
            Self::AmountPerDayEarly(amount) => times(amount, days_early),
        }
    }
}

/// Calendar days from one date to another; 0 where the other is not after it.
pub(super) fn days_between(from: NaiveDate, to: NaiveDate) -> u32 {
    u32::try_from(to.signed_duration_since(from).num_days()).unwrap_or(0)
}

fn times(amount: Cents, days: u32) -> Cents {
    Cents(amount.0.saturating_mul(i64::from(days)))
}

fn first_day() -> u16 {
    1
}

// Serde passes what it may skip by reference.
fn is_first_day(after_days: &u16) -> bool {
    *after_days == first_day()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(text: &str) -> Percent {
        text.parse().unwrap()
    }

    #[test]
    fn in_the_store_only_what_was_agreed_takes_room() {
        assert_eq!(serde_json::to_string(&Charges::default()).unwrap(), "{}");
        let charges = Charges {
            fine: Some(Fine { value: FineValue::Percentage(percent("2")), after_days: 1 }),
            interest: Some(Interest { value: InterestValue::AmountPerDay(Cents(33)), after_days: 3 }),
            discounts: vec![Discount {
                until: "2027-01-05".parse().unwrap(),
                value: DiscountValue::AmountPerDayEarly(Cents(5)),
            }],
            abatement: Some(Cents(100)),
        };
        let text = concat!(
            r#"{"fine":{"value":{"percentage":"2"}},"#,
            r#""interest":{"value":{"amount_per_day":33},"after_days":3},"#,
            r#""discounts":[{"until":"2027-01-05","value":{"amount_per_day_early":5}}],"#,
            r#""abatement":100}"#,
        );
        assert_eq!(serde_json::to_string(&charges).unwrap(), text);
        assert_eq!(serde_json::from_str::<Charges>(text).unwrap(), charges);
    }

    #[test]
    fn a_term_that_is_not_known_is_not_left_out() {
        for text in [
            r#"{"protest":{}}"#,
            r#"{"fine":{"value":{"percentage":"2"},"days":1}}"#,
            r#"{"fine":{"value":{"percentage_per_month":"2"}}}"#,
            r#"{"fine":{"value":{"percentage":"2","amount":1}}}"#,
            r#"{"interest":{"value":{"percentage_per_month":1}}}"#,
            r#"{"discounts":[{"until":"2027-02-30","value":{"amount":1}}]}"#,
        ] {
            assert!(serde_json::from_str::<Charges>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_amount_per_day_cannot_overflow() {
        let most = Cents(i64::MAX);
        let interest = InterestValue::AmountPerDay(most).of(Cents::ZERO, u32::MAX, Rounding::Truncate);
        let discount = DiscountValue::AmountPerDayEarly(most).of(Cents::ZERO, u32::MAX, Rounding::Truncate);
        assert_eq!((interest, discount), (most, most));
    }
}
