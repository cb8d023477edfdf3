//! The hands: every call that leaves the house, to banks and to owners' destinations.
//!
//! **Owns** connections and cached sign-ins, nothing that a crash may lose.
//! **Fails** sorted by what the caller does next: refused (tell), unknown (look), unavailable (wait),
//! misconfigured (call an operator). No error carries a secret or personal data.
//! **Limits**: every call has a deadline and a body limit; no redirect is followed; an address that a caller
//! supplied is vetted when it is stored, when it is used and when it is connected to.

pub mod analyzers;
pub mod answer;
pub mod aspsps;
pub mod banks;
pub mod certificate;
pub mod channels;
pub mod egress;
pub mod http;
pub mod secret;
pub mod transfer_feeds;

#[cfg(test)]
mod scripted;
