//! Which settings must fit each other.
//!
//! **Owns** nothing: a table, in the order of `config/default.toml`. **Fails** with a [`Problem`] per key that does not fit;
//! what is told of it are numbers and durations, which are no secrets.

use std::time::Duration;

use toml::{Table, Value};

use super::super::error::{Problem, TOGETHER};
use super::super::schema;
use super::{find, openbanking, transfers};

/// How one setting must stand to another.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    Below,
    AtMost,
}

use Order::{AtMost, Below};

/// A key, how it must stand to another, and why.
pub(super) type Relation = (&'static str, Order, &'static str, &'static str);

const RELATIONS: &[Relation] = &[
    ("api.streams_per_caller_max", AtMost, "api.streams_max", "one caller cannot have more than all have"),
    (
        "api.connections_per_address_max",
        AtMost,
        "api.connections_max",
        "one address cannot have more than all have",
    ),
    ("access.lifetime", AtMost, "access.lifetime_max", "no token holds longer than that"),
    ("limits.page_size_default", AtMost, "limits.page_size_max", "a page is never larger than that"),
    ("documents.links.lifetime", AtMost, "documents.links.lifetime_max", "no link holds longer than that"),
    (
        "documents.links.connections_per_address_max",
        AtMost,
        "documents.links.connections_max",
        "one address cannot have more than all have",
    ),
    (
        "documents.links.header_timeout",
        AtMost,
        "documents.links.connection_timeout",
        "a request is a part of a connection",
    ),
    ("store.timeout", Below, "work.fence_after", "a heartbeat that hangs must fail before the lease is lost"),
    ("work.heartbeat_interval", Below, "work.fence_after", "a lease must be renewed before it is lost"),
    ("work.fence_after", Below, "work.reap_after", "a process must stop before others take its rows"),
    ("breaker.wait_base", AtMost, "breaker.wait_cap", "waits grow from the one to the other"),
    (
        "registration.inline_deadline",
        Below,
        "registration.attempt_timeout",
        "the attempt goes on after the answer",
    ),
    ("registration.retry_base", AtMost, "registration.retry_cap", "waits grow from the one to the other"),
    (
        "banks.banco_do_brasil.timeout",
        Below,
        "registration.attempt_timeout",
        "a call is a part of an attempt",
    ),
    ("banks.boleto_api.timeout", Below, "registration.attempt_timeout", "a call is a part of an attempt"),
    (
        "banks.boleto_api.caixa_timeout",
        Below,
        "registration.attempt_timeout",
        "a call is a part of an attempt",
    ),
    (
        "banks.bradesco_apiregistro.timeout",
        Below,
        "registration.attempt_timeout",
        "a call is a part of an attempt",
    ),
    (
        "banks.bradesco_shopfacil.timeout",
        Below,
        "registration.attempt_timeout",
        "a call is a part of an attempt",
    ),
    ("banks.inter.timeout", Below, "registration.attempt_timeout", "a call is a part of an attempt"),
    ("banks.itau.timeout", Below, "registration.attempt_timeout", "a call is a part of an attempt"),
    ("banks.santander.timeout", Below, "registration.attempt_timeout", "a call is a part of an attempt"),
    ("api.message_bytes_max", AtMost, "api.batch_bytes_max", "a batch holds what one call holds"),
    ("reconciliation.lookback", AtMost, "reconciliation.history", "a run begins within the history"),
    ("reconciliation.retry_base", AtMost, "reconciliation.retry_cap", "waits grow from the one to the other"),
    ("notification.per_endpoint_max", AtMost, "notification.in_flight_max", "one endpoint is one of all"),
    ("notification.retry_base", AtMost, "notification.retry_cap", "waits grow from the one to the other"),
    ("channels.sqs.timeout", Below, "notification.attempt_timeout", "a call is a part of an attempt"),
    ("channels.webhook.timeout", Below, "notification.attempt_timeout", "a call is a part of an attempt"),
    (
        "channels.mail.command_timeout",
        AtMost,
        "channels.mail.message_timeout",
        "a command is a part of a message",
    ),
    ("channels.mail.message_timeout", AtMost, "channels.mail.timeout", "a message is one of all"),
    ("channels.mail.timeout", Below, "notification.attempt_timeout", "all messages are a part of an attempt"),
    (
        "channels.nats.connect_timeout",
        Below,
        "notification.attempt_timeout",
        "connecting is a part of an attempt",
    ),
    ("channels.nats.ack_timeout", Below, "notification.attempt_timeout", "a call is a part of an attempt"),
    (
        "channels.nats.reconnect_base",
        AtMost,
        "channels.nats.reconnect_cap",
        "waits grow from the one to the other",
    ),
    (
        "ingress.boletos_to_register.batch",
        AtMost,
        "ingress.boletos_to_register.in_flight_max",
        "what is received is in hand",
    ),
    ("supervision.backoff_base", AtMost, "supervision.backoff_cap", "waits grow from the one to the other"),
    (
        "supervision.park_retry_base",
        AtMost,
        "supervision.park_retry_cap",
        "waits grow from the one to the other",
    ),
    ("http.connect_timeout", AtMost, "http.timeout", "connecting is a part of a call"),
    ("telemetry.export_batch_max", AtMost, "telemetry.export_queue_max", "a batch is taken from the queue"),
    (
        "dashboard.connections_per_address_max",
        AtMost,
        "dashboard.connections_max",
        "one address cannot have more than all have",
    ),
    (
        "dashboard.header_timeout",
        AtMost,
        "dashboard.connection_timeout",
        "a request is a part of a connection",
    ),
    (
        "dashboard.session_idle",
        AtMost,
        "dashboard.session_lifetime",
        "whoever is idle is signed in no longer than anybody",
    ),
];

/// Every relation there is, as it is written down.
pub(super) fn stated() -> impl Iterator<Item = &'static Relation> {
    RELATIONS.iter().chain(transfers::RELATIONS).chain(openbanking::RELATIONS)
}

/// Every relation of these settings; what is said of the keys of every entry is said of each entry that there is.
fn relations(merged: &Table) -> Vec<(String, Order, String, &'static str)> {
    let mut found = Vec::new();
    for (key, order, other, why) in stated() {
        found.push(((*key).to_owned(), *order, (*other).to_owned(), *why));
        for (shared, entry) in schema::inheritance(merged) {
            let of_entry = |key: &str| key.strip_prefix(&shared).map(|rest| format!("{entry}{rest}"));
            let (left, right) = (of_entry(key), of_entry(other));
            if left.is_some() || right.is_some() {
                let own = |own: Option<String>, key: &str| own.unwrap_or_else(|| key.to_owned());
                found.push((own(left, key), *order, own(right, other), *why));
            }
        }
    }
    found
}

/// Holds settings against each other, but for those that are already known to be wrong.
pub(in crate::config) fn check_relations(merged: &Table, problems: &mut Vec<Problem>) {
    for (key, order, other, why) in relations(merged) {
        let known = |key: &str| problems.iter().any(|problem| problem.key() == Some(key));
        let (Some(left), Some(right)) = (find(merged, &key), find(merged, &other)) else { continue };
        let (holds, wanted) = match order {
            Below => (magnitude(left) < magnitude(right), "below"),
            AtMost => (magnitude(left) <= magnitude(right), "at most"),
        };
        if !holds && !known(&key) && !known(&other) {
            // Both have passed their rules: they are numbers or durations, and tell no secret.
            let reason = format!("is {left} and must be {wanted} {other}, which is {right}: {why}");
            problems.push(Problem::bad(key, TOGETHER, reason));
        }
    }
}

fn magnitude(value: &Value) -> Option<Duration> {
    match value {
        // A count is compared with counts only; seconds are as good a unit as any.
        Value::Integer(count) => u64::try_from(*count).ok().map(Duration::from_secs),
        Value::String(text) => humantime::parse_duration(text).ok(),
        _ => None,
    }
}
