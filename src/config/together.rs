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
    let text = |key: &str| find(merged, key).and_then(Value::as_str).unwrap_or_default();
    let is_true = |key: &str| find(merged, key).and_then(Value::as_bool) == Some(true);
    let is_allowed = find(merged, "api.bind_beyond_loopback").and_then(Value::as_bool) != Some(false);
    // Whoever listens may be reached by anybody: what is said must be hidden on its way, and it must be known who says it.
    let is_guarded = !text("api.tls.certificate").is_empty() && text("access.mode") == "tokens";
    // What people send by a browser is hidden by a proxy in front, which `base_url` tells of.
    let is_fronted = text("dashboard.base_url").starts_with("https://") && text("access.mode") == "tokens";
    let alone = "must be a loopback address unless api.bind_beyond_loopback is true";
    let metrics =
        "must be a loopback address unless metrics.bind_beyond_loopback or api.bind_beyond_loopback is true";
    let fronted = "must be a loopback address unless dashboard.base_url is an https address and access.mode is tokens, or api.bind_beyond_loopback is true";
    let guarded = "must be a loopback address unless api.tls is set and access.mode is tokens, or api.bind_beyond_loopback is true";
    for (key, is_guarded, reason) in [
        ("api.listen", is_guarded, guarded),
        ("documents.links.address", false, alone),
        ("metrics.listen", is_true("metrics.bind_beyond_loopback"), metrics),
        ("dashboard.listen", is_fronted, fronted),
    ] {
        let listen = text(key).parse::<SocketAddr>().ok();
        if listen.is_some_and(|listen| !listen.ip().is_loopback()) && !is_allowed && !is_guarded {
            problems.push(Problem::bad(key, TOGETHER, reason));
        }
    }
}

/// Keeps metrics from being told to nobody, and spans and metrics from going in plain text where somebody has said whom to believe.
pub(super) fn check_collector(merged: &Table, problems: &mut Vec<Problem>) {
    let text = |key: &str| find(merged, key).and_then(Value::as_str).unwrap_or_default();
    let is_told = find(merged, "metrics.otlp").and_then(Value::as_bool) == Some(true);
    let endpoint = text("telemetry.otlp_endpoint");
    if is_told && endpoint.is_empty() {
        let reason = "must be set if metrics.otlp is true";
        problems.push(Problem::bad("telemetry.otlp_endpoint", TOGETHER, reason));
    }
    let is_plain = endpoint.parse::<http::Uri>().is_ok_and(|uri| uri.scheme_str() == Some("http"));
    if !text("telemetry.otlp_ca_file").is_empty() && is_plain {
        let reason = "must be an https address if telemetry.otlp_ca_file is set";
        problems.push(Problem::bad("telemetry.otlp_endpoint", TOGETHER, reason));
    }
}

/// Keeps a server from starting with half of what TLS needs, and certificates from standing for callers that nobody asks for them.
pub(super) fn check_tls(merged: &Table, problems: &mut Vec<Problem>) {
    let is_set = |key: &str| find(merged, key).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    for (key, other) in [
        ("api.tls.certificate", "api.tls.private_key"),
        ("api.tls.private_key", "api.tls.certificate"),
        ("api.tls.certificate", "api.tls.client_ca"),
    ] {
        let is_told = problems.iter().any(|problem| problem.key() == Some(key));
        if !is_set(key) && is_set(other) && !is_told {
            problems.push(Problem::bad(key, TOGETHER, format!("must be set if {other} is")));
        }
    }
    let named = find(merged, "access.certificates").and_then(Value::as_table);
    if named.is_some_and(|named| !named.is_empty()) && !is_set("api.tls.client_ca") {
        let reason = "must be set if access.certificates names any";
        problems.push(Problem::bad("api.tls.client_ca", TOGETHER, reason));
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
