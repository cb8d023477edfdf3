//! One table, one file: what a row looks like. Private to this room; the verbs hand out the domain's own types.
//!
//! A test in `store` selects every column of every entity on both databases, so that entities and schema agree.

pub mod bank_account;
pub mod boleto;
pub mod document_link;
pub mod endpoint;
pub mod work;
pub mod work_archive;
