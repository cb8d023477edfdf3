//! Money: whole cents of one currency, the Brazilian real.
//!
//! **Owns** nothing. **Limits**: what a boleto's amount may be is said here; the type itself holds any `i64`.

use serde::{Deserialize, Serialize};

/// An amount in cents of BRL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cents(pub i64);

impl Cents {
    /// The smallest amount that a boleto may be issued for.
    pub const BOLETO_MIN: Self = Self(1);
    /// The largest amount that a barcode's ten digits hold: R$ 99,999,999.99.
    pub const BOLETO_MAX: Self = Self(9_999_999_999);

    /// Whether a boleto may be issued for this amount.
    pub fn fits_a_boleto(self) -> bool {
        (Self::BOLETO_MIN..=Self::BOLETO_MAX).contains(&self)
    }
}
