//! Open banking: which transaction is which, how often a bank may be asked, how far a payment has come.
//!
//! **Owns** nothing. **Fails** nowhere that is not said. **Limits**: the standards' own, stated where they bind.

pub mod identity;
pub mod pacing;
pub mod payment;
pub mod quota;
