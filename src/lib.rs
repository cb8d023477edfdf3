//! `bursar`: a supervised runtime for the payment back office.

pub mod domain;
pub mod failpoint;
pub mod proto;
pub mod store;
