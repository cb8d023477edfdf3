//! Open banking: which transaction is which, how often a bank may be asked, how far a payment has come, how long a consent lasts.
//!
//! **Owns** nothing. **Fails** nowhere that is not said. **Limits**: the standards' own, stated where they bind.

pub mod account;
pub mod consent;
pub mod days;
pub mod identity;
pub mod pacing;
pub mod pages;
pub mod payment;
pub mod quota;
pub mod sync;
