//! Money: whole cents of one currency, the Brazilian real, and how fractions of a cent become whole ones.
//!
//! **Owns** nothing. Never a float: fractions are kept as numerator and denominator until they are rounded, once.
//! **Limits**: what a boleto's amount may be is said here; the type itself holds any `i64`, and what a calculation
//! would make of it beyond that stays at the nearest amount that there is.

use serde::{Deserialize, Serialize};

/// An amount in cents of BRL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cents(pub i64);

/// What becomes of a fraction of a cent. Banks differ, so the account's bank decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// To the nearest cent; exactly half a cent goes to the even one.
    HalfEven,
    /// Left out.
    Truncate,
}

impl Cents {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The smallest amount that a boleto may be issued for.
    pub const BOLETO_MIN: Self = Self(1);
    /// The largest amount that a barcode's ten digits hold: R$ 99,999,999.99.
    pub const BOLETO_MAX: Self = Self(9_999_999_999);

    /// Whether a boleto may be issued for this amount.
    pub fn fits_a_boleto(self) -> bool {
        (Self::BOLETO_MIN..=Self::BOLETO_MAX).contains(&self)
    }

    /// That many cents, or the nearest amount that there is.
    pub(in crate::domain) fn saturating(cents: i128) -> Self {
        let nearest = cents.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        Self(i64::try_from(nearest).unwrap_or(i64::MAX))
    }
}

impl Rounding {
    /// Every rule there is.
    pub const ALL: [Self; 2] = [Self::HalfEven, Self::Truncate];

    /// The rule's name in the store, in configuration and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HalfEven => "half_even",
            Self::Truncate => "truncate",
        }
    }

    /// The rule of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rounding| rounding.as_str() == name)
    }

    /// `numerator / denominator` cents as whole cents. The denominator is a constant of a rule, never an input.
    pub(in crate::domain) fn divide(self, numerator: i128, denominator: i128) -> Cents {
        debug_assert!(denominator > 0);
        let whole = match self {
            Self::HalfEven => half_even(numerator, denominator),
            Self::Truncate => numerator / denominator,
        };
        Cents::saturating(whole)
    }
}

fn half_even(numerator: i128, denominator: i128) -> i128 {
    let below = numerator.div_euclid(denominator);
    let rest = numerator.rem_euclid(denominator);
    // The distance to the cent below is compared with the one to the cent above, which cannot overflow.
    let up = match rest.cmp(&(denominator - rest)) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => below.rem_euclid(2) == 1,
        std::cmp::Ordering::Greater => true,
    };
    below + i128::from(up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_its_own_whole_cents() {
        for (numerator, half_even, truncate) in [
            (0, 0, 0),
            (149, 1, 1),
            (150, 2, 1),
            (151, 2, 1),
            (250, 2, 2),
            (350, 4, 3),
            (50, 0, 0),
            (-150, -2, -1),
            (-250, -2, -2),
            (-51, -1, 0),
        ] {
            assert_eq!(Rounding::HalfEven.divide(numerator, 100), Cents(half_even), "{numerator}");
            assert_eq!(Rounding::Truncate.divide(numerator, 100), Cents(truncate), "{numerator}");
        }
    }

    #[test]
    fn an_odd_denominator_has_no_ties() {
        assert_eq!(Rounding::HalfEven.divide(1, 3), Cents(0));
        assert_eq!(Rounding::HalfEven.divide(2, 3), Cents(1));
    }

    #[test]
    fn what_no_amount_can_hold_stays_at_the_largest() {
        assert_eq!(Rounding::Truncate.divide(i128::MAX, 1), Cents(i64::MAX));
        assert_eq!(Rounding::HalfEven.divide(i128::MIN, 1), Cents(i64::MIN));
    }

    #[test]
    fn names_are_read_back() {
        for rounding in Rounding::ALL {
            assert_eq!(Rounding::from_name(rounding.as_str()), Some(rounding));
            assert_eq!(serde_json::to_value(rounding).unwrap(), rounding.as_str());
        }
        assert_eq!(Rounding::from_name("half_up"), None);
    }
}
