//! Between what a number, a duration or a text must lie.
//!
//! **Owns** nothing: a table, in the order of `config/default.toml`. A test holds that every number and every
//! duration there has its line here.

mod analyzers;
mod openbanking;
mod relations;
mod timetable;
mod transfers;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use toml::{Table, Value};

pub(super) use self::relations::check_relations;
use crate::telemetry;

const MS: u64 = 1;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const KIB: i64 = 1_024;
const MIB: i64 = 1_024 * KIB;

/// How many durations a list holds.
const SPANS_MAX: usize = 32;

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    /// A whole number, bounds included.
    Count(i64, i64),
    /// A duration, bounds included, in milliseconds.
    Span(u64, u64),
    /// Durations, [`SPANS_MAX`] at most; there may be none.
    Spans(u64, u64),
    /// A number, bounds included.
    Share(f64, f64),
    /// Civil dates.
    Dates,
    /// Numbers of ports.
    Ports,
    /// An address with a port.
    Socket,
    /// Text that may not be empty.
    Text,
    /// Texts, none of which may be empty; there may be none.
    Texts,
    /// URL schemes that we speak.
    Schemes,
    /// An address that is called with TLS or without.
    Collector,
    /// An address that others are given, with TLS unless it is this machine's own.
    PublicUrl,
    /// Levels of logging.
    LogFilter,
    /// Levels of tracing.
    TraceFilter,
}

use Rule::{
    Collector, Count, Dates, LogFilter, Ports, PublicUrl, Schemes, Share, Socket, Span, Spans, Text, Texts,
    TraceFilter,
};

const RULES: &[(&str, Rule)] = &[
    ("data_dir", Text),
    ("api.listen", Socket),
    ("api.streams_max", Count(1, 65_536)),
    ("api.streams_per_caller_max", Count(1, 65_536)),
    ("api.requests_in_flight_max", Count(1, 65_536)),
    ("api.control_in_flight_max", Count(1, 1_024)),
    ("api.message_bytes_max", Count(KIB, 64 * MIB)),
    ("api.batch_bytes_max", Count(KIB, 64 * MIB)),
    ("api.batches_in_flight_max", Count(1, 1_024)),
    ("api.metadata_bytes_max", Count(KIB, MIB)),
    ("api.message_timeout", Span(100 * MS, HOUR)),
    ("api.calls_per_connection_max", Count(1, 65_536)),
    ("api.connections_max", Count(1, 65_536)),
    ("api.connections_per_address_max", Count(1, 65_536)),
    ("api.handshake_timeout", Span(100 * MS, 5 * MINUTE)),
    ("api.keepalive_interval", Span(SECOND, HOUR)),
    ("api.keepalive_timeout", Span(100 * MS, 5 * MINUTE)),
    ("api.tls.reload_interval", Span(10 * MS, HOUR)),
    ("access.lifetime", Span(MINUTE, 3_650 * DAY)),
    ("access.lifetime_max", Span(MINUTE, 3_650 * DAY)),
    ("access.check_interval", Span(10 * MS, 800 * MS)),
    ("access.trust", Span(SECOND, HOUR)),
    ("access.tokens_known_max", Count(1, 65_536)),
    ("access.failures_per_minute_max", Count(1, 1_000_000)),
    ("limits.page_size_default", Count(1, 10_000)),
    ("limits.page_size_max", Count(1, 10_000)),
    ("limits.watch_poll", Span(10 * MS, MINUTE)),
    ("calendar.extra_holidays", Dates),
    ("documents.links.address", Socket),
    ("documents.links.base_url", PublicUrl),
    ("documents.links.lifetime", Span(SECOND, 3_650 * DAY)),
    ("documents.links.lifetime_max", Span(SECOND, 3_650 * DAY)),
    ("documents.links.rate_per_second", Count(0, 10_000)),
    ("documents.links.drawings_max", Count(1, 1_024)),
    ("documents.links.connections_max", Count(1, 65_536)),
    ("documents.links.connections_per_address_max", Count(1, 65_536)),
    ("documents.links.header_timeout", Span(10 * MS, 5 * MINUTE)),
    ("documents.links.header_bytes_max", Count(8 * KIB, MIB)),
    ("documents.links.connection_timeout", Span(100 * MS, HOUR)),
    ("store.connections_max", Count(1, 1_000)),
    ("store.timeout", Span(10 * MS, 5 * MINUTE)),
    ("work.poll_interval", Span(10 * MS, HOUR)),
    ("work.heartbeat_interval", Span(10 * MS, 10 * MINUTE)),
    ("work.fence_after", Span(10 * MS, HOUR)),
    ("work.reap_after", Span(10 * MS, HOUR)),
    ("work.drain_timeout", Span(0, HOUR)),
    ("work.archive_retention", Span(MINUTE, 3_650 * DAY)),
    ("work.request_retention", Span(DAY, 3_650 * DAY)),
    ("work.claim_batch", Count(1, 1_000)),
    ("work.group_max", Count(1, 64)),
    ("work.lanes", Count(1, 64)),
    ("work.tenants.in_flight_max", Count(0, 10_000)),
    ("work.tenants.rate_per_minute", Count(0, 1_000_000)),
    ("breaker.failures_max", Count(1, 10_000)),
    ("breaker.wait_base", Span(MS, HOUR)),
    ("breaker.wait_cap", Span(MS, DAY)),
    ("registration.inline_deadline", Span(0, 5 * MINUTE)),
    ("registration.in_flight_max", Count(1, 10_000)),
    ("registration.rate_per_minute", Count(0, 1_000_000)),
    ("registration.backlog_max", Count(0, 10_000_000)),
    ("registration.attempts_max", Count(1, 10_000)),
    ("registration.retry_base", Span(MS, HOUR)),
    ("registration.retry_cap", Span(MS, DAY)),
    ("registration.attempt_timeout", Span(100 * MS, HOUR)),
    ("registration.ask_again_after", Span(100 * MS, HOUR)),
    ("reconciliation.every", Span(SECOND, 7 * DAY)),
    ("reconciliation.lookback", Span(0, 90 * DAY)),
    ("reconciliation.history", Span(DAY, 1_825 * DAY)),
    ("reconciliation.in_flight_max", Count(1, 1_000)),
    ("reconciliation.look_ups_per_run_max", Count(1, 1_000_000)),
    ("reconciliation.retry_base", Span(MS, HOUR)),
    ("reconciliation.retry_cap", Span(MS, DAY)),
    ("reconciliation.run_timeout", Span(SECOND, DAY)),
    ("notification.in_flight_max", Count(1, 10_000)),
    ("notification.per_endpoint_max", Count(1, 10_000)),
    ("notification.per_endpoint_rate_per_minute", Count(0, 1_000_000)),
    ("notification.retry_base", Span(MS, HOUR)),
    ("notification.retry_cap", Span(MS, 7 * DAY)),
    ("notification.attempts_max", Count(1, 10_000)),
    ("notification.attempt_timeout", Span(100 * MS, HOUR)),
    ("notification.disable_after", Span(MINUTE, 366 * DAY)),
    ("notification.attempts_kept", Span(MINUTE, 3_653 * DAY)),
    ("ingress.boletos_to_register.tenant", Text),
    ("ingress.boletos_to_register.wait", Span(0, 20 * SECOND)),
    ("ingress.boletos_to_register.batch", Count(1, 10)),
    ("ingress.boletos_to_register.in_flight_max", Count(1, 10_000)),
    ("ingress.boletos_to_register.visibility", Span(2 * SECOND, 12 * HOUR)),
    ("supervision.restarts_max", Count(1, 10_000)),
    ("supervision.restarts_within", Span(SECOND, DAY)),
    ("supervision.backoff_base", Span(0, MINUTE)),
    ("supervision.backoff_cap", Span(0, HOUR)),
    ("supervision.park_retry_base", Span(10 * MS, HOUR)),
    ("supervision.park_retry_cap", Span(10 * MS, DAY)),
    ("supervision.mailbox", Count(1, 1_000_000)),
    ("http.connect_timeout", Span(10 * MS, 5 * MINUTE)),
    ("http.timeout", Span(10 * MS, 10 * MINUTE)),
    ("http.pool_idle_timeout", Span(0, HOUR)),
    ("http.pool_idle_max", Count(0, 10_000)),
    ("http.body_max_bytes", Count(KIB, 64 * MIB)),
    ("secrets.env_prefixes", Texts),
    ("secrets.folders", Texts),
    ("banks.banco_do_brasil.app_key_parameter", Text),
    ("banks.banco_do_brasil.scope", Text),
    ("banks.banco_do_brasil.movements_from_parameter", Text),
    ("banks.banco_do_brasil.movements_until_parameter", Text),
    ("banks.banco_do_brasil.timeout", Span(10 * MS, 10 * MINUTE)),
    ("banks.banco_do_brasil.token_timeout", Span(10 * MS, 10 * MINUTE)),
    ("banks.banco_do_brasil.token_leeway", Span(0, HOUR)),
    ("banks.banco_do_brasil.settle_after", Span(0, DAY)),
    ("banks.boleto_api.timeout", Span(10 * MS, 10 * MINUTE)),
    ("banks.boleto_api.caixa_timeout", Span(10 * MS, 10 * MINUTE)),
    ("banks.bradesco_apiregistro.timeout", Span(10 * MS, 10 * MINUTE)),
    ("banks.bradesco_shopfacil.timeout", Span(10 * MS, 10 * MINUTE)),
    ("banks.inter.scope", Text),
    ("banks.inter.open_days", Count(0, 60)),
    ("banks.inter.fine_percentage_code", Text),
    ("banks.inter.fine_amount_code", Text),
    ("banks.inter.interest_percentage_code", Text),
    ("banks.inter.interest_amount_code", Text),
    ("banks.inter.message_chars_max", Count(50, 200)),
    ("banks.inter.reason_chars_max", Count(1, 200)),
    ("banks.inter.timeout", Span(10 * MS, 10 * MINUTE)),
    ("banks.inter.token_timeout", Span(10 * MS, 10 * MINUTE)),
    ("banks.inter.token_leeway", Span(0, HOUR)),
    ("banks.inter.settle_after", Span(0, DAY)),
    ("banks.itau.document_kind", Text),
    ("banks.itau.fine_percentage_code", Text),
    ("banks.itau.fine_none_code", Text),
    ("banks.itau.interest_percentage_code", Text),
    ("banks.itau.name_chars_max", Count(10, 200)),
    ("banks.itau.street_chars_max", Count(15, 200)),
    ("banks.itau.district_chars_max", Count(5, 200)),
    ("banks.itau.city_chars_max", Count(5, 200)),
    ("banks.itau.timeout", Span(10 * MS, 10 * MINUTE)),
    ("banks.itau.token_timeout", Span(10 * MS, 10 * MINUTE)),
    ("banks.itau.token_leeway", Span(0, HOUR)),
    ("banks.itau.settle_after", Span(0, DAY)),
    ("banks.santander.look_up_kind", Text),
    ("banks.santander.paid_by_pix_text", Text),
    ("banks.santander.message_chars_max", Count(20, 200)),
    ("banks.santander.timeout", Span(10 * MS, 10 * MINUTE)),
    ("banks.santander.token_timeout", Span(10 * MS, 10 * MINUTE)),
    ("banks.santander.token_leeway", Span(0, HOUR)),
    ("banks.santander.settle_after", Span(0, DAY)),
    ("channels.sqs.timeout", Span(10 * MS, 10 * MINUTE)),
    ("channels.sqs.message_max_bytes", Count(KIB, MIB)),
    ("channels.sqs.egress.schemes", Schemes),
    ("channels.sqs.egress.ports", Ports),
    ("channels.webhook.timeout", Span(10 * MS, 10 * MINUTE)),
    ("channels.webhook.in_flight_max", Count(1, 10_000)),
    ("channels.webhook.body_read_bytes", Count(0, MIB)),
    ("channels.webhook.retry_waits", Spans(MS, 7 * DAY)),
    ("channels.webhook.egress.schemes", Schemes),
    ("channels.webhook.egress.ports", Ports),
    ("channels.mail.port", Count(1, 65_535)),
    ("channels.mail.connections_max", Count(1, 1_000)),
    ("channels.mail.messages_per_connection_max", Count(1, 1_000_000)),
    ("channels.mail.idle_timeout", Span(10 * MS, HOUR)),
    ("channels.mail.command_timeout", Span(10 * MS, 5 * MINUTE)),
    ("channels.mail.message_timeout", Span(10 * MS, 10 * MINUTE)),
    ("channels.mail.timeout", Span(10 * MS, HOUR)),
    ("channels.mail.message_max_bytes", Count(4 * KIB, 10 * MIB)),
    ("channels.mail.recipients.domains", Texts),
    ("channels.nats.connection_name", Text),
    ("channels.nats.inbox_prefix", Text),
    ("channels.nats.connect_timeout", Span(10 * MS, 10 * MINUTE)),
    ("channels.nats.ack_timeout", Span(10 * MS, 10 * MINUTE)),
    ("channels.nats.reconnect_base", Span(MS, HOUR)),
    ("channels.nats.reconnect_cap", Span(MS, HOUR)),
    ("channels.nats.message_max_bytes", Count(KIB, 64 * MIB)),
    ("channels.nats.subjects.prefixes", Texts),
    ("retention.tenant.boleto_years", Count(0, 100)),
    ("retention.tenant.transfers_kept", Span(DAY, 36_525 * DAY)),
    ("retention.tenant.customers_kept", Span(DAY, 36_525 * DAY)),
    ("telemetry.log_level", LogFilter),
    ("telemetry.trace_filter", TraceFilter),
    ("telemetry.otlp_endpoint", Collector),
    ("telemetry.service_name", Text),
    ("telemetry.sample_ratio", Share(0.0, 1.0)),
    ("telemetry.export_queue_max", Count(1, 1_000_000)),
    ("telemetry.export_batch_max", Count(1, 1_000_000)),
    ("telemetry.export_interval", Span(10 * MS, 5 * MINUTE)),
    ("telemetry.export_timeout", Span(10 * MS, 5 * MINUTE)),
    ("telemetry.shutdown_timeout", Span(10 * MS, 5 * MINUTE)),
    ("metrics.listen", Socket),
    ("metrics.export_interval", Span(SECOND, 10 * MINUTE)),
    ("metrics.sample_every", Span(SECOND, 10 * MINUTE)),
    ("metrics.sample_timeout", Span(10 * MS, MINUTE)),
    ("dashboard.listen", Socket),
    ("dashboard.base_url", PublicUrl),
    ("dashboard.refresh_every", Span(100 * MS, MINUTE)),
    ("dashboard.session_idle", Span(MINUTE, 7 * DAY)),
    ("dashboard.session_lifetime", Span(MINUTE, 30 * DAY)),
    ("dashboard.sessions_max", Count(1, 65_536)),
    ("dashboard.connections_max", Count(1, 65_536)),
    ("dashboard.connections_per_address_max", Count(1, 65_536)),
    ("dashboard.header_timeout", Span(10 * MS, 5 * MINUTE)),
    ("dashboard.header_bytes_max", Count(8 * KIB, MIB)),
    ("dashboard.connection_timeout", Span(100 * MS, HOUR)),
];

/// The rule of a key, where its type alone does not say enough.
pub(super) fn rule(key: &str) -> Option<Rule> {
    rules().find(|(known, _)| *known == key).map(|(_, rule)| *rule)
}

/// Every key's rule.
fn rules() -> impl Iterator<Item = &'static (&'static str, Rule)> {
    RULES
        .iter()
        .chain(analyzers::RULES)
        .chain(transfers::RULES)
        .chain(timetable::RULES)
        .chain(openbanking::RULES)
}

/// The value of a key that is written with dots.
pub(super) fn find<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let (front, last) = key.rsplit_once('.')?;
    front.split('.').try_fold(table, |table, name| table.get(name)?.as_table())?.get(last)
}

impl Rule {
    /// Whether the key takes the value.
    pub(super) fn admits(self, value: &Value) -> bool {
        match (self, value) {
            (Count(least, most), Value::Integer(count)) => (least..=most).contains(count),
            (Span(least_ms, most_ms), Value::String(text)) => {
                humantime::parse_duration(text).is_ok_and(|span| {
                    (Duration::from_millis(least_ms)..=Duration::from_millis(most_ms)).contains(&span)
                })
            }
            (Spans(least_ms, most_ms), Value::Array(spans)) => {
                spans.len() <= SPANS_MAX && spans.iter().all(|span| Span(least_ms, most_ms).admits(span))
            }
            (Share(least, most), Value::Float(share)) => (least..=most).contains(share),
            (Share(least, most), Value::Integer(whole)) => {
                i32::try_from(*whole).is_ok_and(|whole| (least..=most).contains(&f64::from(whole)))
            }
            (Dates, Value::Array(dates)) => dates.iter().all(|date| date.as_str().is_some_and(is_date)),
            (Ports, Value::Array(ports)) => ports.iter().all(|port| Count(1, 65_535).admits(port)),
            (Socket, Value::String(text)) => text.parse::<SocketAddr>().is_ok(),
            (Text, Value::String(text)) => !text.trim().is_empty(),
            (Texts, Value::Array(texts)) => texts.iter().all(|text| Text.admits(text)),
            (Schemes, Value::Array(schemes)) => {
                !schemes.is_empty()
                    && schemes.iter().all(|scheme| matches!(scheme.as_str(), Some("http" | "https")))
            }
            (Collector, Value::String(text)) => is_collector(text),
            (PublicUrl, Value::String(text)) => is_public_url(text),
            (LogFilter, Value::String(text)) => telemetry::log_filter(text).is_some(),
            (TraceFilter, Value::String(text)) => telemetry::trace_filter(text).is_some(),
            _ => false,
        }
    }
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<chrono::NaiveDate>().is_ok()
}

fn is_collector(text: &str) -> bool {
    text.parse::<http::Uri>().is_ok_and(|uri| {
        let named = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        matches!(uri.scheme_str(), Some("http" | "https")) && named
    })
}

fn is_public_url(text: &str) -> bool {
    let is_own = |host: &str| {
        host == "localhost"
            || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    };
    text.parse::<http::Uri>().is_ok_and(|uri| {
        let named = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        let fits = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => uri.host().is_some_and(is_own),
            _ => false,
        };
        named && fits && uri.query().is_none() && !text.contains('#') && !text.ends_with('/')
    })
}

fn written(span_ms: u64) -> String {
    humantime::format_duration(Duration::from_millis(span_ms)).to_string().replace(' ', "")
}

/// What is needed, as the end of a sentence that begins with "must be".
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Count(least, most) => write!(f, "a whole number from {least} to {most}"),
            Span(least_ms, most_ms) => {
                let (least, most) = (written(least_ms), written(most_ms));
                write!(f, "a duration with its unit, such as 30s, from {least} to {most}")
            }
            Spans(least_ms, most_ms) => {
                let (least, most) = (written(least_ms), written(most_ms));
                write!(
                    f,
                    "a list of up to {SPANS_MAX} durations with their units, each from {least} to {most}"
                )
            }
            Share(least, most) => write!(f, "a number from {least:.1} to {most:.1}"),
            Dates => f.write_str("a list of dates, such as 2026-12-31"),
            Ports => f.write_str("a list of port numbers from 1 to 65535"),
            Socket => f.write_str("an IP address with a port, such as 127.0.0.1:7400"),
            Text => f.write_str("a text that is not empty"),
            Texts => f.write_str("a list of texts that are not empty"),
            Schemes => f.write_str("a list of http, https or both"),
            Collector => f.write_str("an http or https address, such as http://127.0.0.1:4317"),
            PublicUrl => {
                f.write_str("an https address without a slash at its end, such as https://pay.example.com")
            }
            LogFilter => f.write_str("levels of logging, such as info,bursar::store=debug"),
            TraceFilter => f.write_str("levels of tracing by module, such as bursar=info"),
        }
    }
}

/// Keys that are bound to one another, in pairs.
#[cfg(test)]
pub(super) fn related() -> impl Iterator<Item = (&'static str, &'static str)> {
    relations::stated().map(|(key, _, other, _)| (*key, *other))
}

/// The keys that have a rule or a relation, for the test that holds them against the defaults.
#[cfg(test)]
pub(super) fn keys() -> impl Iterator<Item = (&'static str, bool)> {
    let related = relations::stated().flat_map(|(key, _, other, _)| [*key, *other]);
    rules().map(|(key, _)| (*key, true)).chain(related.map(|key| (key, false)))
}
