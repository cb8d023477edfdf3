//! `bursar`: a supervised runtime for the payment back office.

pub mod access;
pub mod actors;
pub mod caller;
pub mod cli;
pub mod config;
pub mod connectors;
pub mod documents;
pub mod domain;
pub mod failpoint;
pub mod grpc;
pub mod messages;
pub mod metrics;
pub mod proto;
pub mod sandbox;
pub mod store;
pub mod supervision;
pub mod telemetry;
pub mod web;
pub mod work;
