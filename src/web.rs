//! The HTTP face: pages for people, each kind behind a listener of its own.
//!
//! It stands on the floor of `grpc` and knows neither it nor the actors. [`listener`] is the part that every kind of page
//! shares: it accepts, bounds and ends connections, and knows nothing of what is shown. What is shown is a [`Site`]:
//! [`document_links`] shows payers what they owe, [`dashboard`] shows operators how the house is, [`scrape`] tells Prometheus the same.
//!
//! **Owns** the listeners, as children of the `web` supervisor. **Fails** per connection; a listener that keeps crashing is
//! parked, and neither gRPC nor the house minds.
//! **Limits**: each listener's own: connections, connections of one address, size and time of a request's head, the life of
//! a connection. HTTP/1.1 without TLS, for the owner's proxy in front.

mod answer;
pub mod config;
mod connection;
pub mod dashboard;
pub mod document_links;
pub mod door;
mod forwarded;
mod listener;
mod rates;
pub mod scrape;

pub use self::listener::Site;
