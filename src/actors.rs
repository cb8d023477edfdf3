//! The workers, and how the house is put together from them.
//!
//! **Owns** the shape of the tree ([`tree`]). One file an actor; what an actor keeps is in memory only and may be lost.

pub mod analysis_client;
mod aspsp_calls;
mod bank_attempt;
pub mod boleto_clerk;
pub mod boleto_registrar;
pub mod config;
pub mod consent_watcher;
mod feed_attempt;
pub mod feed_writer;
pub mod hands;
pub mod notifier;
pub mod payment_poller;
pub mod queue_consumer;
pub mod reconciler;
pub mod store_watcher;
pub mod sync_batcher;
pub mod timetable;
pub mod transfer_listener;
pub mod tree;
