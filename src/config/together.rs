//! What several settings say together that none of them says alone: who can be reached, and what may not be left out.
//!
//! **Owns** nothing. **Fails** with a [`Problem`] per key that has to change, without its value.

use std::net::SocketAddr;

use toml::{Table, Value};

use super::bounds::find;
use super::error::{Problem, TOGETHER};
use crate::connectors::channels::mail::config::HostName;

/// Keeps an address that other machines can reach from being served by mistake.
pub(super) fn check_reach(merged: &Table, problems: &mut Vec<Problem>) {
    let allowed = find(merged, "api.bind_beyond_loopback").and_then(Value::as_bool);
    for key in ["api.listen", "documents.links.address"] {
        let listen =
            find(merged, key).and_then(Value::as_str).and_then(|text| text.parse::<SocketAddr>().ok());
        if listen.is_some_and(|listen| !listen.ip().is_loopback()) && allowed == Some(false) {
            let reason = "must be a loopback address unless api.bind_beyond_loopback is true";
            problems.push(Problem::bad(key, TOGETHER, reason));
        }
    }
}

/// Keeps links from being made of which nobody knows where they lead.
pub(super) fn check_links(merged: &Table, problems: &mut Vec<Problem>) {
    let enabled = find(merged, "documents.links.enabled").and_then(Value::as_bool);
    if enabled == Some(true) && find(merged, "documents.links.base_url").and_then(Value::as_str) == Some("") {
        let reason = "must be set if documents.links.enabled is true";
        problems.push(Problem::bad("documents.links.base_url", TOGETHER, reason));
    }
}

/// Keeps mail from going without a sender, and without TLS over a network by mistake.
pub(super) fn check_mail(merged: &Table, problems: &mut Vec<Problem>) {
    let text = |key: &str| find(merged, key).and_then(Value::as_str).unwrap_or_default();
    let server = text("channels.mail.server");
    if server.is_empty() {
        return;
    }
    if text("channels.mail.from").is_empty() {
        let reason = "must be set if channels.mail.server is";
        problems.push(Problem::bad("channels.mail.from", TOGETHER, reason));
    }
    let is_allowed = find(merged, "channels.mail.allow_plaintext").and_then(Value::as_bool) == Some(true);
    let is_loopback = HostName::try_from(server.to_owned()).is_ok_and(|host| host.is_loopback());
    if text("channels.mail.security") == "none" && !is_loopback && !is_allowed {
        let reason = "must be starttls or tls unless channels.mail.allow_plaintext is true";
        problems.push(Problem::bad("channels.mail.security", TOGETHER, reason));
    }
}
