//! The gRPC face: what other systems and the command line talk to.
//!
//! A handler checks its input, asks the store, and tells an actor; it never reads through one. Whatever goes wrong passes
//! through [`status`], the one table from errors to codes, so that every error carries a reason that programs can read.
//!
//! **Owns** the server ([`api`]). **Fails** per call; `UNAVAILABLE` with a reason until the house is ready.
//! **Limits**: `[api]` and `[limits]` in the configuration; past one, `RESOURCE_EXHAUSTED` with a time to wait.

pub mod api;
mod audit_service;
mod bank_account_resync;
mod bank_account_service;
mod boleto_amend;
mod boleto_batch;
mod boleto_cancel;
mod boleto_create;
mod boleto_erase;
mod boleto_export;
mod boleto_history;
mod boleto_order;
mod boleto_payment;
mod boleto_quote;
mod boleto_render;
mod boleto_resolve;
mod boleto_service;
mod boleto_watch;
pub mod code;
pub mod config;
mod control_service;
mod convert;
mod document_link;
pub mod gate;
mod incoming;
mod layer;
mod measure;
mod notification_service;
mod openbanking;
mod page_token;
mod patience;
mod personal;
mod reconciliation;
mod request;
pub mod seats;
pub mod status;
mod tls;
mod token_service;
mod transfer_service;
mod watch;
