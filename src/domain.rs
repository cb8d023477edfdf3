//! The law: what a boleto, a tax id or a bank account is, and what may happen to it.
//!
//! **Owns** nothing. Pure: no `async`, no clock, no IO, no randomness; what changes is passed in.
//! **Fails** with an error per room that names the rule that was broken, never with personal data.
//! **Limits** are those of the field (digits of a barcode, days of a due-date factor), stated where they bind.

pub mod access;
pub mod analysis;
pub mod audit;
pub mod bank_account;
pub mod boleto;
pub mod business_days;
pub mod document_link;
pub mod event;
pub mod ids;
pub mod job;
pub mod mask;
pub mod money;
pub mod openbanking;
pub mod payer;
pub mod reconciliation;
pub mod retention;
pub mod tax_id;
pub mod timetable;
pub mod token;
pub mod transfer;
pub mod violation;
pub mod wall_clock;
pub mod work;

#[cfg(test)]
pub(crate) mod vectors;
