//! `bursar`: a supervised runtime for the payment back office.
//!
//! Each module is a room, and rooms stand on floors. Imports point down only, and neighbours do not know each other, which
//! `.ci/rooms` checks:
//!
//! | floor | rooms | what they do |
//! |---|---|---|
//! | 5 | [`cli`] | opens the house, or talks to one as a client |
//! | 4 | [`grpc`], [`web`], [`actors`] | take requests, show pages, do the work |
//! | 3 | [`messages`] | what actors and services say to each other |
//! | 2 | [`work`], [`access`] | the durable engine; who may do what |
//! | 1 | [`store`], [`connectors`], [`documents`] | rows, the outside, printed boletos |
//! | 0 | [`domain`], [`supervision`], [`proto`] | rules without any input or output; the tree; the protocol |
//!
//! Anybody may use [`caller`], [`config`], [`telemetry`], [`metrics`], [`seats`], [`tls`] and [`failpoint`]. The [`sandbox`] stands
//! apart: it is the outside, and knows no room.

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
pub mod seats;
pub mod store;
pub mod supervision;
pub mod telemetry;
pub mod tls;
pub mod web;
pub mod work;
